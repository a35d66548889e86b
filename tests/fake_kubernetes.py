"""An API server in a few lines, which can be made to answer as a real one rarely does.

Collections are kept by the last part of their path; a watch says what happened after its resourceVersion, and is
silent about a future one, as etcd is after a restore.
"""

import asyncio
import contextlib
import copy
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from aiohttp import web

from adapters.kubernetes.access import Access
from adapters.kubernetes.client import Api
from bridge.kit import Clock
from bridge.runtime.clock import SystemClock
from bridge.testing.ports import free_port

Object = dict[str, Any]


class Asked(NamedTuple):
    """One request; `at` is the loop's time."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float

    @property
    def watches(self) -> bool:
        return self.query.get("watch") == "true"


class FakeKubernetes:
    """`answer` may say something else than what stands there: a response, or None to go on as usual."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.version = 100
        self.oldest = 0  # what happened before it is compacted
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], web.StreamResponse | None] = lambda asked: None
        self.silent = False  # watches say nothing, not even bookmarks
        self.bookmarks = 60.0  # seconds between two
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._log: list[tuple[int, str, str, Object]] = []
        self._news = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator["FakeKubernetes"]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    def kubeconfig(self, folder: Path, user: Object | None = None, server: str | None = None, **cluster: Any) -> Path:
        """A kubeconfig that leads here."""
        path = folder / "kubeconfig"
        config = {
            "clusters": [{"name": "fake", "cluster": {"server": server or self.url, **cluster}}],
            "users": [{"name": "me", "user": user or {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "fake",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def put(self, collection: str, made: Object) -> Object:
        """Make or replace an object of `services`, `endpointslices` or `nodes`."""
        stored = copy.deepcopy(made)
        meta = stored["metadata"]
        key = meta.get("namespace", ""), meta["name"]
        old = self._objects.setdefault(collection, {}).get(key)
        meta.setdefault("uid", old["metadata"]["uid"] if old else f"uid-{self.version + 1}")
        self._tell(collection, "MODIFIED" if old else "ADDED", stored)
        self._objects[collection][key] = stored
        return stored

    def drop(self, collection: str, namespace: str, name: str) -> None:
        self._tell(collection, "DELETED", copy.deepcopy(self._objects[collection].pop((namespace, name))))

    def compact(self) -> None:
        """Forget what happened so far: a watch of it is Gone."""
        self.oldest = self.version

    def _tell(self, collection: str, kind: str, stored: Object) -> None:
        self.version += 1
        stored["metadata"]["resourceVersion"] = str(self.version)
        self._log.append((self.version, collection, kind, stored))
        self.wake()

    def wake(self) -> None:
        """Let watches look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        at = asyncio.get_running_loop().time()
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), at)
        self.asked.append(asked)
        answer = self.answer(asked)
        if answer is not None:
            return answer
        parts = request.path.strip("/").split("/")
        collection = parts[-1]
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        if asked.watches:
            return await self._watch(request, collection, namespace)
        return self._list(asked, collection, namespace)

    def _list(self, asked: Asked, collection: str, namespace: str) -> web.Response:
        there = self._objects.get(collection, {})
        every = [there[key] for key in sorted(there) if not namespace or key[0] == namespace]
        start = int(asked.query.get("continue", "0"))
        limit = int(asked.query.get("limit", "0")) or len(every) or 1
        meta: Object = {"resourceVersion": str(self.version)}
        if start + limit < len(every):
            meta["continue"] = str(start + limit)
        return web.json_response({"kind": "List", "metadata": meta, "items": every[start : start + limit]})

    async def _watch(self, request: web.Request, collection: str, namespace: str) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        if seen < self.oldest:
            return status(410, "Expired", "too old resource version")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                news = self._news
                for version, of, kind, stored in [] if self.silent else self._log:
                    if version > seen and of == collection and namespace in ("", stored["metadata"].get("namespace")):
                        await _say(response, kind, stored)
                if not self.silent:
                    seen = max(seen, self.version)
                try:
                    async with asyncio.timeout(self.bookmarks):
                        await news.wait()
                except TimeoutError:
                    if not self.silent:
                        await _say(response, "BOOKMARK", {"metadata": {"resourceVersion": str(seen)}})
        return response


@contextlib.asynccontextmanager
async def asking(kubeconfig: Path | None, clock: Clock | None = None, timeout: float = 60.0) -> AsyncIterator[Api]:
    """A client of what the kubeconfig names."""
    clock = clock or SystemClock()
    api = Api("k8s", Access(kubeconfig, None, clock), clock, timeout)
    try:
        yield api
    finally:
        await api.close()


def status(code: int, reason: str, message: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as an API server says it."""
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code, headers=headers)


async def _say(response: web.StreamResponse, kind: str, said: Object) -> None:
    await response.write(json.dumps({"type": kind, "object": said}).encode() + b"\n")
