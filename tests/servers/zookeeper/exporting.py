"""A bridge as a process that writes what VMs there are into a ZooKeeper, and what an operator sees of it."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.test_app import Process, command, started, until_async
from tests.servers.exporting import QUICK
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.server import Ensemble, ZooKeeper

LIMITS = {"removals": {"at_once": "100%", "floor": 100_000}, "rate": {"per_second": 1000, "burst": 1000}}
"""As good as none: nothing here is about them."""


class Exporter(Process):
    """Its registries are `vms`, an inventory file, and `zk`, one tree of a ZooKeeper, which is written.

    `more` are further sections of the configuration, `state` names the folder of its snapshot.
    """

    def __init__(
        self,
        folder: Path,
        server: ZooKeeper | Ensemble,
        hand: Hand,
        dialect: str = "curator",
        state: str = "state",
        *,
        ephemeral: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(folder, "", state)
        self.hand = hand
        self.root = "/services"
        self._hosts = server.hosts
        self._tree = {"path": f"{self.root}/{{name}}", "dialect": dialect, "ports": {"default": "http"}}
        self._ephemeral = ephemeral
        self._more = more

    def configure(self, text: str) -> None:
        super().configure(text)
        said = yaml.safe_load(self.config.read_text())
        export = {**self._tree, "services": ["shop/*"], "from": ["vms"], "ephemeral": self._ephemeral, **LIMITS}
        said |= {"owner": "prod", **self._more}
        said["registries"] = [
            {"name": "vms", "kind": "static", "files": ["vms.yaml"], "removals": QUICK},
            {
                "name": "zk", "kind": "zookeeper", "hosts": self._hosts, "session": "4s", "namespace": "shop",
                "trees": [self._tree], "export": [export],
            },
        ]  # fmt: skip
        self.config.write_text(yaml.safe_dump(said))

    def inventory(self, **services: Iterable[str | Mapping[str, Any]]) -> None:
        """Service to its endpoints; the ports are http:8080."""
        listed = [
            {"name": f"shop/{name}", "ports": {"http": 8080}, "endpoints": list(them)}
            for name, them in services.items()
        ]
        self.write(yaml.safe_dump({"services": listed}))

    async def addresses(self, service: str = "web") -> Counter[str]:
        """Every address that stands there, and how often; of Curator's and Nerve's records."""
        found: Counter[str] = Counter()
        for name in await self.hand.names(f"{self.root}/{service}"):
            data = await self.hand.read_if(f"{self.root}/{service}/{name}")
            if data is not None:
                said = json.loads(data)
                found[said.get("address") or said.get("host", "")] += 1
        return found

    async def sessions(self, service: str = "web") -> set[int]:
        """The sessions that what stands there ends with, 0 of what stays."""
        paths = (await self.hand.all(f"{self.root}/{service}"))[1:]
        return {stat.ephemeralOwner for path in paths if (stat := await self.hand.stat(path)) is not None}

    async def until_holds(self, *addresses: str, service: str = "web") -> None:
        async def there() -> bool:
            return await self.addresses(service) == Counter(addresses)

        await until_async(there, f"{service} stands there as {addresses}")

    async def row(self) -> dict[str, Any]:
        """What the export does."""
        (found,) = await self.rows("exports")
        return found

    async def until_row(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(await self.row())
            return holds(found)

        await until_async(there, what)
        return found

    async def call(self, *arguments: str) -> tuple[int | None, str, str]:
        return await command(*arguments, "--config", str(self.config))


@asynccontextmanager
async def exporting(process: Exporter) -> AsyncIterator[Exporter]:
    """It runs, and is ready."""
    async with started(process):
        await process.until_ready()
        yield process
