"""A door before a Consul that knows what passes: it counts questions, refuses them, and changes what is said."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from bridge.testing.ports import free_port


class Door:
    """Speaks HTTP on `port`. `refuse` is the status that all questions get that begin with `about`, 0 for none;
    `change` may alter headers; what begins with `hides` is not known here.

    `writes` are the bodies of all requests that were more than questions, with their paths.

    They pass in `turn`: one at a time, where doors have a lock in common; `told` hears how each was answered, by its
    path, its body and the status.

    `lose` and `spoil` are for the next transaction: its answer does not arrive, or its content is made a bad one.
    """

    def __init__(self, url: str) -> None:
        self.port = free_port()
        self.refuse = 0
        self.about = ""
        self.hides = ""
        self.lose = self.spoil = False
        self.change: Callable[[str, CIMultiDict[str]], None] = lambda path, headers: None
        self.asked: Counter[str] = Counter()
        self.writes: list[tuple[str, bytes]] = []
        self.told: Callable[[str, bytes, int], None] = lambda path, body, status: None
        self.turn: AbstractAsyncContextManager[object] = nullcontext()
        self.open = self.most = 0
        self._behind = url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Door"]:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as behind:

            async def handle(request: web.Request) -> web.StreamResponse:
                return await self._pass(request, behind)

            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _pass(self, request: web.Request, behind: aiohttp.ClientSession) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            return await self._answer(request, behind)
        finally:
            self.open -= 1

    def _refused(self, request: web.Request) -> bool:
        return bool(self.refuse) and request.path.startswith(self.about)

    async def _answer(self, request: web.Request, behind: aiohttp.ClientSession) -> web.StreamResponse:
        if self._refused(request):
            return web.Response(status=self.refuse, text="Your IP is issuing too many concurrent connections")
        if self.hides and request.path.startswith(self.hides):
            return web.Response(status=404)
        headers = _passed(request.headers, "X-Consul-Token")
        asked = await request.read()
        if request.method != "GET":
            self.writes.append((request.path, asked))
        writes = request.path == "/v1/txn" and b'"Service"' in asked
        if writes and self.spoil:
            self.spoil, asked = False, re.sub(rb'"Service":"[^"]*"', b'"Service":""', asked)
        url = f"{self._behind}{request.raw_path}"
        try:
            async with (
                nullcontext() if request.method == "GET" else self.turn,
                behind.request(request.method, url, headers=headers, data=asked or None) as answer,
            ):
                body = await answer.read()
                if request.method != "GET":
                    self.told(request.path, asked, answer.status)
        except (aiohttp.ClientError, OSError, asyncio.CancelledError):
            return web.Response(status=502)
        if writes and self.lose:
            self.lose = False
            assert request.transport is not None
            request.transport.abort()
        if self._refused(request):  # meanwhile
            return web.Response(status=self.refuse)
        said = CIMultiDict((name, value) for name, value in answer.headers.items() if name.startswith("X-Consul"))
        self.change(request.path, said)
        return web.Response(status=answer.status, body=body, headers=said)


def _passed(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}
