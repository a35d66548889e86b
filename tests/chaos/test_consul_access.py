"""How a Consul is asked: through which proxy, and as whom."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from adapters.consul.access import Access
from adapters.consul.client import Api, Unreached
from bridge.testing.ports import free_port

WHERE = "http://consul.invalid:8500"


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[tuple[str, str]]]:
    """What a proxy that the environment names is asked for, and with which token; it answers as a leader's Consul."""
    them: list[tuple[str, str]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        them.append((request.raw_path, request.headers.get("X-Consul-Token", "")))
        return web.json_response("10.0.0.1:8300")

    runner, port = web.ServerRunner(web.Server(answer)), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    yield them
    await runner.cleanup()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "token").write_text("first\n")
    made = Api("dc1", Access(WHERE, tmp_path / "token", None), 5.0, "", {})
    yield made
    await made.close()


async def test_the_proxy_of_the_environment_is_asked(asked: list[tuple[str, str]], api: Api) -> None:
    assert await api.leader(5.0) == "10.0.0.1:8300"
    assert [url for url, _ in asked] == [f"{WHERE}/v1/status/leader"]


@pytest.mark.promise("S-12")
async def test_the_token_goes_in_a_header_alone_and_is_the_one_that_the_file_has_now(
    asked: list[tuple[str, str]], api: Api, tmp_path: Path
) -> None:
    await api.services()
    fresh = tmp_path / "fresh"
    fresh.write_text("second")
    fresh.replace(tmp_path / "token")
    await api.instances("web", 7)
    assert [token for _, token in asked] == ["first", "second"]
    assert not any("first" in url or "second" in url or "token" in url for url, _ in asked)


async def test_a_server_that_the_environment_leaves_out_is_asked_itself(
    asked: list[tuple[str, str]], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "consul.invalid")
    with pytest.raises(Unreached):
        await api.leader(5.0)
    assert asked == []
