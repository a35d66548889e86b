"""Three bridges that pass inventories on in a ring: nothing goes round, nothing is doubled, all come to agree."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.testing.clock import FakeClock
from tests.guards import RULES
from tests.rings import OWNERS, File, Says, agreement, looked_at, ring

CHANGES = 1_000
BURST = 50
"""Changes between two looks at everybody."""

AGREED = 600.0
"""Seconds after which all agree when nothing changes any more."""

BELIEVED_SOON = replace(RULES, settled=60, confirm=60, last=60, flood_release=60)
"""What is gone for good is believed within minutes."""


class Inline(ThreadPoolExecutor):
    """Does at once what is for a thread, so that the clock of the test knows when it is done."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **more))
        except BaseException as error:
            done.set_exception(error)
        return done


@pytest.mark.timeout(600)
@pytest.mark.parametrize("relay", [False, True], ids=["each its own", "relayed"])
async def test_in_a_ring_nothing_goes_round_and_all_come_to_agree(tmp_path: Path, relay: bool) -> None:
    asyncio.get_running_loop().set_default_executor(Inline())
    rng, clock = random.Random(20 + relay), FakeClock()
    places = [File(tmp_path / f"{owner}.yaml") for owner in OWNERS]
    async with ring(places, clock, BELIEVED_SOON, relay=relay) as bridges:
        ever: Says = set().union(*(bridge.natively for bridge in bridges))
        await clock.advance(60)
        assert await agreement(bridges, relay) == ""
        for done in range(1, CHANGES + 1):
            ever |= rng.choice(bridges).change(rng)
            await clock.advance(rng.choice((0.0, 0.05, 0.5, 3.0, 8.0)))
            if done % 10 == 0:
                await looked_at(bridges, ever)
            if done % BURST == 0:
                await clock.advance(AGREED)
                await looked_at(bridges, ever)
                assert await agreement(bridges, relay) == ""
        before = [len(await bridge.place.written(bridge.owner)) for bridge in bridges]
        for bridge in bridges:
            bridge.clear()
        await clock.advance(AGREED)
        assert await agreement(bridges, relay) == ""
        after = [len(await bridge.place.written(bridge.owner)) for bridge in bridges]
        assert all(now < once for now, once in zip(after, before, strict=True))
