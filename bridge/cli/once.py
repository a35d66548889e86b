"""What a configuration would write, planned once or written once, without the bridge that runs for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.adapter import Claim, Target
from bridge.admin import exporting
from bridge.admin.log import configure
from bridge.app import exports, marked, opened
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.kit import Clock
from bridge.kit.election import Elector, Term
from bridge.kit.mark import Mark
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.claiming import LAPSE
from bridge.runtime.clock import SystemClock
from bridge.runtime.decisions import Decisions
from bridge.runtime.engine import Engine, EngineExport, EngineSource
from bridge.runtime.exported import Exported, State
from bridge.runtime.keep import meanwhile
from bridge.runtime.shelf import shelf

PATIENCE = 75.0
"""Seconds without a change made after which the writing is given up; more than a dead bridge's claim lasts.

While somebody else leads it is waited so long for the lead, if not told otherwise.
"""

VAIN = 30.0
"""Seconds without a change made after which services of which each try fails are given up."""

TICK = 0.5
"""Seconds between two looks whether the patience is at its end."""

SHOWN = 5
"""Names that are told where none fits."""

ONLOOKER = "onlooker"
"""The deployment of a process that only plans; it never claims anything."""

_UNREAD = {State.WAITING, State.LOST}
_WATCHED = {State.ANOTHER, State.FOLLOWS}
"""In which it waits whether a claim, or a lease, is a dead one's: the time for that is its own."""

_DONE = {State.IN_STEP, State.DRY_RUN}


class Onlooker:
    """An election in which this process takes no part: it plans, and writes nothing."""

    deployment = ONLOOKER
    shelf = None

    async def terms(self) -> AsyncIterator[Term]:
        """Never one."""
        await asyncio.get_running_loop().create_future()
        yield Term(0, 0.0)


class Elected:
    """The election of a command that an operator runs: it leads at once, in the name of `deployment`."""

    shelf = None

    def __init__(self, deployment: str) -> None:
        self.deployment = deployment

    async def terms(self) -> AsyncIterator[Term]:
        """One term without end."""
        yield Term(1, float("inf"))
        await asyncio.get_running_loop().create_future()


class Ending(NamedTuple):
    """A withdrawal: of all that `owner` has in the targets of `registries` (all, where that is empty)."""

    owner: str
    registries: tuple[str, ...] = ()


