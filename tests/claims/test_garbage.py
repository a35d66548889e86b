import asyncio
import gc

from bridge.runtime.garbage import EVERY, LARGE, YOUNG, Garbage
from bridge.testing.clock import FakeClock


async def test_what_lasts_is_frozen_when_it_is_first_there_and_when_much_of_it_is_new() -> None:
    before, clock = gc.get_threshold(), FakeClock()
    garbage = Garbage(clock)
    task = asyncio.create_task(garbage.run())
    await clock.idle()
    try:
        gc.unfreeze()
        garbage.grew(1)
        first = gc.get_freeze_count()
        assert first > 0
        lasting = [[number] for number in range(10_000)]
        garbage.grew(LARGE - 1)
        assert gc.get_freeze_count() <= first
        garbage.grew(1)
        assert gc.get_freeze_count() >= first + len(lasting)
    finally:
        task.cancel()
        await asyncio.wait((task,))
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


async def test_full_collections_come_on_a_timer_and_every_pause_is_counted() -> None:
    clock = FakeClock()
    garbage = Garbage(clock)
    task = asyncio.create_task(garbage.run())
    await clock.idle()
    before = gc.get_stats()[2]["collections"]
    try:
        await clock.advance(3 * EVERY + 1)
        assert gc.get_stats()[2]["collections"] - before == 3
        assert garbage.pauses >= 3
        assert garbage.seconds >= garbage.longest > 0
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_new_objects_are_looked_at_behind_a_change_and_not_in_it() -> None:
    clock = FakeClock()
    garbage = Garbage(clock)
    task = asyncio.create_task(garbage.run())
    await clock.idle()
    try:
        garbage.grew(LARGE)
        gc.collect()
        new = [[number] for number in range(YOUNG)]
        before = gc.get_stats()[0]["collections"]
        garbage.grew(1)
        assert gc.get_stats()[0]["collections"] == before
        await asyncio.sleep(0)
        assert gc.get_stats()[0]["collections"] == before + 1
        assert len(new) == YOUNG
    finally:
        task.cancel()
        await asyncio.wait((task,))
