"""Where decisions are kept by a bridge whose election has no place for them: a file, or the process."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.errors import Conflict, Unavailable
from bridge.kit.election import Elector, Kept, Shelf
from bridge.kit.files import replace

FILE = "decisions.json"

PACE = 1.0
"""Seconds between two looks at the file, which another process may have written."""


def shelf(elector: Elector | None, folder: Path | None) -> Shelf:
    """Where a bridge with this election and this state folder keeps its decisions."""
    if elector is not None and elector.shelf is not None:
        return elector.shelf
    return FileShelf(folder / FILE) if folder is not None else Memory()


class FileShelf:
    """One file; its content is its revision."""

    pace = PACE

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._kept: Kept | None = None  # as of that stamp

    async def read(self) -> Kept | None:
        """What stands in the file, which is opened only when it is another one than before."""
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._kept, self._stamp = _read(self._path), stamp
        except OSError as error:
            raise Unavailable(f"{self.place}: cannot be read: {error.strerror}") from error
        return self._kept

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        """Replace the file under a lock that every writer takes."""
        try:
            await asyncio.to_thread(self._replace, content, replaces)
        except OSError as error:
            raise Unavailable(f"{self.place}: cannot be written: {error.strerror}; nothing was decided") from error

    async def close(self) -> None:
        """Nothing is held."""

    def _replace(self, content: bytes, replaces: Kept | None) -> None:
        with _alone(self._path):
            if _read(self._path) != replaces:
                raise Conflict(f"{self.place}: was written by somebody else meanwhile; read it again")
            replace(self._path, [content])


class Memory:
    """What lasts as long as the process."""

    pace = PACE
    place = "the memory of this process"

    def __init__(self) -> None:
        self._kept: Kept | None = None

    async def read(self) -> Kept | None:
        """What was written last."""
        return self._kept

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        """Replace it."""
        if self._kept != replaces:
            raise Conflict(f"{self.place}: was written meanwhile; read it again")
        self._kept = Kept(content, content)

    async def close(self) -> None:
        """Nothing is held."""


def _read(path: Path) -> Kept | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return Kept(content, content)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
