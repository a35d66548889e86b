"""Files that others write while they are read, and are read while they are written."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bridge.errors import ConfigError

MAX_BYTES = 16 * 1024 * 1024
_CHUNK = 1024 * 1024


class Stamp(NamedTuple):
    """What tells one state of a file from another without reading it; a hint: file systems' clocks are coarse."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Content(NamedTuple):
    """What a file held at one moment."""

    data: bytes
    digest: bytes
    stamp: Stamp


def stamp(path: Path) -> Stamp | None:
    """The state of the file that `path` leads to, links followed; None when nothing is there, or nothing to be seen."""
    try:
        return Stamp.of(path.stat())
    except (OSError, ValueError):
        return None


def read(path: Path, where: str, limit: int = MAX_BYTES) -> Content | None:
    """Read a whole regular file; None when it changed meanwhile: try again a little later.

    ConfigError names the file and why it cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {_why(error)}") from None
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise ConfigError(f"{where}: is not a regular file; name a file, or a pattern such as {where}/*.yaml")
        pieces, size = [], 0
        while piece := os.read(handle, _CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise ConfigError(f"{where}: holds more than {limit:,} bytes; split it into several files")
        after = os.fstat(handle)
    except OSError as error:
        raise ConfigError(f"{where}: {_why(error)}") from None
    finally:
        os.close(handle)
    if Stamp.of(before) != Stamp.of(after) or size != after.st_size:
        return None
    data = b"".join(pieces)
    return Content(data, hashlib.blake2b(data, digest_size=16).digest(), Stamp.of(after))


def text(data: bytes, where: str) -> str:
    """Strict UTF-8, with or without a byte order mark; ConfigError names the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{where}:{line}: is not UTF-8; write it again in that encoding") from None


def replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Put a new content in the place of the file, wholly or not at all, also when the machine loses power."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with aside.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "is not a path that can be read"
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return "is not there; put it back, or take it out of the configuration"
        case errno.EACCES | errno.EPERM:
            return f"may not be read by user {os.geteuid()}; change its owner or its mode"
        case errno.ELOOP:
            return "is a link that leads back to itself; point it to a file"
        case _:
            return f"cannot be read: {error.strerror}"
