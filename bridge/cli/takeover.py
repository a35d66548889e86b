"""Records that change hands: those of an owner that was renamed, and the end of a withdrawal.

What stands there is written again as it is, with the new mark; nothing is removed meanwhile, and nothing added.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from bridge.adapter import Claim, Held, Put, Sink, Target
from bridge.app import exports, opened
from bridge.cli import once, output
from bridge.config import Config
from bridge.errors import BridgeError, Conflict
from bridge.kit import Clock
from bridge.kit.mark import Mark
from bridge.model import SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine, EngineExport
from bridge.runtime.rate import Bucket


class Taken(NamedTuple):
    """What there was to take over in one target: records, and whether a tombstone stood there."""

    registry: SourceName
    target: Target
    records: int
    withdrawn: bool
    former: Claim | None = None  # of the owner that was before


class Took(NamedTuple):
    """What there was to take over, and where nothing could be: a line each."""

    taken: tuple[Taken, ...]
    failed: tuple[str, ...]


def look(config: Config, former: str, registries: tuple[str, ...]) -> Took:
    """What `former` (or, where that is "", we ourselves, withdrawn) left in each target; nothing is written."""
    return asyncio.run(_adopt(config, former, registries, write=False))


def adopt(config: Config, former: str, registries: tuple[str, ...]) -> Took:
    """Take it over."""
    return asyncio.run(_adopt(config, former, registries, write=True))


async def _adopt(config: Config, former: str, registries: tuple[str, ...], *, write: bool) -> Took:
    once.quiet()
    clock = SystemClock()
    names = once.targets(config, registries)
    owner = config.root.owner or ""
    deployment = once.deployment(config) if write else once.ONLOOKER
    mark = Mark(owner, deployment, (former,) if former else ())
    config = replace(config, registries=tuple(one for one in config.registries if one.name in names))
    sources = opened(config, clock, mark)
    written = exports(config, sources, mark)
    engine = Engine(sources, config.engine(None), clock, lambda _: None)
    taken: list[Taken] = []
    failed: list[str] = []
    async with once.running(engine):
        found = await asyncio.gather(*(_held(engine, one, config.root.start.wait) for one in written))
        for one, held in zip(written, found, strict=True):
            if isinstance(held, str):
                failed.append(held)
                continue
            taken.append(_taken(one, held, owner, former))
            if write:
                try:
                    await _take(one, held, former, clock)
                except BridgeError as error:
                    failed.append(f"{' '.join((one.registry, one.export.target)).strip()}: {error}; say `adopt` again")
    return Took(tuple(taken), tuple(failed))


async def _held(engine: Engine, one: EngineExport, wait: float) -> Held | str:
    """What the target has; why it is not known, where it is not read in time."""
    cell, target = engine.readings[one.registry], one.export.target
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            async for reading in cell.changes():
                if reading.observation is not None and target in reading.observation.held:
                    return reading.observation.held[target]
    told = "; ".join(str(problem) for problem in cell.value.problems if target in problem.where)
    return f"{one.registry} {target}".strip() + f": {told or cell.value.why or 'was not read whole in time'}"


def _taken(one: EngineExport, held: Held, owner: str, former: str) -> Taken:
    ours, theirs = _claim(held, owner), _claim(held, former)
    records = sum(len(holding.records) for holding in held.holdings.values())
    return Taken(one.registry, one.export.target, records, ours is not None and ours.tombstone, theirs)


def _claim(held: Held, owner: str) -> Claim | None:
    return max((one for one in held.claims if one.owner == owner), key=lambda one: one.term, default=None)


async def _take(one: EngineExport, held: Held, former: str, clock: Clock) -> None:
    """Close the claim of the former owner, open ours, and write every record with our mark."""
    sink, target, owner = one.sink, one.export.target, one.mark.owner
    theirs, ours = _claim(held, former), _claim(held, owner)
    if theirs is not None and not theirs.tombstone:
        closed = Claim(former, one.mark.deployment, theirs.term + 1, clock.wall(), True, theirs.revision)
        await sink.claim(target, closed)
    if former or (ours is not None and ours.tombstone):
        await sink.claim(target, _opened(ours, one.mark, clock.wall()))
    if former:
        await _rewrite(sink, one, held, clock)


def _opened(ours: Claim | None, mark: Mark, wall: float) -> Claim:
    """Our claim, as it is where somebody writes; else of no term, over which our bridge claims at once."""
    if ours is None or ours.tombstone:
        return Claim(mark.owner, mark.deployment, 0, wall, False, ours.revision if ours is not None else None)
    return replace(ours, beat=wall)


async def _rewrite(sink: Sink, one: EngineExport, held: Held, clock: Clock) -> None:
    bucket, limit = Bucket(one.rate, clock), asyncio.Semaphore(sink.concurrency)
    failed: list[str] = []

    async def put(change: Put) -> None:
        async with limit:
            try:
                await sink.apply(one.export.target, change)
            except Conflict:
                failed.append(f"{change.record.key}: somebody else changed it meanwhile")
            except BridgeError as error:
                failed.append(f"{change.record.key}: {error}")

    async with asyncio.TaskGroup() as group:
        for name in sorted(held.holdings):
            for record in held.holdings[name].records:
                await bucket.take()
                group.create_task(put(Put(replace(record, revision=None), record)))
    if failed:
        raise BridgeError(f"{output.many(len(failed), 'record')} not taken over, first {min(failed)}")
