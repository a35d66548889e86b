"""A bridge as a process that writes what VMs there are into a cluster, and what an operator sees of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.test_app import Process, command, started, until_async
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object
from tests.servers.kubernetes.server import ApiServer

OWNER = "registry-bridge.dev/owner"
SERVICE = "kubernetes.io/service-name"

QUICK = {"gather": "100ms", "small": "100%", "source": "100%", "last": "60s"}
"""What a source is believed soon: nothing here is about the guard."""


class Exporter(Process):
    """Its registries are `vms`, an inventory file, and `k8s`, one namespace of a cluster, which is written.

    `export`, `imports` and `vms` are further keys of the export, of `import:` and of the registry vms.
    """

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

    def configure(self, text: str) -> None:
        super().configure(text)
        said = yaml.safe_load(self.config.read_text())
        said["owner"] = self.owner
        said["registries"] = [
            {"name": "vms", "kind": "static", "files": ["vms.yaml"], **self.vms},
            {
                "name": "k8s", "kind": "kubernetes", "kubeconfig": str(self.kubeconfig), "import": self.imports,
                "export": [self.export],
            },
        ]  # fmt: skip
        self.config.write_text(yaml.safe_dump(said))

    def inventory(self, **services: Iterable[Any]) -> None:
        """Service to its endpoints; the ports are http:8080."""
        listed = [
            {"name": f"{self.namespace}/{name}", "ports": {"http": 8080}, "endpoints": list(endpoints)}
            for name, endpoints in services.items()
        ]
        self.write(yaml.safe_dump({"services": listed}))

    async def slices(self, service: str = "web", owner: str | None = None) -> list[Object]:
        """Those of a bridge (ours, unless another is named) for a service."""
        selector = f"{SERVICE}={service},{OWNER}={owner or self.owner}"
        return await self.api.list("EndpointSlice", self.namespace, labelSelector=selector)

    async def addresses(self, service: str = "web", owner: str | None = None) -> list[str]:
        """Every address that those slices hold, sorted, twice where it stands twice."""
        found = await self.slices(service, owner)
        return sorted(row["addresses"][0] for one in found for row in one["endpoints"] or ())

    async def until_holds(self, *addresses: str, service: str = "web") -> None:
        async def there() -> bool:
            return await self.addresses(service) == sorted(addresses)

        await until_async(there, f"slices of {service} hold {addresses}")

    async def row(self) -> dict[str, Any]:
        """What the export does."""
        (found,) = await self.rows("exports")
        return found

    async def until_state(self, state: str) -> dict[str, Any]:
        return await self.until_row(lambda row: bool(row["state"] == state), f"the export is {state}")

    async def until_row(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(await self.row())
            return holds(found)

        await until_async(there, what)
        return found

    async def until_problem(self, kind: str, words: str) -> dict[str, Any]:
        """Wait for a problem of the kind with these words in it."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [one for one in await self.rows("problems") if one["kind"] == kind and words in one["what"]]
            return bool(found)

        await until_async(there, f"a problem {kind} about {words}")
        return found[0]

    async def until_event(self, reason: str) -> dict[str, Any]:
        """Wait for an Event of the bridge in its namespace."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [one for one in await self.api.list("Event", self.namespace) if one["reason"] == reason]
            return bool(found)

        await until_async(there, f"an Event {reason}")
        return found[0]

    async def call(self, *arguments: str) -> tuple[int | None, str, str]:
        return await command(*arguments, "--config", str(self.config))


@asynccontextmanager
async def exporting(process: Exporter) -> AsyncIterator[Exporter]:
    """It runs, and is ready."""
    async with started(process):
        await process.until_ready()
        yield process


async def quiet(seconds: float) -> None:
    """Let time pass in which nothing is to happen: what must not be cannot be waited for."""
    await asyncio.sleep(seconds)
