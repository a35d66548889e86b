"""Requests to an API server that expires, stalls, is busy, cuts its answers short, or is none at all."""

import asyncio
import base64
import json
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.kubernetes import access, client, plugin
from adapters.kubernetes.access import Access
from adapters.kubernetes.client import Api, Busy, Silent
from bridge.errors import Denied, Unavailable
from bridge.kit import answers
from bridge.kit.deadline import DEADLINE
from bridge.runtime.clock import SystemClock
from bridge.testing.clock import FakeClock
from bridge.testing.ports import free_port
from bridge.testing.proxy import FaultProxy
from tests.envoy.certificates import Authority
from tests.fake_kubernetes import Asked, FakeKubernetes, status

SECRET = "hunter2-is-a-secret"
SERVICES = "/api/v1/services"


@pytest.fixture
async def server() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes().running() as running:
        yield running


@asynccontextmanager
async def asking(kubeconfig: Path | None, clock: Any = None, timeout: float = 5.0) -> AsyncIterator[Api]:
    clock = clock or SystemClock()
    api = Api("k8s", Access(kubeconfig, None, clock), clock, timeout)
    try:
        yield api
    finally:
        await api.close()


class Stopped(SystemClock):
    """That of a process that was stopped, and goes on."""

    stood_for = 0.0

    def now(self) -> float:
        return super().now() + self.stood_for


def wants(token: str) -> Any:
    """Refuse whoever has another token."""

    def answer(asked: Asked) -> web.StreamResponse | None:
        good = asked.headers.get("Authorization") == f"Bearer {token}"
        return None if good else status(401, "Unauthorized")

    return answer


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def says(token: str, expires: str = "") -> str:
    more = f', "expirationTimestamp": "{expires}"' if expires else ""
    version = "client.authentication.k8s.io/v1"
    return f"""echo '{{"apiVersion": "{version}", "kind": "ExecCredential", "status": {{"token": "{token}"{more}}}}}'"""


def by(command: str) -> dict[str, Any]:
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never"}}


async def test_it_says_who_asks(server: FakeKubernetes, tmp_path: Path) -> None:
    async with asking(server.kubeconfig(tmp_path, {"token": SECRET})) as api:
        assert (await api.get(SERVICES))["items"] == []
    assert server.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert server.asked[0].headers["User-Agent"] == "registry-bridge"


@pytest.mark.promise("R-20")
async def test_what_comes_when_another_replica_may_lead_is_not_sent(server: FakeKubernetes, tmp_path: Path) -> None:
    clock = FakeClock()
    async with asking(server.kubeconfig(tmp_path, {"token": "good"}), clock) as api:

        async def write() -> None:
            DEADLINE.set(clock.now() + 5)
            await api.get(SERVICES)
            await clock.advance(5)  # as in a process that was stopped, and goes on before it hears of anything
            with pytest.raises(Unavailable, match="another replica may lead; nothing was sent"):
                await api.post(SERVICES, {})

        await asyncio.create_task(write())
        assert [one.method for one in server.asked] == ["GET"]
        await api.get(SERVICES)  # reading goes on


@pytest.mark.promise("R-20")
async def test_what_is_too_late_by_the_time_that_it_is_connected_is_not_sent_either(
    server: FakeKubernetes, tmp_path: Path
) -> None:
    def closes(_: Asked) -> web.StreamResponse:
        answer = web.json_response({"items": []})
        answer.force_close()
        return answer

    clock = Stopped()
    async with asking(server.kubeconfig(tmp_path, {"token": "good"}), clock) as api:
        server.answer = closes
        await api.get(SERVICES)

        async def write() -> None:
            DEADLINE.set(clock.now() + 60)
            await api.post(SERVICES, {})

        writing = asyncio.create_task(write())
        await asyncio.sleep(0)  # it has begun to connect
        clock.stood_for = 60.0
        with pytest.raises(Unavailable):
            await writing
        assert [one.method for one in server.asked] == ["GET"]


