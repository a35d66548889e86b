"""Whether a port is open: a TCP connection is made and given up at once; nothing is said."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping

from bridge.checks import Failed, Hindered, Passed, Result
from bridge.model import EndpointId

TIMEOUT = 1.0
"""Seconds until silence is an answer."""

AT_ONCE = 128
"""Connections of one round that are tried side by side."""

Probe = Callable[[Iterable[EndpointId]], Awaitable[Mapping[EndpointId, bool | None]]]
"""One round: True open, False closed, None when the error is ours and says nothing."""

_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends a reset and leaves no TIME_WAIT behind

# That there is no way to the host may be found out by its neighbours (EHOSTUNREACH): it speaks of the host, and weighs
# as much as silence. That there is none to its network (ENETUNREACH) speaks of us, as does everything else.
_CLOSED = {errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN}


async def connects(endpoints: Iterable[EndpointId], timeout: float = TIMEOUT) -> dict[EndpointId, bool | None]:  # noqa: ASYNC109
    """Try every one of `endpoints` once, and tell of each."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(endpoint: EndpointId) -> bool | None:
        async with slots:
            return await _connects(endpoint, timeout)

    wanted = list(dict.fromkeys(endpoints))
    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))


async def _connects(endpoint: EndpointId, seconds: float) -> bool | None:
    result = await reaches(endpoint, seconds)
    return None if isinstance(result, Hindered) else isinstance(result, Passed)


async def reaches(endpoint: EndpointId, seconds: float) -> Result:
    """Try it once, and tell what came of it."""
    try:
        family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as it:
            it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            try:
                async with asyncio.timeout(seconds):
                    await asyncio.get_running_loop().sock_connect(it, (endpoint.address, endpoint.port))
            except TimeoutError:
                if not _is_connected(it):
                    return silent(seconds)
            return Passed()
    except OSError as error:
        return failed(error)


def _is_connected(it: socket.socket) -> bool:
    """Whether an answer has come all the same, and it is we who were late to look: that is no silence."""
    try:
        it.getpeername()
    except OSError:
        return False
    return True


def silent(seconds: float) -> Failed:
    """Nothing was heard for so long."""
    return Failed(f"silent for {seconds:g} s")


def failed(error: OSError) -> Failed | Hindered:
    """What an error of connecting says, of the other side or of ourselves."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    return Failed(why) if error.errno in _CLOSED else Hindered(f"cannot be reached from here: {why}")
