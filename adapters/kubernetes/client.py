"""One API server, asked in its own words: raw JSON, errors by reaction, and left alone for as long as it asks."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from adapters.kubernetes.access import Access, Login
from bridge.errors import BridgeError, Conflict, Denied, Rejected, Unavailable
from bridge.kit import Clock, answers
from bridge.kit.deadline import DEADLINE

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of one line of a watch; an object in etcd has 1.5 MB at most."""

MOST: Final = 120.0
"""Seconds for which a server is left alone at most, whatever it asks for."""

MERGE: Final = "application/merge-patch+json"

_NO_QUERY: Mapping[str, str] = {}
_NO_CONTENT = (400, 405, 406, 413, 415, 422)


class Missing(Conflict):
    """What is asked for is not there."""


class Expired(Unavailable):
    """The server no longer knows the past that is asked for: list again."""


class Silent(Unavailable):
    """A watch says nothing: there is no telling whether it ever will."""


class Busy(Unavailable):
    """The server asks to be left alone until `until`, seconds monotonic."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


def path(*parts: str) -> str:
    """The path of these parts, each quoted: `path("api", "v1", "namespaces", "shop")`."""
    if any(part in ("", ".", "..") for part in parts):
        raise Rejected(f"{'/'.join(parts)!r} names nothing in an API server")
    return "".join("/" + quote(part, safe="") for part in parts)


class Api:
    """Requests to one server. All raise Denied, Unavailable, Conflict or Rejected; nothing is retried.

    Only credentials that are refused are renewed, and what was refused with them is asked once more.
    """

    def __init__(self, where: str, access: Access, clock: Clock, timeout: float) -> None:
        """`where` is what messages begin with, `timeout` the seconds for an answer that is no watch."""
        self.where = where
        self._access = access
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._quiet = float("-inf")

    async def text(self, path: str, query: Mapping[str, str] = _NO_QUERY) -> str:
        """What stands there, as it is said."""
        return (await self._whole("GET", path, query)).decode()

    async def get(self, path: str, query: Mapping[str, str] = _NO_QUERY) -> Any:
        """The object or the list that stands there."""
        return self._json(await self._whole("GET", path, query), path)

    async def post(self, path: str, body: Any) -> Any:
        """Create an object in this collection; the object as it is then."""
        return self._json(await self._whole("POST", path, body=body), path)

    async def put(self, path: str, body: Any) -> Any:
        """Replace an object, where `body` may name the resourceVersion to be replaced; the object as it is then."""
        return self._json(await self._whole("PUT", path, body=body), path)

    async def patch(self, path: str, body: Any) -> Any:
        """Merge `body` into an object; the object as it is then."""
        return self._json(await self._whole("PATCH", path, body=body, kind=MERGE), path)

    async def delete(self, path: str, preconditions: Mapping[str, str] | None = None) -> None:
        """Delete an object if it has this `uid` and this `resourceVersion`."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions} if preconditions else None
        await self._whole("DELETE", path, body=body)

    @asynccontextmanager
    async def watch(self, path: str, query: Mapping[str, str], silence: float) -> AsyncIterator["Lines"]:
        """Follow a collection; Unavailable when nothing at all is said for `silence` seconds."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total, sock_read=silence)
        place = f"{self.where}: watch of {path}"
        with _told(place, f"was silent for {silence:g} s; all is listed anew"):
            async with self._asked("GET", path, {**query, "watch": "true"}, limits) as answer:
                yield Lines(answer.content, place, silence)

    async def close(self) -> None:
        """Release every connection."""
        await self._access.close()

    async def _whole(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] = _NO_QUERY,
        body: Any = None,
        kind: str = "application/json",
    ) -> bytes:
        place = f"{self.where}: {method} {path}"
        late = f"has no answer within {self._timeout.total:g} s; see the server, or raise `timeout`"
        with _told(place, late):
            async with self._asked(method, path, query, self._timeout, body=body, kind=kind) as answer:
                return await answers.whole(answer, place, "read fewer namespaces")

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        *,
        body: Any = None,
        kind: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer; it is released when the context is left."""
        place = f"{self.where}: {method} {path}"
        rest = self._quiet - self._clock.now()
        if rest > 0:
            raise Busy(f"{place}: the server is left alone for {rest:.0f} s more, as it asked", self._quiet)
        data = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        content = {"Content-Type": kind} if data is not None else {}
        login = await self._login()
        for renewed in (False, True):
            if self._clock.now() >= DEADLINE.get():
                raise Unavailable(f"{place}: comes too late, when another replica may lead; nothing was sent")
            async with login.session.request(
                method,
                login.server + path,
                params=query,
                data=None if data is None else _InTime(data, self._clock),
                headers={**login.headers, **content},
                timeout=limits,
                allow_redirects=False,
                **login.options,
            ) as answer:
                if answer.status == 401 and not renewed and (other := await self._login(login)) is not login:
                    login = other
                    continue
                if answer.status >= 300:
                    raise self._refused(answer.status, await _some(answer), answer.headers, place)
                yield answer
                return

    async def _login(self, refused: Login | None = None) -> Login:
        try:
            return await self._access.login(refused)
        except Denied as error:
            raise Denied(f"{self.where}: {error}") from None

    def _refused(self, status: int, body: bytes, headers: Mapping[str, str], place: str) -> BridgeError:
        wait = _seconds(headers.get("Retry-After", ""), self._clock.wall()) if status in (429, 503) else 0.0
        if wait > 0:
            self._quiet = max(self._quiet, self._clock.now() + min(wait, MOST))
            return Busy(
                f"{place}: the server is busy ({status}), and asks to be left alone for {wait:g} s", self._quiet
            )
        return refusal(status, body, place)

    def _json(self, body: bytes, path: str) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            raise Unavailable(f"{self.where}: {path}: {_NOT_AN_API}") from None


