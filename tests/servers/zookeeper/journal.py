"""What a ZooKeeper was asked to change, as its transaction log has it: each write in order, and whose session's it was.

A server writes the log before it answers; here it is read while the server goes on.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_HEADER: Final = 16
"""Bytes before the first transaction."""

_ERROR, _MULTI, _SESSION = -1, 14, -10
_VERBS: Final = {1: "create", 2: "delete", 5: "set", 15: "create"}


class Change(NamedTuple):
    """One that was made, or `refused` with the transaction that it was part of; `order` is the transaction's number.

    What was refused may have no path.
    """

    order: int
    session: int
    verb: str
    path: str
    refused: bool


class Journal:
    """The log of a server as it grows, in the order in which it decided; `data` is its folder.

    `sessions` are all that ever were, each with the milliseconds for which a server waits for it.
    """

    def __init__(self, data: Path) -> None:
        self.changes: list[Change] = []
        self.sessions: dict[int, int] = {}
        self._folder = data / "version-2"
        self._read: dict[Path, int] = {}

    def read(self) -> None:
        """Read what is new."""
        for path in sorted(self._folder.glob("log.*"), key=lambda one: int(one.suffix[1:], 16)):
            with path.open("rb") as log:
                log.seek(self._read.get(path, _HEADER))
                while (content := _next(log)) is not None:
                    self._take(content)
                    self._read[path] = log.tell()

    def _take(self, content: bytes) -> None:
        session, _, order, _, kind = struct.unpack_from(">qiqqi", content)
        rest = content[32:]
        if kind == _SESSION:
            (self.sessions[session],) = struct.unpack_from(">i", rest)
        elif kind == _MULTI:
            parts = list(_parts(rest))
            refused = any(part == _ERROR for part, _ in parts)
            self._add(order, session, refused, *parts)
        else:
            self._add(order, session, False, (kind, rest))

    def _add(self, order: int, session: int, refused: bool, *parts: tuple[int, bytes]) -> None:
        for kind, rest in parts:
            if refused:
                self.changes.append(Change(order, session, "", "", True))
                return
            if kind in _VERBS:
                self.changes.append(Change(order, session, _VERBS[kind], _text(rest), False))


def _next(log: BinaryIO) -> bytes | None:
    """The next transaction; None where none is written whole."""
    head = log.read(12)
    if len(head) < 12:
        return None
    checksum, size = struct.unpack(">qi", head)
    content = log.read(size)
    whole = size > 0 and log.read(1) == b"B" and zlib.adler32(content) == checksum
    return content if whole else None


def _parts(rest: bytes) -> Iterator[tuple[int, bytes]]:
    """What a transaction consists of, each of its kind."""
    (count,) = struct.unpack_from(">i", rest)
    at = 4
    for _ in range(count):
        kind, size = struct.unpack_from(">ii", rest, at)
        yield kind, rest[at + 8 : at + 8 + size]
        at += 8 + size


def _text(rest: bytes) -> str:
    (size,) = struct.unpack_from(">i", rest)
    return rest[4 : 4 + size].decode()
