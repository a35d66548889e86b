"""The bench of the static adapter: inventory files in a folder."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from adapters.static.settings import Settings
from bridge.adapter import Record, Source, Target
from bridge.kit import Kit, files
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench


class StaticBench(Bench):
    """One inventory of the operator's, and beside it a file for each bridge that writes, all in one layout."""

    patience = 90.0
    package = "adapters.static"
    settings = Settings
    fences = True

    def __init__(self, folder: Path, form: str = "native", suffix: str = ".yaml") -> None:
        self.folder = folder / "inventories"
        self.folder.mkdir()
        self._form = form
        self._suffix = suffix
        self._away = folder / "away"
        self._services: dict[ServiceName, Service] = {}
        self._more: list[dict[str, Any]] = []
        self._write()

    def open(self, mark: Mark | None = None) -> Source:
        said: dict[str, object] = {"name": "vms", "kind": "static", "files": [f"{self.folder}/*"]}
        if mark is not None:
            export = {"file": self.target(mark), "format": self._form, "services": ["*"], "from": ["k8s"]}
            said["export"] = [export]
        return Settings.model_validate(said).open(Kit("vms", SystemClock(), mark))

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
        self.folder.rename(self._away)

    async def heal(self) -> None:
        self._away.rename(self.folder)

    def target(self, mark: Mark) -> Target:
        owner = mark.former[0] if mark.former else mark.owner
        return Target(f"{self.folder}/written-by-{owner}{self._suffix}")

    def written_as(self, service: Service) -> Service:
        """A hosts file has room for addresses and ports, and through whom they came."""
        if self._form != "hosts":
            return service
        return Service.of(service.name, [Endpoint(one.address, one.ports, via=one.via) for one in service.endpoints])

    def odd(self) -> Service:
        return Service(ServiceName("shop", "dns"), (Endpoint("10.0.0.1", (Port("\n", 53),)),))

    async def take(self, mark: Mark, service: Service) -> None:
        files.replace(Path(self.target(mark)), [b'{"services": []}'])

    async def edit(self, mark: Mark, record: Record) -> None:
        path = Path(self.target(mark))
        files.replace(path, [path.read_bytes().replace(b"10.20.0.3", b"10.20.0.33")])

    async def erase(self, mark: Mark, record: Record) -> None:
        Path(self.target(mark)).unlink()

    def foreign(self) -> Hashable:
        them = {path.name: path.read_bytes() for path in sorted(self.folder.glob("[!.]*"))}
        return tuple((name, data) for name, data in them.items() if b"registry-bridge/" not in data)

    def _write(self) -> None:
        them = [_service(self._services[name]) for name in sorted(self._services)]
        files.replace(self.folder / "vms.yaml", [json.dumps({"services": them + self._more}, indent=1).encode()])


def _service(one: Service) -> dict[str, Any]:
    return {"name": str(one.name), "endpoints": [_endpoint(each) for each in one.endpoints]}


def _endpoint(one: Endpoint) -> dict[str, Any]:
    return {"address": one.address, "ports": {port.name: port.number for port in one.ports}}
