"""A bridge that is killed at any moment of a run of changes, again and again, and what stands in Consul then.

`make deaths` does it a thousand times.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.chaos.test_app import until_async
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.server import Agent
from tests.servers.exporting import LIMITS, exporting
from tests.servers.test_kubernetes_dies import POOL, SERVICES, STEADY, zygote

DEATHS = int(os.environ.get("RUNS", "40"))
NODES = 3


def inventory(bridge: Exporter, rng: random.Random) -> dict[str, dict[str, int]]:
    """Another inventory: each service with other members of the pool, and other weights; what each is to have."""
    made = {
        name: {one: rng.randrange(1, 9) for one in (*STEADY, *rng.sample(POOL, rng.randrange(2, 8)))}
        for name in SERVICES
    }
    bridge.inventory(
        **{name: [{"address": one, "weight": weight} for one, weight in them.items()] for name, them in made.items()}
    )
    return made


async def standing(bridge: Exporter) -> dict[str, Counter[tuple[str, int]]]:
    """Service to addresses with their weight, and how often each stands there, on whichever node."""
    return {
        name: Counter(
            (one["ServiceAddress"], one["ServiceWeights"]["Passing"])
            for one in await bridge.hand.get(f"catalog/service/{name}")
        )
        for name in SERVICES
    }


def sound(found: dict[str, Counter[tuple[str, int]]], written: Iterable[str]) -> None:
    """What must be so whoever died when."""
    for name, them in found.items():
        addresses = Counter(address for address, _ in them.elements())
        doubled = [one for one, times in addresses.items() if times > 1]
        assert not doubled, f"{name}: {doubled} stand twice"
        assert addresses.keys() <= {*STEADY, *POOL}, f"{name}: {them}"
        if name in written:
            assert addresses.keys() >= set(STEADY), f"{name}: lost {set(STEADY) - addresses.keys()}"


async def _churn(bridge: Exporter, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0.05, 0.4))
        inventory(bridge, rng)


@pytest.mark.promise("R-34", "law-6")
@pytest.mark.timeout(600 + 6 * DEATHS)
async def test_deaths_at_any_moment_double_nothing_and_lose_nothing(own: Agent, tmp_path: Path) -> None:
    rng = random.Random(34)
    export = {"services": ["shop/*"], "from": ["vms"], "nodes": NODES, **LIMITS}
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand, consul={"export": [export]})
        bridge.configure("")
        inventory(bridge, rng)
        written: set[str] = set()
        async with zygote(bridge.config, tmp_path / "zygote.log") as started:
            for _ in range(DEATHS):
                pid = await started.start()
                churn = asyncio.create_task(_churn(bridge, rng))
                await asyncio.sleep(rng.uniform(0.3, 1.8))
                await started.kill(pid)
                churn.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await churn
                found = await standing(bridge)
                sound(found, written)
                written |= {name for name, them in found.items() if {one for one, _ in them} >= set(STEADY)}
        assert written == set(SERVICES), "they died after their work too"
        last = inventory(bridge, rng)
        async with exporting(bridge):

            async def there() -> bool:
                found = await standing(bridge)
                return all(found[name].keys() >= set(them.items()) for name, them in last.items())

            await until_async(there, "all that is wanted is there")
            await bridge.until_in_step()
            code, _, err = await bridge.call("plan", "--accept", "--yes")
            assert code == 0, err

            async def exactly() -> bool:
                return await standing(bridge) == {name: Counter(them.items()) for name, them in last.items()}

            await until_async(exactly, "nothing else is there")
