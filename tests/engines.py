"""The engine as tests run it: memory registries, a clock that stands still, nothing of the machine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from bridge.kit import Clock
from bridge.kit.address import Allow
from bridge.kit.names import EVERY_NAMESPACE, Namespaces
from bridge.merge import Catalog
from bridge.model import EndpointId, Health, SourceName
from bridge.runtime.checker import Active
from bridge.runtime.election import Elector
from bridge.runtime.engine import Engine, EngineExport, EngineSettings, EngineSource
from bridge.runtime.lookup import Answer, Lookup
from bridge.runtime.probe import Probe
from bridge.runtime.reading import Reading
from bridge.screen import Bounds, ScreenPolicy
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests.builders import name
from tests.guards import RULES

BOUNDS = Bounds(
    services=100_000, endpoints=10_000, ports=32, weight=65_535, pairs=32, key=64, value=256, metadata=4_096
)


def policy(
    *allow: str, allow_loopback: bool = False, namespaces: Iterable[str] | None = None, bounds: Bounds = BOUNDS
) -> ScreenPolicy:
    spaces = EVERY_NAMESPACE if namespaces is None else Namespaces.of(namespaces)
    return ScreenPolicy(Allow(allow) if allow else None, allow_loopback, spaces, bounds)


class Zone:
    """Names and their addresses, as a name server knows them; what is not there does not exist."""

    def __init__(self, clock: Clock, ttl: float = 30.0, **names: str) -> None:
        self.clock = clock
        self.ttl = ttl
        self.names = {key.replace("_", "."): value.split() for key, value in names.items()}
        self.broken = ""
        self.slow = 0.0
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Answer:
        self.asked.append(host)
        if self.slow:
            await self.clock.sleep(self.slow)
        if self.broken:
            return Answer(None, None, 0.0, self.broken)
        found = self.names.get(host, [])
        v4, v6 = (tuple(sorted(one for one in found if (":" in one) is six)) for six in (False, True))
        return Answer(v4, v6, self.ttl, "" if found else "there is no such name")


async def closed(endpoints: Iterable[EndpointId]) -> Mapping[EndpointId, bool | None]:
    """A probe from a machine that reaches nobody."""
    return dict.fromkeys(endpoints)


@dataclass
class Run:
    """A running engine and what it published."""

    engine: Engine
    clock: FakeClock
    task: asyncio.Task[None]
    published: list[Catalog]
    log: list[MutableMapping[str, Any]]

    @property
    def catalog(self) -> Catalog:
        return self.published[-1]

    def reading(self, source: str) -> Reading:
        return self.engine.readings[SourceName(source)].value

    def health(self, service: str) -> dict[str, Health | None]:
        """Of each endpoint, as published last."""
        merged = self.catalog.services.get(name(service))
        return {} if merged is None else {str(one.id): one.health for one in merged.endpoints()}

    def endpoints(self, service: str) -> list[str]:
        """As published last: `10.0.0.1:80`, with a `?` behind what is held."""
        merged = self.catalog.services.get(name(service))
        if merged is None:
            return []
        return sorted(f"{one.id}{'?' if one.held else ''}" for one in merged.endpoints())

    def events(self, *names: str) -> list[str]:
        """The log's events, all or those called so."""
        return [one["event"] for one in self.log if not names or one["event"] in names]

    def problems(self, source: str) -> list[str]:
        return [str(one) for one in self.reading(source).problems]


@asynccontextmanager
async def running(
    clock: FakeClock,
    folder: Path | None = None,
    *,
    lookup: Lookup | None = None,
    probe: Probe = closed,
    screen: ScreenPolicy | None = None,
    optional: Iterable[str] = (),
    settle: float = 0.1,
    publish: Callable[[Catalog], None] | None = None,
    exports: Sequence[EngineExport] = (),
    elector: Elector | None = None,
    checks: Sequence[Active] = (),
    **registries: MemoryRegistry,
) -> AsyncIterator[Run]:
    """An engine over `registries`, by name; those of `optional` are not required. `checks` are made in each."""
    published: list[Catalog] = []

    def publishes(catalog: Catalog) -> None:
        if publish is not None:
            publish(catalog)
        published.append(catalog)

    engine = Engine(
        [
            EngineSource(
                SourceName(each), each not in set(optional), registry, RULES, screen or policy(), tuple(checks)
            )
            for each, registry in registries.items()
        ],
        EngineSettings(settle=settle, start_wait=10, snapshot=folder, max_age=3600, garbage=False),
        clock,
        publishes,
        lookup=lookup or Zone(clock),
        probe=probe,
        exports=exports,
        elector=elector,
    )
    engine.open()
    with capture_logs() as log:
        task = asyncio.create_task(engine.run())
        await clock.idle()
        try:
            yield Run(engine, clock, task, published, log)
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process does."""
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.002)
