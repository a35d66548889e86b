"""The admin port of a bridge that writes: targets, plans, what is withheld, words, metrics."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.adapter import Holding, Put, RecordKey
from bridge.errors import Rejected
from bridge.kit.mark import Mark
from bridge.model import SourceName
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import Store
from tests.builders import name, service
from tests.claims.test_api import Asking
from tests.claims.test_metrics import scrape
from tests.exporting import ONLY, config, exported, in_step, said
from tests.outlets import sink
from tests.running import Running, running, until
from tests.running import config as reading

PAYMENTS = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80")
ORPHANS = service("shop/old", *(f"10.0.9.{number}:80" for number in range(1, 4)))


def write(store: Store, *services: Any) -> None:
    """What an earlier process of the same owner left there."""
    before = sink(store, Mark("prod", "before"))
    for one in services:
        held = before.store.held_by("prod", [ONLY])[ONLY]
        for record in before.fit(ONLY, one, held.holdings.get(one.name, Holding()))[0]:
            store.put(ONLY, "prod", record)


def _of_payments(write: object) -> bool:
    return isinstance(write, Put) and write.record.key == "shop/payments#0"


def out(bridge: Running) -> MemoryRegistry:
    return bridge.registries["out"]


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Asking]:
    """A bridge that has written shop/payments, over three endpoints that nobody of this process wanted."""
    async with running(config(tmp_path)) as bridge, aiohttp.ClientSession() as http:
        write(out(bridge).store, ORPHANS)
        bridge.registries["vms"].set(PAYMENTS)
        out(bridge).set()
        await until(lambda: in_step(bridge), "it is written")
        yield Asking(bridge, http)


async def test_a_target_is_shown_with_what_stands_there_and_what_waits(ask: Asking) -> None:
    (row,) = (await ask.get("/api/v1/exports"))["exports"]
    shown = {key: row[key] for key in ("registry", "target", "mode", "state", "leading", "complete", "waits_for")}
    assert shown == {
        "registry": "out",
        "target": "",
        "mode": "sync",
        "state": "in step",
        "leading": True,
        "complete": True,
        "waits_for": [],
    }
    assert (row["services"], row["endpoints"], row["records"], row["puts"], row["removals"]) == (1, 2, 2, 0, 0)
    assert row["withheld"] == {"orphan": 3}
    assert row["made"] == {"put": 1}
    assert row["written"] is not None
    assert (await ask.get("/api/v1/plan"))["changes"] == []
    withheld = (await ask.get("/api/v1/withheld"))["withheld"]
    assert [(one["service"], one["what"], one["reason"], one["acceptable"]) for one in withheld] == [
        ("shop/old", f"10.0.9.{number}:80", "orphan", True) for number in range(1, 4)
    ]
    assert "plan --accept" in withheld[0]["why"]
    assert (await ask.get("/api/v1/withheld?service=shop/p"))["withheld"] == []


async def test_what_waits_for_a_word_is_a_problem_and_goes_by_it(ask: Asking) -> None:
    (problem,) = (await ask.get("/api/v1/problems"))["problems"]
    assert (problem["source"], problem["kind"], problem["count"]) == ("out", "withheld", 3)
    assert "shop/old 10.0.9.1:80" in problem["what"]
    done = await ask.post("/api/v1/plan/accept", {"registry": "out", "target": "", "service": "shop/old"})
    assert done["accepted"][0] == {
        "registry": "out",
        "target": "",
        "service": "shop/old",
        "endpoint": "10.0.9.1:80",
    }
    assert len(done["accepted"]) == 3
    await until(lambda: sorted(said(out(ask.bridge))) == ["shop/payments#0"], "they are gone")
    await until(lambda: in_step(ask.bridge), "that is all")
    assert (await ask.get("/api/v1/problems"))["problems"] == []
    assert (await ask.post("/api/v1/plan/accept", {"all": True}))["accepted"] == []


@pytest.mark.parametrize(
    ("given", "status", "said_"),
    [
        ({}, 400, "say which: registry, target, service, or all: true"),
        ({"endpoint": "a"}, 400, "'endpoint' is not known here"),
        ({"service": "old"}, 400, "old"),
        ({"registry": "vms"}, 404, "'vms' is not written by this bridge; what is: out"),
        ({"registry": 1}, 400, "`registry` is not a text"),
        ({"registry": ""}, 400, "`registry` is not a text"),
    ],
)
async def test_a_word_that_means_nothing_is_refused(ask: Asking, given: Any, status: int, said_: str) -> None:
    assert said_ in (await ask.post("/api/v1/plan/accept", given, status))["error"]
    assert exported(ask.bridge).counts == {"orphan": 3}


async def test_a_registry_that_is_not_written_is_not_shown(ask: Asking) -> None:
    for what in ("exports", "plan", "withheld"):
        answer = await ask.get(f"/api/v1/{what}?registry=vms", 404)
        assert answer["error"] == "'vms' is not written by this bridge; what is: out"


async def test_a_dry_run_shows_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    async with running(config(tmp_path, export=", mode: dry-run")) as bridge, aiohttp.ClientSession() as http:
        ask = Asking(bridge, http)
        bridge.registries["vms"].set(PAYMENTS)
        out(bridge).set()
        await until(lambda: exported(bridge).complete and exported(bridge).puts == 1, "it is planned")
        (row,) = (await ask.get("/api/v1/exports"))["exports"]
        assert (row["state"], row["puts"], row["removals"]) == ("dry-run", 1, 0)
        (change,) = (await ask.get("/api/v1/plan?registry=out"))["changes"]
        assert (change["service"], change["change"], change["key"]) == ("shop/payments", "add", "shop/payments#0")
        assert change["before"] is None
        assert "10.0.0.2" in change["after"]
        assert said(out(bridge)) == {}


@pytest.mark.promise("law-9")
async def test_a_record_that_is_rejected_is_shown_and_counted_and_its_neighbour_is_written(tmp_path: Path) -> None:
    async with running(config(tmp_path)) as bridge, aiohttp.ClientSession() as http:
        ask = Asking(bridge, http)
        out(bridge).faults.refuse(Rejected("out: shop/payments#0: too long"), meant=_of_payments)
        bridge.registries["vms"].set(PAYMENTS, service("shop/ledger", "10.0.1.1:80"))
        out(bridge).set()
        await until(lambda: in_step(bridge) and bool(exported(bridge).parked), "one is parked")
        assert sorted(said(out(bridge))) == ["shop/ledger#0"]
        (row,) = (await ask.get("/api/v1/exports"))["exports"]
        assert [(one["key"], one["why"]) for one in row["parked"]] == [
            ("shop/payments#0", "out: shop/payments#0: too long")
        ]
        (problem,) = (await ask.get("/api/v1/problems"))["problems"]
        assert (problem["kind"], problem["service"]) == ("parked", "shop/payments")
        seen = await scrape(bridge)
        assert seen["export_parked", "out", ""] == 1
        assert seen["export_changes_total", "out", "rejected", ""] == 1
        assert seen["export_problems", "parked", "out", ""] == 1


@pytest.mark.promise("R-18")
async def test_a_foreign_record_under_our_name_is_a_problem_and_a_conflict(tmp_path: Path) -> None:
    async with running(config(tmp_path)) as bridge, aiohttp.ClientSession() as http:
        ask = Asking(bridge, http)
        theirs = b"[]"
        key = RecordKey("shop/payments#0")
        out(bridge).store.foreign(ONLY, "", key, name("shop/payments"), theirs)
        bridge.registries["vms"].set(PAYMENTS)
        out(bridge).set()
        await until(lambda: in_step(bridge) and bool(exported(bridge).plans), "it is planned")
        assert out(bridge).store.stands(ONLY)[key] == theirs
        found = (await ask.get("/api/v1/problems"))["problems"]
        assert len(found) == 1, found
        (problem,) = found
        assert problem["kind"] == "taken"
        assert "nobody's mark" in problem["what"]
        seen = await scrape(bridge)
        assert seen["export_conflicts", "out", ""] == 1
        (row,) = (await ask.get("/api/v1/withheld"))["withheld"]
        assert (row["what"], row["reason"], row["acceptable"], row["for"]) == ("shop/payments#0", "taken", False, None)


@pytest.mark.promise("R-19")
async def test_another_deployment_under_our_owner_is_shown_loudly(tmp_path: Path) -> None:
    async with running(config(tmp_path)) as bridge, aiohttp.ClientSession() as http:
        ask = Asking(bridge, http)
        bridge.registries["vms"].set()
        out(bridge).set()
        await until(lambda: in_step(bridge), "it writes")
        claim = out(bridge).store.claims[ONLY]["prod"]
        out(bridge).store.claim(ONLY, replace(claim, deployment="theirs", term=claim.term + 1))
        await until(lambda: exported(bridge).state.value == "another", "it is seen")
        bridge.registries["vms"].set(PAYMENTS)
        (row,) = (await ask.get("/api/v1/exports"))["exports"]
        assert "another deployment (theirs, term 2) writes as owner prod" in row["why"]
        (problem,) = (await ask.get("/api/v1/problems"))["problems"]
        assert (problem["source"], problem["kind"]) == ("out", "export")
        seen = await scrape(bridge)
        assert seen["export_claimed", "out", ""] == 0
        assert seen["export_state", "out", "another", ""] == 1
        assert said(out(bridge)) == {}


async def test_every_metric_of_exports_says_what_is(ask: Asking) -> None:
    seen = await scrape(ask.bridge)
    assert seen["export_state", "out", "in step", ""] == 1
    assert seen["export_state", "out", "lost", ""] == 0
    for metric, value in {
        "export_leading": 1,
        "export_claimed": 1,
        "export_complete": 1,
        "export_services": 1,
        "export_records": 2,
        "export_budget": 20,
        "export_parked": 0,
        "export_conflicts": 0,
        "export_change_seconds_count": 1,
    }.items():
        assert seen[metric, "out", ""] == value, metric
    assert (seen["export_pending", "put", "out", ""], seen["export_pending", "remove", "out", ""]) == (0, 0)
    assert seen["export_withheld", "orphan", "out", ""] == 3
    assert seen["export_changes_total", "out", "put", ""] == 1
    assert seen["export_changes_total", "out", "conflict", ""] == 0
    assert seen["export_problems", "withheld", "out", ""] == 3
    assert seen["export_written_timestamp_seconds", "out", ""] > 1e9


async def test_who_writes_nothing_has_no_such_rows(tmp_path: Path) -> None:
    async with running(reading(tmp_path, ("vms",))) as bridge, aiohttp.ClientSession() as http:
        ask = Asking(bridge, http)
        assert await ask.get("/api/v1/exports") == {"exports": []}
        assert await ask.get("/api/v1/plan") == {"changes": []}
        assert not [key for key in await scrape(bridge) if key[0].startswith("export")]
        assert SourceName("vms") in bridge.state.engine.readings
