"""A Consul's bad days while the bridge writes into it, each seen by a whole bridge: nothing doubled, nothing lost."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.testing.ports import free_port
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.door import Door
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent, Three
from tests.servers.electing import STEADY
from tests.servers.exporting import exporting
from tests.servers.names import Names
from tests.servers.observing import observing

MANY = tuple(f"10.40.1.{number}" for number in range(1, 41))
FEW = MANY[:20]
OTHER = MANY[10:30]
BRIEF = {"lease": "4s", "renew": "3s", "retry": "500ms"}


@asynccontextmanager
async def written(bridge: Exporter) -> AsyncIterator[Exporter]:
    """It runs, and `FEW` stands there."""
    bridge.inventory(web=FEW)
    async with exporting(bridge):
        await bridge.until_holds(*FEW)
        await bridge.until_in_step()
        yield bridge


@pytest.mark.promise("R-04")
async def test_an_agent_that_freezes_in_the_midst_of_writes_has_nothing_twice(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, written(Exporter(tmp_path, own.url, hand)) as bridge:
        bridge.inventory(web=MANY)
        await asyncio.sleep(0.15)  # they are under way
        with own.frozen():
            bridge.inventory(web=OTHER)
            await bridge.until_row(lambda row: row["state"] != "in step", "it notices")
            await asyncio.sleep(5)  # longer than its time-out
        await bridge.until_holds(*OTHER)
        await bridge.until_in_step()


@pytest.mark.promise("R-03")
async def test_answers_that_vanish_while_it_writes_leave_nothing_twice(own: Agent, tmp_path: Path) -> None:
    async with (
        own.hand() as hand,
        FaultProxy("127.0.0.1", own.port) as proxy,
        written(Exporter(tmp_path, f"http://127.0.0.1:{proxy.port}", hand)) as bridge,
    ):
        proxy.set(deaf=True)
        bridge.inventory(web=MANY)
        await bridge.until_row(lambda row: row["state"] not in ("in step", "writes"), "it notices")
        proxy.set()
        bridge.inventory(web=OTHER)
        await bridge.until_holds(*OTHER)
        await bridge.until_in_step()


@pytest.mark.promise("R-09")
async def test_a_leader_that_is_killed_while_it_writes_costs_nothing(three: Three, tmp_path: Path) -> None:
    leader = await three.leading()
    left, *_ = (one for one in three.agents if one is not leader)
    async with left.hand() as hand, written(Exporter(tmp_path, left.url, hand)) as bridge:
        bridge.inventory(web=MANY)
        await leader.kill()
        await left.ready()
        await bridge.until_holds(*MANY)
        await bridge.until_in_step()


@pytest.mark.promise("R-10", "R-18")
async def test_a_restored_snapshot_is_put_right_and_nothing_of_others_is_touched(own: Agent, tmp_path: Path) -> None:
    """Nobody is woken by it: it is noticed with the next beat of the claim, or when a question's time is up."""
    async with own.hand() as hand, written(Exporter(tmp_path, own.url, hand)) as bridge:
        await hand.say("legacy", "10.50.0.1:80")
        old = await hand.raw("GET", "snapshot")
        bridge.inventory(web=OTHER, api=FEW)
        await bridge.until_holds(*OTHER)
        await bridge.until_holds(*FEW, service="api")
        await bridge.until_in_step()
        await hand.say("late", "10.50.0.2:80")
        await hand.raw("PUT", "snapshot", old)
        assert await hand.get("catalog/service/late") == []
        await hand.say("later", "10.50.0.3:80")
        async with asyncio.timeout(150):
            while await bridge.addresses("api") != Counter(FEW):
                await asyncio.sleep(0.1)
        await bridge.until_holds(*OTHER)
        await bridge.until_in_step()
        for name in ("legacy", "later"):
            assert len(await hand.get(f"catalog/service/{name}")) == 1


@pytest.mark.promise("R-20")
async def test_a_leader_that_was_paused_past_its_lease_undoes_nothing(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, Door(own.url).opened() as one, Door(own.url).opened() as other:
        old = _replica(tmp_path / "old", one, hand, own, BRIEF)
        new = _replica(tmp_path / "new", other, hand, own, STEADY)
        for each in (old, new):
            each.inventory(web=FEW)
        async with exporting(old):
            await old.until_in_step()
            async with exporting(new):
                old.inventory(web=FEW[:5])  # it begins to write that, perhaps
                new.inventory(web=MANY)
                old.send(signal.SIGSTOP)
                await new.until_holds(*MANY)
                await new.until_in_step()
                stands = await hand.get(f"catalog/node/{old.node}")
                old.send(signal.SIGCONT)
                await old.until_row(lambda row: row["state"] == "follows", "it knows")
                assert await hand.get(f"catalog/node/{old.node}") == stands, "and has written nothing since"


def _replica(folder: Path, door: Door, hand: Hand, own: Agent, timing: Mapping[str, str]) -> Exporter:
    folder.mkdir()
    token = str(folder / "token-state")
    leader = {"kind": "consul", "url": own.url, "token_file": token, **timing}
    return Exporter(folder, door.url, hand, leader=leader)


@pytest.mark.promise("R-33")
async def test_a_name_that_moves_is_followed_and_one_that_is_gone_waited_for(
    standing: Agent, hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    one, two = "10.0.0.1:80", "10.0.0.2:80"
    before, after = FaultProxy("127.0.0.1", standing.port), FaultProxy("127.0.0.1", standing.port)
    for proxy, host in ((before, "127.0.0.2"), (after, "127.0.0.3")):
        proxy.host, proxy.port = host, port
    names = Names(monkeypatch, "consul.test", before.host)
    await hand.say("moves", one)
    async with before, after, observing(settings(f"http://consul.test:{port}", tmp_path)) as seen:
        await seen.until(lambda: seen.served("moves") == [one])
        names.address = after.host
        await before.refuse()
        before.reset()
        await hand.say("moves", two)
        await seen.until(lambda: seen.served("moves") == [one, two] and bool(after.accepted))
        names.address = None
        await after.refuse()
        after.reset()
        await seen.until(lambda: "the name consul.test has no address" in seen.reading.why)
        assert seen.served("moves") == [one, two]
        names.address = after.host
        await after.listen()
        await seen.until(lambda: seen.reading.lost is None)
