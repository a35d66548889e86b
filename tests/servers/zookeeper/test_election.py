"""Which replica writes, decided by a lease in a real ZooKeeper; and what operators decide, beside it."""

import asyncio
import json
import secrets
from typing import Any

import pytest

from adapters.zookeeper.election import LeaderSettings
from bridge.errors import Conflict, Denied
from bridge.kit import Clock
from bridge.kit.election import Elector, Shelf
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.decisions import Decisions
from bridge.runtime.election import Leadership
from tests.servers.electing import SHORT, Replica, Wild, until, watched
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.server import Ensemble, ZooKeeper

HOLD = (ServiceName("shop", "web"), EndpointId("10.0.0.1", 80))
VMS = SourceName("vms")
CLOCK = SystemClock()


@pytest.fixture
def path() -> str:
    return f"/elections/{secrets.token_hex(4)}"


def elector(hosts: str, path: str, clock: Clock = CLOCK, **more: Any) -> Elector:
    given = {"kind": "zookeeper", "hosts": hosts, "path": path, "session": "4s", **SHORT, **more}
    return LeaderSettings.model_validate(given).open(clock, None)


def enter(hosts: str, path: str, clock: Clock = CLOCK, **more: Any) -> Replica:
    leadership = Leadership(elector(hosts, path, clock, **more), clock)
    return Replica(leadership, asyncio.create_task(leadership.run()))


def shelf(hosts: str, path: str) -> Shelf:
    found = elector(hosts, path).shelf
    assert found is not None
    return found


async def lease(hand: Hand, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await hand.read(path))
    return found


async def test_who_comes_alone_leads_renews_and_gives_back_when_it_ends(
    standing: ZooKeeper, hand: Hand, path: str
) -> None:
    first = enter(standing.hosts, path)
    async with watched(first):
        await until(lambda: first.leads, "it leads")
        said = await lease(hand, path)
        assert (said["seconds"], said["transitions"]) == (2.0, 1)
        await asyncio.sleep(3)
        assert (await lease(hand, path))["renewed"] > said["renewed"]
        assert first.leads
        assert first.terms == [1]
    assert (await lease(hand, path))["holder"] == ""
    second = enter(standing.hosts, path)
    async with watched(second):
        await until(lambda: second.leads, "the next one leads")
        assert second.terms == [2]


@pytest.mark.promise("R-21")
async def test_of_three_replicas_one_leads_and_when_it_ends_another_does(standing: ZooKeeper, path: str) -> None:
    them = [enter(standing.hosts, path, Wild()) for _ in range(3)]
    assert len({one.leadership.deployment for one in them}) == 1
    async with watched(*them) as leaders:
        for _ in range(3):
            await until(leaders, "one leads")
            await leaders()[0].end()
    assert sorted(number for one in them for number in one.terms) == [1, 2, 3]
    assert [len(one.terms) for one in them] == [1, 1, 1]


async def test_who_dies_is_followed_when_its_lease_is_over(standing: ZooKeeper, hand: Hand, path: str) -> None:
    await hand.make(path, b'{"holder":"one-that-died","seconds":3,"transitions":7,"renewed":0}')
    heir = enter(standing.hosts, path)
    async with watched(heir):
        await until(lambda: heir.leads, "it took over")
        assert heir.terms == [8]


async def test_a_lease_that_hands_delete_or_fill_with_garbage_frees_nobodys_lead(
    standing: ZooKeeper, hand: Hand, path: str
) -> None:
    them = [enter(standing.hosts, path) for _ in range(3)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        for number in range(4):
            if number % 2:
                await hand.write(path, b"\xff")
            else:
                await hand.remove(path)
            await asyncio.sleep(0.7)
        await until(leaders, "one leads")


async def test_who_cannot_reach_the_server_stops_before_others_could_take_over(own: ZooKeeper, path: str) -> None:
    them = [enter(own.hosts, path, lease="4s", renew="3s", retry="300ms") for _ in range(2)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        own.pause()
        await until(lambda: not leaders(), "nobody leads")
        own.resume()
        await until(leaders, "one leads")
        await own.kill()
        await until(lambda: not leaders(), "nobody leads")
        assert any("tried again" in one.leadership.why for one in them)
        await own.start()
        await until(leaders, "one leads")


async def test_a_server_with_empty_data_elects_anew(own: ZooKeeper, path: str) -> None:
    one = enter(own.hosts, path)
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        await own.kill()
        own.wipe()
        await until(lambda: not one.leads, "it leads no more")
        await own.start()
        await until(lambda: one.leads, "it leads again")


@pytest.mark.promise("R-06")
async def test_an_ensemble_that_loses_a_server_goes_on_with_one_leader(ensemble: Ensemble, path: str) -> None:
    them = [enter(ensemble.hosts, path, lease="6s", renew="5s", retry="500ms") for _ in range(2)]
    leader, _ = await ensemble.by_mode()
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        await leader.kill()
        await asyncio.sleep(3)
        await until(leaders, "one leads")


async def test_rights_that_are_missing_are_said_and_nobody_leads(standing: ZooKeeper, hand: Hand, path: str) -> None:
    await hand.make(path, b"{}")
    await hand.keep(path)
    one = enter(standing.hosts, path)
    async with watched(one):
        await until(lambda: one.leadership.why, "why is said")
        assert f"{path}: may not be read or written by us; give us `crw` there" in one.leadership.why
        await hand.share(path)
        await until(lambda: one.leads, "it leads")


async def test_what_one_replica_is_told_all_go_by_and_those_that_come_later(standing: ZooKeeper, path: str) -> None:
    them = [Decisions(shelf(standing.hosts, path), CLOCK) for _ in range(2)]
    for one in them:
        await one.load()
    tasks = [asyncio.create_task(one.run()) for one in them]
    await them[0].accept(VMS, [HOLD], CLOCK.wall())
    await them[1].freeze(VMS, CLOCK.wall() + 600)
    await until(lambda: them[0].current.value[VMS].frozen and them[1].current.value[VMS].accepted, "both know")
    third = Decisions(shelf(standing.hosts, path), CLOCK)
    await third.load()
    assert list(third.current.value[VMS].accepted) == [HOLD]
    for task in (*tasks, asyncio.create_task(third.run())):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


async def test_a_decision_names_what_it_replaces(standing: ZooKeeper, hand: Hand, path: str) -> None:
    mine, other = shelf(standing.hosts, path), shelf(standing.hosts, path)
    try:
        assert await mine.read() is None
        await mine.write(b"one", None)
        kept = await other.read()
        assert kept is not None
        assert kept.content == b"one"
        with pytest.raises(Conflict):
            await other.write(b"two", None)
        await other.write(b"two", kept)
        with pytest.raises(Conflict):
            await mine.write(b"three", kept)
        await hand.remove(f"{path}-decisions")
        await hand.make(f"{path}-decisions", b"four")
        with pytest.raises(Conflict):
            await mine.write(b"five", kept)
        await hand.keep(f"{path}-decisions")
        with pytest.raises(Denied):
            await mine.read()
    finally:
        await mine.close()
        await other.close()
