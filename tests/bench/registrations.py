"""What is written into a Consul, and what that takes: ten thousand instances on a node of ours, by the whole bridge."""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psutil

from bridge.testing.ports import free_port
from tests.bench.instances import datacenter
from tests.bench.lone import Say, bridge
from tests.bench.report import Row, middle
from tests.servers.consul.hand import Hand

EACH = 10
"""Endpoints of a service."""

NODE = "registry-bridge-bench"
NODES = 20
PATIENCE = 600.0
RATE = {"per_second": 1_000, "burst": 1_000}
_REST = 4.0


class Export:
    """An inventory of VMs that is written into a Consul, all of one weight but those that `write` names."""

    def __init__(self, hand: Hand, inventory: Path, services: int) -> None:
        self._hand = hand
        self._inventory = inventory
        self._services = services
        self.write(1)

    def write(self, weight: int, *others: tuple[int, int]) -> None:
        """Replace the inventory by rename; `others` are numbers of services, each with the weight of its first."""
        first = dict(others)
        services = [
            {
                "name": f"bench/s{number:05d}",
                "ports": {"http": 80},
                "endpoints": [
                    {
                        "address": f"10.{number // 250}.{number % 250}.{1 + at}",
                        "weight": first.get(number, weight) if at == 0 else weight,
                    }
                    for at in range(EACH)
                ],
            }
            for number in range(self._services)
        ]
        fresh = self._inventory.with_suffix(".new")
        fresh.write_text(json.dumps({"services": services}))
        fresh.replace(self._inventory)

    async def until(self, weight: int, count: int) -> None:
        """Wait until so many instances have that weight: Consul itself counts them."""
        asked = quote(f"Weights.Passing == {weight}")
        async with asyncio.timeout(PATIENCE):
            while len(await self._stands(f"?filter={asked}")) != count:
                await asyncio.sleep(0.25)

    async def _stands(self, asked: str) -> list[dict[str, int]]:
        nodes = [NODE, *(f"{NODE}-{number}" for number in range(1, NODES))]
        found = [await self._hand.get(f"catalog/node-services/{node}{asked}") for node in nodes]
        return [one for them in found for one in (them or {}).get("Services") or []]


async def _transactions(hand: Hand) -> int:
    """How many there were ever; the claim's are among them, and what the server does for itself."""
    return int((await hand.get("agent/self"))["Stats"]["raft"]["applied_index"])


async def export(services: int, rest: float, say: Say) -> dict[str, float]:
    """What it took: `rest` are the seconds in which what is told late would show as a further write."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with datacenter(folder, say) as (hand, registry):
            made, instances = Export(hand, folder / "vms.json", services), services * EACH
            steps = (
                (lambda: None, 1, instances),
                (lambda: made.write(1, (services // 2, 2)), 2, 1),
                (lambda: made.write(3), 3, instances),
            )
            vms = {"name": "vms", "kind": "static", "files": ["vms.json"]}
            sink = {**registry, "export": [{"services": ["bench/*"], "from": ["vms"], "rate": RATE, "nodes": NODES}]}
            took, spent, counted = [], [0.0], [await _transactions(hand)]
            begun = time.monotonic()
            async with bridge(folder, free_port(), vms, sink, owner="bench") as pid:
                for change, weight, count in steps:
                    begun = time.monotonic() if weight > 1 else begun
                    change()
                    await made.until(weight, count)
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
    return [Row(about, f"{services:,} services × {EACH} on {NODES} nodes", "ours", figures, results)]
