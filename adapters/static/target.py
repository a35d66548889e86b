"""One file that is written: read back as others read it, and changed only where it is what a change expects."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, assert_never

from adapters.static import claims
from adapters.static.layouts.formats import layout_of
from adapters.static.layouts.layout import Block, Layout, View
from adapters.static.lock import locked
from adapters.static.standing_file import Standing, failure, replace, stand
from bridge.adapter import Change, Claim, Held, Holding, Holdings, Problem, Put, Record, RecordKey, Remove, Target
from bridge.errors import BridgeError, ConfigError, Conflict, Denied, Rejected, Unavailable
from bridge.kit import files
from bridge.kit.files import Content, Stamp
from bridge.kit.mark import Mark
from bridge.kit.place import excerpt
from bridge.model import Service, ServiceName
from bridge.table import Table

Result = BridgeError | None


class _Claimed(NamedTuple):
    """What of our claim fences writes."""

    deployment: str
    term: int
    tombstone: bool


class TargetFile:
    """What one file has of ours, as it was last seen; `held` is None where nothing may be written."""

    def __init__(self, target: Target, path: Path, layout: Layout, mark: Mark) -> None:
        self.target = target
        self.path = path
        self.layout = layout
        self.held: Held | None = None
        self.problems: tuple[Problem, ...] = ()
        self.looked = float("-inf")
        self._mark = mark
        self._stamps: tuple[Stamp | None, Stamp | None] | None = None
        self._standing = Standing()
        self._holdings: Holdings = Table()
        self._blocks: Mapping[str, Block] = {}  # those of the holdings
        self._claims: tuple[Claim, ...] = ()
        self._claimed: _Claimed | None = None

    def fit(self, service: Service) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`; the record is the service's block."""
        lines, lacks = self.layout.fit(service)
        key = str(service.name)
        where = f"{self.target}: {key if key.isprintable() else excerpt(key)}"
        alike: dict[tuple[str, str], list[str]] = {}
        for lack in lacks:
            alike.setdefault((lack.kind, lack.what), []).append(lack.endpoint)
        problems = [
            Problem(kind, where, f"{of[0]}: {what}" if of[0] else what, service.name, len(of))
            for (kind, what), of in alike.items()
        ]
        return [Record(RecordKey(key), service.name, "\n".join(lines).encode())] if lines else [], problems

    def look(self, since: float, now: float) -> None:
        """See what is there, if it was not seen `since` or may be another; times are monotonic seconds."""
        stamps = _stamp(self.path), _stamp(claims.beside(self.path))
        if stamps == self._stamps and self.looked >= since:
            return
        self._stamps, self.looked = stamps, now
        problems: list[Problem] = []
        try:
            standing = stand(self.path, self._mark, self._standing)
        except Rejected as error:
            self.held, self._standing, self._holdings, self._blocks = None, Standing(), Table(), {}
            self.problems = (self._problem(error),)
            return
        except (Denied, Unavailable) as error:
            self.problems = (self._problem(error),)  # the last good view stands
            return
        if standing.view is not self._standing.view:
            self._take(standing.view)
        self._standing = standing
        try:
            self._claims = self._read_claims()
        except (ConfigError, Denied, Unavailable) as error:
            problems.append(self._problem(error))
        held = Held(self._holdings, self._claims)
        if self.held != held or self.held.holdings is not held.holdings:
            self.held = held
        self.problems = (*problems, *self._broken())

    def write(self, changes: Sequence[Change]) -> list[Result]:
        """Make these changes with one rename; for each, None or why it was not made."""
        try:
            with self._lock():
                self._fence()
                standing = stand(self.path, self._mark, self._standing)
                results, text = self._changed(standing, changes)
                if text is not None and not self._replace(standing, text):
                    raise Conflict(f"{self.path}: was replaced while it was to be written; it is read again")
        except BridgeError as error:
            return [error] * len(changes)
        except OSError as error:
            return [failure(self.path, error)] * len(changes)
        return results

    def claim(self, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        beside = claims.beside(self.path)
        try:
            with self._lock():
                try:
                    standing = self._read_claims()
                except ConfigError:
                    standing = ()
                there = next((one for one in standing if one.owner == claim.owner), None)
                if (there.revision if there is not None else None) != claim.revision:
                    raise Conflict(f"{beside}: the claim of {claim.owner} is another one by now; it is read again")
                others = [one for one in standing if one.owner != claim.owner]
                replace(beside, claims.write([*others, claim]), None)
        except OSError as error:
            raise failure(beside, error) from None
        if claim.owner == self._mark.owner:
            self._claimed = _Claimed(claim.deployment, claim.term, claim.tombstone)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with locked(claims.beside(self.path)):
            yield

    def _fence(self) -> None:
        """Nothing is written with the claim of one who was succeeded."""
        if self._claimed is None:
            return
        try:
            standing = self._read_claims()
        except ConfigError:
            return  # whoever has the lock and no claim to read writes its own again with the next heartbeat
        for one in standing:
            if one.owner == self._mark.owner and _Claimed(one.deployment, one.term, one.tombstone) != self._claimed:
                raise Conflict(
                    f"{self.path}: is claimed by deployment {one.deployment} in term {one.term}, "
                    f"and we wrote in term {self._claimed.term}; nothing is written"
                )

    def _changed(self, standing: Standing, changes: Sequence[Change]) -> tuple[list[Result], str | None]:
        """What becomes of each change, and the text to write, None when it is the one that stands there."""
        blocks = {key: block.content for key, block in standing.view.blocks.items()} if standing.view else {}
        names: dict[str, str] | None = None
        results: list[Result] = [None] * len(changes)
        made: set[str] = set()
        for at in sorted(range(len(changes)), key=lambda at: changes[at].record.key):
            change = changes[at]
            key = change.record.key
            match change:
                case Put(record, replaces):
                    expected = None if replaces is None else replaces.content.decode()
                case Remove(record):
                    expected = record.content.decode()
                case _:
                    assert_never(change)
            if blocks.get(key) != expected:
                results[at] = Conflict(f"{self.path}: {key}: another block stands there by now; it is read again")
                continue
            made.add(key)
            if isinstance(change, Remove):
                del blocks[key]
                continue
            lines = change.record.content.decode()
            if names is None:
                names = self._names(blocks)
            clash = next((name for name in self.layout.names(lines.split("\n")) if names.get(name, key) != key), None)
            if clash is not None:
                results[at] = Rejected(
                    f"{self.path}: {key}: {clash!r} stands there for {names[clash]} already; "
                    "write {namespace} into `host:`, or leave one of them out of `services:`"
                )
                made.discard(key)
                continue
            names.update(dict.fromkeys(self.layout.names(lines.split("\n")), str(key)))
            blocks[key] = lines
        if not made:
            return results, None
        text = self.layout.whole(self._mark.stamp(), self._in_layout(standing.view, blocks, made))
        if len(text.encode()) > files.MAX_BYTES:
            raise Rejected(
                f"{self.path}: would hold more than {files.MAX_BYTES:,} bytes, which nobody reads; "
                "spread its services over several exports"
            )
        return results, text

    def _names(self, blocks: Mapping[str, str]) -> dict[str, str]:
        """What each block takes for itself, the first one by its key where two take the same."""
        names: dict[str, str] = {}
        for key in sorted(blocks):
            for name in self.layout.names(blocks[key].split("\n")):
                names.setdefault(name, key)
        return names

    def _in_layout(self, view: View | None, blocks: Mapping[str, str], made: set[str]) -> dict[str, Sequence[str]]:
        """The blocks as they are laid out now, where the file was laid out otherwise before."""
        lines: dict[str, Sequence[str]] = {key: text.split("\n") for key, text in blocks.items()}
        if view is None or _alike(view, self.layout):
            return lines
        for key in lines.keys() - made:
            service = view.blocks[key].service
            lines[key] = self.layout.fit(service)[0] if service is not None else ()
        return lines

    def _replace(self, standing: Standing, text: str) -> bool:
        """Put `text` in the place of what was read; False when that is not there any more."""
        data = text.encode()
        if standing.content is not None and standing.content.data == data:
            return True
        return replace(self.path, data, standing)

    def _read_claims(self) -> tuple[Claim, ...]:
        beside = claims.beside(self.path)
        try:
            content: Content | None = files.read(beside, str(beside), claims.MAX_BYTES)
        except ConfigError:
            if not os.path.lexists(beside):
                return ()
            raise
        if content is None:
            raise Unavailable(f"{beside}: changes while it is read; it is tried again")
        return claims.parse(content.data, str(beside))

    def _take(self, view: View | None) -> None:
        """The holdings of a view; what did not change in it stays the same object."""
        blocks = view.blocks if view is not None else {}
        changes: dict[ServiceName, Holding | None] = {}
        for key in self._blocks.keys() - blocks.keys():
            if (name := _name(key)) is not None:
                changes[name] = None
        for key, block in blocks.items():
            if self._blocks.get(key) is not block and (name := _name(key)) is not None:
                changes[name] = _holding(key, name, block)
        self._holdings, self._blocks = self._holdings.with_(changes), blocks

    def _problem(self, error: BridgeError) -> Problem:
        where, colon, what = str(error).partition(": ")
        return Problem("target", where if colon else str(self.path), what if colon else where)

    def _broken(self) -> Iterable[Problem]:
        view = self._standing.view
        for key, block in sorted(view.blocks.items()) if view is not None else ():
            if block.service is None:
                what = f"the block that we wrote cannot be understood any more: {block.why}; it is written again"
                yield Problem("drift", f"{self.path}: {key}", what)


def _holding(key: str, name: ServiceName, block: Block) -> Holding:
    content = block.content.encode()
    record = Record(RecordKey(key), name, content, hashlib.blake2b(content, digest_size=16).hexdigest())
    return Holding((record,), block.service.endpoints if block.service is not None else ())


def _name(key: str) -> ServiceName | None:
    with suppress(ValueError):
        return ServiceName.parse(key)
    return None


def _alike(view: View, layout: Layout) -> bool:
    """Whether a file is laid out as we would do it."""
    theirs = layout_of(view.header)
    return type(theirs) is type(layout) and theirs.comma == layout.comma


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path.lstat())
    except (OSError, ValueError):
        return None
