"""The ecosystem's own libraries and the bridge in one ZooKeeper: each reads what the other writes."""

import asyncio
import secrets
from typing import Any
from urllib.parse import quote_plus

import pytest
from kazoo.recipe.party import Party, ShallowParty

from bridge.model import Endpoint, Health, Port, Service
from bridge.testing.conformance.samples import WEB, service
from bridge.testing.conformance.wrote import writing
from bridge.testing.ports import free_port
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.observing import observing, settings, tree
from tests.servers.zookeeper.peer import ANY, DUBBO, PATIENCE, SPRING, Fleet, addresses

pytestmark = pytest.mark.usefixtures("unhurried")

ONE, TWO, THREE = (f"10.20.0.{number}:8080" for number in (1, 2, 3))
FOO = "com.ex.Foo"


@pytest.fixture
def root() -> str:
    """A tree of this test alone, on the session's server."""
    return f"/services-{secrets.token_hex(4)}"


def instance(where: str, **more: Any) -> dict[str, Any]:
    """What a peer on Curator registers of `web`."""
    address, _, port = where.rpartition(":")
    return {"name": "web", "id": f"id-{where}", "address": address, "port": int(port), **more}


@pytest.mark.promise("R-01")
async def test_what_curator_registers_is_read_and_followed(fleet: Fleet, root: str) -> None:
    async with fleet.curator(root) as peer:
        await peer.do("register", **instance(ONE, type="DYNAMIC"))
        async with observing(settings(fleet.hosts, tree(root, "curator"))) as seen:
            await seen.until(lambda: seen.served("web") == [ONE])
            await peer.do("register", **instance(TWO, type="STATIC", payload={"team": "payments"}))
            await peer.do("register", **instance(THREE, type="DYNAMIC_SEQUENTIAL"))
            await seen.until(lambda: seen.served("web") == [ONE, TWO, THREE])
            assert [one.metadata for one in seen.endpoints("web")] == [(), (("team", "payments"),), ()]
            await peer.do("update", **instance("10.20.0.9:8080", id=f"id-{ONE}", type="DYNAMIC"))
            await seen.until(lambda: "10.20.0.9:8080" in seen.served("web"))
            await peer.do("unregister", id=f"id-{TWO}")
            await seen.until(lambda: TWO not in seen.served("web"))
            assert not seen.problems


async def test_what_dies_without_a_word_goes_when_its_session_does_and_what_is_static_stays(
    fleet: Fleet, root: str
) -> None:
    async with fleet.curator(root) as peer:
        await peer.do("register", **instance(ONE, type="DYNAMIC"))
        await peer.do("register", **instance(TWO, type="STATIC"))
        async with observing(settings(fleet.hosts, tree(root, "curator"))) as seen:
            await seen.until(lambda: seen.served("web") == [ONE, TWO])
            peer.kill()
            await seen.until(lambda: seen.served("web") != [ONE, TWO])
            assert TWO in seen.served("web")


@pytest.mark.parametrize(
    ("dialect", "kind"),
    [("curator", ANY), ("curator", SPRING), ("curator", DUBBO), ("spring", SPRING), ("dubbo-app", DUBBO)],
)
async def test_what_is_written_is_listed_and_watched_by_curator(
    fleet: Fleet, hand: Hand, proxy: FaultProxy, dialect: str, kind: str
) -> None:
    """Whatever class its readers take payloads to be; one of another class would hide the service from them."""
    bench = await ZooKeeperBench.made(hand, proxy, dialect)
    async with fleet.curator(bench.root, kind) as peer, writing(bench) as wrote:
        await peer.do("watch", name="web")
        await wrote.say(WEB)
        await peer.until_seen("web", ONE, TWO, THREE)
        assert await peer.do("names") == ["web"]
        listed = await peer.do("list", name="web")
        assert addresses(listed) == [ONE, TWO, THREE]
        assert {one["type"] for one in listed} == {"STATIC"}
        await wrote.say(service("web", "10.20.0.1", port=8081))
        await peer.until_seen("web", "10.20.0.1:8081")
        await wrote.say(Service.of(WEB.name, []))
        await peer.until_seen("web")


@pytest.mark.parametrize(("dialect", "kind"), [("curator", ANY), ("spring", SPRING), ("dubbo-app", DUBBO)])
async def test_who_watches_a_service_of_curators_sees_it_come_back_when_its_znode_was_gone(
    fleet: Fleet, hand: Hand, proxy: FaultProxy, dialect: str, kind: str
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, dialect)
    async with fleet.curator(bench.root, kind) as peer, writing(bench) as wrote:
        await wrote.say(WEB)
        made = (await hand.stat(f"{bench.root}/web")).czxid
        await peer.do("watch", name="web")
        await peer.until_seen("web", ONE, TWO, THREE)
        await wrote.say(Service.of(WEB.name, []))
        await peer.until_seen("web")
        assert await peer.do("list", name="web") == []
        await wrote.say(WEB)
        await peer.until_seen("web", ONE, TWO, THREE)
        assert (await hand.stat(f"{bench.root}/web")).czxid != made, "it was gone"


async def test_what_a_provider_of_dubbo_registers_is_read(fleet: Fleet, root: str) -> None:
    url = f"dubbo://10.20.0.1:20880/{FOO}?application=shop&interface={FOO}&side=provider&weight=7"
    async with fleet.dubbo(root) as peer:
        await peer.do("register", url=url)
        read = settings(fleet.hosts, tree(root, "dubbo", names={FOO: "shop/foo"}))
        async with observing(read) as seen:
            await seen.until(lambda: seen.served("foo") == ["10.20.0.1:20880"])
            assert seen.endpoints("foo")[0].weight == 7
            await peer.do("register", url=url.replace("10.20.0.1", "10.20.0.2"))
            await peer.do("unregister", url=url)
            await seen.until(lambda: "10.20.0.2:20880" in seen.served("foo"))
            await seen.until(lambda: "10.20.0.1:20880" not in seen.served("foo"))


