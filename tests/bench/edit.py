"""A lone edit of an inventory, by atomic rename, until somebody has it: an xDS client, and real Envoys.

The time begins with the rename. An Envoy is asked over and over until it shows the new endpoint, so its times hold
the asking too; what one asking costs is measured beside it, and the xDS client's time holds none.
"""

import asyncio
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bridge.testing.envoy import EnvoyProcess, fetch
from bridge.testing.ports import free_port
from bridge.testing.xds import EDS, XdsClient
from bridge.xds.bootstrap import bootstrap
from tests.bench.client import spread
from tests.bench.report import Row, middle

LOCK = Path(__file__).parents[2] / "deploy" / "envoy" / "newest.lock"
WATCHED = 20
"""Clusters of the Envoy that is asked for its whole page: as many as one service of a company may depend on."""

Say = Callable[[str], None]
Appears = Callable[[str, str], Awaitable[None]]
"""Returns when `address` is seen in `service`."""


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

    def add(self, service: str) -> tuple[str, int]:
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


@asynccontextmanager
async def bridge(folder: Path, xds: int) -> AsyncIterator[None]:
    """The whole bridge, from its command line, ready."""
    admin = free_port()
    config = folder / "bridge.yaml"
    config.write_text(
        json.dumps(
            {
                "registries": [{"name": "vms", "kind": "static", "files": ["inventory/*.yaml"]}],
                "xds": {"listen": f"127.0.0.1:{xds}"},
                "admin": {"listen": f"127.0.0.1:{admin}"},
                "snapshot": {"path": "state"},
                "log": {"level": "warning"},
            }
        )
    )
    command = Path(sys.executable).with_name("registry-bridge")
    with (folder / "bridge.log").open("w") as log:
        process = subprocess.Popen([command, "run", "--config", config], stdout=log, stderr=log)
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(60):
            while not (await _ready(http, f"http://127.0.0.1:{admin}/readyz") and _listens(xds)):
                if process.poll() is not None:
                    raise RuntimeError(f"the bridge ended: {(folder / 'bridge.log').read_text()}")
                await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()


async def _ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def edits(inventory: Inventory, services: Sequence[str], count: int, appears: Appears) -> list[int]:
    """Make lone edits and time each, in nanoseconds."""
    times = []
    choose = random.Random(1)
    for _ in range(count):
        await asyncio.sleep(0.3 + choose.random() * 0.1)  # lone: what gathers changes has come to rest
        service = choose.choice(services)
        address, at = inventory.add(service)
        async with asyncio.timeout(30):
            await appears(service, address)
        times.append(time.monotonic_ns() - at)
    return times


async def _asked(envoy: EnvoyProcess, path: str, wanted: bytes | None = None) -> tuple[bool, float]:
    """Ask an admin page once: whether it shows `wanted`, and how long that took in milliseconds."""
    begun = time.monotonic_ns()
    text = await envoy.get(path)
    return wanted is None or wanted.decode() in text, (time.monotonic_ns() - begun) / 1e6


async def _cost(envoy: EnvoyProcess, path: str) -> float:
    """What asking a page costs, in milliseconds: the median of ten."""
    return middle([(await _asked(envoy, path))[1] for _ in range(10)])


async def through_client(inventory: Inventory, xds: int, services: Sequence[str], count: int) -> list[int]:
    """To a client of our own that subscribes to the services, in delta on ADS."""
    async with XdsClient(f"127.0.0.1:{xds}", delta=True) as client:
        await client.ask(EDS, *services)
        await client.until(lambda: len(client.have()) == len(services))

        async def appears(service: str, address: str) -> None:
            await client.until(lambda: f"{address}:8080" in client.hosts(service))

        return await edits(inventory, services, count, appears)


async def through_envoy(
    inventory: Inventory, xds: int, services: Sequence[str], count: int, *, folder: Path, everything: bool, say: Say
) -> tuple[list[int], dict[str, Any]]:
    """To an Envoy: one with the clusters of `services` alone, asked for `/clusters`; or one with every cluster,
    asked for the one assignment (its page of all clusters takes longer than the change)."""
    binary = await asyncio.to_thread(fetch, LOCK, say)
    admin = ("127.0.0.1", free_port())
    made = bootstrap(
        "ads" if everything else "eds",
        ("127.0.0.1", xds),
        clusters=() if everything else services,
        listen=("127.0.0.1", free_port()),
        admin=admin,
    )
    folder.mkdir()
    async with EnvoyProcess(binary, made, folder) as envoy:
        async with asyncio.timeout(60):
            while not await envoy.live():
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)

        def page(service: str) -> str:
            if not everything:
                return "/clusters"
            return f"/config_dump?include_eds&resource=dynamic_endpoint_configs&name_regex=^{service}$"

        async def appears(service: str, address: str) -> None:
            while not (await _asked(envoy, page(service), address.encode()))[0]:
                pass

        times = await edits(inventory, services, count, appears)
        page_ms = await _cost(envoy, page(services[0]))
        clusters_ms = await _cost(envoy, "/clusters")
        return times, {"one asking ms": page_ms, "/clusters ms": clusters_ms}


def _row(case: str, subject: str, times: Sequence[int], more: dict[str, Any]) -> Row:
    measured = spread(times)
    figures = {
        "p50 ms": middle([measured["p50"]]),
        "p99 ms": middle([measured["p99"]]),
        "max ms": middle([measured["max"]]),
        "edits": len(times),
        **more,
    }
    return Row("W1-file", case, subject, figures, [{"times_ms": [time / 1e6 for time in times], **more}])


async def measure(quick: bool, say: Say) -> list[Row]:
    services, files, endpoints, count = (50, 5, 4, 5) if quick else (1_000, 10, 4, 100)
    names = [f"bench/s{number:05d}" for number in range(services)]
    watched = names[:: max(1, services // WATCHED)]
    case = f"{services:,} services in {files} files"
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        (folder / "inventory").mkdir()
        inventory = Inventory(folder / "inventory", services, files, endpoints)
        xds = free_port()
        async with bridge(folder, xds):
            say(f"W1-file: {count} edits → an xDS client")
            times = await through_client(inventory, xds, watched, count)
            rows = [_row(case, "xDS client", times, {})]
            for everything, subject in (
                (False, f"Envoy, {len(watched)} clusters, /clusters"),
                (True, f"Envoy, {services:,} clusters, /config_dump of one"),
            ):
                say(f"W1-file: {count} edits → {subject}")
                times, more = await through_envoy(
                    inventory, xds, watched, count, folder=folder / f"envoy{everything}", everything=everything, say=say
                )
                rows.append(_row(case, subject, times, more))
    return rows


def w1(quick: bool, runs: int, say: Say) -> list[Row]:
    """A hundred lone edits for each reader; they are their own rounds, whatever `runs` says."""
    return asyncio.run(measure(quick, say))
