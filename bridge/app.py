"""The whole bridge, wired: how it starts, takes over a new configuration, and stops."""

import asyncio
import errno
import platform
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from bridge import __version__
from bridge.adapter import Problem, Sink
from bridge.admin.api import admin, probes
from bridge.admin.journal import Journal
from bridge.admin.metrics import Metrics
from bridge.admin.shapes import About
from bridge.admin.state import Addresses, State
from bridge.config import Adapters, Config, load, may_fill, removals, screening
from bridge.errors import BridgeError, ConfigError
from bridge.kit import Clock, Kit
from bridge.kit.mark import Mark
from bridge.kit.settings import HostPort
from bridge.merge import Catalog
from bridge.model import SourceName
from bridge.runtime.checker import actives
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine, EngineExport, EngineSource
from bridge.runtime.exported import Exported
from bridge.runtime.keep import Keeper
from bridge.runtime.latest import Latest
from bridge.xds.names import Names
from bridge.xds.resources import Resources
from bridge.xds.server import Server

DRAIN = 5.0
"""Seconds between "not ready" and the end of the streams, in which load balancers look elsewhere."""

GRACE = 2.0
"""Seconds that streams have to end."""

FIRST = 1.0
"""Seconds for which the port stays closed while the first catalog is made: an Envoy that comes then gets it whole."""

POLL = 1.0
"""Seconds between two looks at the configuration file."""

PAUSE = 1.0
"""Seconds between two looks at what is wrong with an export."""

STEADY = 0.2
"""Seconds for which a changed configuration file must stay as it is, so that no half-written one is read."""

_log = structlog.get_logger("bridge")


