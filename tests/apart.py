"""A network of its own for a test: addresses that are no loopback, and lead nowhere else.

A thread has the network; what it starts inherits it: its event loop, further threads, processes. So the whole of a
test runs there, servers and clients alike, and the machine's own network is neither seen nor touched.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

NETWORK: Final = "10.99.0.0/16"
"""Every address of it is the thread's own, to listen on and to connect to."""

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_IFF_UP = 1


class NoNetworkError(Exception):
    """The system gives this process no network of its own."""


class Apart:
    """An event loop in a network of its own; use as `with`, which raises NoNetworkError where there is none to be had.

    `run` and all that it starts are in that network.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._why = ""
        self._thread = threading.Thread(target=self._serve, name="apart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        if self._why:
            self._thread.join()
            raise NoNetworkError(self._why)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Wait for it."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def _serve(self) -> None:
        try:
            _move()
        except OSError as error:
            self._why = f"a network of its own: {error.strerror}; run as root, or with CAP_SYS_ADMIN"
        self._up.set()
        if not self._why:
            self._loop.run_forever()
        self._loop.close()


def _move() -> None:
    """Give this thread an empty network, and its loopback device all addresses of NETWORK besides 127.0.0.0/8."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    address, _, bits = NETWORK.partition("/")
    mask = (0xFFFFFFFF << (32 - int(bits))).to_bytes(8, "big")[-4:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        said = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", said)[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
        for request, four in ((_SIOCSIFADDR, socket.inet_aton(address)[:3] + b"\1"), (_SIOCSIFNETMASK, mask)):
            fcntl.ioctl(sock, request, struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, four))
