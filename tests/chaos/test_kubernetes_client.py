"""Requests to an API server that stalls, is busy, cuts its answers short, or is none at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from adapters.kubernetes import client
from adapters.kubernetes.client import Busy, Silent
from bridge.errors import Unavailable
from bridge.kit import answers
from bridge.kit.deadline import DEADLINE
from bridge.runtime.clock import SystemClock
from bridge.testing.clock import FakeClock
from bridge.testing.ports import free_port
from bridge.testing.proxy import FaultProxy
from tests.fake_kubernetes import Asked, FakeKubernetes, asking, status

SERVICES = "/api/v1/services"


@pytest.fixture
async def server() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes().running() as running:
        yield running


class Stopped(SystemClock):
    """That of a process that was stopped, and goes on."""

    stood_for = 0.0

    def now(self) -> float:
        return super().now() + self.stood_for


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
        async with asking(kubeconfig) as api, api.watch(SERVICES, {"resourceVersion": "1"}, 60) as lines:
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
    async with asking(kubeconfig) as api, api.watch(SERVICES, {"resourceVersion": "1"}, 60) as lines:
        with pytest.raises(Silent, match="says a line of more than 100,000 bytes"):
            await anext(lines)


async def test_a_server_that_is_no_api_server_is_named_so(server: FakeKubernetes, tmp_path: Path) -> None:
    async with asking(server.kubeconfig(tmp_path)) as api:
        for answer in (web.Response(text="<html>"), web.Response(status=404, text="<html>")):
            server.answer = lambda asked, answer=answer: answer
            with pytest.raises(Unavailable, match="something else than a Kubernetes API server; correct `server:`"):
                await api.get(SERVICES)


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


async def test_more_watches_than_a_pool_are_open_at_once(server: FakeKubernetes, tmp_path: Path) -> None:
    server.put("services", {"metadata": {"namespace": "shop", "name": "web"}})
    async with asking(server.kubeconfig(tmp_path)) as api:

        async def first() -> list[bytes]:
            async with api.watch(SERVICES, {"resourceVersion": "1"}, 90) as lines:
                batch = await anext(lines)
                if len(server.asked) < 150:
                    await asyncio.wait_for(all_there.wait(), 90)
                all_there.set()
                return batch

        all_there = asyncio.Event()
        assert all(await asyncio.gather(*(first() for _ in range(150))))
