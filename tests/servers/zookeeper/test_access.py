"""How a real ZooKeeper is reached, and what is said when it cannot be."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.zookeeper.access import Access
from adapters.zookeeper.client import Client, SilentError
from adapters.zookeeper.operations import Create, Delete, Exists, Multi, Put, Refused, Stat
from bridge.errors import Unavailable
from bridge.runtime.clock import SystemClock
from bridge.testing.ports import free_port
from bridge.testing.proxy import FaultProxy
from tests.envoy.certificates import Authority
from tests.servers.names import Names
from tests.servers.zookeeper.hand import ADMIN, Hand
from tests.servers.zookeeper.jars import Java
from tests.servers.zookeeper.known import digest, write_one
from tests.servers.zookeeper.observing import CURATOR, observing, settings
from tests.servers.zookeeper.server import Tls, ZooKeeper, frozen

ONE = "10.0.0.1:80"
TWO = "10.0.0.2:80"
SASL = {"mechanism": "DIGEST-MD5", "username": "admin", "password": "a"}
FOREIGN = "its certificate is refused: "


@pytest.fixture
async def root(hand: Hand) -> str:
    """A tree of this test alone, on the session's server, with one service."""
    made = f"/services-{secrets.token_hex(4)}"
    await hand.say(ONE, root=made)
    return made


def tree(root: str) -> list[dict[str, object]]:
    return [{**CURATOR[0], "path": f"{root}/{{name}}"}]


async def told(hosts: str, words: str, **more: Any) -> str:
    """Why it is not read, once these words are in it."""
    async with observing(settings(hosts, **more)) as seen:
        await seen.until(lambda: words in seen.reading.why)
        assert seen.reading.observation is None
        assert "\n" not in seen.reading.why
        return seen.reading.why


class Secured(ZooKeeper):
    """A server that believes only whom its authority signed."""

    def __init__(self, java: Java, folder: Path) -> None:
        folder.mkdir()
        self.authority = Authority()
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority.pem)
        pair = folder / "server.pem"
        shown = self.authority.pair("zookeeper")
        pair.write_bytes(shown.cert + shown.key)
        self.cert, self.key = folder / "client.pem", folder / "client.key"
        self.authority.pair("bridge").write(self.cert, self.key)
        super().__init__(java, folder / "zookeeper", tls=Tls(pair, self.ca))

    @property
    def secure(self) -> str:
        return f"127.0.0.1:{self.secure_port}"


@pytest.fixture
async def secured(java: Java, tmp_path: Path) -> AsyncIterator[Secured]:
    async with Secured(java, tmp_path / "secured") as made:
        async with Hand(made.hosts) as hand:
            await hand.say(ONE)
        yield made


async def test_over_tls_both_show_who_they_are(secured: Secured) -> None:
    tls = {"ca": str(secured.ca), "cert": str(secured.cert), "key": str(secured.key)}
    async with observing(settings(secured.secure, tls=tls)) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        async with Hand(secured.hosts) as hand:
            await hand.say(TWO)
        await seen.until(lambda: seen.served("web") == [ONE, TWO])


async def test_what_is_wrong_with_tls_is_one_line_that_says_what_to_do(secured: Secured, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("others").pem)
    ours = {"cert": str(secured.cert), "key": str(secured.key)}
    foreign = await told(secured.secure, FOREIGN, tls={"ca": str(other), **ours})
    assert "certificate; correct `tls.ca`, or the name of the host in `hosts`" in foreign
    await told(secured.secure, "wants a certificate of ours", tls={"ca": str(secured.ca)})
    await told(secured.secure, "or wants TLS")
    await told(secured.hosts, "does not speak TLS on that port", tls={"ca": str(secured.ca), **ours})
    await told(secured.secure, "none.pem", tls={"ca": str(tmp_path / "none.pem"), **ours})


async def test_a_certificate_for_another_host_is_refused_where_nobody_says_to_take_it(secured: Secured) -> None:
    tls = {"ca": str(secured.ca), "cert": str(secured.cert), "key": str(secured.key)}
    elsewhere = FaultProxy("127.0.0.1", secured.secure_port)
    elsewhere.host = "127.0.0.2"
    async with elsewhere:
        hosts = f"{elsewhere.host}:{elsewhere.port}"
        assert "not valid for '127.0.0.2'" in await told(hosts, FOREIGN, tls=tls)
        async with observing(settings(hosts, tls={**tls, "check_hostname": False})) as seen:
            await seen.until(lambda: seen.served("web") == [ONE])


