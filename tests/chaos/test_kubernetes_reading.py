"""A cluster whose API server answers as it should not: the view stands, one part harms no other, nobody is hurried."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.kubernetes import mirror, reflector
from adapters.kubernetes.client import Api
from adapters.kubernetes.settings import Settings
from bridge.errors import Denied, Unavailable
from bridge.kit import Kit
from bridge.model import ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance.bench import Bench
from bridge.testing.conformance.watching import Watched
from bridge.testing.proxy import FaultProxy
from tests import kube
from tests.fake_kubernetes import Asked, FakeKubernetes, status

SECRET = "hunter2-is-a-secret"
WEB, API = ServiceName("shop", "web"), ServiceName("shop", "api")


@pytest.fixture
async def server() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes().running() as running:
        say(running, "shop/web", "10.0.0.1", "10.0.0.2")
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts and doubts follow each other sooner than they would."""
    monkeypatch.setattr(reflector, "SPACING", 0.02)
    monkeypatch.setattr(reflector, "SILENCE", 0.5)
    monkeypatch.setattr(reflector, "pause", lambda attempt, denied: 0.05)


Begun = dict[tuple[str, bool], list[float]]
"""By path, and by whether it is watched: when each request was begun, as the loop's time."""

NEARLY = 0.9
"""Of the time between two beginnings: between it and the note of it a busy machine may do something else."""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    """Noted by whoever asks: on its way a request may wait, and the next one come right behind it."""
    found: Begun = defaultdict(list)

    def noted(ask: Callable[..., Any], watches: bool) -> Callable[..., Any]:
        def note(self: Api, path: str, *more: Any) -> Any:
            found[path, watches].append(asyncio.get_running_loop().time())
            return ask(self, path, *more)

        return note

    monkeypatch.setattr(Api, "text", noted(Api.text, False))
    monkeypatch.setattr(Api, "watch", noted(Api.watch, True))
    return found


def say(server: FakeKubernetes, key: str, *addresses: str) -> None:
    """A Service with pods at these addresses."""
    server.put("services", kube.service(key, selector={"app": "x"}))
    server.put("endpointslices", kube.slice_(f"{key}-abcde", *addresses, of=key.split("/")[1]))


def opened(server: FakeKubernetes, folder: Path, url: str | None = None, **keys: Any) -> Watched:
    said = {"name": "k8s", "kind": "kubernetes", "kubeconfig": str(server.kubeconfig(folder, server=url)), **keys}
    return Watched(Settings.model_validate(said).open(Kit("k8s", SystemClock())), Bench.patience)


@asynccontextmanager
async def watching(watched: Watched) -> AsyncIterator[Watched]:
    watched.task = asyncio.create_task(watched.run())
    try:
        yield watched
    finally:
        await watched.stop()
    watched.unchanged()


def addresses(watched: Watched, name: ServiceName = WEB) -> list[str]:
    service = watched.service(name)
    return [] if service is None else [one.address for one in service.endpoints]


async def shows(watched: Watched, *wanted: str, name: ServiceName = WEB) -> None:
    await watched.until(lambda: addresses(watched, name) == list(wanted), f"{name} at {', '.join(wanted)}")


async def asked_for(server: FakeKubernetes, true: Callable[[Asked], bool], times: int = 1) -> None:
    """Until the server was asked so."""
    async with asyncio.timeout(Bench.patience):
        while sum(map(true, server.asked)) < times:
            await asyncio.sleep(0.01)


def of_slices(asked: Asked) -> bool:
    return asked.path.endswith("/endpointslices")


def lists(asked: Asked) -> bool:
    return of_slices(asked) and not asked.watches


@asynccontextmanager
async def through(
    server: FakeKubernetes, folder: Path, timeout: str = "60s"
) -> AsyncIterator[tuple[FaultProxy, Watched]]:
    """Watched through a proxy."""
    async with (
        FaultProxy("127.0.0.1", server.port) as proxy,
        watching(opened(server, folder, f"http://127.0.0.1:{proxy.port}", timeout=timeout)) as watched,
    ):
        await shows(watched, "10.0.0.1", "10.0.0.2")
        yield proxy, watched


