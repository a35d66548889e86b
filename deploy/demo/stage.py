"""What runs in the demo: processes that are started, waited for and ended by their id."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from bridge.testing.envoy import fetch

HERE = Path(__file__).parent
PAYMENTS = tuple(f"127.0.10.{number}:18181" for number in range(1, 5))
LEDGER = tuple(f"127.0.20.{number}:18181" for number in range(1, 3))
ADMIN, XDS, FRONT, ENVOY = "127.0.0.1:18080", "127.0.0.1:18000", "127.0.0.1:10000", "127.0.0.1:19000"


class StageError(Exception):
    """The demo cannot go on; the message says why and what to do."""


class Stage:
    """The six sample servers, the bridge and Envoy, with a folder of their own for files that may be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))

    async def __aenter__(self) -> Self:
        for name in ("bridge.yaml", "vms.yaml", "targets.json"):
            shutil.copy(HERE / name, self.folder / name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.http.close()
        await asyncio.gather(*(self.end(name) for name in list(self.processes)))

    async def raise_curtain(self) -> None:
        """Start everything, and return when Envoy answers for both services."""
        free([*PAYMENTS, *LEDGER, ADMIN, XDS, FRONT, ENVOY])
        envoy = await asyncio.to_thread(fetch, HERE.parent / "envoy" / "newest.lock", print)
        for instance in (*PAYMENTS, *LEDGER):
            await self.start(instance, sys.executable, "-m", "deploy.demo.sample", *instance.split(":"))
        await self.start_bridge()
        await self._write_bootstrap()
        await self.start(
            "envoy",
            str(envoy),
            "-c",
            str(self.folder / "envoy.yaml"),
            "--use-dynamic-base-id",
            "--concurrency",
            "1",
            "-l",
            "warning",
        )
        await self.until("Envoy answers for shop/payments", lambda: self._answers("shop/payments"))
        await self.until("Envoy answers for shop/ledger", lambda: self._answers("shop/ledger"))

    async def start_bridge(self) -> None:
        """Start the bridge, and return when it is ready."""
        await self.start(
            "bridge",
            str(Path(sys.executable).with_name("registry-bridge")),
            "run",
            "--config",
            str(self.folder / "bridge.yaml"),
        )
        await self.until("the bridge is ready", self._ready)

    async def _write_bootstrap(self) -> None:
        command = Path(sys.executable).with_name("registry-bridge")
        process = await asyncio.create_subprocess_exec(
            str(command),
            "envoy-bootstrap",
            "--config",
            str(self.folder / "bridge.yaml"),
            "--listen",
            FRONT,
            "--envoy-admin",
            ENVOY,
            stdout=asyncio.subprocess.PIPE,
        )
        text, _ = await process.communicate()
        if process.returncode:
            raise StageError(f"registry-bridge envoy-bootstrap ended with {process.returncode}")
        (self.folder / "envoy.yaml").write_bytes(text)

    async def start(self, name: str, *command: str) -> None:
        """Start a process whose words go into `NAME.log` of the folder."""
        with self.log(name).open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *command,
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"COLUMNS": "200"},
            )

    def log(self, name: str) -> Path:
        return self.folder / f"{name.replace(':', '-')}.log"

    async def end(self, name: str) -> None:
        """End a process that was started here: politely, after ten seconds for good."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], patience: float = 30) -> None:
        """Wait until something holds; StageError with the last words of what died when it does not."""
        deadline = asyncio.get_running_loop().time() + patience
        while not await holds():
            dead = next((name for name, process in self.processes.items() if process.returncode is not None), None)
            if dead or asyncio.get_running_loop().time() > deadline:
                words = self.log(dead or "bridge").read_text("utf-8", "replace")[-2000:]
                raise StageError(
                    f"waited for: {what}; {f'{dead} ended' if dead else f'{patience:g} s are over'}:\n{words}"
                )
            await asyncio.sleep(0.02)

    async def _ready(self) -> bool:
        return await self._status(f"http://{ADMIN}/readyz") == 200

    async def _answers(self, service: str) -> bool:
        return await self._status(f"http://{FRONT}/", {"x-service": service}) == 200

    async def _status(self, url: str, headers: dict[str, str] | None = None) -> int | None:
        try:
            async with self.http.get(url, headers=headers) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def clusters(self, service: str) -> set[str]:
        """The endpoints that Envoy has for a service, by its own admin port."""
        async with self.http.get(f"http://{ENVOY}/clusters?format=json") as response:
            body = await response.json(content_type=None)
        found: set[str] = set()
        for cluster in body.get("cluster_statuses", []):
            if cluster["name"] == service:
                for host in cluster.get("host_statuses", []):
                    address = host["address"]["socket_address"]
                    found.add(f"{address['address']}:{address['port_value']}")
        return found

    def targets(self) -> set[str]:
        """The endpoints that the written file has for Prometheus."""
        path = self.folder / "prometheus.json"
        groups = json.loads(path.read_text("utf-8")) if path.exists() else []
        return {target for group in groups for target in group["targets"]}

    def addresses(self) -> set[str]:
        """The addresses that the written hosts file has."""
        path = self.folder / "hosts"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return {line.split()[0] for line in lines if not line.startswith("#")}

    def write(self, name: str, text: str) -> None:
        """Replace a file as an editor does: a new file, renamed over the old one."""
        fresh = self.folder / f".{name}.new"
        fresh.write_text(text, "utf-8")
        fresh.replace(self.folder / name)


def free(addresses: list[str]) -> None:
    """StageError when another process listens where the demo wants to."""
    for text in addresses:
        address, _, port = text.rpartition(":")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, int(port)))
            except OSError as error:
                raise StageError(
                    f"{text}: {error.strerror}; end what listens there (ss -ltnp | grep {port}) and try again"
                ) from error
