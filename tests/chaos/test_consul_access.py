"""How a Consul is reached that stands behind a proxy."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.consul.access import Access
from adapters.consul.client import Api, Unreached
from bridge.testing.ports import free_port

WHERE = "http://consul.invalid:8500"


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """What a proxy is asked for that the environment names; it answers as a Consul with a leader."""
    them: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        them.append(request.raw_path)
        return web.json_response("10.0.0.1:8300")

    runner, port = web.ServerRunner(web.Server(answer)), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    yield them
    await runner.cleanup()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = Api("dc1", Access(WHERE, None, None), 5.0, "", {})
    yield made
    await made.close()


async def test_the_proxy_of_the_environment_is_asked(asked: list[str], api: Api) -> None:
    assert await api.leader(5.0) == "10.0.0.1:8300"
    assert asked == [f"{WHERE}/v1/status/leader"]


async def test_a_server_that_the_environment_leaves_out_is_asked_itself(
    asked: list[str], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "consul.invalid")
    with pytest.raises(Unreached):
        await api.leader(5.0)
    assert asked == []