class _InTime(aiohttp.BytesPayload):
    """A body that is looked at once more when it is written, as connecting and waiting for one's turn take a while.

    What stands before it is written with it, so that nothing of a request is sent too late.
    """

    def __init__(self, data: bytes, clock: Clock) -> None:
        super().__init__(data)
        self._clock = clock

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if self._clock.now() >= DEADLINE.get():
            raise TimeoutError("too late to be sent")
        await super().write_with_length(writer, content_length)


class Lines:
    """What a watch says, in batches: all lines that have come, at least one; it ends when the server ends it."""

    def __init__(self, content: aiohttp.StreamReader, place: str, silence: float) -> None:
        self._content = content
        self._place = place
        self._silence = silence
        self._rest = b""

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> list[bytes]:
        with _told(self._place, f"was silent for {self._silence:g} s; all is listed anew", Silent):
            while piece := await self._content.readany():
                *lines, self._rest = (self._rest + piece).split(b"\n")
                if len(self._rest) > LONGEST:
                    raise Silent(f"{self._place}: says a line of more than {LONGEST:,} bytes; all is listed anew")
                if lines:
                    return lines
        raise StopAsyncIteration


@contextmanager
def _told(place: str, late: str, kind: type[Unavailable] = Unavailable) -> Iterator[None]:
    """What goes wrong on the way, as Unavailable; `late` says what it means when time is up, and is of that `kind`."""
    try:
        yield
    except TimeoutError:
        raise kind(f"{place}: {late}") from None
    except (aiohttp.ClientError, OSError) as error:
        names = "`server` in the kubeconfig", "`certificate-authority`", "`client-certificate` and `client-key` there"
        raise Unavailable(f"{place}: {answers.lost(error, *names)}") from None


_NOT_AN_API = "is answered by something else than a Kubernetes API server; correct `server:` in the kubeconfig"


def refusal(status: int, body: bytes, place: str) -> BridgeError:
    """The reaction to an answer that is none of success."""
    said = _said(body)
    message = " ".join(str(said.get("message") or "").split())[:400] if said is not None else ""
    what = f"{place}: {message or f'answers with status {status}'}"
    if status == 401:
        return Denied(f"{place}: the credentials are refused; they may have expired: renew them in the kubeconfig")
    if status == 403:
        if _caused(said, "NamespaceTerminating"):
            return Conflict(f"{what}; nothing can be written there until it is made again")
        return Denied(f"{what}; grant it to that user by a Role, or a ClusterRole, and its binding", whole=False)
    if status >= 500 or status == 429:
        return Unavailable(what)
    if status < 400 or said is None:
        return Unavailable(f"{place}: {_NOT_AN_API}")
    if status == 404:
        return Missing(f"{what}{_no_namespace(said)}")
    if status == 409:
        return Conflict(what)
    if status == 410:
        return Expired(what)
    return Rejected(what) if status in _NO_CONTENT else Unavailable(what)


def _no_namespace(said: Mapping[str, Any]) -> str:
    """What to do where it is the namespace that is missing, "" where it is something else."""
    details = said.get("details")
    if not isinstance(details, Mapping) or details.get("kind") != "namespaces":
        return ""
    return f"; make the namespace {str(details.get('name'))[:63]}, or name another"


def _said(body: bytes) -> Mapping[str, Any] | None:
    """The Status object of an API server, None where it is something else."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.get("kind") == "Status" else None


def _caused(said: Mapping[str, Any] | None, reason: str) -> bool:
    details = (said or {}).get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return isinstance(causes, list) and any(isinstance(one, dict) and one.get("reason") == reason for one in causes)


def _seconds(said: str, wall: float) -> float:
    """What Retry-After asks for: seconds, or a moment; 0 where it asks for nothing."""
    if said.isdecimal() and len(said) < 10:
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - wall)
    except (ValueError, OverflowError):
        return 0.0


async def _some(answer: aiohttp.ClientResponse) -> bytes:
    """What a refusal says, up to a bound."""
    pieces, size = [], 0
    while size < 65536 and (piece := await answer.content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