async def test_a_port_where_nobody_listens_is_one_line() -> None:
    port = free_port()
    assert await told(f"127.0.0.1:{port}", "nobody listens") == (
        f"zookeeper 127.0.0.1:{port}: nobody listens on that port; correct `hosts`, or see to the servers; "
        "it is tried again"
    )


async def test_a_server_that_is_none_is_one_line() -> None:
    async with FaultProxy("127.0.0.1", free_port()) as proxy:
        await told(f"127.0.0.1:{proxy.port}", "it is tried again")


async def test_a_name_that_is_none_is_one_line() -> None:
    await told("zk1.invalid:2181", "zk1.invalid is no name that can be resolved")


async def test_digest_opens_what_is_kept_from_others(
    standing: ZooKeeper, hand: Hand, root: str, tmp_path: Path
) -> None:
    await hand.keep(root)
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"{ADMIN}\n")
    wrong.write_text("admin:guessed\n")
    async with observing(settings(standing.hosts, tree(root), auth={"file": str(right)})) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
    denied = f"{root}: may not be read by us; give us `r` there, or correct `auth`"
    said = await told(standing.hosts, denied, trees=tree(root), auth={"file": str(wrong)})
    assert "guessed" not in said
    missing = "a secret is to be read from here: No such file or directory; put it there, or correct the path"
    await told(standing.hosts, missing, trees=tree(root), auth={"file": str(tmp_path / "none")})
    right.write_text("admin\n")
    halved = "auth: what is read is no user:password; write both, with a colon between them"
    await told(standing.hosts, halved, trees=tree(root), auth={"file": str(right)})


