import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.runtime.settle import Settle
from bridge.testing.clock import FakeClock

INTERVAL = 0.1
TICK = 1e-9


async def rounds_of(gaps: list[float]) -> tuple[list[float], list[float]]:
    """Touch after each gap; when that was, and when rounds were due."""
    clock = FakeClock(now=0.0)
    settle = Settle(INTERVAL, clock)
    touches: list[float] = []
    rounds: list[float] = []

    async def run() -> None:
        while True:
            await settle.due()
            rounds.append(clock.now())

    task = asyncio.create_task(run())
    for gap in gaps:
        await clock.advance(gap)
        touches.append(clock.now())
        settle.touch()
    await clock.advance(2 * INTERVAL)
    task.cancel()
    return touches, rounds


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=20))
def test_rounds_are_an_interval_apart_and_no_change_waits_longer_than_one(gaps: list[float]) -> None:
    touches, rounds = asyncio.run(rounds_of(gaps))
    assert all(later - earlier >= INTERVAL - TICK for earlier, later in pairwise(rounds))
    for touch in touches:
        assert any(touch - TICK <= due <= touch + INTERVAL + TICK for due in rounds), (touch, rounds)


async def test_a_lone_change_goes_through_at_once() -> None:
    touches, rounds = await rounds_of([5.0, 5.0])
    assert rounds == touches


@pytest.mark.promise("R-24")
async def test_a_storm_of_changes_is_one_round_an_interval_and_never_put_off() -> None:
    _, rounds = await rounds_of([0.001] * 1_000)
    assert len(rounds) == 11


async def test_a_round_knows_since_when_its_first_change_waited() -> None:
    clock = FakeClock(now=0.0)
    settle = Settle(INTERVAL, clock)
    settle.touch()
    assert await settle.due() == 0.0
    await clock.advance(0.03)
    settle.touch()
    due = asyncio.create_task(settle.due())
    await clock.advance(0.05)
    settle.touch()
    await clock.advance(0.05)
    assert due.result() == pytest.approx(0.03)
