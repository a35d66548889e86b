"""What operators decided: accepted holds and removals, freezes, in one small versioned document that replicas share."""

import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import structlog

from bridge.adapter import Problem, Target
from bridge.errors import BridgeError, ConfigError, Conflict, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.backoff import pause
from bridge.kit.election import Kept, Shelf
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.clock import within
from bridge.runtime.latest import Latest

T = TypeVar("T")

FORMAT = 1

EXPIRES = 3600.0
"""Seconds for which the acceptance of a hold counts; what has not come of it by then was not what was meant."""

TICK = 1.0
"""Seconds after which what has expired is in force no more, at the latest."""

SILENCE = 10.0
"""Seconds after which a shelf that does not answer is taken as out of reach."""

ATTEMPTS = 100
"""Times that a decision is put into what others wrote meanwhile."""

UNKNOWN = "; nobody knows whether it was decided: say it again"

_log = structlog.get_logger("bridge.decisions")


class Orders(NamedTuple):
    """What is in force for one source.

    `accepted` are holds that may go, each with the moment (seconds since the epoch) at which an operator said so;
    `health` is that moment for a flood of bad health; the source is frozen until `frozen`, monotonic seconds.
    `removals` are endpoints of ours that may go from a target of this registry, each with the moment likewise.
    """

    accepted: Mapping[tuple[ServiceName, EndpointId], float] = MappingProxyType({})
    health: float | None = None
    frozen: float | None = None
    removals: Mapping[Target, Mapping[tuple[ServiceName, EndpointId], float]] = MappingProxyType({})


InForce = Mapping[SourceName, Orders]


@dataclass(frozen=True, slots=True)
class Document:
    """The shelf's content; moments are seconds since the epoch."""

    version: int = 0
    accepted: Mapping[tuple[SourceName, ServiceName, EndpointId], float] = field(default_factory=dict)
    health: Mapping[SourceName, float] = field(default_factory=dict)
    frozen: Mapping[SourceName, float] = field(default_factory=dict)
    removals: Mapping[tuple[SourceName, Target, ServiceName, EndpointId], float] = field(default_factory=dict)


