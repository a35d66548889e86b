"""A lone edit of an inventory, by atomic rename, until somebody has it."""

import asyncio
import itertools
import os
import tempfile
import time
from pathlib import Path

from bridge.testing.ports import free_port
from tests.bench.lone import Case, Say, bridge, readers
from tests.bench.report import Row


class Inventory:
    """Some services over some files, and edits that each add one endpoint to one service."""

    def __init__(self, folder: Path, services: int, files: int, endpoints: int) -> None:
        self._folder = folder
        self._files: list[dict[str, list[str]]] = [{} for _ in range(files)]
        self._next = itertools.count()
        for number in range(services):
            self._files[number % files][f"bench/s{number:05d}"] = [self._address() for _ in range(endpoints)]
        for number in range(files):
            self._path(number).write_text(self._text(number))

    def _address(self) -> str:
        number = next(self._next)
        return f"10.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"

    def _path(self, number: int) -> Path:
        return self._folder / f"part{number}.yaml"

    def _text(self, number: int) -> str:
        lines = ["services:"]
        for name, addresses in self._files[number].items():
            lines += [f"  - name: {name}", "    ports: {http: 8080}", "    endpoints:"]
            lines += [f"      - {address}" for address in addresses]
        return "\n".join(lines) + "\n"

    async def add(self, service: str) -> tuple[str, int]:
        """Add an endpoint: its address, and the moment of the rename in monotonic nanoseconds."""
        number = next(n for n, services in enumerate(self._files) if service in services)
        address = self._address()
        self._files[number][service].append(address)
        written = self._folder / "next.tmp"
        with written.open("w") as file:
            file.write(self._text(number))
            file.flush()
            os.fsync(file.fileno())
        at = time.monotonic_ns()
        written.replace(self._path(number))
        return address, at


async def measure(quick: bool, say: Say) -> list[Row]:
    services, files, endpoints, count = (50, 5, 4, 5) if quick else (1_000, 10, 4, 100)
    names = [f"bench/s{number:05d}" for number in range(services)]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        (folder / "inventory").mkdir()
        inventory = Inventory(folder / "inventory", services, files, endpoints)
        xds = free_port()
        registry = {"name": "vms", "kind": "static", "files": ["inventory/*.yaml"]}
        async with bridge(folder, xds, registry):
            case = Case("W1-file", f"{services:,} services in {files} files", names, count)
            return await readers(case, inventory.add, xds, folder, say)


def w1(quick: bool, runs: int, say: Say) -> list[Row]:
    """A hundred lone edits for each reader; they are their own rounds, whatever `runs` says."""
    return asyncio.run(measure(quick, say))
