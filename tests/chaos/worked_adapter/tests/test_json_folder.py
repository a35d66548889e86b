"""The adapter keeps every promise of the contract."""

import json
import os
from collections.abc import Hashable
from pathlib import Path

import pytest
from json_folder import words
from json_folder.registry import Folder
from json_folder.settings import Settings

from bridge.adapter import Record
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench, Claiming, Fitting, Package, Reading, Writing, cannot


class FolderBench(Bench):
    """The folder, as an operator and a broken disk handle it."""

    package = "json_folder"
    settings = Settings
    fences = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.away = folder.with_name("away")
        folder.mkdir()

    def open(self, mark: Mark | None = None) -> Folder:
        settings = {"name": "vms", "kind": "json-folder", "folder": str(self.folder), "poll": "20ms"}
        return Settings.model_validate(settings).open(Kit("vms", SystemClock(), mark))

    async def put(self, *services: Service) -> None:
        for one in services:
            self._write(one.name, b'{"endpoints": ' + words.encode(one.endpoints) + b"}")

    async def drop(self, *names: ServiceName) -> None:
        for name in names:
            self._path(name).unlink()

    async def garbage(self, name: ServiceName) -> None:
        self._write(name, b'{"endpoints": [{"address": "10.0.0.1", "ports": {"http": 99999}}]}')

    async def lose(self) -> None:
        self.folder.rename(self.away)

    async def deny(self) -> None:
        if os.geteuid() == 0:
            cannot("root may read everything")
        self.folder.chmod(0)

    async def heal(self) -> None:
        if self.away.exists():
            self.away.rename(self.folder)
        self.folder.chmod(0o755)

    def odd(self) -> Service:
        return Service(ServiceName("shop", "dns"), (Endpoint("10.0.0.1", (Port("dns", 53, "UDP"), Port("http", 80))),))

    async def take(self, mark: Mark, service: Service) -> None:
        await self.put(service)

    async def edit(self, mark: Mark, record: Record) -> None:
        value = json.loads((self.folder / record.key).read_text())
        value["endpoints"].pop()
        self._replace(self.folder / record.key, json.dumps(value).encode())

    async def erase(self, mark: Mark, record: Record) -> None:
        (self.folder / record.key).unlink()

    def foreign(self) -> Hashable:
        them = {path.name: path.read_bytes() for path in sorted(self.folder.glob("[!.]*.json"))}
        return tuple((name, data) for name, data in them.items() if b"owner=" not in data)

    def _path(self, name: ServiceName) -> Path:
        return self.folder / f"{name.namespace}.{name.name}.json"

    def _write(self, name: ServiceName, data: bytes) -> None:
        self._replace(self._path(name), data)

    def _replace(self, path: Path, data: bytes) -> None:
        aside = path.with_suffix(".new")
        aside.write_bytes(data)
        aside.replace(path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return FolderBench(tmp_path / "services")


class TestReading(Reading): ...


class TestFitting(Fitting): ...


class TestWriting(Writing): ...


class TestClaiming(Claiming): ...


class TestPackage(Package): ...