async def test_a_consumer_of_dubbo_is_told_what_is_written(fleet: Fleet, hand: Hand, proxy: FaultProxy) -> None:
    more = {"names": {FOO: "shop/web"}, "dubbo": {"protocol": "tri", "group": "g", "version": "1.0.0"}}
    bench = await ZooKeeperBench.made(hand, proxy, "dubbo", **more)
    async with fleet.dubbo(bench.root) as peer, writing(bench) as wrote:
        await peer.do("watch", name=FOO, query="&group=g&version=1.0.0")
        await peer.until_seen(FOO)
        await wrote.say(Service.of(WEB.name, [Endpoint("10.20.0.1", (Port("http", 8080),), weight=3)]))
        (told,) = await peer.until_seen(FOO, ONE)
        assert (told["protocol"], told["weight"]) == ("tri", 300)  # who says nothing has 100
        await wrote.say(WEB)
        await peer.until_seen(FOO, ONE, TWO, THREE)
        await wrote.say(Service.of(WEB.name, []))
        await peer.until_seen(FOO)


@pytest.mark.parametrize(("dialect", "by"), [("dubbo", "interface"), ("dubbo-app", "service")])
async def test_a_consumer_of_dubbo_calls_whom_it_finds_by_what_is_written(
    fleet: Fleet, hand: Hand, proxy: FaultProxy, dialect: str, by: str
) -> None:
    """By application it resolves the revision, its metadata and the mapping, which stand beside the instances."""
    dubbo: dict[str, Any] = {"protocol": "dubbo", "group": "g", "version": "1.0.0"}
    more = {"dubbo": dubbo, "names": {"Greeter": "shop/web"}}
    if dialect == "dubbo-app":
        more = {"dubbo": {**dubbo, "interfaces": ["Greeter"]}}
    bench = await ZooKeeperBench.made(hand, proxy, dialect, **more)
    root = bench.root if dialect == "dubbo" else f"{bench.root}-dubbo"
    port = free_port()
    async with fleet.calls() as peer, writing(bench) as wrote:

        async def until_called(*said: str) -> None:
            async with asyncio.timeout(PATIENCE):
                while await peer.do("call", whom="bridge") != list(said):
                    await asyncio.sleep(0.1)

        await peer.do("serve", port=port)
        await wrote.say(Service.of(WEB.name, [Endpoint("127.0.0.1", (Port("dubbo", port),))]))
        await peer.do("find", by=by, root=root.strip("/"), services=bench.root)
        await until_called("hello bridge")
        await wrote.say(Service.of(WEB.name, []))
        await until_called()


async def test_whom_a_consumer_of_dubbo_calls_no_more_by_a_document_is_draining_here(
    fleet: Fleet, hand: Hand, root: str
) -> None:
    ports = {"one": free_port(), "two": free_port()}
    for port in ports.values():
        url = f"dubbo://127.0.0.1:{port}/Greeter?interface=Greeter&group=g&version=1.0.0"
        await hand.make(f"{root}/Greeter/providers/{quote_plus(url)}")
    document = f"{root}/config/dubbo/Greeter:1.0.0:g.configurators"
    entry = f"{{side: consumer, providerAddresses: ['127.0.0.1:{ports['one']}'], parameters: {{disabled: true}}}}"
    read = settings(fleet.hosts, tree(root, "dubbo", names={"Greeter": "shop/greeter"}), allow_loopback=True)
    async with fleet.calls() as peer, observing(read) as seen:

        async def until_called(*saying: str) -> None:
            """Until calls are answered by these and nobody else: by chance alone never twenty times."""
            async with asyncio.timeout(PATIENCE):
                while {one for _ in range(20) for one in await peer.do("call", whom="me")} != set(saying):
                    await asyncio.sleep(0.1)

        def draining() -> set[int]:
            return {one.id.port for one in seen.endpoints("greeter") if one.health is Health.DRAINING}

        for saying, port in ports.items():
            await peer.do("serve", port=port, saying=saying)
        await peer.do("find", by="interface", root=root.strip("/"), services=root)
        await until_called("one me", "two me")
        await seen.until(lambda: len(seen.served("greeter")) == 2 and not draining())
        await hand.make(document, f"scope: service\nkey: g/Greeter:1.0.0\nconfigs: [{entry}]".encode())
        await until_called("two me")
        await seen.until(lambda: draining() == {ports["one"]})
        await hand.remove(document)
        await until_called("one me", "two me")
        await seen.until(lambda: not draining())


@pytest.mark.parametrize(("dialect", "kind"), [("party", Party), ("kingpin", ShallowParty)])
async def test_kazoos_own_parties_list_what_is_written_and_who_joins_one_is_read(
    hand: Hand, proxy: FaultProxy, dialect: str, kind: type[Party] | type[ShallowParty]
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, dialect)
    party = kind(hand.kazoo, f"{bench.root}/web", identifier="10.20.0.9:8080")
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        assert sorted(await hand.do(list, party)) == [ONE, TWO, THREE]
        await hand.do(party.join)
        assert await hand.do(len, party) == 4

        def joined() -> list[str]:
            read = wrote.watched.now.services.get(WEB.name)
            return [str(one.id) for one in read.endpoints] if read is not None else []

        await wrote.watched.until(lambda: joined() == ["10.20.0.9:8080"], "who joined")
        await wrote.say(Service.of(WEB.name, []))
        assert await hand.do(list, party) == ["10.20.0.9:8080"]
        await hand.do(party.leave)
        await wrote.watched.until(lambda: joined() == [], "that nobody is left")
