"""A cluster as the conformance suite writes to it: Services without selectors, and hands that meddle with slices."""

import json
import ssl
import urllib.request
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.kubernetes import slices
from adapters.kubernetes.objects import BESIDE, OWNER
from bridge.adapter import Record
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Health, Port, Service, ServiceName
from bridge.testing.proxy import FaultProxy
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.bench import READS, SHOP, KubernetesBench
from tests.servers.kubernetes.client import Client, Rule, path
from tests.servers.kubernetes.door import Door
from tests.servers.kubernetes.objects import Pod, PortLike, service, slice_
from tests.servers.kubernetes.server import ApiServer

WRITES: tuple[Rule, ...] = (
    ("discovery.k8s.io", "endpointslices", "create update delete"),
    ("coordination.k8s.io", "leases", "get list watch create update"),
)

_HTTP: tuple[PortLike, ...] = (("http", 80),)
THERE: dict[str, tuple[PortLike, ...]] = {
    **dict.fromkeys(("web", "api", "jobs", "large", "none", "six", "rich", "injects", "odd"), _HTTP),
    **{f"s{number}": _HTTP for number in range(8)},
    "ports": (("default", 80), ("admin", 81, "UDP")),
}
"""The Services that are there, with their ports."""


class KubernetesSinkBench(KubernetesBench):
    """Its Services are there before the suite begins, since they are not what is asked for; all are headless, and so
    of both families."""

    fences = True
    rules = (*READS, *WRITES)

    def __init__(self, api: Client, proxy: FaultProxy, kubeconfig: Path, door: Door, server: ApiServer) -> None:
        export = [{"services": ["*"], "from": ["vms"], "claim_namespace": SHOP}]
        super().__init__(api, proxy, kubeconfig, export=export)
        self.door = door
        self._server = server

    async def put(self, *services: Service) -> None:
        """Pods, behind the Service that is there, which admits us beside them."""
        for one in services:
            there = await self.api.get("Service", one.name.name, SHOP)
            there["spec"]["selector"] = {"app": one.name.name}
            there["metadata"]["annotations"] = {BESIDE: "true"}
            there = await self.api.replace(there)
            numbers = [(port.name, port.number, port.protocol) for port in one.endpoints[0].ports]
            await doubles.endpoints(self.api, there, [Pod(each.address) for each in one.endpoints], numbers)

    def written_as(self, service: Service) -> Service:
        """Ports are called as the Service calls them, and nobody's health is unknown."""

        def endpoint(one: Endpoint) -> Endpoint:
            ports = one.ports
            if service.name.name == "ports":
                ports = tuple(port if port.name else port._replace(name="default") for port in ports)
            return replace(one, health=one.health or Health.HEALTHY, ports=ports)

        return Service(service.name, tuple(map(endpoint, service.endpoints)))

    def odd(self) -> Service:
        return Service.of(
            ServiceName(SHOP, "odd"), [Endpoint("10.0.0.1", (Port("http", 80), Port("quic", 81, "QUIC")))]
        )

    async def take(self, mark: Mark, service: Service) -> None:
        there = await self.api.get("Service", service.name.name, SHOP)
        name = slices.Name(service.name.name, slices.writer(mark.owner, self.target(mark), "IPv4"), 0)
        await self.api.create(slice_(there, [Pod("10.20.9.9")], [("http", 80)], name=str(name)))

    async def edit(self, mark: Mark, record: Record) -> None:
        there = await self._stands(record)
        there["endpoints"][0]["conditions"] = {"ready": False}
        await self.api.replace(there)

    async def erase(self, mark: Mark, record: Record) -> None:
        there = await self._stands(record)
        await self.api.delete("EndpointSlice", there["metadata"]["name"], SHOP)

    def foreign(self) -> Hashable:
        """Asked by another way than the event loop's, which waits meanwhile."""
        found = [self._all(kind) for kind in ("Service", "EndpointSlice")]
        return tuple(
            json.dumps(one, sort_keys=True)
            for objects in found
            for one in objects
            if OWNER not in one["metadata"].get("labels", {})
        )

    async def lose_answer(self) -> None:
        self.door.lose_answer()

    async def refuse(self) -> None:
        self.door.spoil()

    async def _stands(self, record: Record) -> dict[str, Any]:
        return await self.api.get("EndpointSlice", record.key.rpartition("/")[2], SHOP)

    def _all(self, kind: str) -> list[dict[str, Any]]:
        context = ssl.create_default_context(cafile=self._server.ca)
        headers = {"Authorization": f"Bearer {self._server.token()}"}
        asked = urllib.request.Request(f"{self._server.url}{path(kind, SHOP)}", headers=headers)
        with urllib.request.urlopen(asked, context=context) as answer:
            found: list[dict[str, Any]] = json.load(answer)["items"]
            return found


@asynccontextmanager
async def sink_benched(cluster: ApiServer, api: Client, folder: Path) -> AsyncIterator[KubernetesSinkBench]:
    """A bench over a namespace in which nothing stands but Services without endpoints."""
    for kind in ("EndpointSlice", "Service", "Lease"):
        for there in await api.list(kind, SHOP):
            await api.delete(kind, there["metadata"]["name"], SHOP)
    for name, ports in THERE.items():
        await api.create(service(SHOP, name, ports, headless=True))
    door = Door(cluster)
    async with door.opened(), FaultProxy("127.0.0.1", door.port) as proxy:
        kubeconfig = cluster.kubeconfig(folder, "bridge", server=f"http://127.0.0.1:{proxy.port}")
        bench = KubernetesSinkBench(api, proxy, kubeconfig, door, cluster)
        await bench.heal()
        yield bench
