"""A real ZooKeeper that is frozen and goes on: when that is noticed, when all is well again, what was felt of it."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.zookeeper.settings import Settings
from tests.bench.lone import Say
from tests.bench.report import Row, middle
from tests.bench.znodes import Instances, ensemble
from tests.servers.observing import Observing, observing
from tests.servers.zookeeper.server import frozen

TURN = 0.005
"""Seconds that the watchdog sleeps; what it sleeps longer, the loop was late."""

ENDPOINTS = 10


@asynccontextmanager
async def _watched() -> AsyncIterator[list[float]]:
    """How late the loop was, in milliseconds, at each look."""
    late: list[float] = []

    async def watch() -> None:
        while True:
            due = time.monotonic() + TURN
            await asyncio.sleep(TURN)
            late.append((time.monotonic() - due) * 1_000)

    task = asyncio.create_task(watch())
    try:
        yield late
    finally:
        task.cancel()


def _served(seen: Observing) -> int:
    return sum(1 for service in seen.catalog.services.values() for one in service.endpoints() if not one.held)


async def _outage(services: int, seconds: float, say: Say) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        async with ensemble(Path(home), say) as (server, hand, registry):
            await Instances(hand, ENDPOINTS).fill(services)
            async with observing(Settings.model_validate(registry), garbage=True) as seen:
                await seen.until(lambda: seen.reading.lost is None and len(seen.catalog.services) == services)
                async with _watched() as calm:
                    await asyncio.sleep(seconds)
                async with _watched() as late:
                    begun = time.monotonic()
                    async with frozen(server):
                        while seen.reading.lost is None:
                            seen.refresh()  # each is a question for every znode, and none is answered
                            await asyncio.sleep(0.1)
                        noticed = time.monotonic() - begun
                        await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))
                        during = _served(seen)
                    begun = time.monotonic()
                    await seen.until(lambda: seen.reading.lost is None)
                    recovered = time.monotonic() - begun
                after = _served(seen)
            return {
                "noticed s": noticed,
                "recovered s": recovered,
                "loop late at most ms": max(late),
                "before that ms": max(calm),
                "wrong removals": services * ENDPOINTS - min(during, after),
            }


def w10(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """A session of ten seconds; an outage that it outlives, and one that it does not."""
    services, cases = (50, (8.0,)) if quick else (1_000, (8.0, 30.0))
    rows = []
    for seconds in cases:
        results = []
        for number in range(min(runs, 3)):
            say(f"W10-zookeeper: frozen for {seconds:g} s, round {number + 1}")
            results.append(asyncio.run(_outage(services, seconds, say)))
        figures = {name: middle([result[name] for result in results]) for name in results[0]}
        about = f"{services * ENDPOINTS:,} znodes, frozen for {seconds:g} s"
        rows.append(Row("W10-zookeeper", about, "ours", figures, results))
    return rows
