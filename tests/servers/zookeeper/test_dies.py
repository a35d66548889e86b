"""A bridge that is killed at any moment of a run of changes, again and again, and what stands in ZooKeeper then.

`make deaths` does it a thousand times.
"""

import asyncio
import contextlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.chaos.test_app import until_async
from tests.servers.exporting import exporting
from tests.servers.test_kubernetes_dies import POOL, SERVICES, STEADY, zygote
from tests.servers.zookeeper.exporting import Exporter
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.server import ZooKeeper

DEATHS = int(os.environ.get("RUNS", "60"))


def inventory(bridge: Exporter, rng: random.Random) -> dict[str, set[str]]:
    """Another inventory: each service with other members of the pool, and other weights; what each is to have."""
    made = {name: {*STEADY, *rng.sample(POOL, rng.randrange(2, 8))} for name in SERVICES}
    bridge.inventory(
        **{name: [{"address": one, "weight": rng.randrange(1, 9)} for one in them] for name, them in made.items()}
    )
    return made


async def standing(bridge: Exporter) -> dict[str, Counter[tuple[str, int]]]:
    """Service to addresses with their weight, and how often each stands there."""
    found: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in SERVICES}
    for service in SERVICES:
        for name in await bridge.hand.names(f"{bridge.root}/{service}"):
            data = await bridge.hand.read_if(f"{bridge.root}/{service}/{name}")
            if data is not None:
                said = json.loads(data)
                found[service][said["host"], said.get("weight", 1)] += 1
    return found


def sound(found: dict[str, Counter[tuple[str, int]]], written: Iterable[str]) -> None:
    """What must be so whoever died when: a change may stand beside what it replaces, and nothing twice."""
    for name, them in found.items():
        doubled = [one for one, times in them.items() if times > 1]
        assert not doubled, f"{name}: {doubled} stand twice"
        addresses = {address for address, _ in them}
        assert addresses <= {*STEADY, *POOL}, f"{name}: {them}"
        if name in written:
            assert addresses >= set(STEADY), f"{name}: lost {set(STEADY) - addresses}"


async def _churn(bridge: Exporter, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0.05, 0.4))
        inventory(bridge, rng)


@pytest.mark.promise("R-34")
@pytest.mark.timeout(600 + 6 * DEATHS)
async def test_deaths_at_any_moment_double_nothing_and_lose_nothing(own: ZooKeeper, tmp_path: Path) -> None:
    rng = random.Random(34)
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand, "nerve")
        bridge.configure("")
        inventory(bridge, rng)
        written: set[str] = set()
        async with zygote(bridge.config, tmp_path / "zygote.log") as started:
            for _ in range(DEATHS):
                pid = await started.start()
                churn = asyncio.create_task(_churn(bridge, rng))
                await asyncio.sleep(rng.uniform(0.1, 1.2))
                await started.kill(pid)
                churn.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await churn
                found = await standing(bridge)
                sound(found, written)
                written |= {name for name, them in found.items() if {one for one, _ in them} >= set(STEADY)}
        assert written == set(SERVICES), "they died after their work too"
        writes = sum([(await hand.stat(f"{bridge.root}/{one}")).cversion for one in SERVICES])
        assert writes > DEATHS, "they died in the middle of their work"
        last = inventory(bridge, rng)
        async with exporting(bridge):

            async def there() -> bool:
                found = await standing(bridge)
                return all({one for one, _ in found[name]} >= them for name, them in last.items())

            await until_async(there, "all that is wanted is there")
            await bridge.until_row(lambda row: row["state"] == "in step", "it is in step")
            code, _, err = await bridge.call("plan", "--accept", "--yes")
            assert code == 0, err

            async def exactly() -> bool:
                found = await standing(bridge)
                return {name: Counter(one for one, _ in them.elements()) for name, them in found.items()} == {
                    name: Counter(them) for name, them in last.items()
                }

            await until_async(exactly, "nothing else is there")
        print(f"{DEATHS} deaths, {writes} records made and removed")
