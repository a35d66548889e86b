"""A bridge as a process that writes what another registry has into a Consul, and what an operator sees of it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.test_app import Process, command, started, until_async
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import ROOT
from tests.servers.exporting import QUICK

LIMITS = {"removals": {"at_once": "100%", "floor": 100_000}, "rate": {"per_second": 1000, "burst": 1000}}
"""As good as none: nothing here is about them."""


class Exporter(Process):
    """Its registries are `vms`, an inventory file, and `consul`, which is written; it reads of it what is in `shop`.

    `vms` is another registry in the place of the file, `consul` further keys of the other one, `more` further sections
    of the configuration; `state` names the folder of its snapshot.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        hand: Hand,
        *,
        owner: str = "prod",
        state: str = "state",
        vms: Mapping[str, Any] | None = None,
        consul: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(folder, "", state)
        self.hand = hand
        self.owner = owner
        self.token = folder / f"token-{state}"
        self._url = url
        self._vms = vms or {"kind": "static", "files": ["vms.yaml"]}
        self._consul = consul or {}
        self._more = more

    @property
    def node(self) -> str:
        """What its node is called."""
        return f"registry-bridge-{self.owner}"

    def configure(self, text: str) -> None:
        super().configure(text)
        if not self.token.exists():
            self.token.write_text(ROOT)
        said = yaml.safe_load(self.config.read_text()) | {"owner": self.owner, **self._more}
        said["registries"] = [
            {"name": "vms", "removals": QUICK, **self._vms},
            {
                "name": "consul", "kind": "consul", "url": self._url, "token_file": str(self.token), "timeout": "4s",
                "import": {"namespace": "shop"}, "export": [{"services": ["shop/*"], "from": ["vms"], **LIMITS}],
                **self._consul,
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

    def forget(self) -> None:
        """Lose all that its state folder has but the name of its deployment."""
        for one in (self.folder / self.state).iterdir():
            if one.name != "deployment":
                one.unlink()

    async def addresses(self, service: str = "web") -> Counter[str]:
        """Every address of a service on its node, and how often it stands there."""
        found = await self.hand.get(f"catalog/service/{service}")
        return Counter(one["ServiceAddress"] for one in found if one["Node"] == self.node)

    async def until_holds(self, *addresses: str, service: str = "web") -> None:
        async def there() -> bool:
            return await self.addresses(service) == Counter(addresses)

        await until_async(there, f"{service} stands there as {addresses}")

    async def row(self) -> dict[str, Any]:
        """What the export does."""
        (found,) = [one for one in await self.rows("exports") if one["registry"] == "consul"]
        return found

    async def until_row(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(await self.row())
            return holds(found)

        await until_async(there, what)
        return found

    async def until_in_step(self) -> None:
        """Wait until it has seen everything that it wrote."""
        await self.until_row(lambda row: bool(row["state"] == "in step"), "it is in step")

    async def call(self, *arguments: str) -> tuple[int | None, str, str]:
        return await command(*arguments, "--config", str(self.config))


@asynccontextmanager
async def exporting(process: Exporter) -> AsyncIterator[Exporter]:
    """It runs, and is ready."""
    async with started(process):
        await process.until_ready()
        yield process
