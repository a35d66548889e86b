"""What is written into a Consul, and what that takes: ten thousand instances on nodes of ours, by the whole bridge."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from bridge.testing.ports import free_port
from tests.bench import inventory
from tests.bench.instances import datacenter
from tests.bench.lone import Say, bridge
from tests.bench.report import Row, middle
from tests.servers.consul.hand import Hand

EACH = 10
"""Endpoints of a service."""

PATIENCE = 600.0
RATE = {"per_second": 1_000, "burst": 1_000}
_REST = 4.0


class Export:
    """An inventory of VMs that is written into a Consul; `write` says what each endpoint of each service weighs."""

    def __init__(self, hand: Hand, inventory: Path, services: int) -> None:
        self._hand = hand
        self._inventory = inventory
        self._weights = [[1] * EACH for _ in range(services)]
        self._changed: Sequence[int] = range(services)
        self.write()

    def one(self) -> None:
        """One endpoint of one service weighs more."""
        self._changed = [len(self._weights) // 2]
        self._weights[self._changed[0]][0] += 1
        self.write()

    def every(self) -> None:
        """Every endpoint weighs more."""
        self._weights = [[weight + 1 for weight in them] for them in self._weights]
        self._changed = range(len(self._weights))
        self.write()

    def write(self) -> None:
        """By rename."""
        services = [
            {
                "name": f"bench/s{number:05d}",
                "ports": {"http": 80},
                "endpoints": [
                    {"address": f"10.{number // 250}.{number % 250}.{10 + at}", "weight": weight}
                    for at, weight in enumerate(weights)
                ],
            }
            for number, weights in enumerate(self._weights)
        ]
        inventory.write(self._inventory, services)

    async def until(self) -> None:
        """Wait until all that changed stands there so, a service after the other: asking costs next to nothing."""
        async with asyncio.timeout(PATIENCE):
            for number in self._changed:
                while await self._stands(number) != self._weights[number]:
                    await asyncio.sleep(0.1)

    async def _stands(self, number: int) -> list[int]:
        found = await self._hand.get(f"catalog/service/s{number:05d}")
        return [one["ServiceWeights"]["Passing"] for one in sorted(found, key=lambda one: one["ServiceAddress"])]


async def _transactions(hand: Hand) -> int:
    """How many there were ever; the claim's are among them, and what the server does for itself."""
    return int((await hand.get("agent/self"))["Stats"]["raft"]["applied_index"])


async def export(services: int, rest: float, say: Say) -> dict[str, float]:
    """What it took: `rest` are the seconds in which what is told late would show as a further write."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with datacenter(folder, say) as (hand, registry):
            made, instances = Export(hand, folder / "vms.json", services), services * EACH
            vms = {"name": "vms", "kind": "static", "files": ["vms.json"]}
            sink = {**registry, "export": [{"services": ["bench/*"], "from": ["vms"], "rate": RATE}]}
            took, spent, counted = [], [0.0], [await _transactions(hand)]
            begun = time.monotonic()
            async with bridge(folder, free_port(), vms, sink, owner="bench") as pid:
                for change in (None, made.one, made.every):
                    if change is not None:
                        begun = time.monotonic()
                        change()
                    await made.until()
                    took.append(time.monotonic() - begun)
                    await asyncio.sleep(rest)
                    spent.append(sum(psutil.Process(pid).cpu_times()[:2]))
                    counted.append(await _transactions(hand))
            first, one, every = (after - before for before, after in itertools.pairwise(counted))
            return {
                "from nothing s": took[0],
                "transactions": first,
                "one changed s": took[1],
                "transactions of one": one,
                "all changed s": took[2],
                "transactions of all": every,
                "CPU an instance ms": (spent[3] - spent[2]) / instances * 1000,
            }


def w12(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """Ten thousand instances into a Consul that has none of them yet, from the start of the process on; one of them
    changed; all of them changed.

    Transactions are counted by the server, with its own and those of the claim.
    """
    services = 50 if quick else 1_000
    results = []
    for number in range(1 if quick else min(runs, 3)):
        say(f"round {number + 1}")
        results.append(asyncio.run(export(services, _REST, say)))
    figures = {name: middle([result[name] for result in results]) for name in results[0]}
    about = "W12-consul: instances written, at 1,000/s with a burst of 1,000"
    return [Row(about, f"{services:,} services × {EACH}", "ours", figures, results)]
