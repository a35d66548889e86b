"""Which replica writes, decided by a lease in a real ZooKeeper; and what operators decide, beside it."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from adapters.zookeeper.access import Access
from adapters.zookeeper.election import LeaderSettings, ZnodeLease
from adapters.zookeeper.znode import Znode
from bridge.errors import Conflict
from bridge.kit import Clock
from bridge.kit.candidate import Write
from bridge.kit.election import Elector
from bridge.testing.proxy import FaultProxy
from tests.servers.electing import CLOCK, SHORT, enter, until, watched
from tests.servers.elections import Ballot, Elections, Said
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.jars import Java
from tests.servers.zookeeper.server import Ensemble, Lagging, ZooKeeper

NEW = b'{"seconds": 1}'
"""A lease of which an operator says that it is new."""


@pytest.fixture
def path() -> str:
    return f"/elections/{secrets.token_hex(4)}"


def elector(hosts: str, path: str, clock: Clock = CLOCK, **more: Any) -> Elector:
    given = {"kind": "zookeeper", "hosts": hosts, "path": path, "session": "4s", **SHORT, **more}
    return LeaderSettings.model_validate(given).open(clock, None)


async def said(znode: Znode) -> bytes | None:
    node = await znode.read()
    return node.data if node is not None else None


class Znodes(Ballot):
    """An election by a znode."""

    def __init__(self, hosts: str, path: str, hand: Hand) -> None:
        self._hosts, self._path, self._hand = hosts, path, hand

    def elector(self, clock: Clock, **more: Any) -> Elector:
        return elector(self._hosts, self._path, clock, **more)

    async def lease(self) -> Said:
        return Said(**json.loads(await self._hand.read(self._path)))

    async def make(self, said: Said) -> None:
        await self._hand.make(self._path, json.dumps(said._asdict()).encode())

    async def delete(self) -> None:
        await self._hand.remove(self._path)

    async def spoil(self) -> None:
        await self._hand.write(self._path, b"\xff")

    async def decide_anew(self, content: bytes) -> None:
        await self._hand.remove(f"{self._path}-decisions")
        await self._hand.make(f"{self._path}-decisions", content)

    async def hide(self) -> None:
        await self._hand.keep(f"{self._path}-decisions")


@pytest.fixture
def ballot(standing: ZooKeeper, hand: Hand, path: str) -> Ballot:
    return Znodes(standing.hosts, path, hand)


class TestElections(Elections):
    pass


async def test_a_lease_that_was_made_anew_with_the_version_that_was_seen_is_nobodys_and_waited_for(
    standing: ZooKeeper, hand: Hand, path: str
) -> None:
    """Versions of a znode begin anew with it: who has seen the old one writes over the new one, and knows it then."""
    access = LeaderSettings.model_validate({"kind": "zookeeper", "hosts": standing.hosts}).access()
    lease = ZnodeLease(Znode(access, path, CLOCK, 30), CLOCK, 2)
    try:
        await hand.make(path, b"{}")
        assert await lease.look() is not None
        await hand.remove(path)
        await hand.make(path, json.dumps(Said("another", 2, 1)._asdict()).encode())
        with pytest.raises(Conflict, match="was deleted and made anew"):
            await lease.write(Write("us", 2, 1, acquires=True))
        seen = await lease.look()
        assert seen is not None
        assert seen.holder == ""
        assert (await lease.write(Write("us", 2, 2, acquires=True))).holder == "us"
    finally:
        await lease.close()


async def test_who_cannot_reach_the_server_stops_before_others_could_take_over(own: ZooKeeper, path: str) -> None:
    them = [enter(elector(own.hosts, path, lease="4s", renew="3s", retry="300ms")) for _ in range(2)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        own.pause()
        await until(lambda: not leaders(), "nobody leads")
        own.resume()
        await until(leaders, "one leads")
        await own.kill()
        await until(lambda: not leaders(), "nobody leads")
        await until(lambda: any("tried again" in one.leadership.why for one in them), "why is said")
        await own.start()
        await until(leaders, "one leads")


async def test_a_server_with_empty_data_elects_anew(own: ZooKeeper, path: str) -> None:
    one = enter(elector(own.hosts, path))
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        await own.kill()
        own.wipe()
        await until(lambda: not one.leads, "it leads no more")
        await own.start()
        await until(lambda: one.leads, "it leads again")


@pytest.mark.promise("R-02")
async def test_a_server_that_lost_its_data_frees_nobodys_lead(own: ZooKeeper, path: str) -> None:
    """That is why a lease that nobody ever saw is waited for: it may have been there, with somebody who leads by it."""
    long = {"lease": "6s", "renew": "5s", "retry": "200ms"}
    async with Hand(own.hosts) as hand, FaultProxy("127.0.0.1", own.port) as line:
        await hand.make(path, NEW)
        first = enter(elector(f"127.0.0.1:{line.port}", path, **long))
        async with watched(first):
            await until(lambda: first.leads, "it leads")
            line.set(hole=True)
            await own.kill()
            own.wipe()
            await own.start()
            second = enter(elector(own.hosts, path, **long))
            async with watched(first, second):
                await until(lambda: second.leads, "the other one leads, when the first one does no more")


async def test_an_operator_who_knows_that_the_lease_is_new_says_so_and_nobody_waits_for_its_length(
    standing: ZooKeeper, hand: Hand, path: str
) -> None:
    """As the README has it; a lease that nobody was told of is waited for, and here that would be half an hour."""
    await hand.make(path, NEW)
    one = enter(elector(standing.hosts, path, lease="30m", renew="20m"))
    async with watched(one):
        await until(lambda: one.leads, "it leads")


@pytest.mark.promise("R-06")
async def test_an_ensemble_that_loses_a_server_goes_on_with_one_leader(ensemble: Ensemble, path: str) -> None:
    them = [enter(elector(ensemble.hosts, path, lease="6s", renew="5s", retry="500ms")) for _ in range(2)]
    leader, _ = await ensemble.by_mode()
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        await leader.kill()
        await asyncio.sleep(3)
        await until(leaders, "one leads")


@pytest.mark.promise("R-07")
async def test_a_server_that_lags_behind_is_waited_for(java: Java, tmp_path: Path, path: str) -> None:
    """Else a lease that was renewed in time looks as if it had ended, and what was decided as if it had not been."""
    async with Lagging(java, tmp_path) as behind, Hand(behind.ahead.hosts) as hand:
        await hand.make(path, b"before")
        znode = Znode(Access(behind.follower.hosts), path, CLOCK, 30)
        try:
            assert await said(znode) == b"before"
            behind.lag(0.5)
            await hand.write(path, b"after")
            assert await said(znode) == b"after"
        finally:
            await znode.close()


async def test_rights_that_are_missing_are_said_and_nobody_leads(standing: ZooKeeper, hand: Hand, path: str) -> None:
    await hand.make(path, b"{}")
    await hand.keep(path)
    one = enter(elector(standing.hosts, path))
    async with watched(one):
        await until(lambda: one.leadership.why, "why is said")
        assert f"{path}: may not be read or written by us; give us `crw` there" in one.leadership.why
        await hand.share(path)
        await until(lambda: one.leads, "it leads")


async def test_a_place_of_its_own_suffices_where_nothing_else_may_be_made(own: ZooKeeper, tmp_path: Path) -> None:
    secret = tmp_path / "zk-auth"
    secret.write_text("bridge:secret")
    async with Hand(own.hosts) as hand:
        await hand.make("/elections")
        await hand.grant("/", "bridge:secret", "")
        await hand.grant("/elections", "bridge:secret", "cdrw")
        one = enter(elector(own.hosts, "/elections/prod/eu", auth={"file": str(secret)}))
        async with watched(one):
            await until(lambda: one.leads, "it leads")
