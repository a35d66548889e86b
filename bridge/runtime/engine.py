"""The wiring of what moves: intakes to settle, merge and publish, and on to outlets; start and counts around it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from bridge.adapter import Problem, Recalling, Sink, Source, Target
from bridge.exports import Export
from bridge.guard import Removals
from bridge.kit import Clock
from bridge.kit.mark import Mark
from bridge.merge import Catalog, Input, Inputs, merge
from bridge.model import Services, SourceName
from bridge.runtime.checker import Active
from bridge.runtime.clock import Alarm
from bridge.runtime.decisions import Decisions
from bridge.runtime.election import Alone, Elector, Leadership
from bridge.runtime.exported import Exported
from bridge.runtime.garbage import Garbage
from bridge.runtime.intake import Intake
from bridge.runtime.keep import Keeper
from bridge.runtime.latest import Latest
from bridge.runtime.lookup import Lookup, SystemLookup
from bridge.runtime.outlet import Outlet
from bridge.runtime.probe import Probe, connects
from bridge.runtime.rate import Rate
from bridge.runtime.reading import Reading
from bridge.runtime.settle import Settle
from bridge.runtime.shelf import shelf
from bridge.runtime.snapshot import Snapshots, View
from bridge.screen import ScreenPolicy
from bridge.table import Table, changed

STALE = 60.0
"""Seconds after which a lost source has no opinion on health where a live one has (design.md, Health)."""

SOON = 2.0
"""Seconds for which the start waits for what operators decided before."""

LAG = 1.0
"""Seconds between two samples of how late the event loop is."""

_log = structlog.get_logger("bridge.engine")


@dataclass(frozen=True, slots=True)
class EngineSource:
    """One registry to read, opened, and what the operator says about it."""

    name: SourceName
    required: bool
    source: Source
    removals: Removals
    screen: ScreenPolicy
    checks: tuple[Active, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineExport:
    """One target to write, of a registry that is read too.

    `end`: everything that the owner has there is withdrawn, and a tombstone is left in the claim.
    """

    registry: SourceName
    sink: Sink
    export: Export
    rate: Rate
    mark: Mark
    end: bool = False


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Seconds, but `snapshot`: the folder of what outlives the process, None when nothing shall.

    `garbage`: whether the engine takes the collection of cycles in the process into its hand.
    """

    settle: float
    start_wait: float
    snapshot: Path | None
    max_age: float
    garbage: bool


@dataclass(slots=True)
class Counts:
    """Plain numbers for metrics; seconds are sums, each with the count beside it."""

    merges: int = 0
    merge_seconds: float = 0.0
    rounds: int = 0
    settle_seconds: float = 0.0  # from the first change of a round to the end of its publishing
    lag: float = 0.0  # the last sample, seconds
    lag_longest: float = 0.0