@pytest.mark.promise("R-13")
async def test_a_watch_of_a_past_that_is_gone_is_listed_anew(
    server: FakeKubernetes, tmp_path: Path, quick: None
) -> None:
    async with through(server, tmp_path) as (proxy, watched):
        await proxy.refuse()
        proxy.reset()
        say(server, "shop/web", "10.0.0.1", "10.0.0.3")
        server.compact()
        await proxy.listen()
        await shows(watched, "10.0.0.1", "10.0.0.3")
        assert all(WEB in view.services for view in watched.views)


@pytest.mark.promise("R-13")
async def test_a_watch_that_is_told_that_it_is_gone_is_listed_anew(
    server: FakeKubernetes, tmp_path: Path, quick: None
) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    answers = [web.Response(text=json.dumps(gone) + "\n")]
    server.answer = lambda asked: answers.pop() if of_slices(asked) and asked.watches and answers else None
    async with watching(opened(server, tmp_path)) as watched:
        await shows(watched, "10.0.0.1", "10.0.0.2")
        await asked_for(server, lists, 2)
        say(server, "shop/web", "10.0.0.3")
        await shows(watched, "10.0.0.3")
        assert not watched.lost
        assert len({view.services[WEB] for view in watched.views}) == 2


@pytest.mark.promise("R-13")
async def test_a_watch_that_never_begins_is_no_endless_first_view(
    server: FakeKubernetes, tmp_path: Path, quick: None
) -> None:
    server.answer = lambda asked: status(410, "Expired", "too old") if asked.watches else None
    async with watching(opened(server, tmp_path)) as watched:
        await watched.until_lost()
        assert "too old" in str(watched.lost[0])
        server.answer = lambda asked: None
        await shows(watched, "10.0.0.1", "10.0.0.2")


@pytest.mark.promise("R-14")
@pytest.mark.parametrize(
    "second",
    [
        status(500, "InternalError", "etcd is away"),
        status(410, "Expired", "the token of this page is too old"),
        web.Response(text='{"kind": "List", "metadata": {"resourceVersion": "100"}, "items": [{"metadata"'),
        web.Response(text='{"kind": "List", "metadata": {}, "items": []}'),
        web.Response(text="<html>", status=200),
    ],
    ids=["5xx", "token expired", "cut short", "no version", "no list"],
)
async def test_a_list_with_a_bad_page_is_refused_as_a_whole(
    server: FakeKubernetes, tmp_path: Path, quick: None, second: web.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "PAGE", 2)
    for number in range(5):
        say(server, f"shop/s{number}", f"10.0.1.{number}")
    async with watching(opened(server, tmp_path)) as watched:
        first = await watched.first()
        assert len(first.services) == 6
        bad = web.Response(text=second.text, status=second.status)
        server.answer = lambda asked: _again(bad) if lists(asked) and "continue" in asked.query else None
        watched.source.refresh()
        await watched.until_lost(first)
        assert isinstance(watched.lost[-1], Unavailable)
        assert "k8s: " in str(watched.lost[-1])
        server.answer = lambda asked: None
        say(server, "shop/web", "10.0.0.9")
        await shows(watched, "10.0.0.9")
        assert len(watched.now.services) == 6


async def test_before_the_first_whole_list_there_is_no_view(
    server: FakeKubernetes, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "PAGE", 1)
    say(server, "shop/api", "10.0.1.1")
    server.answer = lambda asked: status(503, "ServiceUnavailable") if "continue" in asked.query else None
    async with watching(opened(server, tmp_path)) as watched:
        await watched.until_lost()
        server.answer = lambda asked: None
        assert len((await watched.first()).services) == 2


@pytest.mark.promise("R-15")
async def test_a_silent_watch_is_not_believed(server: FakeKubernetes, tmp_path: Path, quick: None) -> None:
    async with watching(opened(server, tmp_path)) as watched:
        await shows(watched, "10.0.0.1", "10.0.0.2")
        server.silent = True
        say(server, "shop/web", "10.0.0.3")
        await shows(watched, "10.0.0.3")
        assert not watched.lost, "the server answers, only its watches are silent"


