"""A bridge over memory registries with its admin port, in this loop or in a thread of its own."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web

from bridge.admin.api import admin, probes
from bridge.admin.metrics import Metrics
from bridge.admin.state import State
from bridge.app import App, listen
from bridge.config import Config, parse
from bridge.kit.settings import HostPort
from bridge.runtime.clock import SystemClock
from bridge.testing.memory import MemoryRegistry, MemorySettings
from bridge.testing.ports import free_port

ADAPTERS = {"memory": lambda: MemorySettings}


def config(folder: Path, names: tuple[str, ...], text: str = "", admin_port: int | None = None) -> Config:
    """A configuration of memory registries with these names."""
    registries = "".join(f"- {{name: {name}, kind: memory}}\n" for name in names)
    ports = (admin_port or free_port(), free_port())
    return parse(
        f"registries:\n{registries}admin: {{listen: '127.0.0.1:{ports[0]}'}}\nxds: {{listen: '127.0.0.1:{ports[1]}'}}\n"
        f"snapshot: {{path: state}}\nstart: {{wait: 500ms}}\n{text}",
        folder / "bridge.yaml",
        ADAPTERS,
    )


@contextmanager
def log_as_before() -> Iterator[None]:
    """Undo what is configured of the log meanwhile: it is of the whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


class Running:
    """A bridge that runs without its xDS port; what it reads is in `registries`."""

    def __init__(self, made: Config) -> None:
        self.config = made
        self.registries = {one.name: MemoryRegistry() for one in made.registries}
        MemorySettings.registries.update(self.registries)
        self.app = App(made, SystemClock(), ADAPTERS)
        self.state: State = self.app.state
        self.url = f"http://{made.root.admin.listen}"
        self.probes_url = ""


@asynccontextmanager
async def running(made: Config) -> AsyncIterator[Running]:
    """The engine, the admin port and the probes port, until the context ends."""
    bridge = Running(made)
    metrics = Metrics(bridge.state)
    probing = HostPort("127.0.0.1", free_port())
    bridge.probes_url = f"http://{probing}"
    applications = (
        (made.root.admin.listen, admin(bridge.state, metrics, made.root.admin.listen.host)),
        (probing, probes(bridge.state, metrics)),
    )
    runners = [(where, web.AppRunner(application, access_log=None)) for where, application in applications]
    engine = asyncio.create_task(bridge.state.engine.run(), name="engine")
    try:
        for where, runner in runners:
            await runner.setup()
            await listen(runner, where, "admin.listen")
        yield bridge
    finally:
        for _, runner in runners:
            await runner.cleanup()
        engine.cancel()
        with suppress(asyncio.CancelledError):
            await engine


async def until(holds: Callable[[], bool], what: str, patience: float = 90.0) -> None:
    """Wait until something holds."""
    deadline = asyncio.get_running_loop().time() + patience
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"waited for: {what}"
        await asyncio.sleep(0.005)


class Threaded:
    """A running bridge in a thread, for commands that block; use as `with`."""

    def __init__(self, made: Config) -> None:
        self._made = made
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.bridge: Running

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(90)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(90)
        assert not self._thread.is_alive()

    def do(self, what: Callable[[Running], None], then: Callable[[Running], bool], why: str) -> None:
        """Do something in the bridge's own thread, and return when what it should lead to is there."""

        async def act() -> None:
            what(self.bridge)
            await until(lambda: then(self.bridge), why)

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(120)

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        async with running(self._made) as self.bridge:
            self._up.set()
            await self._stop.wait()
