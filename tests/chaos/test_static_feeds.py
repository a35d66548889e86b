"""Inventories that are asked for: servers that tell targets over HTTP, and Ansible's tool."""

import asyncio
import contextlib
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.static.settings import Settings
from bridge.errors import Unavailable
from bridge.testing.ports import free_port
from tests.chaos.test_static_files import Watched
from tests.envoy.certificates import Authority
from tests.observed import observing

SECRET = "hunter2-is-a-secret"
JSON = {"Content-Type": "application/json"}


def targets(*addresses: str) -> str:
    return json.dumps([{"targets": list(addresses), "labels": {"job": "a"}}])


class Server:
    """A server that answers as `answer` says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/sd"
        self.answer: dict[str, Any] = {"text": targets("10.0.0.1:80"), "headers": JSON}
        self.at: dict[str, dict[str, Any]] = {}
        self.asked: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        answer = self.at.get(request.path, self.answer)
        if "cut" in answer:
            response = web.StreamResponse(headers={**JSON, "Content-Length": "1000"})
            await response.prepare(request)
            await response.write(answer["cut"])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(**answer)

    @contextlib.asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context).start()
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().running() as running:
        yield running


def watched(folder: Path, **keys: Any) -> Watched:
    said = {"name": "vms", "kind": "static", "namespace": "shop", **keys}
    return Watched(Settings.model_validate(said, context={"folder": folder}))


def watching(folder: Path, **keys: Any) -> AbstractAsyncContextManager[Watched]:
    return observing(watched(folder, **keys))


async def unavailable(folder: Path, **keys: Any) -> str:
    with pytest.raises(Unavailable) as caught:
        await asyncio.wait_for(watched(folder, **keys).run(), 90)
    return str(caught.value)


async def test_targets_are_asked_for_as_prometheus_asks(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    access = {"refresh": "90s", "token": {"file": "token"}}
    async with watching(tmp_path, urls=[f"{server.url}?key={SECRET}"], http_sd=access) as watched:
        assert watched.addresses() == ["10.0.0.1"]
        (request,) = server.asked
        assert (request.method, request.path, request.query["key"]) == ("GET", "/sd", SECRET)
        assert request.headers["X-Prometheus-Refresh-Interval-Seconds"] == "90"
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        server.answer = {"text": targets("10.0.0.1:80", "10.0.0.2:80"), "headers": JSON}
        await watched.answered()
        assert watched.addresses() == ["10.0.0.1", "10.0.0.2"]
        server.answer = {"text": "[]", "headers": JSON}
        await watched.answered()
        assert watched.now.services == {}
        assert watched.now.problems == ()


async def test_files_and_urls_make_one_registry(server: Server, tmp_path: Path) -> None:
    (tmp_path / "vms.yaml").write_text("services: [{name: a, port: 80, endpoints: [10.0.0.9]}]")
    async with watching(
        tmp_path, files=["vms.yaml"], urls=[server.url, f"{server.url}?2", f"{server.url}?3"]
    ) as watched:
        assert watched.addresses() == ["10.0.0.1", "10.0.0.9"]
        assert watched.now.parts == 4
        (tmp_path / "new").write_text("services: [{name: a, port: 80, endpoints: [10.0.0.8]}]")
        (tmp_path / "new").replace(tmp_path / "vms.yaml")
        await watched.until(lambda: watched.addresses() == ["10.0.0.1", "10.0.0.8"])


@pytest.mark.promise("R-22", "S-12", "law-1", "law-4")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 500, "text": SECRET}, "answers 500"),
        ({"status": 401, "text": SECRET}, "answers 401; is `http_sd.token` right?"),
        ({"status": 404, "text": SECRET}, "answers 404; is it the right place?"),
        ({"status": 204}, "answers 204"),
        ({"text": "[]", "headers": {"Content-Type": "text/plain"}}, "which is not application/json"),
        ({"body": b"[]", "headers": {"Content-Type": "application/json; charset=latin-1"}}, "in another encoding"),
        ({"body": b"\xff", "headers": JSON}, "is not UTF-8"),
        ({"text": "", "headers": JSON}, "is empty; an inventory without services says `[]`"),
        ({"text": "{}", "headers": JSON}, "a mapping is not a list of `targets` and `labels`"),
        ({"text": '[{"targets": [', "headers": JSON}, "is the file half written?"),
        ({"text": '[{"targets": ["x"], "labels": {"job": "a"}}]', "headers": JSON}, "1 of 1 instances are bad"),
        ({"body": b" " * (17 << 20), "headers": JSON}, "answers with more than 16,777,216 bytes"),
        (
            {"body": gzip.compress(b" " * (17 << 20)), "headers": {**JSON, "Content-Encoding": "gzip"}},
            "answers with more than 16,777,216 bytes",
        ),
        ({"body": b"x", "headers": {**JSON, "Content-Encoding": "gzip"}}, "is empty"),
        ({"cut": b'[{"targets": []'}, "ends the connection before the answer is whole"),
        (
            {"status": 302, "headers": {"Location": "http://localhost:9/x?k=" + SECRET}},
            "another server, http://localhost:9/x?…",
        ),
        ({"status": 302, "headers": {"Location": "https://127.0.0.1/x"}}, "another server, https://127.0.0.1/x"),
        ({"status": 302, "headers": {"Location": "/sd"}}, "from one place to the next, more than 3 times"),
        ({"status": 302, "headers": {"Location": "http://[x"}}, "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_after_a_bad_answer_the_last_list_stands(
    server: Server, tmp_path: Path, answer: dict[str, Any], why: str
) -> None:
    async with watching(tmp_path, urls=[f"{server.url}?key={SECRET}"]) as watched:
        server.answer = answer
        await watched.answered()
        assert watched.addresses() == ["10.0.0.1"]
        assert why in watched.problems
        assert watched.problems.startswith(f"{server.url}?…")
        assert SECRET not in repr(watched.now)
        (unread,) = watched.now.unread
        assert unread.part == f"{server.url}?…"
        server.answer = {"text": targets("10.0.0.2:80"), "headers": JSON}
        await watched.answered()
        assert watched.addresses() == ["10.0.0.2"]
        assert watched.now.problems == ()


async def test_a_redirect_on_the_same_server_is_followed(server: Server, tmp_path: Path) -> None:
    server.at["/sd"] = {"status": 308, "headers": {"Location": "/elsewhere"}}
    async with watching(tmp_path, urls=[server.url]) as watched:
        assert watched.addresses() == ["10.0.0.1"]
        assert [request.path for request in server.asked] == ["/sd", "/elsewhere"]


@pytest.mark.promise("law-3")
async def test_before_the_first_answer_the_source_is_unavailable(tmp_path: Path) -> None:
    server = Server()
    assert await unavailable(tmp_path, urls=[server.url]) == f"{server.url}: cannot be reached: Connection refused"
    (tmp_path / "vms.yaml").write_text("services: []\n")
    assert "Connection refused" in await unavailable(tmp_path, urls=[server.url], files=["vms.yaml"])
    async with server.running():
        assert "token: a secret is to be read from here" in await unavailable(
            tmp_path, urls=[server.url], http_sd={"token": {"file": "token"}}
        )


async def test_certificates_are_verified_by_the_authority_that_is_named(tmp_path: Path) -> None:
    authority, other = Authority(), Authority("other")
    authority.pair("server").write(tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "other.pem").write_bytes(other.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with Server().running(context) as server:
        url = server.url.replace("http:", "https:")
        async with watching(tmp_path, urls=[url], http_sd={"ca": "ca.pem"}) as watched:
            assert watched.addresses() == ["10.0.0.1"]
        for access in ({"ca": "other.pem"}, {}):
            assert "is not trusted; name its authority" in await unavailable(tmp_path, urls=[url], http_sd=access)
        assert "ca.pem" in await unavailable(tmp_path, urls=[url], http_sd={"ca": "no-ca.pem"})
        assert "ends the connection" in await unavailable(tmp_path, urls=[server.url])
    async with Server().running() as server:
        assert "does it speak https there?" in await unavailable(tmp_path, urls=[server.url.replace("http:", "https:")])


# Ansible's tool


LISTED = {"_meta": {"hostvars": {"h1": {"ansible_host": "10.0.0.1"}}}, "web": {"hosts": ["h1"]}}


def tool(folder: Path, script: str) -> dict[str, Any]:
    """A registry whose inventory `hosts` a script reads."""
    (folder / "tool").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "tool").chmod(0o755)
    (folder / "hosts").write_text("[web]\nh1\n")
    command = [str(folder / "tool"), "--flag"]
    groups = {"groups": {"web": "a"}, "port": {"default": 80}, "command": command}
    return {"files": ["hosts"], "format": "ansible", "ansible": groups}


async def test_the_tool_reads_the_inventory_anew_when_the_file_is_another(tmp_path: Path) -> None:
    (tmp_path / "listed.json").write_text(json.dumps(LISTED))
    script = f'echo "$@" "$ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED" >> {tmp_path}/asked; cat {tmp_path}/listed.json'
    async with watching(tmp_path, **tool(tmp_path, script)) as watched:
        assert watched.addresses() == ["10.0.0.1"]
        listed = json.dumps(LISTED).replace("10.0.0.1", "10.0.0.2")
        (tmp_path / "listed.json").write_text(listed)
        (tmp_path / "hosts").write_text("[web]\nh1 changed=1\n")
        await watched.until(lambda: watched.addresses() == ["10.0.0.2"])
    asked = (tmp_path / "asked").read_text().splitlines()
    assert set(asked) == {f"--flag --inventory {tmp_path}/hosts --list 1"}


async def test_what_the_tool_says_of_an_ini_file_is_json_all_the_same(tmp_path: Path) -> None:
    keys = tool(tmp_path, f"echo '{json.dumps(LISTED)}'")
    (tmp_path / "hosts").rename(tmp_path / "hosts.ini")
    async with watching(tmp_path, **{**keys, "files": ["*.ini"]}) as watched:
        assert watched.addresses() == ["10.0.0.1"]


async def test_the_tool_is_told_no_secret_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_TOKEN", SECRET)
    (tmp_path / "listed.json").write_text(json.dumps(LISTED))
    async with watching(tmp_path, **tool(tmp_path, f"env > {tmp_path}/env; cat {tmp_path}/listed.json")):
        assert SECRET not in (tmp_path / "env").read_text()


@pytest.mark.promise("R-22", "S-12")
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f"echo {SECRET} >&2; exit 4", "ends with 4; see what it says: ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1 "),
        ("""echo '{"_meta": {"hostvars": {}}, "all": {"children": ["ungrouped"]}}'""", "has no hosts"),
        ("exit 0", "says nothing, or something else than JSON"),
        (f"echo {SECRET}", "something else than JSON"),
        ("head -c 20000000 /dev/zero", "says more than 16,777,216 bytes"),
    ],
)
async def test_what_the_tool_cannot_read_makes_the_source_unavailable(tmp_path: Path, script: str, why: str) -> None:
    said = await unavailable(tmp_path, **tool(tmp_path, script))
    assert why in said
    assert SECRET not in said


async def test_a_tool_that_is_not_there_is_named(tmp_path: Path) -> None:
    keys = tool(tmp_path, "exit 0")
    keys["ansible"]["command"] = ["no-such-tool-here"]
    assert "no-such-tool-here cannot be run: No such file or directory" in await unavailable(tmp_path, **keys)


async def test_a_tool_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.static.ansible_tool.TIMEOUT", 5.0)
    script = f"sleep 1000 & echo $! > {tmp_path}/child; wait"
    assert "has not ended after 5 s" in await unavailable(tmp_path, **tool(tmp_path, script))
    child = int((tmp_path / "child").read_text())
    async with asyncio.timeout(90):
        while _runs(child):
            await asyncio.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