def run(config: Config, adapters: Adapters | None = None, *, drain: float = DRAIN) -> None:
    """Run the bridge until SIGTERM or SIGINT; ConfigError when it cannot start as it is told to."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(App(config, SystemClock(), adapters, drain=drain).run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed (the extra `uvloop`)."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def opened(config: Config, clock: Clock, mark: Mark | None = None) -> list[EngineSource]:
    """Every registry of the configuration, in its order; nothing is read before it is observed.

    `mark` is what is put on records; without an `owner:` there is none, and nothing can be written.
    """
    return [
        EngineSource(
            name=SourceName(settings.name),
            required=settings.required,
            source=settings.open(Kit(settings.name, clock, mark)),
            removals=removals(settings),
            screen=screening(settings),
            checks=actives(settings.health),
        )
        for settings in config.registries
    ]


def exports(config: Config, sources: Sequence[EngineSource], mark: Mark | None) -> list[EngineExport]:
    """Every target that is written; ConfigError where a kind of registry can only be read."""
    sinks = {one.name: one.source for one in sources}
    kinds = {one.name: one.kind for one in config.registries}
    made = []
    for registry, export, rate in config.written():
        sink = sinks[registry]
        if mark is None or not isinstance(sink, Sink):
            raise ConfigError(
                f"{config.path}: {registry}: `export:` stands in a registry of kind {kinds[registry]}, "
                "which can only be read; remove it there"
            )
        made.append(EngineExport(registry, sink, export, rate, mark))
    return made


def marked(config: Config, deployment: str) -> Mark | None:
    """What is put on the records of this bridge, where its configuration names an owner."""
    return Mark(config.root.owner, deployment) if config.root.owner is not None else None


class App:
    """One running bridge."""

    def __init__(self, config: Config, clock: Clock, adapters: Adapters | None = None, *, drain: float = DRAIN) -> None:
        """Open nothing yet; ConfigError when certificates will not do or plain text would leave the machine."""
        self._config, self._clock, self._adapters, self._drain = config, clock, adapters, drain
        self._policies = config.policies()
        required = {SourceName(one.name): may_fill(one) for one in config.registries if one.required}
        names = Names(config.root.xds.names)
        self._resources = Resources(names, self._policies, required)
        self._server = Server(self._resources, config.server(), clock, platform.node())
        folder = config.state_folder()
        elector = config.elector(clock, folder) if config.elects else None
        mark = marked(config, elector.deployment) if elector is not None else None
        self._sources = opened(config, clock, mark)
        self._engine = Engine(
            self._sources,
            config.engine(folder),
            clock,
            self._publish,
            exports=exports(config, self._sources, mark),
            elector=elector,
        )
        self._keeper = Keeper(clock)
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._refused = ""  # what was wrong with the last new configuration
        self._seen = _stamp(config.path)
        root = config.root
        self.state = State(
            clock=clock,
            engine=self._engine,
            resources=self._resources,
            server=self._server,
            about={SourceName(one.name): About(one.kind, one.required) for one in config.registries},
            addresses=Addresses(
                str(root.xds.listen), str(root.admin.listen), str(root.probes.listen) if root.probes else ""
            ),
            config=str(config.path),
            version=__version__,
            started=clock.now(),
            names=names,
            policies=self._policies,
            keeper=self._keeper,
        )

    async def run(self) -> None:
        """Serve until told to stop; ConfigError when a port or the folder of snapshots cannot be had."""
        asyncio.get_running_loop().set_exception_handler(_unhandled)
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(_caught(self._signals))
                self._engine.open()
                await stack.enter_async_context(self._admin())
                stack.push_async_callback(self._server.stop, 0)
                group = await stack.enter_async_context(asyncio.TaskGroup())
                group.create_task(self._engine.run(), name="engine")
                for name in self._engine.readings:
                    self._keeper.start(group, f"{name}: journal", partial(self._journal, name))
                for written, cell in self._engine.exported.items():
                    place = " ".join(written).strip()
                    self._keeper.start(group, f"{place}: journal", partial(self._journal_of, cell))
                await self._first()
                await self._server.start()
                self.state.serving = True
                self._keeper.start(group, "configuration", self._follow)
                self._say_hello()
                await self._until_stopped()
                raise _StoppedError  # ends what runs in the group
        except* _StoppedError:
            _log.info("stopped")
        except* BridgeError as errors:
            raise _first_of(errors) from None

    # Start and stop.

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[None]:
        root, metrics = self._config.root, Metrics(self.state)
        runners = [(root.admin.listen, admin(self.state, metrics, root.admin.listen.host), "admin.listen")]
        if root.probes is not None:
            runners.append((root.probes.listen, probes(self.state, metrics), "probes.listen"))
        async with AsyncExitStack() as stack:
            for address, application, key in runners:
                runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await listen(runner, address, key)
            yield

    async def _first(self) -> None:
        """Until the first whole catalog is there, but no longer than FIRST."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST):
                async for catalog in self._engine.catalog.changes():
                    if self._engine.ready() and not catalog.waiting:
                        return

    def _say_hello(self) -> None:
        at = self.state.addresses
        root = self._config.root
        _log.info(
            "registry-bridge serves",
            version=__version__,
            config=self.state.config,
            xds=at.xds,
            admin=f"http://{at.admin}",
            **({"probes": f"http://{at.probes}"} if at.probes else {}),
            state=str(self._config.state_folder()),
            next="registry-bridge envoy-bootstrap > envoy.yaml; registry-bridge show endpoints",
        )
        if root.xds.insecure:
            _log.warning("xds speaks plain text", xds=at.xds, what="anyone who reaches it reads the endpoints")

    async def _until_stopped(self) -> None:
        """Until a signal to stop: not ready, then a while for load balancers to look elsewhere, then no more streams.

        A second signal ends the while.
        """
        while (number := await self._signals.get()) == signal.SIGHUP:
            for one in self._sources:
                one.source.refresh()
            self._reload("SIGHUP")
        self.state.stopping = True
        _log.info("stopping", signal=number.name, streams_end_in=self._drain)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain):
                while await self._signals.get() == signal.SIGHUP:
                    pass
        await self._server.stop(GRACE)

    # While it runs.

    def _publish(self, catalog: Catalog) -> None:
        self._server.publish(self._resources.publish(catalog))

    async def _journal(self, name: SourceName) -> None:
        journal = Journal()
        async for reading in self._engine.readings[name].changes():
            journal.read(reading)

    async def _journal_of(self, cell: Latest[Exported]) -> None:
        journal = Journal()
        async for exported in cell.changes():
            journal.wrote(exported)
            await self._clock.sleep(PAUSE)

    async def _follow(self) -> None:
        """Take over each new content of the configuration file."""
        while True:
            await self._clock.sleep(POLL)
            while (now := _stamp(self._config.path)) != self._seen:
                await self._clock.sleep(STEADY)
                if _stamp(self._config.path) == now:
                    self._reload("the file changed")

    def _reload(self, why: str) -> None:
        """Read the configuration again: traffic policy is taken over; what will not do leaves the old one in force."""
        self._seen = _stamp(self._config.path)
        try:
            config = load(self._config.path, self._adapters)
        except ConfigError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                lines = self._refused.split("\n")
                self.state.notes["config"] = tuple(
                    _note(line, "the old configuration stays in force") for line in lines
                )
                _log.error("new configuration refused", what=lines[0], more=len(lines) - 1, in_force="the old one")
            return
        self._refused = ""
        policies = config.policies(self._policies)
        changes = self._resources.reload(policies)
        self._policies = self.state.policies = policies
        self._server.publish(changes)
        differing = self._config.differs(config)
        self.state.notes["config"] = tuple(
            Problem("config", str(config.path), f"`{key}:` differs from what runs; restart the bridge to take it over")
            for key in differing
        )
        _log.info("configuration read again", why=why, streams_told=len(changes))
        if differing:
            _log.warning("restart to take over", keys=differing)


def _note(line: str, consequence: str) -> Problem:
    return Problem("config", line, consequence)


async def listen(runner: web.AppRunner, address: HostPort, key: str) -> None:
    """Have `runner` listen; ConfigError, by the `key` of the configuration, when it cannot."""
    try:
        await web.TCPSite(runner, address.host, address.port).start()
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                why = "is in use, perhaps by another bridge; stop that, or choose another port"
            case errno.EADDRNOTAVAIL:
                why = "is no address of this machine; choose one that is"
            case errno.EACCES:
                why = "may not be listened on by this user; choose a port above 1023"
            case _:
                why = f"cannot be listened on: {error.strerror or error}"
        raise ConfigError(f"{key}: {address} {why}") from None


def _stamp(path: Path) -> tuple[int, ...]:
    """What tells one content of a file from another; () while there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


@contextmanager
def _caught(signals: asyncio.Queue[signal.Signals]) -> Iterator[None]:
    """Put the signals that mean something into `signals` instead of dying of them."""
    loop, meant = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in meant:
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        yield
    finally:
        for number in meant:
            loop.remove_signal_handler(number)


def _unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What no task caught, as one event of the log."""
    _log.error("unhandled", what=context.get("message"), exc_info=context.get("exception"))


class _StoppedError(Exception):
    """The bridge has stopped as it was told to."""


def _first_of(group: BaseExceptionGroup[BridgeError]) -> BridgeError:
    """The first error of a group, which may be of groups."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
