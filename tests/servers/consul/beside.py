"""What a bridge has for itself beside a Consul that it shares: a file, or a Kubernetes."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.servers.consul.exporting import Exporter
from tests.servers.exporting import LIMITS
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object, Pod, service, slice_

SERVICES = tuple(f"s{number}" for number in range(4))
POOL = tuple(f"10.60.0.{number}" for number in range(1, 7))
"""Everybody's: both bridges and the hands often register one endpoint."""

STEADY = "steady"
"""A service of everybody's that no step touches."""

PORT = 8080
QUICK = {
    "settled": "1s", "gather": "100ms", "small": "100%", "source": "100%", "confirm": "1s", "last": "1s",
    "flood_release": "1s", "probe": False,
}  # fmt: skip
"""Nothing here is about the guard."""

Says = dict[tuple[str, str], int]
"""Service and address to one of three marks, which each registry shows in its own way."""


class Shown(NamedTuple):
    """What Consul is to say of an instance."""

    weight: int
    status: str


class Beside:
    """The registry that one bridge has for itself."""

    config: Mapping[str, Any]

    async def tell(self, said: Says, service: str) -> None:
        """Let it say so of a service."""
        raise NotImplementedError

    def shown(self, address: str, mark: int) -> Shown:
        raise NotImplementedError

    async def differs(self, natives: set[tuple[str, str]]) -> str:
        """Where it does not have what the bridge is to bring there, "" when it does."""
        raise NotImplementedError


class Inventory(Beside):
    """A file; a mark is a weight."""

    config: Mapping[str, Any] = {"kind": "static", "files": ["vms.yaml"], "removals": QUICK}

    def __init__(self, bridge: Exporter) -> None:
        self._bridge = bridge

    async def tell(self, said: Says, service: str) -> None:
        rows: dict[str, list[dict[str, Any]]] = {}
        for (name, address), mark in sorted(said.items()):
            rows.setdefault(name, []).append({"address": address, "weight": mark})
        self._bridge.inventory(**rows)

    def shown(self, address: str, mark: int) -> Shown:
        return Shown(mark, "passing")

    async def differs(self, natives: set[tuple[str, str]]) -> str:
        return ""


class Cluster(Beside):
    """A Kubernetes, into which the bridge brings what hands have registered in Consul; a mark may be unready pods.

    They are few, or it is a flood of bad health.
    """

    def __init__(self, api: Client, kubeconfig: str, owner: str) -> None:
        exports = [{"services": ["shop/*"], "from": ["consul"], "create_services": True, **LIMITS}]
        self.config = {
            "kind": "kubernetes", "kubeconfig": kubeconfig, "import": {"namespaces": ["shop"]}, "export": exports,
            "removals": QUICK,
        }  # fmt: skip
        self._api = api
        self._owner = owner
        self._services: dict[str, Object] = {}
        self._said: set[tuple[str, str]] = set()

    async def prepare(self) -> None:
        """Make the Services."""
        for name in (*SERVICES, STEADY):
            self._services[name] = await self._api.create(service("shop", name, [("http", PORT)]))

    async def tell(self, said: Says, service: str) -> None:
        them = {address: mark for (name, address), mark in sorted(said.items()) if name == service}
        pods = [Pod(address, ready=self._ready(address, mark)) for address, mark in them.items()]
        await self._api.apply(slice_(self._services[service], pods))
        self._said = set(said)

    def shown(self, address: str, mark: int) -> Shown:
        return Shown(1, "passing" if self._ready(address, mark) else "critical")

    def _ready(self, address: str, mark: int) -> bool:
        return address != POOL[0] or mark != 2

    async def differs(self, natives: set[tuple[str, str]]) -> str:
        found: Counter[tuple[str, str]] = Counter()
        for one in await self._api.list("EndpointSlice", "shop"):
            labels = one["metadata"]["labels"]
            owner = labels.get("registry-bridge.dev/owner")
            if owner is not None:
                assert owner == self._owner, f"{owner} wrote into the cluster of {self._owner}"
                of = labels["kubernetes.io/service-name"]
                found.update((of, row["addresses"][0]) for row in one["endpoints"] or ())
        wanted = natives - self._said
        return "" if found == Counter(wanted) else f"{self._owner}: its cluster has {found}, and not {wanted}"
