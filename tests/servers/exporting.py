"""A bridge as a process that writes what VMs there are into another registry, and what an operator sees of it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

import yaml

from tests.chaos.test_app import Process, command, started, until_async

QUICK = {"gather": "100ms", "small": "100%", "source": "100%", "last": "60s"}
"""What a source is believed soon: nothing here is about the guard."""

PATIENT = {"wait": "60s"}
"""So long it waits for a registry at its start; a command waits no longer, and says then that it was not read."""

LIMITS = {"removals": {"at_once": "100%", "floor": 100_000}, "rate": {"per_second": 1000, "burst": 1000}}
"""As good as none: nothing here is about them."""


class Exporting(Process):
    """Its registries are `vms`, an inventory file, and the one called `registry`, which is written."""

    registry: ClassVar[str]
    namespace = "shop"
    """Of the services that are written."""

    def registries(self) -> list[dict[str, Any]]:
        """What the configuration says of them."""
        raise NotImplementedError

    def further(self) -> dict[str, Any]:
        """Further sections of the configuration."""
        return {}

    async def addresses(self, service: str = "web") -> Iterable[str]:
        """Every address of a service that stands there as ours, as often as it does."""
        raise NotImplementedError

    def configure(self, text: str) -> None:
        super().configure(text)
        said = yaml.safe_load(self.config.read_text()) | {"start": PATIENT} | self.further()
        self.config.write_text(yaml.safe_dump({**said, "registries": self.registries()}))

    def inventory(self, **services: Iterable[Any]) -> None:
        """Service to its endpoints; the ports are http:8080."""
        listed = [
            {"name": f"{self.namespace}/{name}", "ports": {"http": 8080}, "endpoints": list(endpoints)}
            for name, endpoints in services.items()
        ]
        self.write(yaml.safe_dump({"services": listed}))

    async def until_holds(self, *addresses: str, service: str = "web") -> None:
        async def there() -> bool:
            return Counter(await self.addresses(service)) == Counter(addresses)

        await until_async(there, f"{service} stands there as {addresses}")

    async def row(self) -> dict[str, Any]:
        """What the export does."""
        (found,) = [one for one in await self.rows("exports") if one["registry"] == self.registry]
        return found

    async def until_row(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(await self.row())
            return holds(found)

        await until_async(there, what)
        return found

    async def until_state(self, state: str) -> dict[str, Any]:
        return await self.until_row(lambda row: bool(row["state"] == state), f"the export is {state}")

    async def until_problem(self, kind: str, words: str) -> dict[str, Any]:
        """Wait for a problem of the kind with these words in it."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [one for one in await self.rows("problems") if one["kind"] == kind and words in one["what"]]
            return bool(found)

        await until_async(there, f"a problem {kind} about {words}")
        return found[0]

    async def call(self, *arguments: str) -> tuple[int | None, str, str]:
        return await command(*arguments, "--config", str(self.config))


Exporter = TypeVar("Exporter", bound=Exporting)


@asynccontextmanager
async def exporting(process: Exporter) -> AsyncIterator[Exporter]:
    """It runs, and is ready."""
    async with started(process):
        await process.until_ready()
        yield process