async def test_a_token_that_was_renewed_in_its_file_is_used_at_once(server: FakeKubernetes, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")
    clock = FakeClock()
    async with asking(server.kubeconfig(tmp_path, {"tokenFile": "token"}), clock) as api:
        server.answer = wants("old")
        await api.get(SERVICES)
        (tmp_path / "token").write_text("new\n")
        server.answer = wants("new")
        await clock.advance(access.AGAIN)
        await api.get(SERVICES)


async def test_a_token_is_read_again_before_the_old_one_is_refused(server: FakeKubernetes, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    clock = FakeClock()
    async with asking(server.kubeconfig(tmp_path, {"tokenFile": "token"}), clock) as api:
        await api.get(SERVICES)
        (tmp_path / "token").write_text("new")
        await clock.advance(access.REREAD)
        await api.get(SERVICES)
    assert [one.headers["Authorization"] for one in server.asked] == ["Bearer old", "Bearer new"]


async def test_what_was_good_stands_while_it_cannot_be_read_again(server: FakeKubernetes, tmp_path: Path) -> None:
    clock = FakeClock()
    kubeconfig = server.kubeconfig(tmp_path, {"token": "good"})
    async with asking(kubeconfig, clock) as api:
        await api.get(SERVICES)
        kubeconfig.write_text("half: [")
        await clock.advance(access.REREAD)
        await api.get(SERVICES)
        server.answer = wants("another")
        await clock.advance(access.AGAIN)
        with pytest.raises(Denied, match="kubeconfig:2: is not YAML"):
            await api.get(SERVICES)


async def test_an_expired_token_is_denied_with_a_way_out(server: FakeKubernetes, tmp_path: Path) -> None:
    server.answer = wants("another")
    async with asking(server.kubeconfig(tmp_path, {"token": SECRET})) as api:
        with pytest.raises(Denied) as caught:
            await api.get(SERVICES)
    assert str(caught.value) == (
        "k8s: GET /api/v1/services: the credentials are refused; they may have expired: renew them in the kubeconfig"
    )


async def test_a_pod_uses_its_own_account(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority("cluster")
    authority.pair("server").write(tmp_path / "tls.pem", tmp_path / "tls.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    (tmp_path / "token").write_text("of the pod\n")
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    (tmp_path / "namespace").write_text("tools")
    monkeypatch.setattr(access, "POD", tmp_path)
    async with FakeKubernetes().running(context) as secure:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(secure.port))
        assert access.look(None, None).namespace == "tools"
        async with asking(None) as api:
            await api.get(SERVICES)
        assert secure.asked[0].headers["Authorization"] == "bearer of the pod"


async def test_outside_of_a_pod_a_kubeconfig_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    async with asking(None) as api:
        with pytest.raises(Denied, match="k8s: no kubeconfig is named, and this is no pod of a cluster; write `kube"):
            await api.get(SERVICES)


async def test_a_plugin_is_run_once_and_again_when_its_token_is_refused(server: FakeKubernetes, tmp_path: Path) -> None:
    login = script(tmp_path / "login", f"echo run >> {tmp_path}/runs; {says('old')}")
    clock = FakeClock()
    async with asking(server.kubeconfig(tmp_path, by(login)), clock) as api:
        server.answer = wants("old")
        for _ in range(3):
            await api.get(SERVICES)
            await clock.advance(access.REREAD)
        assert (tmp_path / "runs").read_text().count("run") == 1
        script(tmp_path / "login", says("new"))
        server.answer = wants("new")
        await api.get(SERVICES)


async def test_a_plugin_that_fails_is_not_run_by_everybody_at_once(server: FakeKubernetes, tmp_path: Path) -> None:
    clock = FakeClock()
    login = script(tmp_path / "login", f"echo run >> {tmp_path}/runs; exit 1")
    async with asking(server.kubeconfig(tmp_path, by(login)), clock) as api:
        asked = await asyncio.gather(*(api.get(SERVICES) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(one, Denied) for one in asked)
        assert (tmp_path / "runs").read_text().count("run") == 1
        script(tmp_path / "login", says("good"))
        await clock.advance(access.AGAIN)
        await api.get(SERVICES)


async def test_a_plugin_is_run_before_its_token_expires(server: FakeKubernetes, tmp_path: Path) -> None:
    clock = FakeClock(wall=1_750_000_000.0)  # 2025-06-15T15:06:40Z
    login = script(tmp_path / "login", f"echo run >> {tmp_path}/runs; {says('short', '2025-06-15T15:10:40Z')}")
    async with asking(server.kubeconfig(tmp_path, by(login)), clock) as api:
        await api.get(SERVICES)
        await clock.advance(120)
        await api.get(SERVICES)
        assert (tmp_path / "runs").read_text().count("run") == 1
        await clock.advance(60)
        await api.get(SERVICES)
        assert (tmp_path / "runs").read_text().count("run") == 2


@pytest.mark.promise("S-12")
@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "login ends with status 3; run it by hand as the bridge's user"),
        (f"echo {SECRET}", "login says something else than JSON"),
        ("echo '{}'", "says no ExecCredential of client.authentication.k8s.io/v1"),
        (says(""), "says neither a token nor a certificate with its key"),
        ("head -c 3000000 /dev/zero", "says more than 1,048,576 bytes"),
        ("sleep 60", "has not ended after 1 s"),
    ],
)
async def test_a_plugin_that_fails_is_one_clear_line(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str
) -> None:
    monkeypatch.setattr(plugin, "TIMEOUT", 1.0 if text.startswith("sleep") else 30.0)
    async with asking(server.kubeconfig(tmp_path, by(script(tmp_path / "login", text)))) as api:
        with pytest.raises(Denied) as caught:
            await api.get(SERVICES)
    said = str(caught.value)
    assert what in said
    assert "users[0].user.exec.command: " in said
    assert SECRET not in said
    assert "\n" not in said
    assert not server.asked


@pytest.mark.promise("R-16")
@pytest.mark.parametrize("code", [429, 503])
async def test_a_server_that_asks_to_be_left_alone_is_left_alone(
    server: FakeKubernetes, tmp_path: Path, code: int
) -> None:
    clock = FakeClock()
    async with asking(server.kubeconfig(tmp_path), clock) as api:
        server.answer = lambda asked: status(code, "TooManyRequests", headers={"Retry-After": "7"})
        with pytest.raises(Busy, match="asks to be left alone for 7 s") as caught:
            await api.get(SERVICES)
        assert caught.value.until == clock.now() + 7
        server.answer = lambda asked: None
        await clock.advance(6.9)
        with pytest.raises(Busy):
            await api.post("/api/v1/namespaces/shop/services", {})
        with pytest.raises(Busy):
            async with api.watch(SERVICES, {"resourceVersion": "1"}, 60):
                pass
        assert len(server.asked) == 1
        await clock.advance(0.1)
        await api.get(SERVICES)


async def test_whatever_a_server_asks_for_it_is_asked_again(server: FakeKubernetes, tmp_path: Path) -> None:
    clock = FakeClock()
    async with asking(server.kubeconfig(tmp_path), clock) as api:
        server.answer = lambda asked: status(429, "", headers={"Retry-After": "999999999"})
        with pytest.raises(Busy):
            await api.get(SERVICES)
        server.answer = lambda asked: None
        await clock.advance(120)
        await api.get(SERVICES)


@pytest.mark.promise("R-15")
async def test_a_watch_that_is_silent_is_noticed(server: FakeKubernetes, tmp_path: Path) -> None:
    server.silent = True
    kubeconfig = server.kubeconfig(tmp_path)
    async with asking(kubeconfig) as api, api.watch(SERVICES, {"resourceVersion": "1"}, 0.2) as lines:
        with pytest.raises(Unavailable, match=r"k8s: watch of /api/v1/services: was silent for 0\.2 s"):
            await anext(lines)


async def test_a_watch_gives_whole_lines_however_they_come(server: FakeKubernetes, tmp_path: Path) -> None:
    for number in range(50):
        server.put("services", {"metadata": {"namespace": "shop", "name": f"s{number}", "labels": {"x": "y" * 3_000}}})
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        kubeconfig = server.kubeconfig(tmp_path, server=f"http://127.0.0.1:{proxy.port}")
        async with asking(kubeconfig) as api, api.watch(SERVICES, {"resourceVersion": "1"}, 5) as lines:
            count = 0
            async for batch in lines:
                assert batch
                assert all(line.startswith(b'{"type"') and line.endswith(b"}") for line in batch)
                count += len(batch)
                if count == 50:
                    break


async def test_an_answer_that_comes_too_slowly_is_given_up(server: FakeKubernetes, tmp_path: Path) -> None:
    server.put("services", {"metadata": {"namespace": "shop", "name": "web", "labels": {"x": "y" * 3_000}}})
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.set(drip=100)
        kubeconfig = server.kubeconfig(tmp_path, server=f"http://127.0.0.1:{proxy.port}")
        async with asking(kubeconfig, timeout=1) as api:
            with pytest.raises(Unavailable, match="has no answer within 1 s; see the server, or raise `timeout`"):
                await api.get(SERVICES)


async def test_an_answer_that_is_cut_short_is_none(server: FakeKubernetes, tmp_path: Path) -> None:
    server.put("services", {"metadata": {"namespace": "shop", "name": "web", "labels": {"x": "y" * 3_000}}})
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.set(truncate=1_000)
        kubeconfig = server.kubeconfig(tmp_path, server=f"http://127.0.0.1:{proxy.port}")
        async with asking(kubeconfig) as api:
            with pytest.raises(Unavailable, match="the answer is cut short"):
                await api.get(SERVICES)


async def test_a_server_that_compresses_is_understood(server: FakeKubernetes, tmp_path: Path) -> None:
    def compressed(asked: Asked) -> web.Response:
        assert "gzip" in asked.headers["Accept-Encoding"]
        said = web.json_response({"items": ["x" * 100] * 10_000})
        said.enable_compression(web.ContentCoding.gzip)
        return said

    server.answer = compressed
    async with asking(server.kubeconfig(tmp_path)) as api:
        assert len((await api.get(SERVICES))["items"]) == 10_000


@pytest.mark.promise("S-06")
async def test_an_answer_beyond_all_bounds_is_refused_also_where_it_is_compressed(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LARGEST", 1_000_000)

    def bomb(asked: Asked) -> web.Response:
        said = web.json_response({"items": "x" * 10_000_000})
        said.enable_compression(web.ContentCoding.gzip)
        return said

    server.answer = bomb
    async with asking(server.kubeconfig(tmp_path)) as api:
        with pytest.raises(Unavailable, match="is answered by more than 1,000,000 bytes; read fewer namespaces"):
            await api.get(SERVICES)


@pytest.mark.promise("S-06")
async def test_a_line_beyond_all_bounds_is_refused(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LONGEST", 100_000)
    server.answer = lambda asked: web.Response(text="x" * 1_000_000)
    kubeconfig = server.kubeconfig(tmp_path)
    async with asking(kubeconfig) as api, api.watch(SERVICES, {"resourceVersion": "1"}, 5) as lines:
        with pytest.raises(Silent, match="says a line of more than 100,000 bytes"):
            await anext(lines)


async def test_a_server_that_is_no_api_server_is_named_so(server: FakeKubernetes, tmp_path: Path) -> None:
    async with asking(server.kubeconfig(tmp_path)) as api:
        for answer in (web.Response(text="<html>"), web.Response(status=404, text="<html>")):
            server.answer = lambda asked, answer=answer: answer
            with pytest.raises(Unavailable, match="something else than a Kubernetes API server; correct `server:`"):
                await api.get(SERVICES)


async def test_a_redirect_takes_no_credentials_elsewhere(server: FakeKubernetes, tmp_path: Path) -> None:
    async with FakeKubernetes().running() as other, asking(server.kubeconfig(tmp_path, {"token": SECRET})) as api:
        server.answer = lambda asked: web.Response(status=307, headers={"Location": f"{other.url}/"})
        with pytest.raises(Unavailable):
            await api.get(SERVICES)
        assert not other.asked


@pytest.mark.parametrize(
    ("server", "what"),
    [
        ("http://127.0.0.1:{free}", r"127\.0\.0\.1:\d+ cannot be reached: .*; see whether the server runs there"),
        ("https://127.0.0.1:{plain}", "no TLS is spoken there; correct the scheme or the port of `server`"),
        ("http://no-such-host.invalid", "the name no-such-host.invalid has no address; correct `server`"),
    ],
)
async def test_a_server_that_is_not_there_is_told_with_a_way_out(tmp_path: Path, server: str, what: str) -> None:
    async with FakeKubernetes().running() as plain:
        url = server.format(free=free_port(), plain=plain.port)
        async with asking(plain.kubeconfig(tmp_path, server=url)) as api:
            with pytest.raises(Unavailable, match=what):
                await api.get(SERVICES)


@pytest.mark.parametrize("source", ["kubeconfig", "plugin"])
async def test_a_certificate_says_who_asks_where_there_is_no_token(tmp_path: Path, source: str) -> None:
    authority = Authority("cluster")
    authority.pair("server").write(tmp_path / "tls.pem", tmp_path / "tls.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    mine = authority.pair("bridge")
    user = {
        "client-certificate-data": base64.b64encode(mine.cert).decode(),
        "client-key-data": base64.b64encode(mine.key).decode(),
    }
    if source == "plugin":
        certificate = {"clientCertificateData": mine.cert.decode(), "clientKeyData": mine.key.decode()}
        said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": certificate}
        (tmp_path / "said.json").write_text(json.dumps(said))
        user = by(script(tmp_path / "login", f"cat {tmp_path}/said.json"))
    async with FakeKubernetes().running(context) as secure:
        secure.url = secure.url.replace("http:", "https:")
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        async with asking(secure.kubeconfig(tmp_path, user, **{"certificate-authority": "ca.pem"})) as api:
            assert (await api.get(SERVICES))["items"] == []
        async with asking(secure.kubeconfig(tmp_path, **{"certificate-authority": "ca.pem"})) as api:
            with pytest.raises(Unavailable):
                await api.get(SERVICES)


async def test_a_certificate_of_another_authority_is_refused_with_a_way_out(tmp_path: Path) -> None:
    good, other = Authority("good"), Authority("other")
    good.pair("server").write(tmp_path / "tls.pem", tmp_path / "tls.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    async with FakeKubernetes().running(context) as secure:
        secure.url = secure.url.replace("http:", "https:")
        (tmp_path / "ca.pem").write_bytes(other.pem)
        clock = FakeClock()
        async with asking(secure.kubeconfig(tmp_path, **{"certificate-authority": "ca.pem"}), clock) as api:
            with pytest.raises(Unavailable, match=r"certificate is refused: .*; correct `certificate-authority`"):
                await api.get(SERVICES)
            (tmp_path / "ca.pem").write_bytes(good.pem)
            await clock.advance(access.REREAD)
            await api.get(SERVICES)


async def test_an_authority_of_garbage_is_told_with_its_file(server: FakeKubernetes, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("garbage")
    kubeconfig = server.kubeconfig(tmp_path, server="https://127.0.0.1:1", **{"certificate-authority": "ca.pem"})
    async with asking(kubeconfig) as api:
        with pytest.raises(Denied, match="its certificates cannot be used: no certificate or crl found; write them"):
            await api.get(SERVICES)


async def test_a_proxy_of_the_environment_is_used_and_what_else_it_says_is_not(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", server.url)
    (tmp_path / ".netrc").write_text("default login other password other\n")
    async with asking(server.kubeconfig(tmp_path, {}, server="http://10.255.255.1:8001")) as api:
        await api.get(SERVICES)
    assert "Authorization" not in server.asked[0].headers


async def test_more_watches_than_a_pool_are_open_at_once(server: FakeKubernetes, tmp_path: Path) -> None:
    server.put("services", {"metadata": {"namespace": "shop", "name": "web"}})
    async with asking(server.kubeconfig(tmp_path)) as api:

        async def first() -> list[bytes]:
            async with api.watch(SERVICES, {"resourceVersion": "1"}, 20) as lines:
                batch = await anext(lines)
                if len(server.asked) < 150:
                    await asyncio.wait_for(all_there.wait(), 20)
                all_there.set()
                return batch

        all_there = asyncio.Event()
        assert all(await asyncio.gather(*(first() for _ in range(150))))