def _nobody(_: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Every target at one moment. `claims` are every owner's, by target; `wrong` is why some plan is not whole.

    `leader` is who else leads, "" where nobody does; `idle` says of which exports nothing comes, for want of a service
    that is called so, or since a source is the target itself.
    """

    exported: tuple[Exported, ...]
    claims: dict[tuple[SourceName, Target], tuple[Claim, ...]]
    wrong: tuple[str, ...]
    now: float
    wall: float
    leader: str = ""
    idle: tuple[str, ...] = ()


def plan(config: Config, ending: Ending | None = None) -> Seen:
    """What would be written now; nothing is. Reads for at most `start.wait`, and touches no snapshot."""
    quiet()
    return asyncio.run(_plan(config, ending, SystemClock()))


def apply(config: Config, wait: float, tell: Callable[[str], None]) -> Seen:
    """Read all, write what may be written, and end; ConfigError when a bridge runs on the same state folder.

    While somebody else leads, whose name `tell` is told at once, the lead is waited for, for so many seconds.
    """
    quiet()
    return asyncio.run(_apply(config, SystemClock(), wait, tell))


def withdraw(config: Config, ending: Ending, deployments: dict[tuple[SourceName, Target], str]) -> Seen:
    """Remove all of it from these targets and leave tombstones, each in the name of the deployment."""
    quiet()
    return asyncio.run(_withdraw(config, ending, deployments, SystemClock()))


def deployment(config: Config) -> str:
    """The name under which the bridge of this configuration writes, on this machine."""
    return config.elector(SystemClock(), config.state_folder()).deployment


def accept(config: Config, them: Iterable[tuple[SourceName, Target, ServiceName, EndpointId]]) -> None:
    """Write down that these may go, for the bridge that comes next; Unavailable when that cannot be written."""
    asyncio.run(_accept(config, them, SystemClock()))


def quiet() -> None:
    """Let the log say only what a command does not say itself."""
    configure("console", "critical")  # what is wrong is in the answer


def targets(config: Config, registries: Sequence[str] = ()) -> tuple[str, ...]:
    """The registries that are written, of those named; ConfigError where one is not, or none is."""
    known = dict.fromkeys(one.registry for one in config.written())
    if not known:
        raise ConfigError(f"{config.path}: nothing is written by this configuration; `export:` in a registry says what")
    for name in registries:
        if name not in known:
            raise ConfigError(
                f"{config.path}: {name!r} is not written by this configuration; what is: {', '.join(known)}"
            )
    return tuple(dict.fromkeys(registries)) or tuple(known)


async def _plan(config: Config, ending: Ending | None, clock: Clock) -> Seen:
    mark = Mark(ending.owner, ONLOOKER) if ending is not None else marked(config, ONLOOKER)
    sources, written = _opened(config, clock, mark, ending)
    engine = Engine(sources, config.engine(None), clock, _nobody, exports=written, elector=Onlooker())
    if ending is None:
        await _remember(config, engine, clock)
    async with running(engine):
        seen = await whole(engine, clock, config.root.start.wait)
    idle = _idle(config, engine) if ending is None else ()
    return replace(seen, exported=tuple(map(_only_planned, seen.exported)), idle=idle)


async def whole(engine: Engine, clock: Clock, wait: float) -> Seen:
    """Every target when all plans rest on whole views, or on what will not come within so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            await _until(engine, lambda: all(_seen(engine, one) for one in _all(engine)))
    return _found(engine, clock)


def _only_planned(one: Exported) -> Exported:
    """That nobody leads here is how a plan is made, and nothing to tell."""
    return replace(one, state=State.DRY_RUN, why="") if one.state is State.FOLLOWS else one


async def _apply(config: Config, clock: Clock, wait: float, tell: Callable[[str], None]) -> Seen:
    folder = config.state_folder()
    elector = config.elector(clock, folder)
    mark = marked(config, elector.deployment)
    sources, written = _opened(config, clock, mark, None)
    engine = Engine(sources, config.engine(folder), clock, _nobody, exports=written, elector=elector)
    async with running(engine):
        seen = await _written(engine, clock, config.root.start.wait, wait, tell)
    return replace(seen, idle=_idle(config, engine))


async def _withdraw(
    config: Config, ending: Ending, deployments: dict[tuple[SourceName, Target], str], clock: Clock
) -> Seen:
    elector: Elector = Elected(next(iter(deployments.values())))
    sources, written = _opened(config, clock, Mark(ending.owner, elector.deployment), ending)
    marks = {key: Mark(ending.owner, name) for key, name in deployments.items()}
    written = [replace(one, mark=marks[key]) for one in written if (key := (one.registry, one.export.target)) in marks]
    engine = Engine(sources, config.engine(None), clock, _nobody, exports=written, elector=elector)
    async with running(engine):
        return await _written(engine, clock, config.root.start.wait)


async def _accept(
    config: Config, them: Iterable[tuple[SourceName, Target, ServiceName, EndpointId]], clock: Clock
) -> None:
    config.state_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    chosen: dict[tuple[SourceName, Target], list[tuple[ServiceName, EndpointId]]] = {}
    for registry, target, service, endpoint in them:
        chosen.setdefault((registry, target), []).append((service, endpoint))
    async with _decided(config, clock) as document:
        for (registry, target), pairs in chosen.items():
            await document.accept_removals(registry, target, pairs, clock.wall())


def _opened(
    config: Config, clock: Clock, mark: Mark | None, ending: Ending | None
) -> tuple[list[EngineSource], list[EngineExport]]:
    """The registries, and what is written of them; for a withdrawal nothing else is read than what is written."""
    if ending is None:
        targets(config)
        sources = opened(config, clock, mark)
        return sources, exports(config, sources, mark)
    names = targets(config, ending.registries)
    config = replace(config, registries=tuple(one for one in config.registries if one.name in names))
    sources = opened(config, clock, mark)
    return sources, [
        replace(one, end=True, export=replace(one.export, sources=())) for one in exports(config, sources, mark)
    ]


async def _remember(config: Config, engine: Engine, clock: Clock) -> None:
    """Let a plan know which removals operators accepted, as far as that can be read from here."""
    with suppress(ConfigError):
        async with _decided(config, clock) as document:
            for registry, orders in document.current.value.items():
                for target, them in orders.removals.items():
                    for one, at in them.items():
                        await engine.decisions.accept_removals(registry, target, [one], at)


@asynccontextmanager
async def _decided(config: Config, clock: Clock) -> AsyncIterator[Decisions]:
    """What operators of this configuration's bridge decided."""
    folder = config.state_folder()
    kept = shelf(config.elector(clock, None), folder)
    try:
        document = Decisions(kept, clock)
        await document.load()
        yield document
    finally:
        await kept.close()


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    """An engine that runs until the context ends."""
    engine.open()
    async with meanwhile(engine.run()):
        yield


async def _until(engine: Engine, holds: Callable[[], bool], tick: float | None = None) -> None:
    """Until it holds, asked whenever anything changes, and every `tick` seconds."""
    moved = asyncio.Event()
    for cell in engine.exported.values():
        cell.watch(lambda _: moved.set())
    for reading in engine.readings.values():
        reading.watch(lambda _: moved.set())
    while not holds():
        moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(tick):
                await moved.wait()


async def _written(
    engine: Engine, clock: Clock, wait: float, lead: float = PATIENCE, tell: Callable[[str], None] = _nobody
) -> Seen:
    """Until every target has what it should have, or nothing more is to be hoped for; see `apply`."""
    began = clock.now()
    last, moved, watched, led, told = -1, began, began, began, ""

    def ended() -> bool:
        nonlocal last, moved, watched, led, told
        made = sum(one.made.get(what, 0) for one in _all(engine) for what in ("put", "removed"))
        if made != last:
            last, moved = made, clock.now()
        if any(one.state in _WATCHED for one in _all(engine)):
            watched = clock.now()
        if leader := _leader(engine):
            moved = clock.now()
            if leader != told:
                told = leader
                tell(leader)
        else:
            led = clock.now()
        late, stuck = clock.now() >= began + wait, clock.now() >= max(moved, watched) + wait
        if clock.now() >= (led + lead if leader else moved + PATIENCE):
            return True
        vain = clock.now() >= moved + VAIN
        return all((vain and _fails(one)) or _settled(engine, one, late, stuck, clock.wall()) for one in _all(engine))

    await _until(engine, ended, TICK)
    return _found(engine, clock)


def _settled(engine: Engine, one: Exported, late: bool, stuck: bool, wall: float) -> bool:
    """Whether nothing more is to be hoped for; `late`: what was not read will not be, `stuck`: nor what fails made."""
    seen = late or _seen(engine, one)
    match one.state:
        case State.WITHDRAWN | State.FROZEN:
            return True
        case State.ANOTHER:
            return any(fresh(claim, wall) for claim in _claims(engine, one))  # else it may be a dead one's
        case State.IN_STEP | State.DRY_RUN | State.WAITING | State.LOST:
            return seen
        case State.CLAIMS | State.FAILING:
            return stuck
        case _:
            return False


def _fails(one: Exported) -> bool:
    """Whether some services fail, of a target that takes others."""
    return one.state is State.WRITES and bool(one.waits)


def _seen(engine: Engine, one: Exported) -> bool:
    """Whether its plan rests on whole views, or on what will not come now: the others have been waited for."""
    if one.complete:
        return True
    names = (one.registry, *one.unseen)
    readings = [engine.readings[name].value for name in names if name in engine.readings]
    lost = [it for it in readings if it.lost is not None]
    return bool(lost) and all(it.observation is not None for it in readings if it.lost is None)


def _all(engine: Engine) -> tuple[Exported, ...]:
    return tuple(cell.value for cell in engine.exported.values())


def _found(engine: Engine, clock: Clock) -> Seen:
    found = _all(engine)
    claims = {(one.registry, one.target): _claims(engine, one) for one in found}
    return Seen(found, claims, tuple(_wrong(engine, found)), clock.now(), clock.wall(), _leader(engine))


def _idle(config: Config, engine: Engine) -> tuple[str, ...]:
    """Exports that name no service of all that there are, or one of whose sources is what is written."""
    names = sorted(engine.catalog.value.services)
    same = tuple(f"{exporting.place(one)}: {what}" for one in _all(engine) for what in exporting.same(one))
    if not names:
        return same
    there = ", ".join(map(str, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
    return same + tuple(
        f"{' '.join((one.registry, one.export.target)).strip()}: no service is called as this export says "
        f"({', '.join(glob.text for glob in one.export.services)}); correct `services`: there are {there}"
        for one in config.written()
        if not any(glob.matches(name) for glob in one.export.services for name in names)
    )


def _leader(engine: Engine) -> str:
    """Who else leads."""
    term = engine.leadership.term.value if engine.leadership is not None else None
    return term.leader if term is not None else ""


def _claims(engine: Engine, one: Exported) -> tuple[Claim, ...]:
    observation = engine.readings[one.registry].value.observation
    held = observation.held.get(one.target) if observation is not None else None
    return held.claims if held is not None else ()


def fresh(claim: Claim, wall: float) -> bool:
    """Whether a claim was renewed so lately that its bridge may be alive; by the clocks of two machines."""
    return not claim.tombstone and wall - claim.beat < LAPSE


def _wrong(engine: Engine, found: Iterable[Exported]) -> list[str]:
    """Why a plan is not whole, each once."""
    wrong = []
    for one in found:
        if one.complete:
            continue
        readings = [engine.readings[name].value for name in (one.registry, *one.unseen) if name in engine.readings]
        unread = [it for it in readings if it.observation is None or it.lost is not None]
        wrong += [_unread(it.source, it.why) for it in unread]
        if not unread:
            told = [str(it) for it in engine.readings[one.registry].value.problems if one.target in it.where]
            wrong.append(f"{exporting.place(one)}: {'; '.join(told) or one.why or 'was not planned in time'}")
    return list(dict.fromkeys(wrong))


def _unread(source: SourceName, why: str) -> str:
    return why if why.startswith(f"{source}: ") else f"{source}: {why or 'was not read whole in time'}"


def failures(seen: Seen) -> list[str]:
    """Which targets were not written, and why; each a line.

    Of those that could not be read `Seen.wrong` tells, and of a leader that writes them `led`.
    """
    return [
        f"{exporting.place(one)}: {one.state.value}: {one.why or _waits(one)}"
        for one in seen.exported
        if one.state not in _DONE
        and not (seen.wrong and one.state in _UNREAD)
        and not (seen.leader and one.state is State.FOLLOWS)
    ]


def _waits(one: Exported) -> str:
    """Why changes that are left were not made."""
    told = [f"{it.service}: {it.why}" for it in one.waits[:SHOWN]]
    more = len(one.waits) - SHOWN
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])]) or "no change was made for a while"


def led(seen: Seen) -> bool:
    """Whether somebody else leads, and writes what is to be written."""
    return bool(seen.leader) and any(one.state in (State.FOLLOWS, *_UNREAD) for one in seen.exported)