@pytest.mark.promise("S-12")
async def test_a_password_is_in_no_message_and_no_log(
    standing: ZooKeeper, hand: Hand, root: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = tmp_path / "secret"
    secret.write_text("bridge:canary-7312")
    await hand.keep(root)
    made = settings(standing.hosts, tree(root), auth={"file": str(secret)})
    assert "canary" not in repr(made) + made.model_dump_json()
    async with observing(made) as seen:
        await seen.until(lambda: seen.reading.lost is not None)
        assert "canary" not in seen.reading.why
    assert "canary" not in caplog.text


@pytest.fixture
async def strict(java: Java, tmp_path: Path) -> AsyncIterator[ZooKeeper]:
    """A server that knows people by SASL."""
    jaas = tmp_path / "jaas.conf"
    jaas.write_text(
        'Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bridge="right" user_admin="a"; };'
    )
    options = (
        f"-Djava.security.auth.login.config={jaas}",
        "-Dzookeeper.authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "-Dzookeeper.sessionRequireClientSASLAuth=true",
    )
    async with ZooKeeper(java, tmp_path / "zookeeper", options=options) as made:
        async with Hand(made.hosts, sasl_options=SASL) as hand:
            await hand.say(ONE)
        yield made


async def test_sasl_opens_a_server_that_demands_it_and_what_is_written_is_ours(
    strict: ZooKeeper, tmp_path: Path
) -> None:
    auth = digest(tmp_path, "bridge:right", "sasl")
    async with observing(settings(strict.hosts, auth=auth)) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
    await write_one(strict.hosts, "/written", auth)
    async with Hand(strict.hosts, sasl_options=SASL) as hand:
        (name,) = await hand.names("/written/web")
        acls, _ = await hand.do(hand.kazoo.get_acls, f"/written/web/{name}")
        assert sorted((one.id.scheme, one.id.id, one.perms) for one in acls) == [
            ("sasl", "bridge", 31),
            ("world", "anyone", 1),
        ]
    digest(tmp_path, "bridge:wrong")
    await told(strict.hosts, "refuses our credentials; correct `auth`", auth=auth)


@pytest.mark.promise("R-33")
async def test_a_name_that_moves_is_followed_and_one_that_is_gone_waited_for(
    standing: ZooKeeper, hand: Hand, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    old, new = FaultProxy("127.0.0.1", standing.port), FaultProxy("127.0.0.1", standing.port)
    for proxy, host in ((old, "127.0.0.2"), (new, "127.0.0.3")):
        proxy.host, proxy.port = host, port
    names = Names(monkeypatch, "zk.test", old.host)
    async with old, new, observing(settings(f"zk.test:{port}", tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        names.address = new.host
        await old.refuse()
        old.reset()
        await hand.say(TWO, root=root)
        await seen.until(lambda: seen.served("web") == [ONE, TWO] and bool(new.accepted))
        names.address = None
        new.reset()
        await seen.until(lambda: "zk.test is no name that can be resolved" in seen.reading.why)
        assert seen.served("web") == [ONE, TWO]
        names.address = new.host
        await seen.until(lambda: seen.reading.lost is None)


@pytest.mark.promise("law-10")
async def test_the_loop_goes_on_while_a_server_is_frozen(own: ZooKeeper) -> None:
    loop = asyncio.get_running_loop()
    lags: list[float] = []

    async def watchdog() -> None:
        while True:
            begun = loop.time()
            await asyncio.sleep(0.005)
            lags.append(loop.time() - begun - 0.005)

    async with Hand(own.hosts) as hand:
        await hand.make("/services")
        await hand.many((f"/services/s{number // 20:03}/{number % 20}", b"{}") for number in range(2_000))
        await hand.say(ONE)
        async with observing(settings(own.hosts, session="4s")) as seen:
            await seen.until(lambda: seen.served("web") == [ONE])
            watching = asyncio.create_task(watchdog())
            async with frozen(own):
                for _ in range(30):
                    seen.refresh()  # two thousand questions each: more than kazoo can queue without blocking
                    await asyncio.sleep(0.1)
                await seen.until(lambda: seen.reading.lost is not None)
            watching.cancel()
            await seen.until(lambda: seen.reading.lost is None)
    print(f"the loop was late by at most {max(lags) * 1000:.0f} ms in {len(lags)} turns")
    assert len(lags) >= 30, "as often as it was asked for a reading"


@pytest.mark.promise("law-10")
async def test_more_than_kazoo_can_queue_keeps_nobody_from_noticing_that_a_server_is_frozen(own: ZooKeeper) -> None:
    client = Client(Access(own.hosts, session=60.0), "zookeeper", SystemClock(), asyncio.Event())
    large = Put("/", b"x" * 500_000)  # a few fill the connection, and then kazoo takes nothing more from its queue
    try:
        await client.up(90)
        async with frozen(own), asyncio.timeout(25):
            with pytest.raises(SilentError):
                await client.ask(*[large] * 400)
            with pytest.raises(SilentError):
                await client.alive()
    finally:
        await client.close()


async def test_kazoo_floods_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with observing(settings(f"127.0.0.1:{free_port()}")) as seen:
        await seen.until(lambda: seen.reading.lost is not None)
        await asyncio.sleep(2)
    assert not [one for one in caplog.records if one.name.startswith(("kazoo", "adapters"))]


async def test_in_a_long_outage_why_is_not_told_again_and_again(own: ZooKeeper) -> None:
    async with Hand(own.hosts) as hand:
        await hand.say(ONE)
    async with observing(settings(own.hosts, session="1s")) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        told: list[str] = []
        async with frozen(own):
            await seen.until(lambda: seen.reading.lost is not None)
            for _ in range(600):  # six seconds, in which the client is thrown away and made anew four times
                why = seen.reading.why
                if why not in told[-1:]:
                    told.append(why)
                await asyncio.sleep(0.01)
        await seen.until(lambda: seen.reading.lost is None)
    assert len(told) <= 3, told
    assert all("answer any more" in why or "and does not answer" in why for why in told)


async def test_who_asks_after_the_end_is_told_so() -> None:
    client = Client(Access(f"127.0.0.1:{free_port()}"), "zookeeper", SystemClock(), asyncio.Event())
    await client.close()
    async with asyncio.timeout(60):
        for _ in range(3):
            with pytest.raises(Unavailable, match="the session was closed"):
                await client.ask(Exists("/"))


@pytest.mark.promise("S-08")
async def test_half_a_character_in_a_path_is_refused_and_ends_nothing(standing: ZooKeeper) -> None:
    client = Client(Access(standing.hosts), "zookeeper", SystemClock(), asyncio.Event())
    try:
        await client.up(90)
        whole, half, inside = await client.ask(
            Exists("/"), Exists("/a\udcff"), Multi((Create("/b"), Delete("/b\ud800")))
        )
        assert isinstance(whole, Stat)
        for refused in (half, inside):
            assert isinstance(refused, Refused)
            assert refused.what.isprintable()
        assert await client.ask(Exists("/b")) == [None]
    finally:
        await client.close()
