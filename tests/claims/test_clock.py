import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

from bridge.kit.deadline import DEADLINE
from bridge.runtime.clock import Alarm, within
from bridge.testing.clock import FakeClock


@asynccontextmanager
async def listening(clock: FakeClock, alarm: Alarm) -> AsyncIterator[list[float]]:
    """The moments at which it rang."""
    rang: list[float] = []

    async def listen() -> None:
        while True:
            await alarm.ring()
            rang.append(clock.now())

    listener = asyncio.create_task(listen())
    await clock.idle()
    yield rang
    listener.cancel()


async def test_an_alarm_rings_once_at_its_moment() -> None:
    clock = FakeClock(now=0.0)
    alarm = Alarm(clock)
    async with listening(clock, alarm) as rang:
        alarm.set(5.0)
        await clock.advance(100)
        assert rang == [5.0]


async def test_an_alarm_may_be_moved_either_way_and_taken_back_while_one_waits() -> None:
    clock = FakeClock(now=0.0)
    alarm = Alarm(clock)
    async with listening(clock, alarm) as rang:
        alarm.set(5.0)
        await clock.advance(1)
        alarm.set(9.0)
        await clock.advance(6)
        assert rang == []
        alarm.set(8.0)
        await clock.advance(2)
        assert rang == [8.0]
        alarm.set(20.0)
        await clock.advance(1)
        alarm.set(None)
        await clock.advance(100)
        assert rang == [8.0]


async def test_an_alarm_in_the_past_rings_at_once_and_lets_others_run() -> None:
    clock = FakeClock(now=10.0)
    alarm = Alarm(clock)
    async with listening(clock, alarm) as rang:
        alarm.set(3.0)
        await clock.idle()
        assert rang == [10.0]


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    clock = FakeClock(now=0.0)
    woke: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append((name, clock.now()))
        if name == "a":
            await sleep("a again", 1.0)

    tasks = [asyncio.create_task(sleep(name, seconds)) for name, seconds in (("b", 2.5), ("a", 1.0), ("c", 2.5))]
    await clock.advance(3.0)
    assert woke == [("a", 1.0), ("a again", 2.0), ("b", 2.5), ("c", 2.5)]
    assert all(task.done() for task in tasks)
    assert (clock.now(), clock.wall()) == (3.0, 1_750_000_003.0)
    clock.jump(-3_600)
    assert (clock.now(), clock.wall()) == (3.0, 1_749_996_403.0)


async def test_what_has_its_time_limited_knows_by_when_and_nobody_else_does() -> None:
    clock, known = FakeClock(now=10.0), list[float]()

    async def inner() -> None:
        known.append(DEADLINE.get())

    async def outer() -> None:
        known.append(DEADLINE.get())
        await within(clock, 60.0, inner())  # no longer than the one around it
        await within(clock, 1.0, inner())

    await within(clock, 5.0, outer())
    assert known == [15.0, 15.0, 11.0]
    assert DEADLINE.get() == inf
