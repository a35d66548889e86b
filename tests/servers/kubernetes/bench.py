"""A cluster as the conformance suite uses it: its controllers, its operators, and its bad days."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.kubernetes.settings import Settings
from bridge.adapter import Source
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Health, Locality, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench
from bridge.testing.proxy import FaultProxy
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.client import ApiError, Client, Rule
from tests.servers.kubernetes.objects import Pod, service, slice_, thing
from tests.servers.kubernetes.server import ApiServer

SHOP = "shop"
"""The namespace of the suite's services."""

READS: tuple[Rule, ...] = (
    ("", "services", "list watch"),
    ("discovery.k8s.io", "endpointslices", "list watch"),
    ("coordination.k8s.io", "leases", "list watch"),
)


class KubernetesBench(Bench):
    """One namespace of the session's cluster, reached through a proxy by a user who may do no more than he needs."""

    patience = 90.0
    package = "adapters.kubernetes"
    settings = Settings
    rules = READS

    def __init__(self, api: Client, proxy: FaultProxy, kubeconfig: Path, **keys: Any) -> None:
        self.api = api
        self.proxy = proxy
        self._said = {
            "name": "k8s", "kind": "kubernetes", "kubeconfig": str(kubeconfig), "timeout": "30s",
            "import": {"namespaces": [SHOP]}, **keys,
        }  # fmt: skip

    def open(self, mark: Mark | None = None) -> Source:
        return Settings.model_validate(self._said).open(Kit("k8s", SystemClock(), mark))

    async def put(self, *services: Service) -> None:
        await asyncio.gather(*map(self._put, services))

    async def drop(self, *names: ServiceName) -> None:
        for name in names:
            await self.api.delete("Service", name.name, name.namespace)
        await doubles.collect(self.api, SHOP)

    def read_as(self, service: Service) -> Service:
        """Kubernetes has an opinion of everybody's health, and says which pod it is, and where."""
        return Service(service.name, tuple(map(_as_pod, service.endpoints)))

    async def garbage(self, name: ServiceName) -> None:
        there = await self._make(service(name.namespace, name.name))
        await self.api.create(slice_(there, [Pod("10.20.9.9")], ports=[], name=f"{name.name}-any-port"))

    async def lose(self) -> None:
        await self.proxy.refuse()
        self.proxy.reset()

    async def deny(self) -> None:
        await self.api.allow("bridge", [], SHOP)

    async def heal(self) -> None:
        await self.api.allow("bridge", self.rules, SHOP)
        await self.proxy.listen()

    async def _put(self, one: Service) -> None:
        said = one.endpoints[0].ports
        ports = [(port.name, 80 + at, port.protocol) for at, port in enumerate(said)]
        there = await self._make(service(*one.name, ports, selector={"app": one.name.name}))
        numbers = [(port.name, port.number, port.protocol) for port in said]
        await doubles.endpoints(self.api, there, [Pod(each.address) for each in one.endpoints], numbers)

    async def _make(self, made: dict[str, Any]) -> dict[str, Any]:
        """Create it, or change what stands there."""
        try:
            return await self.api.create(made)
        except ApiError as error:
            if error.status != 409:
                raise
        return await self.api.patch(made, {"spec": made["spec"]})


@asynccontextmanager
async def benched(
    cluster: ApiServer, api: Client, folder: Path, kind: type[KubernetesBench] = KubernetesBench, **keys: Any
) -> AsyncIterator[KubernetesBench]:
    """A bench over an empty namespace."""
    await _empty(api)
    async with FaultProxy("127.0.0.1", cluster.port) as proxy:
        kubeconfig = cluster.kubeconfig(folder, "bridge", server=f"https://127.0.0.1:{proxy.port}")
        bench = kind(api, proxy, kubeconfig, **keys)
        await bench.heal()
        yield bench


def _as_pod(one: Endpoint) -> Endpoint:
    said = Pod(one.address).endpoint
    metadata = (("node", said["nodeName"]), ("pod", said["targetRef"]["name"]))
    return replace(one, health=Health.HEALTHY, locality=Locality("", said["zone"]), metadata=metadata)


async def _empty(api: Client) -> None:
    try:
        await api.create(thing("Namespace", SHOP))
    except ApiError as error:
        if error.status != 409:
            raise
    for one in ("Service", "EndpointSlice"):
        for there in await api.list(one, SHOP):
            await api.delete(one, there["metadata"]["name"], SHOP)