class Engine:
    """Reads every source, and publishes one catalog.

    `publish` is called in the event loop with each new catalog; it must be quick. `readings` are in the order of the
    configuration, which is their precedence.
    """

    def __init__(
        self,
        sources: Sequence[EngineSource],
        settings: EngineSettings,
        clock: Clock,
        publish: Callable[[Catalog], None],
        *,
        lookup: Lookup | None = None,
        probe: Probe = connects,
        exports: Sequence[EngineExport] = (),
        elector: Elector | None = None,
    ) -> None:
        """Touch nothing yet: `open` takes the folder, `run` reads. Whoever exports names an `elector`."""
        self._sources = tuple(sources)
        self._settings = settings
        self._clock = clock
        self._publish = publish
        self._lookup = lookup
        self._probe = probe
        self._keeper = Keeper(clock)
        self._settle = Settle(settings.settle, clock)
        self._stale = Alarm(clock)
        self._required = frozenset(one.name for one in sources if one.required)
        self._opened = clock.now()
        self._told: dict[SourceName, Input] = {}
        self._waited = False
        self._running = False
        self._previous: tuple[Inputs, Catalog] | None = None
        self._snapshots = Snapshots(settings.snapshot, clock, elector.lasting if isinstance(elector, Alone) else {})
        self._intakes: dict[SourceName, Intake] = {}
        self.decisions = Decisions(shelf(elector, settings.snapshot), clock)
        self.garbage = Garbage(clock)
        self.counts = Counts()
        self.readings: dict[SourceName, Latest[Reading]] = {
            one.name: Latest(Reading(one.name, clock.now())) for one in sources
        }
        self.catalog: Latest[Catalog] = Latest(merge(self._inputs(), None))
        self.leadership = Leadership(elector, clock) if elector is not None else None
        self._outlets: list[Outlet] = []
        if exports:
            if self.leadership is None:
                raise ValueError("who exports takes part in an election")
            self._outlets = [
                Outlet(
                    one.registry,
                    one.sink,
                    one.export,
                    mark=one.mark,
                    rate=one.rate,
                    end=one.end,
                    catalog=self.catalog,
                    readings=self.readings,
                    leadership=self.leadership,
                    decisions=self.decisions,
                    clock=clock,
                    keeper=self._keeper,
                )
                for one in exports
            ]
        self.exported: dict[tuple[SourceName, Target], Latest[Exported]] = {
            (one.registry, one.export.target): outlet.cell for one, outlet in zip(exports, self._outlets, strict=True)
        }

    def open(self) -> None:
        """Take the snapshot folder and read what is in it; ConfigError when another bridge has it."""
        if self._intakes:
            return
        self._snapshots.open()
        lookup = self._lookup or SystemLookup()
        for one in self._sources:
            snapshot = self._snapshots.read(one.name, one.screen)
            if snapshot is not None and isinstance(one.source, Recalling):
                one.source.recall(snapshot.services)
            self._intakes[one.name] = Intake(
                one.name,
                one.source,
                removals=one.removals,
                policy=one.screen,
                clock=self._clock,
                cell=self.readings[one.name],
                decisions=self.decisions,
                lookup=lookup,
                probe=self._probe,
                snapshot=snapshot,
                keeper=self._keeper,
                checks=one.checks,
            )
            self.readings[one.name].watch(self._read)

    async def run(self) -> None:
        """Read, merge, publish and write until cancelled.

        On the way out the writes under way come to their end before anything is closed, and the last view is written
        to the snapshot folder.
        """
        self.open()
        self._publish(self.catalog.value)
        await self.decisions.load(SOON)
        self._opened, self._running = self._clock.now(), True
        try:
            async with asyncio.TaskGroup() as group:
                keep = self._keeper.start
                keep(group, "merge", self._merging)
                keep(group, "start", self._starting)
                keep(group, "stale", self._staling)
                keep(group, "lag", self._sampling)
                keep(group, "decisions", self.decisions.run)
                keep(group, "snapshot", self._snapshotting)
                if self._settings.garbage:
                    keep(group, "garbage", self.garbage.run)
                if self.leadership is not None:
                    keep(group, "election", self.leadership.run)
                for intake in self._intakes.values():
                    intake.start(group)
                async with asyncio.TaskGroup() as writers:
                    for outlet in self._outlets:
                        outlet.start(writers)
        finally:
            self._running = False
            self._snapshots.write_now(self._to_keep())
            self._snapshots.close()

    def ready(self) -> bool:
        """Whether Envoys should come: every required source is in the published catalog, or `start.wait` is over."""
        return self._running and (self._waited or not self._required & self.catalog.value.waiting)

    def alive(self) -> bool:
        """Whether every task of the engine runs or has a fair chance to; it never depends on a registry."""
        return self._keeper.alive()

    def restarts(self) -> int:
        """How often a task died and was started again."""
        return self._keeper.restarts

    def ailing(self) -> list[str]:
        """The tasks for which `alive` is False, sorted."""
        return self._keeper.hopeless()

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the bridge itself rather than with a source: its folder, its decisions, its election."""
        election = self.leadership.problems() if self.leadership is not None else ()
        return (*self._snapshots.problems(), *self.decisions.problems(), *election)

    def _read(self, reading: Reading) -> None:
        """A reading changed: a round is due when the catalog could be another."""
        told, new = self._told.get(reading.source), self._input(reading)
        if told is None or told.services is not new.services or (told.seen, told.stale) != (new.seen, new.stale):
            self._settle.touch()
        if reading.lost is not None and not new.stale:
            self._arm()

    def _input(self, reading: Reading) -> Input:
        services = reading.services
        stale = reading.lost is not None and self._clock.now() >= reading.lost + STALE
        return Input(reading.source, _NONE if services is None else services, reading.seen, stale)

    def _inputs(self) -> Inputs:
        return Inputs(tuple(self._input(cell.value) for cell in self.readings.values()))

    async def _merging(self) -> None:
        """Publish a catalog a round; after an error the next one is made from nothing that was before."""
        while True:
            since = await self._settle.due()
            inputs, started = self._inputs(), time.perf_counter()
            previous, self._previous = self._previous, None
            try:
                catalog = merge(inputs, previous)
                self._told = {one.source: one for one in inputs.sources}
                self.counts.merges += 1
                self.counts.merge_seconds += time.perf_counter() - started
                told = previous[1] if previous else None
                if told is None or catalog.services is not told.services or catalog.waiting != told.waiting:
                    self._tell(catalog)
            except BaseException:
                self._settle.touch()
                raise
            self._previous = inputs, catalog
            self.counts.rounds += 1
            self.counts.settle_seconds += self._clock.now() - since

    def _tell(self, catalog: Catalog) -> None:
        touched = len(changed(self.catalog.value.services, catalog.services))
        self._publish(catalog)
        self.catalog.set(catalog)
        self.garbage.grew(touched)

    async def _starting(self) -> None:
        """At the end of `start.wait` snapshots speak for those that have not."""
        await self._clock.sleep(self._settings.start_wait - (self._clock.now() - self._opened))
        for intake in self._intakes.values():
            intake.stand_in(self._settings.max_age)
        self._waited = True
        await _for_ever()

    def _arm(self) -> None:
        now = self._clock.now()
        moments = [cell.value.lost + STALE for cell in self.readings.values() if cell.value.lost is not None]
        self._stale.set(min((moment for moment in moments if moment > now), default=None))

    async def _staling(self) -> None:
        """Merge again at the moment when a lost source loses its say in health."""
        self._arm()
        while True:
            await self._stale.ring()
            self._settle.touch()
            self._arm()

    async def _sampling(self) -> None:
        while True:
            due = self._clock.now() + LAG
            await self._clock.sleep(LAG)
            self.counts.lag = max(0.0, self._clock.now() - due)
            self.counts.lag_longest = max(self.counts.lag_longest, self.counts.lag)

    async def _snapshotting(self) -> None:
        while True:
            await self._clock.sleep(self._snapshots.pause())
            await self._snapshots.write(self._to_keep())

    def _to_keep(self) -> list[View]:
        """What the snapshots should say: the view of each source that has synced, and when it was last the truth."""
        now, wall = self._clock.now(), self._clock.wall()
        readings = (cell.value for cell in self.readings.values())
        return [
            View(one.source, one.verdict.services, wall if one.lost is None else wall - (now - one.lost))
            for one in readings
            if one.verdict is not None
        ]


_NONE: Services = Table()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
