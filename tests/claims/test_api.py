"""The admin port: what it answers, to whom, and what an operator may tell it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.adapter import Problem
from bridge.admin.http import HEADERS, host_is_ours
from bridge.errors import Denied, Unavailable
from bridge.merge import Catalog
from bridge.model import Health, ServiceName
from tests.builders import endpoint, name, service
from tests.running import Running, config, running, until

PAYMENTS = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80", endpoint("10.0.0.3:80", health=Health.DEGRADED))
LEDGER = service("shop/ledger", "10.0.1.1:80")
ONE_LEFT = service("shop/payments", "10.0.0.1:80")


class Asking:
    """A bridge and somebody who asks it."""

    def __init__(self, bridge: Running, http: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.http = http

    async def get(self, path: str, status: int = 200, **headers: str) -> Any:
        async with self.http.get(self.bridge.url + path, headers=headers) as response:
            body = await response.text()
            assert response.status == status, body
            assert {key: response.headers[key] for key in HEADERS} == dict(HEADERS)
            return json.loads(body) if response.content_type == "application/json" else body

    async def post(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        async with self.http.post(
            self.bridge.url + path, data=json.dumps(body), headers={"Content-Type": "application/json", **headers}
        ) as response:
            answer = await response.json()
            assert response.status == status, answer
            return answer

    async def says(self, source: str, *services: Any, **more: Any) -> None:
        """Have a registry say this, until the catalog has it."""
        self.bridge.registries[source].set(*services, **more)
        seen = self.bridge.registries[source].services
        cell = self.bridge.state.engine.readings[self.source(source)]
        await until(
            lambda: cell.value.observation is not None and set(cell.value.observation.services) == set(seen), "the view"
        )
        catalog = self.bridge.state.engine.catalog
        await until(lambda: all(knows(catalog.value, source, one) for one in seen), "it is in the catalog")

    def source(self, text: str) -> Any:
        return next(one for one in self.bridge.state.engine.readings if one == text)

    async def hold(self) -> None:
        """Two of three endpoints of shop/payments go missing and are held."""
        await self.says("vms", PAYMENTS, LEDGER)
        self.bridge.registries["vms"].set(ONE_LEFT, LEDGER)
        cell = self.bridge.state.engine.readings[self.source("vms")]
        await until(lambda: bool(cell.value.verdict and cell.value.verdict.holds), "they are held")
        await until(
            lambda: any(
                one.held for one in self.bridge.state.engine.catalog.value.services[name("shop/payments")].endpoints()
            ),
            "the catalog says so",
        )


def knows(catalog: Catalog, source: str, of: ServiceName) -> bool:
    """Whether the catalog has what a source says of a service."""
    merged = catalog.services.get(of)
    if merged is None:
        return False
    return source in {group.source for group in merged.groups} | {one for _, others in merged.also for one in others}


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Asking]:
    async with running(config(tmp_path, ("vms", "more"))) as bridge, aiohttp.ClientSession() as http:
        yield Asking(bridge, http)


async def test_services_endpoints_and_sources_say_what_the_catalog_has(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS, LEDGER)
    await ask.says("more", service("shop/payments", "10.0.0.1:80"))
    services = await ask.get("/api/v1/services")
    assert [one["name"] for one in services["services"]] == ["shop/ledger", "shop/payments"]
    assert services["services"][1] == {
        "name": "shop/payments",
        "sources": ["vms"],
        "endpoints": 3,
        "healthy": 2,
        "held": 0,
        "ports": {"http": [80]},
    }
    endpoints = (await ask.get("/api/v1/endpoints?service=shop/payments"))["endpoints"]
    assert [(one["endpoint"], one["health"], one["source"], one["also"]) for one in endpoints] == [
        ("10.0.0.1:80", None, "vms", ["more"]),
        ("10.0.0.2:80", None, "vms", []),
        ("10.0.0.3:80", "degraded", "vms", []),
    ]
    of_more = (await ask.get("/api/v1/endpoints?source=more"))["endpoints"]
    assert [one["endpoint"] for one in of_more] == ["10.0.0.1:80"]
    sources = (await ask.get("/api/v1/sources"))["sources"]
    assert [(one["name"], one["kind"], one["state"], one["endpoints"]) for one in sources] == [
        ("vms", "memory", "synced", 4),
        ("more", "memory", "synced", 1),
    ]


async def test_a_lost_source_is_shown_with_the_reason_and_its_last_view_stands(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS)
    cell = ask.bridge.state.engine.readings[ask.source("vms")]
    ask.bridge.registries["vms"].fail(Unavailable("vms: nobody answers; is the network up?"))
    await until(lambda: cell.value.lost is not None, "it is lost")
    (vms, more) = (await ask.get("/api/v1/sources"))["sources"]
    assert (vms["state"], vms["why"], vms["endpoints"]) == ("lost", "vms: nobody answers; is the network up?", 3)
    assert vms["lost_for"] >= 0
    assert more["state"] == "waiting"


async def test_problems_are_shown_with_their_place_the_bridges_own_first(ask: Asking) -> None:
    await ask.says(
        "vms", PAYMENTS, problems=[Problem("port", "a.yaml:3", "99999 is no port", name("shop/payments"), 2)]
    )
    ask.bridge.state.notes["config"] = (Problem("config", "bridge.yaml:1", "will not do"),)
    assert (await ask.get("/api/v1/problems"))["problems"] == [
        {
            "source": None,
            "kind": "config",
            "service": None,
            "where": "bridge.yaml:1",
            "what": "will not do",
            "count": 1,
        },
        {
            "source": "vms",
            "kind": "port",
            "service": "shop/payments",
            "where": "a.yaml:3",
            "what": "99999 is no port",
            "count": 2,
        },
    ]


async def test_explain_tells_who_said_what_and_what_became_of_it(ask: Asking) -> None:
    await ask.hold()
    found = await ask.get("/api/v1/explain/shop/payments")
    (vms,) = found["sources"]
    assert [one["endpoint"] for one in vms["says"]] == ["10.0.0.1:80"]
    assert [(one["endpoint"], one["held"]) for one in vms["believed"]] == [
        ("10.0.0.1:80", False),
        ("10.0.0.2:80", True),
        ("10.0.0.3:80", True),
    ]
    assert [one["endpoint"] for one in vms["holds"]] == ["10.0.0.2:80", "10.0.0.3:80"]
    assert all(one["why"] and one["waits_for"] for one in vms["holds"])
    assert found["merged"]["groups"][0]["source"] == "vms"
    assert [(one["name"], one["port"], one["streams"]) for one in found["told"]] == [("shop/payments", "http", 0)]
    assert len(found["told"][0]["endpoints"]) == 3
    assert "no source knows this service" in (await ask.get("/api/v1/explain/shop/nobody", 404))["error"]


async def test_an_accepted_hold_is_deleted_and_no_other(ask: Asking) -> None:
    await ask.hold()
    held = (await ask.get("/api/v1/holds"))["holds"]
    assert [(one["source"], one["service"], one["endpoint"]) for one in held] == [
        ("vms", "shop/payments", "10.0.0.2:80"),
        ("vms", "shop/payments", "10.0.0.3:80"),
    ]
    accepted = await ask.post("/api/v1/holds/accept", {"source": "vms", "endpoint": "10.0.0.2:80"})
    assert accepted == {"accepted": [{"source": "vms", "service": "shop/payments", "endpoint": "10.0.0.2:80"}]}
    payments = name("shop/payments")
    catalog = ask.bridge.state.engine.catalog
    await until(lambda: len(list(catalog.value.services[payments].endpoints())) == 2, "it is deleted")
    assert [one["endpoint"] for one in (await ask.get("/api/v1/holds"))["holds"]] == ["10.0.0.3:80"]
    written = json.loads((ask.bridge.config.state_folder() / "decisions.json").read_text())
    assert [one["address"] for one in written["accepted"]] == ["10.0.0.2"], "the decisions document says so"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "say which"),
        ({"all": False}, 400, "say which"),
        ({"sevice": "a/b"}, 400, "'sevice' is not known here"),
        ({"source": "nobody"}, 404, "'nobody' is no registry of this bridge; there are vms, more"),
        ({"service": "payments"}, 400, "is not a service name"),
        ({"service": 3}, 400, "`service` is not a text"),
        ({"endpoint": "10.0.0.1"}, 400, "is not an endpoint"),
        ({"source": "vms", "health": False}, 400, "is accepted by {source, health: true}"),
        ([], 400, "is not a JSON object"),
    ],
)
async def test_an_acceptance_that_is_not_clear_accepts_nothing(ask: Asking, body: Any, status: int, says: str) -> None:
    await ask.hold()
    assert says in (await ask.post("/api/v1/holds/accept", body, status))["error"]
    assert len((await ask.get("/api/v1/holds"))["holds"]) == 2


async def test_a_frozen_source_keeps_its_view_until_it_is_unfrozen(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS)
    cell = ask.bridge.state.engine.readings[ask.source("vms")]
    answer = await ask.post("/api/v1/freeze", {"source": "vms", "for": 3600})
    assert answer["until"] > 1e9
    await until(lambda: bool(cell.value.verdict and cell.value.verdict.frozen), "it is frozen")
    frozen = (await ask.get("/api/v1/sources"))["sources"][0]
    assert frozen["frozen"] is True
    assert 3500 < frozen["frozen_for"] <= 3600
    assert await ask.post("/api/v1/unfreeze", {"source": "vms"}) == {"source": "vms", "until": None}
    await until(lambda: bool(cell.value.verdict and not cell.value.verdict.frozen), "it is not any more")


@pytest.mark.parametrize(
    "body",
    [
        {"source": "vms"},
        {"source": "vms", "for": 0},
        {"source": "vms", "for": "1h"},
        {"source": "vms", "for": True},
        {"source": "vms", "for": 1e9},
        {"source": "vms", "for": 60, "until": 2e9},
        {"source": "vms", "until": 12},
        {"for": 60},
    ],
)
async def test_a_freeze_that_is_not_clear_freezes_nothing(ask: Asking, body: Any) -> None:
    assert (await ask.post("/api/v1/freeze", body, 400))["error"]
    assert (await ask.get("/api/v1/sources"))["sources"][0]["frozen_for"] is None


async def test_a_post_of_a_form_changes_nothing(ask: Asking) -> None:
    await ask.hold()
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = await ask.post("/api/v1/holds/accept", {"all": True}, 415, **{"Content-Type": kind})
        assert "application/json" in answer["error"]
    assert (await ask.get("/api/v1/holds/accept", 405))["error"]
    assert len((await ask.get("/api/v1/holds"))["holds"]) == 2


async def test_a_body_that_is_too_large_or_no_json_is_refused(ask: Asking) -> None:
    assert (await ask.post("/api/v1/freeze", {"source": "x" * 100_000}, 413))["error"]
    for body in (b"", b"{", b"\xff", b"[" * 60_000):
        async with ask.http.post(
            ask.bridge.url + "/api/v1/freeze", data=body, headers={"Content-Type": "application/json"}
        ) as response:
            assert response.status == 400


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8080", True),
        ("127.0.0.1", True),
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("10.0.0.7", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8080", False),
        ("127.0.0.1:80@evil.example", False),
        ("[::1].evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_only_a_number_or_localhost_is_a_host_of_ours(host: str, ours: bool) -> None:
    assert host_is_ours(host, "127.0.0.1") is ours


async def test_a_page_of_another_site_gets_no_answer(ask: Asking) -> None:
    answer = await ask.get("/api/v1/services", 421, Host="evil.example")
    assert "Host" in answer["error"]
    assert await ask.get("/healthz", Host="localhost") == "ok\n"


@pytest.mark.promise("S-09")
async def test_line_breaks_inject_nothing_into_headers(ask: Asking) -> None:
    evil = "a\r\nSet-Cookie: x=1\r\n\r\n<script>"
    await ask.says("vms", PAYMENTS, problems=[Problem("file", evil, evil)])
    async with ask.http.get(ask.bridge.url + "/api/v1/explain/a%0d%0aSet-Cookie:%20x=1/b") as response:
        assert response.status == 404
        assert "Set-Cookie" not in response.headers
        assert response.content_type == "application/json"
    text = await (await ask.http.get(ask.bridge.url + "/api/v1/problems")).text()
    assert "\r" not in text
    assert json.loads(text)["problems"][0]["what"] == evil


@pytest.mark.promise("S-12")
async def test_a_secret_in_an_error_of_a_registry_is_in_no_answer_and_no_metric(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS, problems=[Problem("file", "https://u:hunter2@consul/v1", "no answer")])
    ask.bridge.registries["vms"].fail(Denied("vms: https://u:hunter2@consul/v1: 403"))
    cell = ask.bridge.state.engine.readings[ask.source("vms")]
    await until(lambda: cell.value.denied, "it is denied")
    for path in ("/api/v1/sources", "/api/v1/problems", "/api/v1/status", "/metrics", "/api/v1/explain/shop/payments"):
        assert "hunter2" not in str(await ask.get(path)), path
    assert "https://***@consul" in str(await ask.get("/api/v1/sources"))


async def test_readiness_waits_for_every_required_source_and_not_for_ever(ask: Asking) -> None:
    assert "waiting for more, vms" in await ask.get("/readyz", 503)
    status = await ask.get("/api/v1/status")
    assert (status["ready"], status["waiting"]) == (False, ["more", "vms"])
    assert await ask.get("/healthz") == "ok\n", "liveness never depends on a registry"
    await until(ask.bridge.state.engine.ready, "start.wait is over")
    assert await ask.get("/readyz", 503) == "the xDS port opens in a moment\n"
    ask.bridge.state.serving = True
    assert await ask.get("/readyz") == "ok\n"
    ask.bridge.state.stopping = True
    assert await ask.get("/readyz", 503) == "stopping\n"


@pytest.mark.promise("R-32", "law-10")
async def test_a_task_that_is_gone_fails_liveness_and_is_named(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS)
    (task,) = [one for one in asyncio.all_tasks() if one.get_name() == "vms: holds"]
    task.cancel()
    await until(task.done, "it is gone")
    assert await ask.get("/healthz", 503) == "task vms: holds died\n"
    assert "registry_bridge_tasks_dead 1.0" in await ask.get("/metrics")


@pytest.mark.promise("R-32")
async def test_an_engine_that_is_gone_fails_liveness(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS)
    (engine,) = [one for one in asyncio.all_tasks() if one.get_name() == "engine"]
    engine.cancel()
    await until(engine.done, "it is gone")
    assert "task merge died" in await ask.get("/healthz", 503)


@pytest.mark.promise("R-32")
async def test_a_bug_in_an_adapter_is_survived_and_said(ask: Asking) -> None:
    await ask.says("vms", PAYMENTS)
    registry, cell = ask.bridge.registries["vms"], ask.bridge.state.engine.readings[ask.source("vms")]
    registry.fail(ZeroDivisionError("division by zero"))
    await until(lambda: cell.value.lost is not None, "it is lost")
    assert "division by zero" in (await ask.get("/api/v1/sources"))["sources"][0]["why"]
    assert len((await ask.get("/api/v1/endpoints"))["endpoints"]) == 3, "the last good view stands"
    registry.heal()
    await until(lambda: cell.value.state == "synced", "it is read again")
    assert await ask.get("/healthz") == "ok\n"


async def test_the_probes_port_has_probes_and_metrics_alone(ask: Asking) -> None:
    for path, status in (("/healthz", 200), ("/metrics", 200), ("/api/v1/services", 404), ("/api/v1/freeze", 404)):
        async with ask.http.get(ask.bridge.probes_url + path, headers={"Host": "bridge.prod.svc"}) as response:
            assert response.status == status, path
            assert response.headers["Server"] == "registry-bridge"


async def test_a_long_list_is_sent_whole(ask: Asking) -> None:
    await ask.says(
        "vms",
        *(service(f"shop/s{number:04}", f"10.1.{number // 250}.{number % 250 + 1}:80") for number in range(1_000)),
    )
    found = (await ask.get("/api/v1/endpoints"))["endpoints"]
    assert [one["service"] for one in found] == [f"shop/s{number:04}" for number in range(1_000)]
    some = (await ask.get("/api/v1/services?service=shop/s000"))["services"]
    assert len(some) == 10
    assert ServiceName.parse(some[0]["name"]) == ("shop", "s0000")
