"""A process that dies at any write of a sequence, and the one that comes after it."""

import random
from dataclasses import replace

import pytest

from bridge.model import Health, Service
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import Store
from bridge.withhold import AGREEMENT
from tests.builders import endpoint, hosts, service
from tests.outlets import QUICK, said, sink, writing

BEFORE = {f"shop/s{one}": hosts(5, net=f"10.{one}") for one in range(4)}
AFTER = {
    "shop/s0": hosts(2, net="10.0"),  # records go
    "shop/s1": hosts(8, net="10.1"),  # records come
    "shop/s2": [*hosts(2, net="10.2"), *hosts(3, net="10.22")],  # records are put again
    "shop/s4": hosts(3, net="10.4"),  # a service comes, and s3 goes
}


def world(them: dict[str, list[str]], *, leaving: dict[str, list[str]] | None = None) -> list[Service]:
    """`them`, and what is only in `leaving` draining."""
    names = sorted({*them, *(leaving or {})})
    made = []
    for name in names:
        gone = [one for one in (leaving or {}).get(name, []) if one not in them.get(name, [])]
        made.append(service(name, *them.get(name, []), *(endpoint(one, health=Health.DRAINING) for one in gone)))
    return made


async def changed(clock: FakeClock, vms: MemoryRegistry) -> None:
    vms.set(*world(AFTER, leaving=BEFORE))
    await clock.advance(1)
    vms.set(*world(AFTER))
    await clock.advance(5)


async def whole(dies: int | None, lost: bool) -> tuple[int, int]:
    """Run the change with a death at that write; how many writes there were, and how many of them claims."""
    clock, store = FakeClock(), Store()
    first, vms = sink(store, chunk=2), MemoryRegistry(*world(BEFORE))
    async with writing(clock, first, rate=QUICK, vms=vms) as run:
        await clock.advance(1)
        assert said(store) == BEFORE
        start, claims = first.faults.tried, len(first.claims)
        if dies is not None:
            first.faults.die(dies, lost)
        await changed(clock, vms)
        assert first.faults.dead is (dies is not None)
        stands = said(store)
        run.task.cancel()
        await clock.advance(10)
        assert said(store) == stands  # the dead write nothing
    tried, claimed = first.faults.tried - start, len(first.claims) - claims
    if dies is None:
        assert said(store) == AFTER
        return tried, claimed
    next_one = sink(store, chunk=2)
    async with writing(clock, next_one, rate=QUICK, vms=vms) as run:
        await clock.advance(5)
        now = said(store)
        assert all(len(set(them)) == len(them) for them in now.values())  # nothing stands twice
        for name, wanted in AFTER.items():
            assert set(wanted) <= set(now[name])  # nothing is lost
        left = sum(len(set(them).difference(AFTER.get(name, ()))) for name, them in now.items())
        assert run.engine.exported["out", ""].value.counts.get("orphan", 0) == left  # type: ignore[index]
        await clock.advance(AGREEMENT + 10)
        assert said(store) == AFTER
        assert run.engine.restarts() == 0
    return tried, claimed


@pytest.mark.promise("R-34")
@pytest.mark.parametrize("lost", [False, True])
async def test_whoever_comes_after_a_process_that_died_at_any_write_finishes_what_it_began(lost: bool) -> None:
    writes, _ = await whole(None, False)
    assert writes > 12
    for dies in range(writes):
        await whole(dies, lost)


@pytest.mark.promise("R-34", "law-6")
async def test_two_hundred_deaths_in_a_run_of_changes_double_nothing_and_lose_nothing() -> None:
    rng, clock, store = random.Random(34), FakeClock(), Store()
    vms = MemoryRegistry()
    now: dict[str, list[str]] = {}
    vms.set()
    for death in range(200):
        out = sink(store, chunk=3)
        out.faults.die(rng.randrange(1, 12), rng.random() < 0.5)
        async with writing(clock, out, rate=QUICK, vms=vms) as run:
            for _ in range(6):
                one = f"shop/s{rng.randrange(6)}"
                before, now[one] = now.get(one, []), sorted(rng.sample(hosts(8, net=f"10.{one[6:]}"), 4))
                vms.set(*world(now, leaving={one: before}))
                await clock.advance(rng.choice((0.1, 0.5, 1)))
            stands = said(store)
            assert all(len(set(them)) == len(them) for them in stands.values()), death
            run.task.cancel()
            await clock.advance(10)
    out = sink(store, chunk=3)
    async with writing(clock, out, rate=QUICK, vms=vms):
        vms.set(*world(now))
        await clock.advance(2 * AGREEMENT)
        assert said(store) == now


async def test_a_write_that_arrives_after_the_death_of_its_writer_is_put_right() -> None:
    clock, store = FakeClock(), Store()
    first, vms = sink(store), MemoryRegistry(*world(BEFORE))
    async with writing(clock, first, vms=vms) as run:
        await clock.advance(1)
        run.task.cancel()
        await clock.advance(10)
    second = sink(store)
    async with writing(clock, second, vms=vms) as run:
        await clock.advance(1)
        late = first.writes[0].record
        store.put(first.targets[0], "prod", replace(late, content=b"[]"))
        await clock.advance(1)
        assert said(store) == BEFORE
        assert [one["event"] for one in run.log if one["event"] == "put right"] == ["put right"]
