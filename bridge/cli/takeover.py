"""Records that change hands: those of an owner that was renamed, and the end of a withdrawal.

What stands there is written again as it is, with the new mark; nothing is removed meanwhile, and nothing added.
"""

import asyncio
from dataclasses import replace
from typing import NamedTuple

from bridge.adapter import Claim, Held, Put, Sink, Target
from bridge.app import exports, opened
from bridge.cli import once
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


def look(config: Config, former: str, registries: tuple[str, ...]) -> tuple[Taken, ...]:
    """What `former` (or, where that is "", we ourselves, withdrawn) left in each target; nothing is written."""
    return asyncio.run(_adopt(config, former, registries, write=False))


def adopt(config: Config, former: str, registries: tuple[str, ...]) -> tuple[Taken, ...]:
    """Take it over; BridgeError names what could not be."""
    return asyncio.run(_adopt(config, former, registries, write=True))


async def _adopt(config: Config, former: str, registries: tuple[str, ...], *, write: bool) -> tuple[Taken, ...]:
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
    taken = []
    async with once.running(engine):
        for one in written:
            held = await _held(engine, one, config.root.start.wait)
            taken.append(_taken(one, held, owner, former))
            if write:
                await _take(engine, one, held, former, clock)
    return tuple(taken)


async def _held(engine: Engine, one: EngineExport, wait: float) -> Held:
    """What the target has; BridgeError when it is not read in time."""
    cell, target = engine.readings[one.registry], one.export.target
    try:
        async with asyncio.timeout(wait):
            async for reading in cell.changes():
                if reading.observation is not None and target in reading.observation.held:
                    return reading.observation.held[target]
    except TimeoutError:
        pass
    reading = cell.value
    told = [str(problem) for problem in reading.problems]
    why = reading.why or "; ".join(told) or "not read whole in time"
    raise BridgeError(f"{one.registry} {target}: {why}; nothing was taken over there")


def _taken(one: EngineExport, held: Held, owner: str, former: str) -> Taken:
    ours, theirs = _claim(held, owner), _claim(held, former)
    records = sum(len(holding.records) for holding in held.holdings.values())
    return Taken(one.registry, one.export.target, records, ours is not None and ours.tombstone, theirs)


def _claim(held: Held, owner: str) -> Claim | None:
    return max((one for one in held.claims if one.owner == owner), key=lambda one: one.term, default=None)


async def _take(engine: Engine, one: EngineExport, held: Held, former: str, clock: Clock) -> None:
    """Close the claim of the former owner, open ours, and write every record with our mark."""
    sink, target, owner = one.sink, one.export.target, one.mark.owner
    if former:
        theirs = _claim(held, former)
        term = theirs.term + 1 if theirs is not None else 1
        revision = theirs.revision if theirs is not None else None
        await sink.claim(target, Claim(former, one.mark.deployment, term, clock.wall(), True, revision))
    ours = _claim(held, owner)
    if ours is None or ours.tombstone or former:
        # A term of none: whoever runs as this deployment claims over it at once.
        term = ours.term if ours is not None and not ours.tombstone else 0
        deployment = ours.deployment if ours is not None and not ours.tombstone else one.mark.deployment
        revision = ours.revision if ours is not None else None
        await sink.claim(target, Claim(owner, deployment, term, clock.wall(), False, revision))
    if former:
        await _rewrite(sink, one, held, clock)


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
        place = f"{one.registry} {one.export.target}".strip()
        raise BridgeError(f"{place}: {len(failed)} records were not taken over, first {min(failed)}; say `adopt` again")
