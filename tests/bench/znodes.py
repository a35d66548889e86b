"""Changes of znodes until somebody has them, and the first view of many: a real ZooKeeper."""

import asyncio
import itertools
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from adapters.zookeeper.settings import Settings
from bridge.kit import Kit
from bridge.runtime.clock import SystemClock
from bridge.testing.ports import free_port
from tests.bench import inventory
from tests.bench.lone import Case, Say, bridge, readers
from tests.bench.report import Row, middle
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.jars import fetch
from tests.servers.zookeeper.records import curator
from tests.servers.zookeeper.server import ZooKeeper

ROOT = "/services"


@asynccontextmanager
async def ensemble(folder: Path, say: Say) -> AsyncIterator[tuple[ZooKeeper, Hand, dict[str, Any]]]:
    """A server, somebody who writes there, and a bridge's configuration of it as a registry."""
    java = await asyncio.to_thread(fetch, say=say)
    async with ZooKeeper(java, folder / "zookeeper") as server, Hand(server.hosts) as hand:
        tree = {"path": f"{ROOT}/{{name}}", "dialect": "curator", "namespace": "bench", "ports": {"default": "http"}}
        yield server, hand, {"name": "zk", "kind": "zookeeper", "hosts": server.hosts, "trees": [tree]}


class Instances:
    """Some instances of each of many services, and changes that each register one more."""

    def __init__(self, hand: Hand, endpoints: int) -> None:
        self._hand = hand
        self._endpoints = endpoints
        self._next = itertools.count()
        self.writes: list[float] = []
        """What the server took to store each change, in milliseconds."""

    async def fill(self, services: int) -> list[str]:
        """Register them; the services' names."""
        names = [f"s{number:05d}" for number in range(services)]
        await self._hand.many(self._instance(name) for name in names for _ in range(self._endpoints))
        return [f"bench/{name}" for name in names]

    async def add(self, service: str) -> tuple[str, int]:
        """Register an instance: its address, and the moment before the request in monotonic nanoseconds."""
        path, data = self._instance(service.removeprefix("bench/"))
        at = time.monotonic_ns()
        await self._hand.do(self._hand.kazoo.create, path, data)
        self.writes.append((time.monotonic_ns() - at) / 1e6)
        return path.rpartition("/")[2].partition(":")[0], at

    def _instance(self, name: str) -> tuple[str, bytes]:
        number = next(self._next)
        where = f"10.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}:8080"
        return f"{ROOT}/{name}/{where}", curator(where, name)


