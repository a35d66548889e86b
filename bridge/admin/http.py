"""Who may speak to the admin port and in which form: hosts, headers, JSON."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from ipaddress import ip_address
from itertools import islice
from typing import Any

import structlog
from aiohttp import web

from bridge.admin.text import hide
from bridge.errors import BridgeError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Mapping[str, str] = {
    "Server": "registry-bridge",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

BODY = 64 * 1024
"""Bytes of the largest request body that is read."""

AT_ONCE = 50
"""Rows that are made before other tasks of the event loop have their turn."""

_log = structlog.get_logger("bridge.admin")


class BadRequestError(BridgeError):
    """What was asked cannot be answered as it was asked; the message says why. Status 400, or `status`."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def guarded(host: str | None) -> Any:
    """A middleware: strict headers, errors as JSON, and (unless `host` is None) only requests made to this host.

    A page of another site can have its own name resolve to 127.0.0.1 and so send requests here; their `Host` is that
    name. So only an IP literal, `localhost` and the configured `host` are answered.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if host is not None and not host_is_ours(request.headers.get("Host", ""), host):
            return error(421, "Host: only an IP address, localhost or the configured admin.listen is answered here")
        try:
            return await handler(request)
        except BadRequestError as problem:
            return error(problem.status, str(problem))
        except BridgeError as problem:
            return error(409, str(problem))
        except web.HTTPException as problem:
            return error(problem.status, problem.reason)
        except Exception:
            _log.exception("an admin request failed", path=request.path, method=request.method)
            return error(500, "the request failed by a bug of the bridge; the log has the trace")

    return middleware


async def dress(_: web.Request, response: web.StreamResponse) -> None:
    """Put the strict headers on; a signal of the application, so that no response goes without."""
    response.headers.update(HEADERS)


def host_is_ours(header: str, configured: str) -> bool:
    """Whether a `Host` header (with or without a port) names this machine by number, localhost, or as configured."""
    if header.startswith("["):
        name, bracket, rest = header[1:].partition("]")
        if not bracket or (rest and not (rest[0] == ":" and rest[1:].isdigit())):
            return False
    else:
        name, colon, port = header.partition(":")
        if colon and not port.isdigit():
            return False
    name = name.lower()
    if name in ("localhost", configured.lower()):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def answer(value: Any, status: int = 200) -> web.Response:
    """`value` as JSON, pure ASCII."""
    return web.Response(text=hide(json.dumps(value)) + "\n", status=status, content_type="application/json")


def error(status: int, message: str) -> web.Response:
    """`{"error": message}`."""
    return answer({"error": message}, status)


async def stream(request: web.Request, key: str, rows: Iterator[Any], **head: Any) -> web.StreamResponse:
    """`{**head, key: [rows]}`, made and sent piece by piece, so that a long list holds nothing up."""
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    before = json.dumps(head)[:-1] + (", " if head else "") + f'"{key}": ['
    async for piece in _pieces(rows):
        await response.write((before + piece).encode("ascii"))
        before = ""
    await response.write((before + "]}\n").encode("ascii"))
    await response.write_eof()
    return response


async def _pieces(rows: Iterator[Any]) -> AsyncIterator[str]:
    between = ""
    while some := list(islice(rows, AT_ONCE)):
        yield hide(between + ",\n".join(map(json.dumps, some)))
        await asyncio.sleep(0)
        between = ",\n"


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a POST.

    Its content type must be `application/json`, which no page of another site can send without being asked first.
    """
    if request.content_type != "application/json":
        raise BadRequestError("send a JSON object with `Content-Type: application/json`", 415)
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise BadRequestError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError("the body is not a JSON object")
    return value
