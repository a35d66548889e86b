"""Free ports on loopback, below those that the system gives to clients, and for one process each."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

LOWEST, HIGHEST = 20_000, 31_999

_choice = random.Random()
_given: set[int] = set()  # in this process, where some may not be bound yet


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port between 20000 and 31999 that nobody listens on, another each time; OSError when none is found.

    Nobody else of this user is given it while this process runs, whether it listens there or not yet.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        port = _choice.randint(LOWEST, HIGHEST)
        if port not in _given and _is_free(family, host, port) and _taken(port):
            _given.add(port)
            return port
    raise OSError(f"no free port on {host} between {LOWEST} and {HIGHEST} in a hundred tries")


def _is_free(family: socket.AddressFamily, host: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


def _taken(port: int) -> bool:
    """Take it until this process ends, by a lock on one byte of a file; whether nobody else has it."""
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # the two ways in which systems say so
        return False
    return True


@cache
def _locks() -> int:
    """The file, which stays open: the system lets go of all its locks when a process closes it."""
    path = Path(tempfile.gettempdir()) / f"registry-bridge-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
