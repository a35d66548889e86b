"""One at a time: whoever writes a file that bridges share, or its claim, holds the lock of the file beside it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.errors import Unavailable


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, which is made where it is not there, and may be replaced meanwhile.

    Unavailable when another process holds it; OSError when there can be no file.
    """
    handle = _open(path)
    try:
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, handle):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise Unavailable(f"{path}: another process holds its lock, and writes now; it is tried again") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another one stands there since


def _is(path: Path, handle: int) -> bool:
    """Whether the file that is open is still the one that stands there."""
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(handle))
