"""What may become of an answer over HTTP on its way here, and what mends it."""

import os
import ssl
from typing import Final

import aiohttp

from bridge.errors import Unavailable

LARGEST: Final = 256 * 1024 * 1024
"""Bytes of one answer that are read."""


async def whole(answer: aiohttp.ClientResponse, place: str, less: str) -> bytes:
    """All that it says; Unavailable where that is too much. `less` is what makes it so, such as `read fewer names`."""
    pieces, size = [], 0
    while piece := await answer.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise Unavailable(f"{place}: is answered by more than {LARGEST:,} bytes; {less}")
    return b"".join(pieces)


def lost(error: aiohttp.ClientError | OSError, server: str, authority: str, ours: str) -> str:
    """What went wrong, and what may mend it: `server`, `authority` and the certificate that is `ours` are how the
    operator names them."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "it is not to be trusted"
            return f"the server's certificate is refused: {reason}; correct {authority} or {server}"
        case aiohttp.ClientConnectorSSLError():
            return f"no TLS is spoken there; correct the scheme or the port of {server}"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} has no address; correct {server}, or the resolver"
        case aiohttp.ClientConnectorError():
            why = os.strerror(error.os_error.errno) if error.os_error.errno else type(error.os_error).__name__
            return f"{error.host}:{error.port} cannot be reached: {why}; see whether the server runs there"
        case aiohttp.ClientPayloadError():
            return "the answer is cut short; it is asked again"
        case aiohttp.ClientOSError(__cause__=ssl.SSLError() as said) if said.reason:
            alert = said.reason.replace("_", " ").lower()
            return f"the server does not believe who we are ({alert}); write or correct {ours}"
        case aiohttp.ClientOSError() if error.strerror:
            return f"the connection is lost: {error.strerror}; it is asked again"
        case _:
            return f"the connection is lost ({type(error).__name__}); it is asked again"
