"""A door before an API server that knows what passes: it counts writes, loses an answer, spoils a content."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import web

from bridge.testing.ports import free_port
from tests.servers.kubernetes.server import ApiServer

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_PASSED_ON = ("Authorization", "Content-Type", "Accept")


class Write(NamedTuple):
    """A request that was to change something, and the answer's status."""

    method: str
    path: str
    status: int

    @property
    def said(self) -> str:
        """`POST endpointslices`, `PUT web-1a2b3c4d-0`."""
        return f"{self.method} {self.path.rpartition('/')[2]}"


class Door:
    """Speaks HTTP without TLS on `port`, and with TLS to the server behind."""

    def __init__(self, server: ApiServer) -> None:
        self.port = free_port()
        self.writes: list[Write] = []
        self._server = server
        self._lose = False
        self._spoil = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lose_answer(self) -> None:
        """The next write is made, and its answer does not arrive."""
        self._lose = True

    def spoil(self) -> None:
        """The next write is made into one that the server refuses for its content."""
        self._spoil = True

    def made(self, kind: str) -> list[Write]:
        """The writes of objects of a kind, such as `endpointslices`, that were made."""
        return [one for one in self.writes if f"/{kind}" in one.path and one.status < 300]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Door"]:
        connector = aiohttp.TCPConnector(ssl=self._server.trust(), limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as behind:

            async def handle(request: web.Request) -> web.StreamResponse:
                return await self._pass(request, behind)

            app = web.Application(client_max_size=1 << 24)
            app.router.add_route("*", "/{tail:.*}", handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _pass(self, request: web.Request, behind: aiohttp.ClientSession) -> web.StreamResponse:
        body = await request.read()
        write = request.method in _WRITES and "/leases" not in request.path
        if write and self._spoil:
            self._spoil, body = False, _spoiled(body)
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        url = f"{self._server.url}{request.path_qs}"
        async with behind.request(request.method, url, data=body or None, headers=headers) as answer:
            if request.method in _WRITES:
                self.writes.append(Write(request.method, request.path, answer.status))
            if write and self._lose:
                self._lose = False
                await answer.read()
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            told = {name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=told)
            await response.prepare(request)
            try:
                async for piece in answer.content.iter_any():
                    await response.write(piece)
            except (ConnectionError, asyncio.CancelledError, aiohttp.ClientError):
                return response  # one of the two has gone
            await response.write_eof()
            return response


def _spoiled(body: bytes) -> bytes:
    said = json.loads(body)
    for one in said.get("endpoints") or ():
        one["addresses"] = ["127.0.0.1"]
    return json.dumps(said).encode()
