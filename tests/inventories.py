"""The bench of the static adapter: inventory files in a folder."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from adapters.static.settings import Settings
from bridge.adapter import Source
from bridge.kit import Kit, files
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench


class StaticBench(Bench):
    """One inventory of the operator's."""

    patience = 20.0
    package = "adapters.static"
    settings = Settings

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "vms.yaml"
        self._services: dict[ServiceName, Service] = {}
        self._more: list[dict[str, Any]] = []
        self._write()

    def open(self, mark: Mark | None = None) -> Source:
        settings = Settings.model_validate({"name": "vms", "kind": "static", "files": [str(self.folder / "*.yaml")]})
        return settings.open(Kit("vms", SystemClock(), mark))

    async def put(self, *services: Service) -> None:
        self._services |= {one.name: one for one in services}
        self._write()

    async def drop(self, *names: ServiceName) -> None:
        for name in names:
            del self._services[name]
        self._write()

    async def garbage(self, name: ServiceName) -> None:
        """One line of many; where many are bad the file is none."""
        good: list[object] = [f"10.99.0.{number}" for number in range(1, 31)]
        self._more.append({"name": str(name), "port": 80, "endpoints": [*good, {"address": "10.99.1.1", "port": 0}]})
        self._write()

    async def lose(self) -> None:
        self.file.rename(self.folder / "vms.away")

    async def heal(self) -> None:
        (self.folder / "vms.away").rename(self.file)

    def foreign(self) -> Hashable:
        return self.file.read_bytes()

    def _write(self) -> None:
        them = [_service(self._services[name]) for name in sorted(self._services)]
        files.replace(self.file, [json.dumps({"services": them + self._more}, indent=1).encode()])


def _service(one: Service) -> dict[str, Any]:
    return {"name": str(one.name), "endpoints": [_endpoint(each) for each in one.endpoints]}


def _endpoint(one: Endpoint) -> dict[str, Any]:
    return {"address": one.address, "ports": {port.name: port.number for port in one.ports}}
