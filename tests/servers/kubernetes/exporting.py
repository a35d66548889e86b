"""A bridge as a process that writes what VMs there are into a cluster."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.test_app import until_async
from tests.servers.exporting import QUICK, Exporting
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object
from tests.servers.kubernetes.server import ApiServer

OWNER = "registry-bridge.dev/owner"
SERVICE = "kubernetes.io/service-name"


class Exporter(Exporting):
    """Its registries are `vms`, an inventory file, and `k8s`, one namespace of a cluster, which is written.

    `export`, `imports` and `vms` are further keys of the export, of `import:` and of the registry vms.
    """

    registry = "k8s"

    def __init__(
        self,
        folder: Path,
        server: ApiServer,
        api: Client,
        namespace: str,
        *,
        export: Mapping[str, Any] | None = None,
        imports: Mapping[str, Any] | None = None,
        vms: Mapping[str, Any] | None = None,
        owner: str = "prod",
        state: str = "state",
        url: str | None = None,
        token: str | None = None,
        text: str = "",
    ) -> None:
        super().__init__(folder, text, state)
        self.server = server
        self.api = api
        self.namespace = namespace
        self.owner = owner
        self.kubeconfig = server.kubeconfig(
            folder, server=url, namespace=namespace, token=token, name=f"kubeconfig-{state}"
        )
        self.export = {"services": [f"{namespace}/*"], "from": ["vms"], **(export or {})}
        self.imports = {"namespaces": [namespace], **(imports or {})}
        self.vms = {"removals": QUICK, **(vms or {})}

    def further(self) -> dict[str, Any]:
        return {"owner": self.owner}

    def registries(self) -> list[dict[str, Any]]:
        return [
            {"name": "vms", "kind": "static", "files": ["vms.yaml"], **self.vms},
            {
                "name": "k8s", "kind": "kubernetes", "kubeconfig": str(self.kubeconfig), "import": self.imports,
                "export": [self.export],
            },
        ]  # fmt: skip

    async def slices(self, service: str = "web", owner: str | None = None) -> list[Object]:
        """Those of a bridge (ours, unless another is named) for a service."""
        selector = f"{SERVICE}={service},{OWNER}={owner or self.owner}"
        return await self.api.list("EndpointSlice", self.namespace, labelSelector=selector)

    async def addresses(self, service: str = "web", owner: str | None = None) -> list[str]:
        """Every address that those slices hold, sorted, twice where it stands twice."""
        found = await self.slices(service, owner)
        return sorted(row["addresses"][0] for one in found for row in one["endpoints"] or ())

    async def until_event(self, reason: str) -> dict[str, Any]:
        """Wait for an Event of the bridge in its namespace."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [one for one in await self.api.list("Event", self.namespace) if one["reason"] == reason]
            return bool(found)

        await until_async(there, f"an Event {reason}")
        return found[0]


async def quiet(seconds: float) -> None:
    """Let time pass in which nothing is to happen: what must not be cannot be waited for."""
    await asyncio.sleep(seconds)
