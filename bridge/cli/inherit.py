"""What hands registered in a registry is let go for records of ours, and goes one by one as a bridge writes these.

Nothing is written here but the leave to go: the bridge that writes there makes each change as it makes all others, and
ours stands in the moment in which the other is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from bridge.adapter import Heir, Stranger, Target
from bridge.app import exports, marked, opened
from bridge.cli import once
from bridge.config import Config
from bridge.errors import BridgeError, ConfigError, Denied
from bridge.exports import wants
from bridge.kit import Clock
from bridge.model import SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine, EngineExport

TICK = 1.0
"""Seconds between two looks at what is left."""

PATIENCE = 120.0
"""Seconds in which nothing more goes though a bridge writes: it hears of what was let go in the moment it was."""

_NOBODY = SourceName("")

_Place = tuple[SourceName, Target, str]


class Found(NamedTuple):
    """What a hand registered, and the target whose records take its place."""

    registry: SourceName
    target: Target
    stranger: Stranger


class Look(NamedTuple):
    """All of it, and why that is not whole: a line each."""

    found: tuple[Found, ...]
    wrong: tuple[str, ...]


class Inherited(NamedTuple):
    """What is left of what was let go, the places that were removed, and those that may not be, and what failed.

    `alone`: the targets to which no bridge wrote in the last minute, so that nothing goes there.
    """

    left: tuple[Found, ...]
    cleared: tuple[str, ...]
    empty: tuple[str, ...]
    alone: frozenset[tuple[SourceName, Target]]
    failed: tuple[str, ...]


def look(config: Config, places: Sequence[str], registries: Sequence[str]) -> Look:
    """What hands registered in the places of these names (globs); nothing is written."""
    return asyncio.run(_look(config, places, registries))


def inherit(config: Config, places: Sequence[str], registries: Sequence[str]) -> Inherited:
    """Let go what can go, wait for it while a bridge writes there, and remove the places that are left empty."""
    return asyncio.run(_inherit(config, places, registries))


async def _look(config: Config, places: Sequence[str], registries: Sequence[str]) -> Look:
    async with _world(config, registries) as world:
        return Look(await world.found(places), world.wrong)


async def _inherit(config: Config, places: Sequence[str], registries: Sequence[str]) -> Inherited:
    failed: list[str] = []
    empty: list[str] = []
    async with _world(config, registries) as world:
        goes = [one for one in await world.found(places) if not one.stranger.stays]
        for one in goes:
            if one.stranger.name and not one.stranger.yields:
                await world.let_go(one, failed)
        left = await world.wait([one for one in goes if one.stranger.name])
        cleared = [place for place in dict.fromkeys(map(_place, goes)) if await world.clear(place, empty, failed)]
        alone = frozenset((one.registry, one.export.target) for one in world.heirs if not world.is_written(one))
        removed = tuple(place for *_, place in cleared)
        return Inherited(left, removed, tuple(empty), alone, (*world.wrong, *failed))


class _World:
    """All registries, as they are read once; `heirs` are the targets that can take over what hands registered."""

    def __init__(self, engine: Engine, heirs: Sequence[EngineExport], seen: once.Seen, clock: Clock) -> None:
        self.heirs = heirs
        self.wrong = seen.wrong
        self._engine = engine
        self._seen = seen
        self._clock = clock

    async def found(self, places: Sequence[str]) -> tuple[Found, ...]:
        """Each once: where it goes for a record of ours, or else stays."""
        chosen: dict[tuple[SourceName, str, str], Found] = {}
        for one in self.heirs:
            wanted = wants(self._engine.catalog.value.services, one.export, _NOBODY, None)
            for it in await _heir(one).strangers(one.export.target, places, wanted):
                key, made = (one.registry, it.place, it.name), Found(one.registry, one.export.target, it)
                if not it.stays or key not in chosen:
                    chosen[key] = made
        return tuple(chosen[key] for key in sorted(chosen))

    async def let_go(self, one: Found, failed: list[str]) -> None:
        """Let it go for ours; what is in the way is added to what failed."""
        try:
            await _heir(self._of(one.registry, one.target)).let_go(one.target, one.stranger)
        except BridgeError as error:
            failed.append(f"{error}; say `adopt` again")

    async def clear(self, place: _Place, empty: list[str], failed: list[str]) -> bool:
        """Remove a place, if nothing is left there; what is in the way is added to what is empty, or failed."""
        registry, target, name = place
        try:
            return await _heir(self._of(registry, target)).clear(target, name)
        except Denied as error:
            empty.append(str(error))
        except BridgeError as error:
            failed.append(f"{error}; say `adopt` again")
        return False

    async def wait(self, goes: Sequence[Found]) -> tuple[Found, ...]:
        """What of it is left, when no more goes: at once where no bridge writes."""
        written = {(one.registry, one.export.target) for one in self.heirs if self.is_written(one)}
        moved, left = self._clock.now(), tuple(goes)
        while any((one.registry, one.target) in written for one in left) and self._clock.now() < moved + PATIENCE:
            await self._clock.sleep(TICK)
            names = [one.stranger.place for one in left]
            there = {(one.registry, one.stranger.place, one.stranger.name) for one in await self.found(names)}
            before, left = (
                left,
                tuple(one for one in left if (one.registry, one.stranger.place, one.stranger.name) in there),
            )
            moved = self._clock.now() if len(left) < len(before) else moved
        return left

    def is_written(self, one: EngineExport) -> bool:
        """Whether a bridge seems to write there at present."""
        claims = self._seen.claims.get((one.registry, one.export.target), ())
        return any(claim.owner == one.mark.owner and once.fresh(claim, self._seen.wall) for claim in claims)

    def _of(self, registry: SourceName, target: Target) -> EngineExport:
        return next(one for one in self.heirs if (one.registry, one.export.target) == (registry, target))


@asynccontextmanager
async def _world(config: Config, registries: Sequence[str]) -> AsyncIterator[_World]:
    once.quiet()
    clock = SystemClock()
    names = once.targets(config, registries)
    mark = marked(config, once.ONLOOKER)
    sources = opened(config, clock, mark)
    written = exports(config, sources, mark)
    chosen = [one for one in written if one.registry in names and one.export.mode != "dry-run"]
    heirs = [one for one in chosen if isinstance(one.sink, Heir)]
    if not heirs:
        what = "is a registry in which hands register something, and is written"
        raise ConfigError(f"{config.path}: of {', '.join(names)} none {what}; a `mode: dry-run` takes nothing over")
    engine = Engine(sources, config.engine(None), clock, _nobody, exports=written, elector=once.Onlooker())
    async with once.running(engine):
        yield _World(engine, heirs, await once.whole(engine, clock, config.root.start.wait), clock)


def _heir(one: EngineExport) -> Heir:
    assert isinstance(one.sink, Heir)
    return one.sink


def _place(one: Found) -> _Place:
    return one.registry, one.target, one.stranger.place


def _nobody(_: object) -> None:
    """Nobody is told of the catalog."""
