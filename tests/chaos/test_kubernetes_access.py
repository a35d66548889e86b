"""Who asks an API server: tokens, plugins and certificates that expire, are renewed, or are none."""

import asyncio
import base64
import json
import ssl
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.kubernetes import access, plugin
from bridge.errors import Denied, Unavailable
from bridge.testing.clock import FakeClock
from tests.envoy.certificates import Authority
from tests.fake_kubernetes import Asked, FakeKubernetes, asking, status

SECRET = "hunter2-is-a-secret"
SERVICES = "/api/v1/services"


@pytest.fixture
async def server() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes().running() as running:
        yield running


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


async def test_a_redirect_takes_no_credentials_elsewhere(server: FakeKubernetes, tmp_path: Path) -> None:
    async with FakeKubernetes().running() as other, asking(server.kubeconfig(tmp_path, {"token": SECRET})) as api:
        server.answer = lambda asked: web.Response(status=307, headers={"Location": f"{other.url}/"})
        with pytest.raises(Unavailable):
            await api.get(SERVICES)
        assert not other.asked


@pytest.mark.parametrize("source", ["kubeconfig", "plugin"])
async def test_a_certificate_says_who_asks_where_there_is_no_token_and_lies_about_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
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
            assert list((tmp_path / "tmp").iterdir()) == []
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
