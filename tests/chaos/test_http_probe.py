"""Checks over HTTP, against real servers."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.checks import Failed, Hindered, Passed, Result
from bridge.kit.health import HttpCheckSettings
from bridge.model import EndpointId
from bridge.runtime.http_probe import HttpProbe
from tests.envoy.certificates import Authority

HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds: what answers at all answers within them, on any machine."""


class Server:
    """Answers every GET with `status`, and keeps what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[web.Request] = []
        self.at = EndpointId(HOST, 0)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return web.Response(status=self.status, headers={"Location": "/elsewhere"}, text="x" * 100_000)

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
            self.at = EndpointId(HOST, runner.addresses[0][1])
            yield self
        finally:
            await runner.cleanup()


async def found(at: EndpointId, seconds: float = PATIENCE, **how: Any) -> Result:
    context = {"folder": Path("/")}
    return await HttpProbe(HttpCheckSettings.model_validate(how, context=context))(at, seconds)


@pytest.mark.parametrize(
    ("status", "expect", "result"),
    [
        (200, "200-399", Passed()),
        (503, "200-399", Failed("status 503, not 200-399")),
        (302, "200-299", Failed("status 302, not 200-299")),
        (404, "404", Passed()),
    ],
)
async def test_the_status_decides(status: int, expect: str, result: Result) -> None:
    async with Server(status).running() as server:
        assert await found(server.at, expect=expect) == result


async def test_no_redirect_is_followed() -> None:
    async with Server(302).running() as server:
        assert await found(server.at) == Passed()
        assert [request.path for request in server.asked] == ["/"]


async def test_path_and_host_are_sent_as_they_are_written() -> None:
    async with Server().running() as server:
        await found(server.at, path="/health?deep=%20yes", host="shop.example")
        (request,) = server.asked
        assert request.raw_path == "/health?deep=%20yes"
        assert request.headers["Host"] == "shop.example"


async def test_nobody_and_somebody_who_speaks_otherwise_and_somebody_silent_are_failures() -> None:
    with closing(socket.socket()) as it:
        it.bind((HOST, 0))
        refusing = EndpointId(HOST, it.getsockname()[1])
        assert await found(refusing) == Failed("connection refused")
        it.listen()
        assert await found(refusing, 0.1) == Failed("silent for 0.1 s")

    async def shout(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(shout, HOST, 0) as server:
        result = await found(EndpointId(HOST, server.sockets[0].getsockname()[1]))
    assert isinstance(result, Failed)


async def test_errors_of_our_own_are_no_verdict() -> None:
    nowhere = await found(EndpointId("255.255.255.255", 80))
    assert isinstance(nowhere, Hindered)
    async with Server().running() as server:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        with closing(socket.socket()) as spare:
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno(), before[1]))
            try:
                result = await found(server.at)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert result == Hindered("cannot be reached from here: too many open files")
        missing = await found(server.at, tls={"ca": "/no/ca.pem"})
        assert isinstance(missing, Hindered)
        assert "/no/ca.pem" in missing.why


async def test_a_certificate_must_be_of_the_authority_and_for_the_host(tmp_path: Path) -> None:
    authority, other = Authority(), Authority("other")
    authority.pair("server").write(tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "other.pem").write_bytes(other.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    ours, theirs = {"ca": str(tmp_path / "ca.pem")}, {"ca": str(tmp_path / "other.pem")}
    async with Server().running(context) as server:
        assert await found(server.at, tls=ours) == Passed()
        assert await found(server.at, tls=ours, host="localhost:443") == Passed()
        for wrong in ({"tls": theirs}, {"tls": ours, "host": "shop.example"}):
            result = await found(server.at, **wrong)
            assert isinstance(result, Failed)
            assert result.why.startswith("TLS: ")
        assert await found(server.at) == Failed("hung up without an answer (a port of TLS wants `tls`)")
        assert await found(server.at, tls=ours | {"check_hostname": False}, host="shop.example") == Passed()
    async with Server().running() as plain:
        result = await found(plain.at, tls=ours)
        assert isinstance(result, Failed)


async def test_another_authority_is_believed_when_its_file_changes(tmp_path: Path) -> None:
    authority, other = Authority(), Authority("other")
    authority.pair("server").write(tmp_path / "cert.pem", tmp_path / "key.pem")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(other.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    probe = HttpProbe(HttpCheckSettings.model_validate({"tls": {"ca": str(ca)}}, context={"folder": tmp_path}))
    async with Server().running(context) as server:
        assert isinstance(await probe(server.at, PATIENCE), Failed)
        fresh = tmp_path / "fresh.pem"
        fresh.write_bytes(authority.pem)
        fresh.replace(ca)
        assert await probe(server.at, PATIENCE) == Passed()
