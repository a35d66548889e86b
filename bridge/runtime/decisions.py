"""What operators decided: accepted holds and removals, freezes, in one small versioned document beside the snapshot."""

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import structlog

from bridge.adapter import Problem, Target
from bridge.errors import ConfigError, Conflict, Unavailable
from bridge.kit import Clock
from bridge.kit.files import replace
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.latest import Latest

FILE = "decisions.json"
FORMAT = 1

EXPIRES = 3600.0
"""Seconds for which the acceptance of a hold counts; what has not come of it by then was not what was meant."""

POLL = 1.0
"""Seconds between two looks at the file, which another process may have written."""

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
    """The file's content; moments are seconds since the epoch."""

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

    def __init__(self, folder: Path | None, clock: Clock) -> None:
        self.current: Latest[InForce] = Latest({})
        self._path = folder / FILE if folder else None
        self._clock = clock
        self._document = Document()
        self._seen: tuple[int, ...] | None = None
        self._ends: dict[tuple[object, ...], float] = {}
        self._problem: Problem | None = None

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file at present."""
        return (self._problem,) if self._problem else ()

    def load(self) -> None:
        """Read the file when it is another than before, and drop what has expired.

        A bad file leaves in force what was.
        """
        if self._path is not None:
            try:
                seen = _identity(self._path)
                if seen != self._seen:
                    self._document = read(self._path)
                    self._seen, self._problem = seen, None
            except (OSError, ConfigError) as error:
                problem = Problem("decisions", str(self._path), f"{error}; what was decided before stands")
                if problem != self._problem:
                    _log.warning("decisions not read", path=str(self._path), why=str(error))
                self._problem = problem
        self._enforce()

    async def run(self) -> None:
        """Follow the file and the time until cancelled."""
        while True:
            await self._clock.sleep(POLL)
            self.load()

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
        if self._path is None:
            self._document = change(self._document)
        else:
            await asyncio.to_thread(update, self._path, lambda old: change(self._living(old)))
        self.load()

    def _living(self, document: Document) -> Document:
        """Without what has expired."""
        return Document(
            document.version,
            {key: at for key, at in document.accepted.items() if self._lives(("accepted", *key, at), at + EXPIRES)},
            {key: at for key, at in document.health.items() if self._lives(("health", key, at), at + EXPIRES)},
            {key: until for key, until in document.frozen.items() if self._lives(("frozen", key, until), until)},
            {key: at for key, at in document.removals.items() if self._lives(("removals", *key, at), at + EXPIRES)},
        )

    def _lives(self, key: tuple[object, ...], wall: float) -> bool:
        return self._end(key, wall) > self._clock.now()

    def _end(self, key: tuple[object, ...], wall: float) -> float:
        """The monotonic moment of what was the moment `wall` when it was first seen."""
        if key not in self._ends:
            rest = wall - self._clock.wall()
            self._ends[key] = self._clock.now() + (rest if key[0] == "frozen" else min(rest, EXPIRES))
        return self._ends[key]

    def _enforce(self) -> None:
        living = self._living(self._document)
        accepted: dict[SourceName, dict[tuple[ServiceName, EndpointId], float]] = {}
        for (source, service, endpoint), at in living.accepted.items():
            accepted.setdefault(source, {})[service, endpoint] = at
        frozen = {name: self._end(("frozen", name, until), until) for name, until in living.frozen.items()}
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


def read(path: Path) -> Document:
    """The document at `path`, an empty one where no file is; ConfigError when it is none."""
    try:
        return parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return Document()


def parse(text: bytes, where: str) -> Document:
    """Read a file's content; ConfigError, with `where`, when it is no decisions document."""
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


def write(path: Path, document: Document, expected: int) -> None:
    """Put `document` there as version `expected` + 1; Conflict when another version is there than `expected`."""
    with _alone(path):
        found = read(path).version
        if found != expected:
            raise Conflict(f"{path}: has version {found}, not {expected}; read it again")
        replace(path, [json.dumps(_plain(document, expected + 1), indent=1).encode() + b"\n"])


def update(path: Path, change: Callable[[Document], Document]) -> None:
    """Replace the document by what `change` makes of it, whoever else writes; Unavailable when that cannot be done."""
    while True:
        try:
            before = read(path)
            write(path, change(before), before.version)
        except Conflict:
            continue
        except OSError as error:
            raise Unavailable(f"{path}: cannot be written: {error.strerror}; nothing was decided") from error
        return


def _key(one: Any) -> tuple[SourceName, ServiceName, EndpointId]:
    return (
        SourceName(one["source"]),
        ServiceName.parse(one["service"]),
        EndpointId(str(one["address"]), int(one["port"])),
    )


def _removal(one: Any) -> tuple[SourceName, Target, ServiceName, EndpointId]:
    registry, service, endpoint = _key(one)
    return registry, Target(str(one["target"])), service, endpoint


def _plain(document: Document, version: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": version,
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


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _identity(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
