"""The metrics: which there are, and that they say what is."""

from pathlib import Path

import aiohttp
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from bridge.adapter import Problem
from bridge.admin.metrics import Tally
from bridge.model import Health, ServiceName
from bridge.table import Table
from tests.builders import endpoint, service
from tests.running import Running, config, running, until

PROMISED = {
    "build_info",
    "ready",
    "services",
    "waiting",
    "source_up",
    "source_state",
    "source_age_seconds",
    "source_lost_seconds",
    "source_unread_parts",
    "source_services",
    "endpoints",
    "holds",
    "flood",
    "health_flood",
    "frozen",
    "problems",
    "own_problems",
    "streams",
    "subscriptions",
    "parked",
    "responses_total",
    "response_bytes_total",
    "requests_total",
    "nacks_total",
    "streams_refused_total",
    "stream_failures_total",
    "merge_seconds_count",
    "merge_seconds_sum",
    "settle_seconds_count",
    "settle_seconds_sum",
    "loop_lag_seconds",
    "loop_lag_max_seconds",
    "gc_pause_seconds_count",
    "gc_pause_seconds_sum",
    "gc_pause_max_seconds",
    "task_restarts_total",
    "tasks_dead",
}


async def scrape(bridge: Running) -> dict[tuple[str, ...], float]:
    """Name without its prefix, and label values by label name, to value."""
    async with aiohttp.ClientSession() as http, http.get(f"{bridge.url}/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    return {
        (
            sample.name.removeprefix("registry_bridge_"),
            *(sample.labels[key] for key in sorted(sample.labels)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_metric_is_there_and_says_what_is(tmp_path: Path) -> None:
    async with running(config(tmp_path, ("vms", "more"))) as bridge:
        bridge.state.notes["config"] = (Problem("config", "bridge.yaml:1", "will not do"),)
        bridge.registries["vms"].set(
            service("shop/payments", "10.0.0.1:80", endpoint("10.0.0.2:80", health=Health.DRAINING)),
            service("shop/ledger", *(f"10.0.1.{number}:80" for number in range(1, 5))),
            problems=[Problem("port", "a", "b", count=3), Problem("port", "c", "d"), Problem("file", "e", "f")],
        )
        cell = bridge.state.engine.readings[bridge.config.registries[0].name]
        await until(lambda: len(bridge.state.engine.catalog.value.services) == 2, "the catalog has it")
        bridge.registries["vms"].set(service("shop/ledger", "10.0.1.1:80"), service("shop/payments", "10.0.0.1:80"))
        await until(lambda: bool(cell.value.verdict and cell.value.verdict.holds), "three are held")
        seen = await scrape(bridge)
    assert {key[0] for key in seen} >= PROMISED - {"problems"}
    assert seen["services",] == 2
    assert (seen["source_up", "vms"], seen["source_up", "more"]) == (1, 0)
    assert (seen["source_state", "vms", "synced"], seen["source_state", "more", "waiting"]) == (1, 1)
    assert (seen["endpoints", "unknown", "vms"], seen["endpoints", "held", "vms"]) == (2, 3)
    assert seen["endpoints", "draining", "vms"] == 0, "it was draining: gone at once"
    assert seen["holds", "vms"] == 3
    assert seen["own_problems", "config"] == 1
    assert seen["waiting",] == 1
    assert seen["merge_seconds_count",] >= 1


async def test_problems_are_counted_by_kind(tmp_path: Path) -> None:
    async with running(config(tmp_path, ("vms",))) as bridge:
        found = [Problem("port", "a", "b", count=3), Problem("port", "c", "d"), Problem("file", "e", "f")]
        bridge.registries["vms"].set(service("shop/payments", "10.0.0.1:80"), problems=found)
        await until(lambda: len(bridge.state.engine.catalog.value.services) == 1, "the catalog has it")
        seen = await scrape(bridge)
    assert {key[1:]: value for key, value in seen.items() if key[0] == "problems"} == {
        ("port", "vms"): 4,
        ("file", "vms"): 1,
    }


one_service = st.builds(
    lambda count, healths, held: [
        endpoint(f"10.0.0.{number + 1}:80", health=health, held=held)
        for number, health in zip(range(count), healths, strict=False)
    ],
    st.integers(0, 4),
    st.lists(st.sampled_from([None, *Health]), min_size=4, max_size=4),
    st.booleans(),
)
views = st.lists(st.dictionaries(st.sampled_from(["a/a", "a/b", "a/c", "b/a"]), one_service), min_size=1, max_size=5)


@given(views)
def test_a_tally_kept_up_to_date_equals_a_new_one(some: list[dict[str, list[object]]]) -> None:
    tally = Tally()
    for view in some:
        table = Table({ServiceName.parse(key): service(key, *them) for key, them in view.items()})
        tally.update(table)
        fresh = Tally()
        fresh.update(table)
        assert +tally.health == +fresh.health