async def _lone(quick: bool, say: Say) -> list[Row]:
    services, count = (50, 5) if quick else (1_000, 100)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with ensemble(folder, say) as (_, hand, registry):
            instances = Instances(hand, 4)
            say(f"W1-zookeeper: {services:,} services of four instances")
            names = await instances.fill(services)
            xds = free_port()
            async with bridge(folder, xds, registry):
                case = Case("W1-zookeeper", f"{services:,} services", names, count)
                rows = await readers(case, instances.add, xds, folder, say)
        stored = sorted(instances.writes)
        figures = {"p50 ms": middle(stored), "p99 ms": stored[len(stored) * 99 // 100], "changes": len(stored)}
        return [*rows, Row("W1-zookeeper", f"{services:,} services", "of that, ZooKeeper's", figures)]


def w1(quick: bool, runs: int, say: Say) -> list[Row]:
    """A hundred lone changes for each reader; they are their own rounds, whatever `runs` says.

    The time begins before the request that registers the instance, so that it holds what ZooKeeper takes.
    """
    return asyncio.run(_lone(quick, say))


async def _requests(server: ZooKeeper) -> int:
    """How many packets it has received."""
    found = re.search(r"^Received: (\d+)", await server.ask("srvr"), re.MULTILINE)
    assert found is not None, "srvr tells how many packets a server has received"
    return int(found[1])


async def _cold(services: int, say: Say) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with ensemble(folder, say) as (server, hand, registry):
            instances = Instances(hand, 10)
            (first, *_) = await instances.fill(services)
            settings = Settings.model_validate(registry)
            views = settings.open(Kit("zk", SystemClock())).observe()
            before, begun = await _requests(server), time.monotonic()
            view = await anext(views)
            took = time.monotonic() - begun
            assert sum(len(one.endpoints) for one in view.services.values()) == services * 10
            seen = await _requests(server)
            await instances.add(first)
            await anext(views)
            changed = await _requests(server)
            with suppress(AttributeError):
                await views.aclose()  # type: ignore[attr-defined]
            begun = time.monotonic()
            async with bridge(folder, free_port(), registry):
                ready = time.monotonic() - begun
            return {
                "first view s": took,
                "process ready s": ready,
                "requests": seen - before,
                "of one change": changed - seen,
            }


def w8(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """The first view of ten thousand instances, by the adapter alone and until the whole process is ready.

    Requests are counted by the server itself, its own pings and this asking among them.
    """
    services = 100 if quick else 1_000
    results = []
    for number in range(1 if quick else min(runs, 3)):
        say(f"round {number + 1}")
        results.append(asyncio.run(_cold(services, say)))
    figures = {name: middle([result[name] for result in results]) for name in results[0]}
    return [Row("W8-zookeeper", f"{services:,} services × 10 znodes", "ours", figures, results)]


class Export:
    """An inventory of VMs, one a service, that is written into a tree, and what that takes."""

    def __init__(self, hand: Hand, inventory: Path, services: int) -> None:
        self._hand = hand
        self._inventory = inventory
        self._weights = [1] * services
        self.write()

    def change(self, *services: int) -> None:
        """Give the endpoint of each of them another weight, by rename."""
        for number in services:
            self._weights[number] += 1
        self.write()

    def write(self) -> None:
        services = [
            {
                "name": f"bench/s{number:05d}",
                "ports": {"http": 80},
                "endpoints": [{"address": f"10.1.{number // 250}.{number % 250 + 1}", "weight": weight}],
            }
            for number, weight in enumerate(self._weights)
        ]
        inventory.write(self._inventory, services)

    async def until(self) -> None:
        """Wait until each service has one record, of the weight that the inventory has."""
        async with asyncio.timeout(120):
            while not await self._there():
                await asyncio.sleep(0.25)

    async def _there(self) -> bool:
        found = []
        for name in await self._hand.names(ROOT):
            for child in await self._hand.names(f"{ROOT}/{name}"):
                data = await self._hand.read_if(f"{ROOT}/{name}/{child}")
                found.append(json.loads(data).get("weight", 1) if data else 0)
            if found and found[-1] != self._weights[len(found) - 1]:
                return False
        return found == self._weights


async def _transactions(server: ZooKeeper) -> int:
    found = re.search(r"^Zxid: 0x([0-9a-f]+)", await server.ask("srvr"), re.MULTILINE)
    assert found is not None
    return int(found[1], 16)


async def _export(services: int, say: Say) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with ensemble(folder, say) as (server, hand, registry):
            export = Export(hand, folder / "vms.json", services)
            rate = {"per_second": 200, "burst": 200}
            tree = {"path": f"{ROOT}/{{name}}", "dialect": "nerve", "ports": {"default": "http"}}
            sink = {
                "name": "zk", "kind": "zookeeper", "hosts": registry["hosts"],
                "export": [{**tree, "services": ["bench/*"], "from": ["vms"], "rate": rate}],
            }  # fmt: skip
            vms = {"name": "vms", "kind": "static", "files": ["vms.json"]}
            took, written = [], [await _transactions(server)]
            begun = time.monotonic()
            async with bridge(folder, free_port(), vms, sink, owner="bench"):
                for changed in ((), (services // 2,)):
                    if changed:
                        begun = time.monotonic()
                        export.change(*changed)
                    await export.until()
                    took.append(time.monotonic() - begun)
                    await asyncio.sleep(2)  # what is told late would show as a further write
                    written.append(await _transactions(server))
            return {
                "from nothing s": took[0],
                "transactions a record": (written[1] - written[0]) / services,
                "one changed s": took[1],
                "transactions of one change": written[2] - written[1],
            }


def w12(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """A thousand records into a tree that is not there yet, from the start of the process on; one of them changed.

    Transactions are counted by the server; the znode of each service is one, and so is a claim.
    """
    services = 100 if quick else 1_000
    results = []
    for number in range(1 if quick else min(runs, 3)):
        say(f"round {number + 1}")
        results.append(asyncio.run(_export(services, say)))
    figures = {name: middle([result[name] for result in results]) for name in results[0]}
    about = "W12-zookeeper: records written, at 200/s with a burst of 200"
    return [Row(about, f"{services:,} services of one endpoint", "ours", figures, results)]
