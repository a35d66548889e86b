"""A lone change in a registry until somebody has it: an xDS client, and real Envoys.

The time begins with the change. An Envoy is asked over and over until it shows the new endpoint, so its times hold
the asking too; what one asking costs is measured beside it, and the xDS client's time holds none.
"""

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

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

REST = 0.3
"""Seconds between two changes at least, so that each is lone: what gathers changes has come to rest."""

Say = Callable[[str], None]
Change = Callable[[str], Awaitable[tuple[str, int]]]
"""Adds an endpoint to a service: its address, and when, in monotonic nanoseconds."""
Appears = Callable[[str, str], Awaitable[None]]
"""Returns when `address` is seen in `service`."""


@asynccontextmanager
async def bridge(folder: Path, xds: int, *registries: dict[str, Any], owner: str = "") -> AsyncIterator[int]:
    """The whole bridge, from its command line, ready; the id of its process."""
    admin = free_port()
    config = folder / "bridge.yaml"
    config.write_text(
        json.dumps(
            {
                **({"owner": owner} if owner else {}),
                "registries": registries,
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
        yield process.pid
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


async def changes(make: Change, services: Sequence[str], count: int, appears: Appears) -> list[int]:
    """Make lone changes and time each, in nanoseconds."""
    times = []
    choose = random.Random(1)
    for _ in range(count):
        await asyncio.sleep(REST + choose.random() * 0.1)
        service = choose.choice(services)
        address, at = await make(service)
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


class Case(NamedTuple):
    """What is measured: how many changes of which services, under which name and circumstances."""

    scenario: str
    about: str
    services: Sequence[str]
    changes: int


async def readers(case: Case, make: Change, xds: int, folder: Path, say: Say) -> list[Row]:
    """The changes as a client of our own has them, and as two Envoys have them that ask the bridge at `xds`."""
    watched = case.services[:: max(1, len(case.services) // WATCHED)]
    say(f"{case.scenario}: {case.changes} changes → an xDS client")
    rows = [_row(case, "xDS client", await through_client(make, xds, watched, case), {})]
    for everything, subject in (
        (False, f"Envoy, {len(watched)} clusters, /clusters"),
        (True, f"Envoy, {len(case.services):,} clusters, /config_dump of one"),
    ):
        say(f"{case.scenario}: {case.changes} changes → {subject}")
        times, more = await through_envoy(
            make, xds, watched, case, folder=folder / f"envoy{everything}", everything=everything, say=say
        )
        rows.append(_row(case, subject, times, more))
    return rows


async def through_client(make: Change, xds: int, services: Sequence[str], case: Case) -> list[int]:
    """To a client of our own that subscribes to the services, in delta on ADS."""
    async with XdsClient(f"127.0.0.1:{xds}", delta=True) as client:
        await client.ask(EDS, *services)
        await client.until(lambda: len(client.have()) == len(services))

        async def appears(service: str, address: str) -> None:
            await client.until(lambda: f"{address}:8080" in client.hosts(service))

        return await changes(make, services, case.changes, appears)


async def through_envoy(
    make: Change, xds: int, services: Sequence[str], case: Case, *, folder: Path, everything: bool, say: Say
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

        times = await changes(make, services, case.changes, appears)
        page_ms = await _cost(envoy, page(services[0]))
        clusters_ms = await _cost(envoy, "/clusters")
        return times, {"one asking ms": page_ms, "/clusters ms": clusters_ms}


def _row(case: Case, subject: str, times: Sequence[int], more: dict[str, Any]) -> Row:
    measured = spread(times)
    figures = {
        "p50 ms": middle([measured["p50"]]),
        "p99 ms": middle([measured["p99"]]),
        "max ms": middle([measured["max"]]),
        "changes": len(times),
        **more,
    }
    return Row(case.scenario, case.about, subject, figures, [{"times_ms": [time / 1e6 for time in times], **more}])
