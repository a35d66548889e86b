"""A bridge's own eyes over one registry: the adapter, the guard and the catalog, on the real clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.adapter import Source
from bridge.config import removals, screening
from bridge.kit import Kit
from bridge.kit.settings import RegistrySettings
from bridge.merge import Catalog
from bridge.model import Endpoint, SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine, EngineSettings, EngineSource
from bridge.runtime.reading import Reading
from tests.builders import name
from tests.engines import closed

PATIENCE = 100.0


class Observing:
    """What the bridge has read and believes."""

    def __init__(self, engine: Engine, source: Source, name: SourceName) -> None:
        self._engine = engine
        self._name = name
        self.refresh = source.refresh

    @property
    def reading(self) -> Reading:
        return self._engine.readings[self._name].value

    @property
    def problems(self) -> list[str]:
        return [str(one) for one in self.reading.problems]

    @property
    def unread(self) -> list[str]:
        return [one.why for one in self.reading.observation.unread] if self.reading.observation is not None else []

    @property
    def how(self) -> str:
        return self.reading.observation.how if self.reading.observation is not None else ""

    @property
    def catalog(self) -> Catalog:
        return self._engine.catalog.value

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """Those of `shop/SERVICE`, as they are served."""
        merged = self.catalog.services.get(name(f"shop/{service}"))
        return tuple(merged.endpoints()) if merged is not None else ()

    def served(self, service: str) -> list[str]:
        """`10.0.0.1:80`, with a `?` behind what is held."""
        return sorted(f"{one.id}{'?' if one.held else ''}" for one in self.endpoints(service))

    async def until(self, true: Callable[[], bool], within: float = PATIENCE) -> None:
        """Wait until it is so, with each reading and each catalog."""
        try:
            async with asyncio.timeout(within):
                while not true():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            told = f"lost: {self.reading.why or 'no'}; problems: {self.problems[:5]}; unread: {self.unread[:5]}"
            raise AssertionError(f"not within {within:g} s; {told}") from None


@asynccontextmanager
async def observing(
    made: RegistrySettings, *, garbage: bool = False, folder: Path | None = None
) -> AsyncIterator[Observing]:
    """Until the context ends; `garbage`: Python's is taken in hand, as a bridge that is a process of its own does.

    What outlives it is kept in `folder`.
    """
    clock, name = SystemClock(), SourceName(made.name)
    source = EngineSource(name, True, made.open(Kit(name, clock)), removals(made), screening(made))
    how = EngineSettings(settle=0.01, start_wait=10, snapshot=folder, max_age=3600, garbage=garbage)
    engine = Engine([source], how, clock, lambda _: None, probe=closed)
    engine.open()
    task = asyncio.create_task(engine.run())
    try:
        yield Observing(engine, source.source, name)
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
