"""Changes of EndpointSlices until somebody has them, and what is written into a Kubernetes: a real API server."""

import asyncio
import itertools
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bridge.testing.ports import free_port
from tests.bench import inventory
from tests.bench.lone import Case, Say, bridge, readers
from tests.bench.report import Row, middle
from tests.servers.kubernetes.binaries import find
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object, Pod, service, slice_, thing
from tests.servers.kubernetes.server import ApiServer

NAMESPACE = "bench"
PATIENCE = 120.0
_AT_ONCE = 16
_REQUESTS = re.compile(r"^apiserver_request_total\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)


@asynccontextmanager
async def cluster(folder: Path, say: Say) -> AsyncIterator[tuple[Client, dict[str, Any]]]:
    """An API server with a namespace, a client of it, and a bridge's configuration of it as a registry."""
    home = folder / "kubernetes"
    home.mkdir()
    async with ApiServer(await asyncio.to_thread(find, say), home) as server, server.client() as api:
        await api.create(thing("Namespace", NAMESPACE))
        kubeconfig = server.kubeconfig(folder, "admin", namespace=NAMESPACE)
        yield api, {"name": "k8s", "kind": "kubernetes", "kubeconfig": str(kubeconfig)}


async def create(api: Client, objects: Sequence[Object]) -> list[Object]:
    """Make them all, several at once."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(made: Object) -> Object:
        async with turns:
            return await api.create(made)

    return list(await asyncio.gather(*map(one, objects)))


class Slices:
    """A slice of some pods for each of many Services, and changes that each add a pod to one."""

    def __init__(self, api: Client, endpoints: int) -> None:
        self._api = api
        self._endpoints = endpoints
        self._next = itertools.count()
        self._slices: dict[str, Object] = {}
        self.writes: list[float] = []
        """What the server took to store each change, in milliseconds."""

    async def fill(self, services: int) -> list[str]:
        """Make the Services and their slices; the services' names."""
        names = [f"s{number:05d}" for number in range(services)]
        made = await create(
            self._api, [service(NAMESPACE, name, selector={"app": name}, ports=[("http", 8080)]) for name in names]
        )
        slices = [slice_(one, [Pod(self._address()) for _ in range(self._endpoints)]) for one in made]
        for name, one in zip(names, await create(self._api, slices), strict=True):
            self._slices[f"{NAMESPACE}/{name}"] = one
        return list(self._slices)

    async def add(self, name: str) -> tuple[str, int]:
        """Add a pod to a service: its address, and the moment before the request in monotonic nanoseconds."""
        address = self._address()
        changed = {**self._slices[name], "endpoints": [*self._slices[name]["endpoints"], Pod(address).endpoint]}
        at = time.monotonic_ns()
        self._slices[name] = await self._api.replace(changed)
        self.writes.append((time.monotonic_ns() - at) / 1e6)
        return address, at

    def _address(self) -> str:
        number = next(self._next)
        return f"10.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


async def _lone(quick: bool, say: Say) -> list[Row]:
    services, count = (50, 5) if quick else (1_000, 100)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with cluster(folder, say) as (api, registry):
            slices = Slices(api, 4)
            say(f"W1-kubernetes: {services:,} Services and their slices")
            names = await slices.fill(services)
            xds = free_port()
            async with bridge(folder, xds, {**registry, "import": {"namespaces": [NAMESPACE]}}):
                rows = await readers(
                    Case("W1-kubernetes", f"{services:,} services", names, count), slices.add, xds, folder, say
                )
        stored = sorted(slices.writes)
        figures = {"p50 ms": middle(stored), "p99 ms": stored[len(stored) * 99 // 100], "changes": len(stored)}
        return [*rows, Row("W1-kubernetes", f"{services:,} services", "of that, the API server's", figures)]


def w1(quick: bool, runs: int, say: Say) -> list[Row]:
    """A hundred lone changes for each reader; they are their own rounds, whatever `runs` says.

    The time begins before the request that changes the slice, so that it holds what the API server takes.
    """
    return asyncio.run(_lone(quick, say))


class Export:
    """An inventory of VMs that is written into as many Services without a selector, and what that takes."""

    def __init__(self, api: Client, inventory: Path, services: int) -> None:
        self._api = api
        self._inventory = inventory
        self._versions = [0] * services

    async def fill(self) -> None:
        self.write()
        await create(
            self._api,
            [service(NAMESPACE, f"s{number:05d}", ports=[("http", 80)]) for number in range(len(self._versions))],
        )

    def change(self, *services: int) -> None:
        """Give one endpoint of each of them another weight, by rename."""
        for number in services:
            self._versions[number] += 1
        self.write()

    def write(self) -> None:
        services = [
            {
                "name": f"{NAMESPACE}/s{number:05d}",
                "ports": {"http": 80},
                "endpoints": [
                    {
                        "address": f"10.1.{number // 20}.{number % 20 * 11 + at}",
                        "weight": 1 + (version if at == 0 else 0),
                    }
                    for at in range(10)
                ],
            }
            for number, version in enumerate(self._versions)
        ]
        inventory.write(self._inventory, services)

    async def written(self) -> Counter[str]:
        """How many requests of each verb the API server has had that write slices."""
        found: Counter[str] = Counter()
        for labels, value in _REQUESTS.findall(await self._api.request("GET", "/metrics")):
            said = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if said["resource"] == "endpointslices" and said["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE"):
                found[f"{said['verb']} {said['code']}"] += int(float(value))
        return found

    async def until(self) -> None:
        """Wait until each Service has its ten endpoints in one slice, of the version that the inventory has."""
        async with asyncio.timeout(PATIENCE):
            while not await self._there():
                await asyncio.sleep(0.25)

    async def _there(self) -> bool:
        found: dict[str, int] = {}
        for one in await self._api.list("EndpointSlice", NAMESPACE):
            said = json.loads(one["metadata"]["annotations"].get("registry-bridge.dev/endpoints", "{}"))
            weight = max((words.get("weight", 1) for words in said.values()), default=1)
            if len(one["endpoints"]) == 10:
                found[one["metadata"]["labels"]["kubernetes.io/service-name"]] = weight - 1
        return [found.get(f"s{number:05d}") for number in range(len(self._versions))] == self._versions


async def _export(services: int, say: Say) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with cluster(folder, say) as (api, registry):
            export = Export(api, folder / "vms.json", services)
            await export.fill()
            written = [await export.written()]
            vms = {"name": "vms", "kind": "static", "files": ["vms.json"]}
            sink = {**registry, "export": [{"services": [f"{NAMESPACE}/*"], "from": ["vms"]}]}
            took, spent = [], []
            begun = time.monotonic()
            async with bridge(folder, free_port(), vms, sink, owner="bench") as pid:
                for changed in ((), (services // 2,), range(services)):
                    if changed:
                        begun = time.monotonic()
                        export.change(*changed)
                    await export.until()
                    took.append(time.monotonic() - begun)
                    spent.append(sum(psutil.Process(pid).cpu_times()[:2]))
                    await asyncio.sleep(2)  # what is told late would show as a second write
                    written.append(await export.written())
            counts = [after - before for before, after in itertools.pairwise(written)]
            say(f"requests that write slices: {', '.join(str(dict(one)) for one in counts)}")
            return {
                "from nothing s": took[0],
                "writes an object": sum(counts[0].values()) / services,
                "writes of one change": sum(counts[1].values()),
                "all changed s": took[2],
                "writes a changed object": sum(counts[2].values()) / services,
                "CPU a write ms": (spent[2] - spent[1]) / services * 1000,
            }


def w12(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """A thousand services into a Kubernetes that has none of them yet; one changed; all of them changed.

    Writes are counted by the API server itself.
    """
    services = 100 if quick else 1_000
    results = []
    for number in range(1 if quick else min(runs, 3)):
        say(f"round {number + 1}")
        results.append(asyncio.run(_export(services, say)))
    figures = {name: middle([result[name] for result in results]) for name in results[0]}
    about = "W12-kubernetes: services written as EndpointSlices, at 50/s with a burst of 200"
    return [Row(about, f"{services:,} services × 10", "ours", figures, results)]
