"""A folder that is looked at every second, and written file by file."""

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bridge.adapter import (
    Change,
    Claim,
    Held,
    Holding,
    Observation,
    Problem,
    Put,
    Record,
    RecordKey,
    Target,
)
from bridge.errors import Conflict, Denied, Unavailable
from bridge.kit import Kit, files, names
from bridge.kit.mark import Stamp
from bridge.model import Service, ServiceName
from bridge.table import Table, share
from json_folder import words

ONLY = Target("")

MAX_BYTES = 1_000_000
"""Of one file: whatever somebody puts there, it costs a Problem and not the memory."""


class File(NamedTuple):
    """One file of the folder: its service, whose mark it carries, and whether that is ours."""

    service: Service
    owner: str
    ours: bool
    revision: str


class Folder:
    """A source, and a sink when the kit has a mark."""

    concurrency = 8

    def __init__(self, folder: Path, poll: float, kit: Kit) -> None:
        """Touch nothing yet: that is for `observe`."""
        self._folder = folder
        self._poll = poll
        self._clock = kit.clock
        self._mark = kit.mark
        self._asked = asyncio.Event()
        self._claimed: str | None = None
        self._read = 0

    # The source.

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked.set()

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        told: Observation | None = None
        while True:
            asked = self._asked.is_set()
            self._asked.clear()
            view = await asyncio.to_thread(self._look, told)
            if told is None or asked or not _same(view, told):
                told = view
                yield view
            await self._wait()

    async def _wait(self) -> None:
        poll = asyncio.ensure_future(self._clock.sleep(self._poll))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({poll, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            poll.cancel()
            asked.cancel()

    def _look(self, before: Observation | None) -> Observation:
        """The whole folder, or an error: never a part of it."""
        services: dict[ServiceName, Service] = {}
        holdings: dict[ServiceName, Holding] = {}
        problems: list[Problem] = []
        claims: list[Claim] = []
        with self._errors():
            for name in sorted(path.name for path in self._folder.iterdir() if path.suffix == ".json"):
                try:
                    data = self._bytes(name)
                    if data is None:  # it went while the folder was read
                        continue
                    if name.startswith(".claim-"):
                        claims.append(words.decode_claim(_parsed(data), _digest(data)))
                    elif not name.startswith("."):
                        self._take(RecordKey(name), self._file(name, data), services, holdings)
                except ValueError as error:
                    problems.append(Problem("file", repr(name[:100]), f"{error}; correct it, or take it away"))
        self._read += 1
        held = {ONLY: Held(Table(holdings), tuple(claims))} if self._mark is not None else {}
        table = share(before.services if before is not None else Table(), services)
        return Observation(table, self._read, tuple(problems), held=Table(held))

    def _take(
        self, key: RecordKey, file: File, services: dict[ServiceName, Service], holdings: dict[ServiceName, Holding]
    ) -> None:
        """What carries our mark is held; everything else is a service, and its name is taken."""
        service = file.service
        if file.ours:
            record = Record(key, service.name, words.encode(service.endpoints), file.revision)
            holdings[service.name] = Holding((record,), service.endpoints)
        else:
            services[service.name] = service
            holdings[service.name] = Holding(taken=((key, file.owner or "nobody's mark"),))

    def _file(self, name: str, data: bytes) -> File:
        value = _parsed(data)
        namespace, _, rest = name.removesuffix(".json").partition(".")
        stamp = Stamp.find(str(value.get("mark", "")))
        owner = stamp.owner if stamp is not None else ""
        ours = self._mark is not None and self._mark.owns(stamp)
        endpoints = words.decode(value.get("endpoints"))
        if owner and not ours:
            endpoints = tuple(replace(one, via=f"{one.via} {owner}".strip()) for one in endpoints)
        service = Service.of(ServiceName(names.label(namespace), names.label(rest)), endpoints)
        return File(service, owner, ours, _digest(data))

    # The sink.

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`; one record says it all."""
        try:
            key = f"{names.label(service.name.namespace)}.{names.label(service.name.name)}.json"
        except ValueError as error:
            return (), (Problem("name", f"{str(service.name)[:150]!r}", str(error), service.name),)
        endpoints, problems = words.sayable(service)
        return (Record(RecordKey(key), service.name, words.encode(endpoints)),) if endpoints else (), problems

    async def apply(self, target: Target, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        await asyncio.to_thread(self._apply, change)

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        revision = await asyncio.to_thread(self._take_over, claim)
        if self._mark is not None and claim.owner == self._mark.owner:
            self._claimed = revision

    def _apply(self, change: Change) -> None:
        record, replaces = change.record, change.replaces if isinstance(change, Put) else change.record
        with self._errors(), self._lock():
            assert self._mark is not None, "who has no mark writes nothing"
            if self._claimed is not None and self._revision(_of_claim(self._mark.owner)) != self._claimed:
                raise Conflict(f"{self._folder}: another one has claimed it; it is observed again")
            self._compare(record.key, replaces.revision if replaces is not None else None)
            if isinstance(change, Put):
                mark = str(self._mark.stamp(record.key))
                text = json.dumps({"mark": mark, "endpoints": json.loads(record.content)}, indent=1)
                files.replace(self._folder / record.key, [text.encode()])
            else:
                (self._folder / record.key).unlink()

    def _take_over(self, claim: Claim) -> str:
        name = _of_claim(claim.owner)
        data = words.encode_claim(claim)
        with self._errors(), self._lock():
            self._compare(name, claim.revision)
            files.replace(self._folder / name, [data])
        return _digest(data)

    def _compare(self, name: str, expected: object) -> None:
        if self._revision(name) != expected:
            raise Conflict(f"{self._folder / name}: is another one than was seen; it is observed again")

    def _revision(self, name: str) -> str | None:
        data = self._bytes(name)
        return _digest(data) if data is not None else None

    # Files.

    def _bytes(self, name: str) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            if self._folder.is_dir():
                return None
            raise
        if len(data) > MAX_BYTES:
            raise ValueError(f"holds more than {MAX_BYTES:,} bytes")
        return data

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Every bridge that writes here takes it: reading, comparing and writing are one."""
        handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """The system's errors by the reaction they ask for."""
        try:
            yield
        except PermissionError as error:
            raise Denied(f"{error.filename}: {error.strerror}; give the bridge's user the right to it") from None
        except OSError as error:
            raise Unavailable(f"{error.filename or self._folder}: {error.strerror}; it is tried again") from None


def _of_claim(owner: str) -> str:
    return f".claim-{owner}.json"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004  # an operator's input, told like the rest
    return value


def _same(one: Observation, other: Observation) -> bool:
    return (one.services, one.problems, one.held) == (other.services, other.problems, other.held)
