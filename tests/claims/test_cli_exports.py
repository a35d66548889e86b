"""The commands about what is written, where no bridge runs: plan, apply."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bridge.adapter import Claim, Holding, Problem, Record, Target
from bridge.cli.once import TICK
from bridge.errors import Denied, Rejected, Unavailable
from bridge.model import Service
from bridge.runtime.election import Alone, AloneSettings, Term
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import Store
from tests.builders import service
from tests.commands import call
from tests.exporting import ONLY
from tests.stored import (
    KEY,
    LEDGER,
    PAYMENTS,
    StoreSettings,
    begun,
    claim,
    claims_are_seen_late,
    knows,
    ours,
    out,
    there,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    begun(tmp_path, monkeypatch)
    return tmp_path


@pytest.mark.parametrize("command", [["plan"], ["apply"], ["withdraw"], ["adopt"]], ids=" ".join)
def test_every_commands_help_has_an_example_and_exit_codes(command: list[str]) -> None:
    result = call(None, *command, "--help")
    assert result.exit_code == 0
    assert "registry-bridge" in result.stdout.split("Example", 1)[1]
    assert "Exit codes: 0" in result.stdout


# plan, where no bridge runs


def test_a_plan_lists_what_would_be_written_and_says_so_by_its_exit_code(folder: Path) -> None:
    result = call(folder, "plan", "--offline")
    assert result.exit_code == 3, result.output
    (row,) = [line.split() for line in result.stdout.splitlines() if "shop/payments" in line]
    assert row[:4] == ["out", "shop/payments", "add", "shop/payments#0"]
    assert row[4].startswith("+")
    assert "records: 1 to add; withheld: 0" in result.stdout
    assert there() == []
    assert out().claims == {}
    assert [one.name for one in folder.iterdir()] == ["bridge.yaml"], "nothing is written, not even a name"


def test_a_plan_for_programs_has_before_and_after(folder: Path) -> None:
    result = call(folder, "plan", "--offline", "--output", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["wrong"], found["withheld"]) == (3, [], [])
    (change,) = found["changes"]
    assert (change["registry"], change["change"], change["before"]) == ("out", "add", None)
    assert [row["address"] for row in json.loads(change["after"])] == ["10.0.0.1", "10.0.0.2"]
    assert found["exports"][0]["puts"] == 1


def test_a_plans_diff_shows_the_lines_that_change(folder: Path) -> None:
    assert call(folder, "apply", "--once").exit_code == 0
    knows(service("shop/payments", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"), LEDGER)
    result = call(folder, "plan", "--offline", "--diff")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert "--- (nothing)" in lines
    assert "+++ out: shop/ledger#0 (should be)" in lines
    assert "--- out: shop/payments#0 (is)" in lines
    assert any(line.startswith("+") and "10.0.0.3" in line for line in lines)
    assert not any(line.startswith("-") and "10.0.0" in line for line in lines)


def test_nothing_to_do_is_exit_0(folder: Path) -> None:
    assert call(folder, "apply", "--once").exit_code == 0
    result = call(folder, "plan", "--offline")
    assert (result.exit_code, result.stdout) == (0, "nothing to do\n")


def test_what_a_registry_cannot_say_is_told_beside_the_plan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(PAYMENTS, LEDGER)
    monkeypatch.setattr(StoreSettings, "spoil", _without_words_for_ledgers)
    planned = call(folder, "plan", "--offline")
    assert "not said (name): out: shop/ledger: has no place here" in planned.stdout
    assert "shop/payments#0" in planned.stdout
    assert "not said (name): out: shop/ledger" in call(folder, "apply", "--once").stdout
    shown = json.loads(call(folder, "show", "exports", "--offline", "--output", "json").stdout)
    assert [(row["service"], row["count"]) for row in shown["unsaid"]] == [("shop/ledger", 1)]


def _without_words_for_ledgers(registry: MemoryRegistry) -> None:
    fit = registry.fit

    def fit_but(target: Target, service_: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
        if service_.name != LEDGER.name:
            return fit(target, service_, holding)
        return [], (Problem("name", "out: shop/ledger", "has no place here", service_.name),)

    registry.fit = fit_but  # type: ignore[method-assign]  # of this one


def test_only_what_was_asked_for_is_planned(folder: Path) -> None:
    knows(PAYMENTS, LEDGER)
    result = call(folder, "plan", "shop/led", "--offline", "--registry", "out", "--target", "")
    assert "shop/ledger" in result.stdout
    assert "shop/payments" not in result.stdout
    result = call(folder, "plan", "--offline", "--registry", "vms")
    assert result.exit_code == 2
    assert "'vms' is not written by this configuration; what is: out" in result.stderr


@pytest.mark.promise("law-3")
def test_a_plan_without_a_source_is_an_error_and_names_it(folder: Path) -> None:
    StoreSettings.stores["vms"] = Store()  # which nobody can read
    result = call(folder, "plan", "--offline")
    assert result.exit_code == 1
    assert "error: vms: was not read whole in time" in result.stderr
    assert "nothing to do" not in result.stdout, "nobody knows whether there is"


def test_a_configuration_that_writes_nothing_says_where_to_begin(folder: Path) -> None:
    (folder / "bridge.yaml").write_text("registries: [{name: vms, kind: memory}]\n")
    for command in (["plan", "--offline"], ["apply", "--once"], ["withdraw"], ["adopt"]):
        result = call(folder, *command)
        assert result.exit_code == 2
        assert "nothing is written by this configuration; `export:` in a registry says what" in result.stderr


def test_an_export_that_names_no_service_is_told_with_those_that_there_are(folder: Path) -> None:
    config = folder / "bridge.yaml"
    config.write_text(config.read_text().replace("shop/*", "shpo/*"))
    for command in (["plan", "--offline"], ["apply", "--once"]):
        result = call(folder, *command)
        assert result.exit_code == 0, result.output
        said = (
            "note: out: no service is called as this export says (shpo/*); correct `services`: there are shop/payments"
        )
        assert result.stderr.splitlines() == [said]


# apply


def test_apply_writes_once_and_the_next_one_has_nothing_to_do(folder: Path) -> None:
    first = call(folder, "apply", "--once")
    assert (first.exit_code, first.stdout) == (0, "out: 1 written; 1 record there\n")
    assert there() == [KEY]
    second = call(folder, "apply", "--once", "--output", "json")
    found = json.loads(second.stdout)
    assert (second.exit_code, found["failed"], found["exports"][0]["made"]) == (0, [], {})
    assert claim().deployment == ours(folder)


def test_apply_without_once_is_refused(folder: Path) -> None:
    result = call(folder, "apply")
    assert result.exit_code == 2
    assert "say --once" in result.stderr


@pytest.mark.promise("law-2")
def test_what_an_earlier_run_wrote_goes_only_by_a_word(folder: Path) -> None:
    knows(PAYMENTS, LEDGER)
    assert call(folder, "apply", "--once").exit_code == 0
    knows(PAYMENTS)
    StoreSettings.stores["vms"].wipe()
    (folder / "state").joinpath("vms.snapshot").unlink(missing_ok=True)  # nobody remembers the ledger
    knows(PAYMENTS)
    result = call(folder, "apply", "--once")
    assert result.exit_code == 3
    assert "withheld (orphan): out: shop/ledger: 10.0.1.1:80" in result.stdout
    assert there() == ["shop/ledger#0", KEY]
    refused = call(folder, "plan", "--accept", "--offline", given="n\n")
    assert refused.exit_code == 1
    accepted = call(folder, "plan", "shop/ledger", "--accept", "--offline", given="y\n")
    assert accepted.exit_code == 0
    assert "out: shop/ledger: 1 endpoint will be removed there" in accepted.stderr
    assert "accepted: 1 endpoint; it goes with the next `registry-bridge apply --once`" in accepted.stdout
    planned = call(folder, "plan", "--offline")
    assert planned.exit_code == 3
    assert "remove" in planned.stdout
    assert call(folder, "apply", "--once").exit_code == 0
    assert there() == [KEY]


def test_to_accept_nothing_is_an_error(folder: Path) -> None:
    result = call(folder, "plan", "--accept", "--offline", "--yes")
    assert result.exit_code == 1
    assert "nothing that a word would let go is withheld" in result.stderr
    assert call(folder, "plan", "payments", "--accept", "--offline", "--yes").exit_code == 2


def test_a_target_that_takes_nothing_is_given_up_and_its_reason_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Unavailable("out: the disk is full; make room")
    monkeypatch.setattr(StoreSettings, "spoil", lambda registry: registry.faults.refuse(full, times=999))
    result = call(folder, "apply", "--once")
    assert result.exit_code == 1, result.output
    assert "out: 1 change left to make; 0 records there" in result.stdout
    assert "error: out: failing: out: the disk is full; make room" in result.stderr


def test_a_service_that_cannot_be_written_is_given_up_and_its_reason_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Denied("out: there is no namespace shop; make it", whole=False)
    monkeypatch.setattr(StoreSettings, "spoil", lambda registry: registry.faults.refuse(gone, times=999))
    monkeypatch.setattr("bridge.cli.once.VAIN", 1.0)
    monkeypatch.setattr("bridge.cli.once.PATIENCE", 10_000.0)
    result = call(folder, "apply", "--once")
    assert result.exit_code == 1, result.output
    assert "error: out: writes: shop/payments: out: there is no namespace shop; make it" in result.stderr


def test_a_record_that_is_rejected_is_named_and_exit_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        StoreSettings, "spoil", lambda registry: registry.faults.refuse(Rejected("out: too long"), times=9)
    )
    result = call(folder, "apply", "--once")
    assert result.exit_code == 3, result.output
    assert "out: nothing to do, 1 record rejected; 0 records there" in result.stdout
    assert "rejected: out: shop/payments: out: too long" in result.stdout


@pytest.mark.promise("R-20")
def test_the_time_of_the_lease_of_a_leader_that_is_paused_does_not_count_as_being_stuck(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Follows(Alone):
        async def terms(self) -> AsyncIterator[Term]:
            await asyncio.sleep(3.0)  # longer than start.wait
            async for term in super().terms():
                yield term

    monkeypatch.setattr(AloneSettings, "open", lambda *_: Follows("one"))
    claims_are_seen_late(monkeypatch)
    result = call(folder, "apply", "--once")
    assert (result.exit_code, there()) == (0, [KEY]), result.output


@pytest.mark.parametrize("wait", ["0s", "1s"])
def test_who_leads_is_told_at_once_and_after_the_wait_the_command_ends_with_a_code_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    class Theirs(Alone):
        async def terms(self) -> AsyncIterator[Term]:
            yield Term(0, 0.0, "'web-2_77'")
            await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(AloneSettings, "open", lambda *_: Theirs("one"))
    result = call(folder, "apply", "--once", "--wait", wait)
    assert (result.exit_code, there()) == (4, [])
    told, *more = [line for line in result.stderr.splitlines() if "web-2_77" in line]
    note = "note: 'web-2_77' leads; the lead is waited for, for at most 1 s (--wait)"
    error = f"error: 'web-2_77' leads, and did so for all of --wait ({wait[:1]} s): nothing is written here beside it"
    assert [told, *more][-1].startswith(error)
    assert [told, *more][:-1] == ([note] if wait == "1s" else [])


def test_the_lead_of_who_ends_meanwhile_is_taken_and_all_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Theirs(Alone):
        async def terms(self) -> AsyncIterator[Term]:
            yield Term(0, 0.0, "'web-2_77'")
            await asyncio.sleep(4 * TICK)
            async for term in super().terms():
                yield term

    monkeypatch.setattr(AloneSettings, "open", lambda *_: Theirs("one"))
    result = call(folder, "apply", "--once", "--wait", "10m")
    assert (result.exit_code, there()) == (0, [KEY]), result.output
    assert "note: 'web-2_77' leads; the lead is waited for, for at most 600 s" in result.stderr


@pytest.mark.promise("R-19")
def test_apply_does_not_write_beside_another_deployment(folder: Path) -> None:
    out().claim(ONLY, Claim("prod", "theirs", 4, time.time()))
    result = call(folder, "apply", "--once")
    assert result.exit_code == 1
    assert "error: out: another: another deployment (theirs, term 4) writes as owner prod" in result.stderr
    assert there() == []