class Decisions:
    """The document and what of it is in force, `current`.

    The wall clock is asked once for each entry, when it is first seen: from then on it expires by monotonic time, so
    that a clock that is set while the bridge runs neither ends a freeze nor lets one last.
    """

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self.current: Latest[InForce] = Latest({})
        self._shelf = shelf
        self._clock = clock
        self._document = Document()
        self._kept: Kept | None = None  # what that was made of
        self._ends: dict[tuple[object, ...], float] = {}
        self._problem: Problem | None = None
        self._failures = 0  # in a row
        self._due = clock.now()

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the document at present."""
        return (self._problem,) if self._problem else ()

    async def load(self, patience: float = SILENCE) -> None:
        """Read the document, waiting for `patience` seconds at most, and drop what has expired.

        What cannot be read leaves in force what was.
        """
        try:
            kept = await self._within(patience, self._shelf.read())
            if kept != self._kept or self._problem is not None:
                self._document, self._kept = self._parsed(kept), kept
            self._problem, self._failures = None, 0
            self._due = self._clock.now() + self._shelf.pace
        except (Unavailable, Denied, ConfigError) as error:
            self._fails(error)
        self._enforce()

    async def run(self) -> None:
        """Follow the document and the time until cancelled."""
        try:
            while True:
                await self._clock.sleep(TICK)
                if self._clock.now() >= self._due:
                    await self.load()
                else:
                    self._enforce()
        finally:
            await self._shelf.close()

    async def accept(self, source: SourceName, holds: Iterable[tuple[ServiceName, EndpointId]], now: float) -> None:
        """Let these holds go, said at `now` (seconds since the epoch); Unavailable when that cannot be written."""
        entries = {(source, service, endpoint): now for service, endpoint in holds}
        await self._update(lambda old: with_fields(old, accepted={**old.accepted, **entries}))

    async def accept_health(self, source: SourceName, now: float) -> None:
        """Believe the bad health that a source reports; Unavailable when it cannot be written down."""
        await self._update(lambda old: with_fields(old, health={**old.health, source: now}))

    async def accept_removals(
        self, registry: SourceName, target: Target, them: Iterable[tuple[ServiceName, EndpointId]], now: float
    ) -> None:
        """Let these endpoints of ours go from there, said at `now`; Unavailable when that cannot be written."""
        entries = {(registry, target, service, endpoint): now for service, endpoint in them}
        await self._update(lambda old: with_fields(old, removals={**old.removals, **entries}))

    async def freeze(self, source: SourceName, until: float) -> None:
        """Let the last view of `source` stand until `until`, seconds since the epoch."""
        await self._update(lambda old: with_fields(old, frozen={**old.frozen, source: until}))

    async def unfreeze(self, source: SourceName) -> None:
        """End a freeze."""
        await self._update(
            lambda old: with_fields(old, frozen={name: at for name, at in old.frozen.items() if name != source})
        )

    async def _update(self, change: Callable[[Document], Document]) -> None:
        """Replace the document by what `change` makes of it, whoever else writes."""
        for _ in range(ATTEMPTS):
            try:
                kept = await self._within(SILENCE, self._shelf.read())
            except (Unavailable, Denied) as error:
                raise type(error)(f"{error}; nothing was decided") from error
            before = self._parsed(kept)
            after = with_fields(change(self._living(before)), version=before.version + 1)
            try:
                await self._within(SILENCE, self._shelf.write(encode(after), kept), UNKNOWN)
            except Conflict:
                continue
            self._document = after
            self._enforce()
            return
        raise Unavailable(f"{self._shelf.place}: others write there all the while; nothing was decided, say it again")

    async def _within(self, patience: float, what: Coroutine[Any, Any, T], then: str = "") -> T:
        try:
            return await within(self._clock, patience, what)
        except TimeoutError:
            raise Unavailable(f"{self._shelf.place}: has not answered for {patience:.3g} s{then}") from None

    def _parsed(self, kept: Kept | None) -> Document:
        if kept is None or kept.content is None:
            return Document()
        return parse(kept.content, self._shelf.place)

    def _fails(self, error: BridgeError) -> None:
        """A document that is none may be mended at any moment; a shelf out of reach is asked ever more slowly."""
        self._failures += not isinstance(error, ConfigError)
        wait = pause(self._failures, isinstance(error, Denied)) if self._failures else 0.0
        self._due = self._clock.now() + max(self._shelf.pace, wait)
        place = self._shelf.place
        what = f"{str(error).removeprefix(f'{place}: ')}; what was decided before stands"
        problem = Problem("decisions", place, what)
        if problem != self._problem:
            _log.warning("decisions not read", place=place, why=str(error))
        self._problem = problem

    def _living(self, document: Document) -> Document:
        """Without what has expired; of what is in no document any more nothing is remembered."""
        before, self._ends = self._ends, {}

        def lives(key: tuple[object, ...], wall: float) -> bool:
            self._ends[key] = before[key] if key in before else self._end(key[0], wall)
            return self._ends[key] > self._clock.now()

        return Document(
            document.version,
            {key: at for key, at in document.accepted.items() if lives(("accepted", *key, at), at + EXPIRES)},
            {key: at for key, at in document.health.items() if lives(("health", key, at), at + EXPIRES)},
            {key: until for key, until in document.frozen.items() if lives(("frozen", key, until), until)},
            {key: at for key, at in document.removals.items() if lives(("removals", *key, at), at + EXPIRES)},
        )

    def _end(self, kind: object, wall: float) -> float:
        """The monotonic moment of what is the moment `wall` now that it is first seen."""
        rest = wall - self._clock.wall()
        return self._clock.now() + (rest if kind == "frozen" else min(rest, EXPIRES))

    def _enforce(self) -> None:
        living = self._living(self._document)
        accepted: dict[SourceName, dict[tuple[ServiceName, EndpointId], float]] = {}
        for (source, service, endpoint), at in living.accepted.items():
            accepted.setdefault(source, {})[service, endpoint] = at
        frozen = {name: self._ends["frozen", name, until] for name, until in living.frozen.items()}
        removals: dict[SourceName, dict[Target, dict[tuple[ServiceName, EndpointId], float]]] = {}
        for (registry, target, service, endpoint), at in living.removals.items():
            removals.setdefault(registry, {}).setdefault(target, {})[service, endpoint] = at
        in_force = {
            source: Orders(
                accepted.get(source, {}), living.health.get(source), frozen.get(source), removals.get(source, {})
            )
            for source in sorted({*accepted, *living.health, *frozen, *removals})
        }
        if in_force != self.current.value:
            self.current.set(in_force)


def parse(text: bytes, where: str) -> Document:
    """Read what `encode` made; ConfigError, with `where`, when it is no decisions document."""
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ConfigError(f"{where}: has format {said['format']!r}; this bridge reads {FORMAT}")
        return Document(
            int(said["version"]),
            {_key(one): float(one["at"]) for one in said["accepted"]},
            {SourceName(one["source"]): float(one["at"]) for one in said["health"]},
            {SourceName(one["source"]): float(one["until"]) for one in said["freezes"]},
            {_removal(one): float(one["at"]) for one in said.get("removals", ())},
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{where}: is no decisions document ({error!r}); mend it or move it away") from error


def encode(document: Document) -> bytes:
    """What stands on the shelf."""
    return json.dumps(_plain(document), indent=1).encode() + b"\n"


def _key(one: Any) -> tuple[SourceName, ServiceName, EndpointId]:
    return (
        SourceName(one["source"]),
        ServiceName.parse(one["service"]),
        EndpointId(str(one["address"]), int(one["port"])),
    )


def _removal(one: Any) -> tuple[SourceName, Target, ServiceName, EndpointId]:
    registry, service, endpoint = _key(one)
    return registry, Target(str(one["target"])), service, endpoint


def _plain(document: Document) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": document.version,
        "accepted": [
            {"source": source, "service": str(service), "address": endpoint.address, "port": endpoint.port, "at": at}
            for (source, service, endpoint), at in sorted(document.accepted.items())
        ],
        "health": [{"source": source, "at": at} for source, at in sorted(document.health.items())],
        "freezes": [{"source": source, "until": until} for source, until in sorted(document.frozen.items())],
        "removals": [
            {
                "source": source,
                "target": target,
                "service": str(service),
                "address": endpoint.address,
                "port": endpoint.port,
                "at": at,
            }
            for (source, target, service, endpoint), at in sorted(document.removals.items())
        ],
    }