@pytest.mark.promise("R-03")
async def test_a_connection_whose_answers_vanish_is_noticed(
    server: FakeKubernetes, tmp_path: Path, quick: None
) -> None:
    async with through(server, tmp_path, "1s") as (proxy, watched):
        first = watched.now
        proxy.set(deaf=True)
        await watched.until_lost(first)
        assert "k8s: " in str(watched.lost[-1])
        say(server, "shop/web", "10.0.0.3")
        proxy.set()
        await shows(watched, "10.0.0.3")


@pytest.mark.promise("R-35")
async def test_a_watch_of_the_future_is_not_waited_for_for_ever(
    server: FakeKubernetes, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    async with watching(opened(server, tmp_path)) as watched:
        await shows(watched, "10.0.0.1", "10.0.0.2")
        server.version = 50
        say(server, "shop/web", "10.0.0.7")
        await shows(watched, "10.0.0.7")
        say(server, "shop/web", "10.0.0.8")
        await shows(watched, "10.0.0.8")
    assert "a list is older than what was said before: was etcd restored?" in capsys.readouterr().out


@pytest.mark.promise("R-16")
async def test_a_busy_server_is_asked_by_nobody_before_its_time(server: FakeKubernetes, tmp_path: Path) -> None:
    say(server, "tools/ci", "10.0.1.1")
    busy = {"Retry-After": "3"}
    async with watching(opened(server, tmp_path, **{"import": {"namespaces": ["shop", "tools"]}})) as watched:
        first = await watched.first()
        refused = len(server.asked)
        server.answer = lambda asked: status(429, "TooManyRequests", headers=busy)
        watched.source.refresh()
        await watched.until_lost(first)
        await asked_for(server, lambda asked: True, refused + 1)
        server.answer = lambda asked: None
        await watched.again()
        times = [asked.at for asked in server.asked[refused:]]
        early = [at for at in times if at < times[0] + 3]
        assert len(early) <= 6, "whoever was under way already, and nobody else"


@pytest.mark.promise("R-12")
@pytest.mark.parametrize("code", [500, 429])
async def test_a_server_that_fails_is_not_hurried(
    server: FakeKubernetes, tmp_path: Path, begun: Begun, code: int
) -> None:
    server.answer = lambda asked: status(code, "No") if asked.path.startswith("/api/v1/namespaces/shop/") else None
    async with watching(opened(server, tmp_path, **{"import": {"namespaces": ["shop", "tools"]}})) as watched:
        await watched.until(lambda: bool(watched.now.unread), "a part that is unread")
        await asked_for(server, lambda asked: asked.path.endswith("/shop/services"), 3)
        assert not watched.lost
    assert _closest(begun) >= reflector.SPACING * NEARLY


async def test_watches_that_end_at_once_are_no_reason_to_hurry(
    server: FakeKubernetes, tmp_path: Path, begun: Begun
) -> None:
    server.answer = lambda asked: web.Response(text="") if asked.watches else None
    async with watching(opened(server, tmp_path)) as watched:
        await shows(watched, "10.0.0.1", "10.0.0.2")
        await asked_for(server, lambda asked: of_slices(asked) and asked.watches, 3)
        assert not watched.lost
    assert _closest({what: times for what, times in begun.items() if what[1]}) >= reflector.SPACING * NEARLY


async def test_a_watch_that_is_taken_up_again_at_the_second_try_is_no_loss(
    server: FakeKubernetes, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "SILENCE", 600.0)  # one that was silent would be listed anew
    async with through(server, tmp_path) as (proxy, watched):
        say(server, "shop/api", "10.0.0.2")
        await shows(watched, "10.0.0.2", name=API)  # both watches have spoken
        before = len(server.asked)
        refused: set[str] = set()

        def once(asked: Asked) -> web.Response | None:
            if not asked.watches or asked.path in refused:
                return None
            refused.add(asked.path)
            return status(503, "ServiceUnavailable")

        server.answer = once
        proxy.reset()
        await asked_for(server, lambda asked: asked.watches and asked in server.asked[before:], 4)
        say(server, "shop/web", "10.0.0.3")
        await shows(watched, "10.0.0.3")
        assert not watched.lost
        assert not any(lists(asked) for asked in server.asked[before:]), "it went on where it was"


@pytest.mark.promise("R-39")
async def test_a_namespace_that_is_refused_harms_no_other(server: FakeKubernetes, tmp_path: Path, quick: None) -> None:
    say(server, "tools/ci", "10.0.1.1")
    message = 'services is forbidden: User "me" cannot list resource "services" in the namespace "tools"'
    secret = status(403, "Forbidden", message)
    server.answer = lambda asked: _again(secret) if "/tools/services" in asked.path else None
    ci = ServiceName("tools", "ci")
    async with watching(opened(server, tmp_path, **{"import": {"namespaces": ["shop", "tools"]}})) as watched:
        first = await watched.first()
        assert set(first.services) == {WEB}
        assert first.parts == 2
        [unread] = first.unread
        assert (unread.part, unread.never) == ("namespace tools", True)
        assert unread.why == (
            f"GET /api/v1/namespaces/tools/services: {message}; "
            "grant it to that user by a Role, or a ClusterRole, and its binding"
        )
        say(server, "shop/web", "10.0.0.3")
        await shows(watched, "10.0.0.3")
        server.answer = lambda asked: None
        await shows(watched, "10.0.1.1", name=ci)
        await watched.until(lambda: not watched.now.unread, "that all is read")
        assert all(view.services[ci].endpoints for view in watched.views if ci in view.services), "half a namespace"
        server.answer = lambda asked: _again(secret) if "/tools/" in asked.path else None
        watched.source.refresh()
        await watched.until(lambda: bool(watched.now.unread), "that the namespace is unread again")
        assert addresses(watched, ci) == ["10.0.1.1"]
        assert not watched.now.unread[0].never
        assert not watched.lost


async def test_a_whole_cluster_that_is_refused_is_denied(server: FakeKubernetes, tmp_path: Path, quick: None) -> None:
    server.answer = lambda asked: status(403, "Forbidden", "cannot list") if of_slices(asked) else None
    async with watching(opened(server, tmp_path)) as watched:
        await watched.until_lost()
        assert isinstance(watched.lost[0], Denied)
        assert str(watched.lost[0]).startswith("k8s: GET /apis/discovery.k8s.io/v1/endpointslices: cannot list; grant")
        server.answer = lambda asked: None
        await shows(watched, "10.0.0.1", "10.0.0.2")


async def test_what_may_be_listed_and_not_watched_is_denied(
    server: FakeKubernetes, tmp_path: Path, quick: None
) -> None:
    server.answer = lambda asked: status(403, "Forbidden", "cannot watch") if asked.watches else None
    async with watching(opened(server, tmp_path)) as watched:
        await watched.until_lost()
        assert isinstance(watched.lost[0], Denied)
        assert "cannot watch" in str(watched.lost[0])


async def test_lists_that_are_asked_for_in_a_row_are_one(server: FakeKubernetes, tmp_path: Path, quick: None) -> None:
    async with watching(opened(server, tmp_path)) as watched:
        first = await watched.first()
        for _ in range(20):
            watched.source.refresh()
            await asyncio.sleep(0)
        await watched.until(lambda: watched.now.read >= first.read + 20, "the last one that was asked for")
        assert len([asked for asked in server.asked if lists(asked)]) < 20


async def test_many_events_at_once_are_few_views(server: FakeKubernetes, tmp_path: Path) -> None:
    async with watching(opened(server, tmp_path)) as watched:
        await shows(watched, "10.0.0.1", "10.0.0.2")
        before = len(watched.views)
        for number in range(500):
            say(server, "shop/web", f"10.0.{number // 250}.{number % 250 + 1}")
        await shows(watched, "10.0.1.250")
        assert len(watched.views) - before <= 100


async def test_nodes_that_say_that_they_are_well_are_no_news(server: FakeKubernetes, tmp_path: Path) -> None:
    server.put("endpointslices", kube.slice_("shop/web-abcde", kube.row("10.0.0.1", nodeName="n1"), of="web"))
    server.put("nodes", _node("n1", "eu"))
    async with watching(opened(server, tmp_path, **{"import": {"nodes": True}})) as watched:
        await watched.until(lambda: _region(watched) == "eu", "the region of its node")
        before = len(watched.views)
        for _ in range(20):
            server.put("nodes", _node("n1", "eu"))
        server.put("nodes", _node("n1", "us"))
        await watched.until(lambda: _region(watched) == "us", "the region of its node")
        assert len(watched.views) == before + 1


async def test_mode_node_says_nothing_while_nodes_were_never_read(
    server: FakeKubernetes, tmp_path: Path, quick: None
) -> None:
    server.answer = lambda asked: status(403, "Forbidden", "cannot list nodes") if "nodes" in asked.path else None
    async with watching(opened(server, tmp_path, **{"import": {"address_mode": "node"}})) as watched:
        await watched.until_lost()
        assert isinstance(watched.lost[0], Denied)
        assert "cannot list nodes" in str(watched.lost[0])


async def test_a_bug_of_a_reflector_is_no_silence(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("a bug")

    watched = opened(server, tmp_path)
    watched.task = asyncio.create_task(watched.run())
    await watched.first()
    monkeypatch.setattr(mirror.Mirror, "event", bug)
    say(server, "shop/web", "10.0.0.3")
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(watched.task, Bench.patience)


@pytest.mark.promise("R-23")
async def test_an_object_that_cannot_be_understood_costs_itself(server: FakeKubernetes, tmp_path: Path) -> None:
    async with watching(opened(server, tmp_path)) as watched:
        await shows(watched, "10.0.0.1", "10.0.0.2")
        bad = kube.slice_("shop/web-fghij", "10.0.0.9", of="web")
        server.put("endpointslices", {**bad, "addressType": "IPX"})
        await watched.until(lambda: bool(watched.now.problems), "a problem")
        [problem] = watched.now.problems
        assert str(problem) == (
            "endpointslice shop/web-fghij: addressType 'IPX' is none of IPv4, IPv6, FQDN; it is left out"
        )
        assert addresses(watched) == ["10.0.0.1", "10.0.0.2"]
        server.put("endpointslices", bad)
        await shows(watched, "10.0.0.1", "10.0.0.2", "10.0.0.9")
        assert not watched.now.problems


@pytest.mark.promise("S-12")
@pytest.mark.parametrize("code", [401, 403, 404, 409, 422, 429, 500, 302])
async def test_a_token_shows_in_no_error_problem_or_log(
    server: FakeKubernetes, tmp_path: Path, quick: None, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    said = {"name": "k8s", "kind": "kubernetes", "kubeconfig": str(server.kubeconfig(tmp_path, {"token": SECRET}))}
    settings = Settings.model_validate(said)
    watched = Watched(settings.open(Kit("k8s", SystemClock())), Bench.patience)
    async with watching(watched):
        await watched.first()
        server.answer = lambda asked: status(code, "Refused", headers={"Location": "/"})
        watched.source.refresh()
        await watched.until_lost(watched.now)
        shown = [*map(str, watched.lost), *map(repr, watched.lost), repr(watched.views), repr(settings)]
    assert any(asked.headers.get("Authorization") == f"Bearer {SECRET}" for asked in server.asked)
    out, err = capfd.readouterr()
    assert all(SECRET not in text for text in (*shown, out, err))


def _again(answer: web.Response) -> web.Response:
    """The same once more: an answer is given once."""
    return web.Response(text=answer.text, status=answer.status, content_type=answer.content_type)


def _node(name: str, region: str) -> dict[str, Any]:
    labels = {"topology.kubernetes.io/region": region}
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}


def _region(watched: Watched) -> str:
    service = watched.service(WEB)
    return service.endpoints[0].locality.region if service is not None else ""


def _closest(begun: Begun) -> float:
    """The shortest time between two requests for the same, the watch after a list not counted."""
    return min((after - before for each in begun.values() for before, after in pairwise(each)))
