"""The commands about what is written, beside a bridge that runs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.adapter import Record, RecordKey
from bridge.admin.log import configure
from bridge.model import Service
from bridge.testing.records import encode
from tests.builders import service
from tests.commands import call
from tests.exporting import ONLY, config, in_step, said
from tests.running import Threaded, log_as_before

PAYMENTS = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80")
LEDGER = service("shop/ledger", "10.0.1.1:80")
KEY = RecordKey("shop/payments#0")


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    with log_as_before():
        configure("json", "error")
        yield


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Threaded]:
    """A running bridge that has written shop/payments, over an orphan."""
    with Threaded(config(tmp_path)) as threaded:
        store = threaded.bridge.registries["out"].store

        def begin(bridge: Any) -> None:
            store.put(ONLY, "prod", _record(LEDGER))
            bridge.registries["vms"].set(PAYMENTS)
            bridge.registries["out"].set()

        threaded.do(begin, in_step, "it is written")
        yield threaded


def _record(of: Service) -> Record:
    return Record(RecordKey(f"{of.name}#0"), of.name, encode(of.endpoints))


def at(live: Threaded) -> tuple[str, str]:
    return "--admin", live.bridge.url


def test_a_running_bridge_is_asked(live: Threaded) -> None:
    result = call(None, "plan", *at(live))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("nothing to do\nwithheld (orphan): out: shop/ledger: 10.0.1.1:80: it is ours")
    shown = call(None, "show", "exports", *at(live))
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("out")]
    assert row.split()[1:8] == ["sync", "in", "step", "yes", "1", "2", "1"]
    assert "withheld (orphan): out: shop/ledger" in shown.stdout
    document = json.loads(call(None, "show", "exports", "--output", "json", *at(live)).stdout)
    assert document["exports"][0]["withheld"] == {"orphan": 1}
    assert document["withheld"][0]["what"] == "10.0.1.1:80"
    problems = call(None, "show", "problems", *at(live)).stdout
    assert "withheld" in problems
    unknown = call(None, "plan", "--registry", "vms", *at(live))
    assert unknown.exit_code == 1
    assert "'vms' is not written by this bridge; what is: out" in unknown.stderr


def test_a_running_bridge_takes_the_word(live: Threaded) -> None:
    result = call(None, "plan", "--accept", "--yes", *at(live))
    assert (result.exit_code, result.stdout) == (0, "accepted: 1 endpoint\n")
    live.do(lambda _: None, lambda bridge: sorted(said(bridge.registries["out"])) == [KEY], "the orphan is gone")


def test_a_withdrawal_beside_a_running_bridge_is_noticed(live: Threaded) -> None:
    store = live.bridge.registries["out"].store

    def end(bridge: Any) -> None:
        standing = store.claims[ONLY]["prod"]
        store.claim(ONLY, replace(standing, term=standing.term + 1, tombstone=True))

    live.do(end, lambda bridge: bridge.state.exported()[0].state.value == "withdrawn", "it is seen")
    shown = call(None, "show", "exports", *at(live)).stdout
    assert "the owner prod was withdrawn here; `registry-bridge adopt` ends that" in shown
