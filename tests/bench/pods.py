"""Pods of a Kubernetes until Consul has them, and has them no more: the way of consul-k8s's catalog sync."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.testing.ports import free_port
from tests.bench.instances import datacenter
from tests.bench.lone import REST, Say, bridge
from tests.bench.report import Row, middle
from tests.bench.slices import NAMESPACE, cluster, create
from tests.servers.consul.hand import Hand
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object, Pod, service, slice_

PODS = 10
"""Of each Service."""

PATIENCE = 60.0
Holds = Callable[[dict[str, str]], bool]
"""Of a service in Consul, address to the status of its check."""


class Pods:
    """The Services and their slices, and what Consul says of them."""

    def __init__(self, api: Client, hand: Hand) -> None:
        self._api = api
        self._hand = hand
        self._next = itertools.count()
        self._services: dict[str, Object] = {}
        self._pods: dict[str, list[Pod]] = {}

    async def fill(self, services: int) -> list[str]:
        """Make them; the services' names."""
        names = [f"s{number:05d}" for number in range(services)]
        made = await create(self._api, [service(NAMESPACE, name, ports=[("http", 8080)]) for name in names])
        self._services = dict(zip(names, made, strict=True))
        self._pods = {name: [self._pod() for _ in range(PODS)] for name in names}
        await create(self._api, [slice_(self._services[name], self._pods[name]) for name in names])
        return names

    async def add(self, name: str) -> float:
        """One pod more; milliseconds until Consul has it."""
        pod = self._pod()
        self._pods[name].append(pod)
        return await self._until(name, lambda them: them.get(pod.address) == "passing")

    async def fail(self, name: str) -> float:
        """A pod that is not ready any more."""
        pod = self._pods[name].pop()
        self._pods[name].append(Pod(pod.address, ready=False))
        return await self._until(name, lambda them: them.get(pod.address) == "critical")

    async def remove(self, name: str) -> float:
        """A pod that is gone, and was ready."""
        pod = self._pods[name].pop(0)
        return await self._until(name, lambda them: pod.address not in them)

    async def until_all(self) -> None:
        """Wait until every Service is there."""
        for name in self._pods:
            await self._holds(name, lambda them: len(them) == PODS)

    async def _until(self, name: str, holds: Holds) -> float:
        begun = time.monotonic()
        await self._api.apply(slice_(self._services[name], self._pods[name]))
        await self._holds(name, holds)
        return (time.monotonic() - begun) * 1e3

    async def _holds(self, name: str, holds: Holds) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds(
                {
                    one["Service"]["Address"]: one["Checks"][0]["Status"]
                    for one in await self._hand.get(f"health/service/{name}")
                }
            ):
                await asyncio.sleep(0.001)

    def _pod(self) -> Pod:
        number = next(self._next)
        return Pod(f"10.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}")


@asynccontextmanager
async def synced(services: int, folder: Path, say: Say) -> AsyncIterator[tuple[Pods, list[str]]]:
    """A cluster and a Consul with a bridge between them, as its configuration is when nobody says anything."""
    async with cluster(folder, say) as (api, k8s), datacenter(folder, say) as (hand, consul):
        pods = Pods(api, hand)
        names = await pods.fill(services)
        export: dict[str, Any] = {"services": [f"{NAMESPACE}/*"], "from": ["k8s"], "rate": {"per_second": 1000}}
        registries = ({**k8s, "import": {"namespaces": [NAMESPACE]}}, {**consul, "export": [export]})
        async with bridge(folder, free_port(), *registries, owner="bench"):
            await pods.until_all()
            yield pods, names


async def _sync(quick: bool, say: Say) -> list[Row]:
    services, count = (5, 3) if quick else (200, 50)
    about = f"{services:,} Services of {PODS} pods"
    with tempfile.TemporaryDirectory() as home:
        say(f"sync-consul: {about}")
        async with synced(services, Path(home), say) as (pods, names):
            rows = []
            for what, change in (("added", pods.add), ("not ready any more", pods.fail)):
                times = []
                for name in itertools.islice(itertools.cycle(names), count):
                    await asyncio.sleep(REST)
                    times.append(await change(name))
                rows.append(_row(about, what, times))
            gone = await asyncio.gather(*map(pods.remove, names[-max(1, services // 20) :]))
            return [*rows, _row(about, "gone, though it was ready", gone)]


def _row(about: str, what: str, times: list[float]) -> Row:
    ordered = sorted(times)
    figures = {"p50 ms": middle(ordered), "p99 ms": ordered[len(ordered) * 99 // 100], "changes": len(ordered)}
    return Row("sync-consul", about, f"a pod that is {what}", figures, ordered)


def sync(quick: bool, runs: int, say: Say) -> list[Row]:
    """Lone changes one by one, and some pods that go together; they are their own rounds, whatever `runs` says.

    The time begins before the request that changes the slice, and ends when Consul's health endpoint says so.
    """
    return asyncio.run(_sync(quick, say))
