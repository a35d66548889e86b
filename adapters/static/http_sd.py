"""Targets of Prometheus that a server tells over HTTP: one GET, its answer whole."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp

from bridge.errors import ConfigError
from bridge.kit.files import MAX_BYTES
from bridge.kit.settings import Secret

TIMEOUT = 30.0
"""Seconds until a whole answer must be there."""

CONNECT = 10.0
"""Seconds until a connection must stand."""

REDIRECTS = 3
"""How many redirects are followed, all on one host."""

_MOVED = (301, 302, 303, 307, 308)


class Access(NamedTuple):
    """How a server is asked: by which authority it is known, with which token, each how many seconds."""

    ca: Path | None
    token: Secret | None
    refresh: float


def shown(url: str) -> str:
    """The URL as messages may say it: without a user, a password, and what is asked for, which may be a key."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}{'?…' if parts.query else ''}"


async def fetch(url: str, where: str, access: Access) -> bytes:
    """The body of a good answer; ConfigError says why there is none, and names the URL by `where` alone."""
    try:
        context = await asyncio.to_thread(_context, access.ca) if url.startswith("https:") else None
        headers = {
            "Accept": "application/json",
            "User-Agent": "registry-bridge",
            "X-Prometheus-Refresh-Interval-Seconds": f"{access.refresh:g}",
        }
        if access.token is not None:
            headers["Authorization"] = f"Bearer {_token(access.token)}"
        timeout = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=CONNECT)
        connector = aiohttp.TCPConnector(ssl=context or True, limit=1, force_close=True)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
            return await _get(session, url, where)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ConfigError(f"{where}: {_why(error)}") from None


async def _get(session: aiohttp.ClientSession, url: str, where: str) -> bytes:
    for _ in range(REDIRECTS + 1):
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status in _MOVED:
                there = urljoin(url, answer.headers.get("Location", ""))
                if _origin(there) != _origin(url):
                    raise ConfigError(f"{where}: sends us to another server, {shown(there)}; name it if it is meant")
                url = there
                continue
            if answer.status != 200:
                raise ConfigError(f"{where}: answers {answer.status}{_remedy(answer.status)}")
            if answer.content_type != "application/json":
                raise ConfigError(f"{where}: answers {answer.content_type[:80]!r}, which is not application/json")
            if (answer.charset or "utf-8").lower() not in ("utf-8", "utf8"):
                raise ConfigError(f"{where}: answers in another encoding than UTF-8")
            return await _body(answer, where)
    raise ConfigError(f"{where}: sends us from one place to the next, more than {REDIRECTS} times")


async def _body(answer: aiohttp.ClientResponse, where: str) -> bytes:
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise ConfigError(f"{where}: answers with more than {MAX_BYTES:,} bytes; split it into several")
    return b"".join(pieces)


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca}: is to hold the authority of `urls`, and does not: {error.strerror}") from None


def _token(secret: Secret) -> str:
    token = secret.reveal()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError("http_sd.token: what is read from there is no token: it has blanks or other signs")
    return token


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "; is `http_sd.token` right?"
    return "; is it the right place?" if status == 404 else ""


def _why(error: Exception) -> str:
    """What happened, in words that repeat nothing that was sent."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted; name its authority with `http_sd.ca`"
        case aiohttp.ClientSSLError():
            return "no TLS comes about; does it speak https there?"
        case aiohttp.ClientConnectorDNSError():
            return "cannot be reached: there is no such host"
        case aiohttp.ClientConnectorError() if error.os_error.errno:
            return f"cannot be reached: {os.strerror(error.os_error.errno)}"
        case TimeoutError():
            return f"does not answer within {TIMEOUT:g} s"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "ends the connection before the answer is whole"
        case _:
            return f"cannot be read: {type(error).__name__}"
