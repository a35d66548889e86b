"""What the registries of a configuration say now, read once without a running bridge."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.admin import shapes
from bridge.admin.explain import Telling, explain
from bridge.admin.log import configure
from bridge.admin.shapes import About
from bridge.app import opened
from bridge.config import Config
from bridge.merge import Catalog
from bridge.model import ServiceName, SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine
from bridge.runtime.keep import meanwhile
from bridge.runtime.reading import Reading
from bridge.xds.names import Names


@dataclass(frozen=True, slots=True)
class Look:
    """All sources at one moment, as `Client.get` would answer of a bridge that has just started."""

    config: Config
    catalog: Catalog
    readings: Sequence[Reading]
    now: float

    def get(self, kind: str, service: str, source: str) -> list[dict[str, Any]]:
        """The rows of services, endpoints, sources, problems, holds or streams."""
        match kind:
            case "services":
                return list(shapes.services(self.catalog, service))
            case "endpoints":
                return list(shapes.endpoints(self.catalog, self.readings, self.now, service, source))
            case "sources":
                about = {SourceName(one.name): About(one.kind, one.required) for one in self.config.registries}
                return [shapes.source(one, about[one.source], self.now) for one in self.readings]
            case "problems":
                return shapes.problems(self.readings)
            case _:
                return []

    def explain(self, name: ServiceName) -> dict[str, Any] | None:
        """As the API would, with nobody asking."""
        telling = Telling(Names(self.config.root.xds.names), self.config.policies(), lambda _: None, _nobody)
        return explain(name, self.readings, self.catalog, telling, self.now)


def _nobody(_: ServiceName) -> Mapping[str, tuple[int, str]]:
    return {}


def look(config: Config) -> Look:
    """Read every registry once, for at most `start.wait`; nothing is written, and the snapshot is not touched."""
    configure("console", "error")  # what is wrong is in the answer
    return asyncio.run(_look(config))


async def _look(config: Config) -> Look:
    clock = SystemClock()
    engine = Engine(opened(config, clock), config.engine(None), clock, lambda _: None)
    async with meanwhile(engine.run()) as running, meanwhile(_settled(engine)) as settled:
        await asyncio.wait((running, settled), timeout=config.root.start.wait, return_when=asyncio.FIRST_COMPLETED)
        readings = [cell.value for cell in engine.readings.values()]
        return Look(config, engine.catalog.value, readings, clock.now())


async def _settled(engine: Engine) -> None:
    """Until every source has been seen or is lost, and the catalog has it."""
    for cell in engine.readings.values():
        async for reading in cell.changes():
            if reading.observation is not None or reading.lost is not None:
                break
    seen = {cell.value.source for cell in engine.readings.values() if cell.value.observation is not None}
    async for catalog in engine.catalog.changes():
        told = {group.source for merged in catalog.services.values() for group in merged.groups}
        empty = {name for name, cell in engine.readings.items() if not cell.value.services}
        if seen <= told | empty:
            return
