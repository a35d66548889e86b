"""When nothing may be removed, or written at all: what was not read, is lost, or frozen."""

from pathlib import Path

import pytest

from bridge.adapter import Record, Unread
from bridge.errors import Unavailable
from bridge.runtime.exported import State
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import encode
from bridge.testing.store import ONLY, Store
from bridge.withhold import AGREEMENT
from tests.builders import hosts, name, service
from tests.outlets import API, OURS, OUT, WEB, WEB_0, export, exported, made, said, sink, writing


@pytest.mark.promise("law-3")
async def test_before_every_source_was_read_whole_nothing_is_removed() -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    out, vms, more = sink(store), MemoryRegistry(WEB), MemoryRegistry()
    async with writing(clock, out, what=export(sources=("vms", "more")), vms=vms, more=more) as run:
        await clock.advance(7_200)
        assert out.writes == []
        now = exported(run)
        assert (now.complete, now.unseen, dict(now.counts)) == (False, ("more",), {"waiting": 2})
        more.set(API)
        await clock.advance(1)
        assert (exported(run).complete, dict(exported(run).counts)) == (True, {})
        assert out.writes == []


@pytest.mark.promise("law-3")
async def test_what_a_registry_has_itself_is_not_written_before_the_catalog_knows_of_it() -> None:
    """A catalog is made a little later than what it is made of: it may be of before the registry was first read."""
    clock, out, vms = FakeClock(), MemoryRegistry(mark=OURS), MemoryRegistry(WEB)
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.set(WEB, API)
        out.set(WEB)
        await clock.advance(60)
        assert made(out) == ["put shop/api#0"]
        assert exported(run).state is State.IN_STEP


@pytest.mark.promise("law-3")
async def test_while_a_part_of_a_source_was_never_read_what_was_read_is_written_and_nothing_is_removed() -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    new = service("shop/new", "10.7.0.1:80")
    out, vms = sink(store), MemoryRegistry()
    vms.set(WEB, new, parts=2, unread=[Unread("b", clock.now(), "b: 403", never=True)])
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(AGREEMENT)
        assert made(out) == ["put shop/new#0"]
        vms.set(service("shop/web", *hosts(2)), new, parts=2, unread=[Unread("b", clock.now(), "b: 403", never=True)])
        await clock.advance(AGREEMENT + 10)
        assert (len(out.writes), exported(run).unseen, dict(exported(run).counts)) == (1, ("vms",), {"waiting": 2})
        vms.set(service("shop/web", *hosts(2)), new, API)
        await clock.advance(200)
        assert said(store) == {"shop/api": hosts(2, net="10.1"), "shop/new": ["10.7.0.1:80"], "shop/web": hosts(2)}


@pytest.mark.promise("law-3")
async def test_what_only_a_snapshot_says_is_not_written(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(WEB, API)
    async with writing(clock, sink(), tmp_path, vms=vms):
        await clock.advance(10)
    vms.fail(Unavailable("vms: gone"))
    out = sink()
    out.store.put(ONLY, "prod", Record(WEB_0, name("shop/web"), encode(WEB.endpoints[:1])))
    async with writing(clock, out, tmp_path, vms=vms) as run:
        await clock.advance(3_000)
        assert run.endpoints("shop/web") == hosts(3)  # as Envoy is told
        assert said(out.store) == {"shop/web": hosts(1)}
        vms.heal()
        await clock.advance(40)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}


@pytest.mark.promise("law-3")
async def test_a_record_that_says_nothing_stays_too_until_every_source_was_read() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(), sink()
    out.store.put(ONLY, "prod", Record(WEB_0, name("shop/web"), encode(())))
    async with writing(clock, out, vms=vms):
        await clock.advance(600)
        assert list(out.store.stands()) == [WEB_0]
        vms.set(API)
        await clock.advance(10)
        assert made(out) == ["put shop/api#0", "remove shop/web#0"]


@pytest.mark.promise("law-3")
async def test_a_fresh_process_that_meets_a_wiped_registry_removes_nothing() -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    out, vms = sink(store), MemoryRegistry()
    vms.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(AGREEMENT - 5)
        assert out.writes == []
        assert dict(exported(run).counts) == {"orphan": 5}
        await clock.advance(10)
        assert said(store) == {}  # it has been so for half an hour, with everybody in sync


@pytest.mark.promise("law-3")
async def test_a_target_that_was_not_read_whole_is_not_written() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink(targets=())
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(600)
        assert (out.writes, out.claims, exported(run).state) == ([], [], State.WAITING)
        out.targets = (ONLY,)
        out.refresh()
        await clock.advance(1)
        assert made(out) == ["put shop/web#0"]


@pytest.mark.promise("law-4")
async def test_while_a_source_is_lost_its_records_stay_and_while_the_sink_is_lost_nothing_is_written() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(7_200)
        assert len(said(out.store)) == 2
        vms.heal()
        await clock.advance(60)
        out.fail(Unavailable("out: gone"))
        vms.set(WEB, API, service("shop/new", "10.7.0.1:80"))
        await clock.advance(600)
        assert (exported(run).state, exported(run).why, len(out.writes)) == (State.LOST, "out: gone", 2)
        out.heal()
        await clock.advance(40)
        assert made(out)[2:] == ["put shop/new#0"]


async def test_while_the_sink_is_frozen_nothing_is_written() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        await run.engine.decisions.freeze(OUT, clock.wall() + 3_600)
        await clock.advance(1)
        vms.set(WEB, API)
        claims = len(out.claims)
        await clock.advance(3_000)
        assert (exported(run).state, len(out.writes), len(out.claims)) == (State.FROZEN, 1, claims)
        await clock.advance(700)
        assert said(out.store)["shop/api"] == hosts(2, net="10.1")
