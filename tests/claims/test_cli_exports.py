"""The commands about what is written: plan, apply, withdraw, adopt, show exports."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from bridge.adapter import Claim, Holding, Problem, Record, RecordKey, Target
from bridge.admin.log import configure
from bridge.cli.once import TICK
from bridge.errors import Denied, Rejected, Unavailable
from bridge.kit import Kit
from bridge.model import Service
from bridge.runtime.election import Alone, AloneSettings, Term, deployment
from bridge.testing.memory import MemoryRegistry, MemorySettings
from bridge.testing.records import encode
from bridge.testing.store import Store
from tests.builders import endpoint, name, service
from tests.commands import call
from tests.exporting import ONLY, config
from tests.running import log_as_before

PAYMENTS = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80")
LEDGER = service("shop/ledger", "10.0.1.1:80")
KEY = RecordKey("shop/payments#0")


class StoreSettings(MemorySettings):
    """Memory registries that outlive a command: each opens anew what is in its store."""

    stores: ClassVar[dict[str, Store]] = {}
    spoil: ClassVar[Callable[[MemoryRegistry], None] | None] = None

    def open(self, kit: Kit) -> MemoryRegistry:
        registry = MemoryRegistry(mark=kit.mark, store=self.stores[kit.registry])
        if StoreSettings.spoil is not None:
            StoreSettings.spoil(registry)
        return registry


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    with log_as_before():
        configure("json", "error")
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that no bridge runs with: `vms` knows shop/payments, `out` is empty."""
    config(tmp_path)
    monkeypatch.setattr("bridge.config.installed", lambda: {"memory": lambda: StoreSettings})
    monkeypatch.setattr(StoreSettings, "stores", {"vms": Store(), "out": Store()})
    monkeypatch.setattr(StoreSettings, "spoil", None)
    knows(PAYMENTS)
    says("out")
    return tmp_path


def knows(*services: Service) -> None:
    says("vms", *services)


def says(registry: str, *services: Service) -> None:
    MemoryRegistry(store=StoreSettings.stores[registry]).set(*services)


def out() -> Store:
    return StoreSettings.stores["out"]


def there() -> list[str]:
    return [str(key) for key in out().stands()]


def ours(folder: Path) -> str:
    return deployment(folder / "state")


def claim(owner: str = "prod") -> Claim:
    return out().claims[ONLY][owner]


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


def claims_are_seen_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before it was asked again whether there is any hope."""

    async def claim(_: MemoryRegistry, target: Target, claim: Claim) -> None:
        asyncio.get_running_loop().call_later(2 * TICK, out().claim, target, claim)

    monkeypatch.setattr(MemoryRegistry, "claim", claim)


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


# withdraw


def test_withdraw_removes_what_is_ours_and_leaves_a_tombstone(folder: Path) -> None:
    knows(PAYMENTS, LEDGER)
    assert call(folder, "apply", "--once").exit_code == 0
    out().foreign(ONLY, "other", RecordKey("shop/theirs#0"), name("shop/theirs"), encode([endpoint("10.0.7.7:80")]))
    refused = call(folder, "withdraw", given="n\n")
    assert refused.exit_code == 1
    assert "out: 2 records will be removed: shop/ledger, shop/payments" in refused.stderr
    assert len(there()) == 3
    result = call(folder, "withdraw", given="y\n")
    assert result.exit_code == 0, result.output
    assert "out: withdrawn: 2 records" in result.stdout
    assert there() == ["shop/theirs#0"]
    assert claim().tombstone
    again = call(folder, "withdraw", "--yes")
    assert (again.exit_code, there()) == (0, ["shop/theirs#0"])


def test_after_a_withdrawal_nothing_is_written_until_it_is_ended(folder: Path) -> None:
    assert call(folder, "apply", "--once").exit_code == 0
    assert call(folder, "withdraw", "--yes").exit_code == 0
    result = call(folder, "apply", "--once")
    assert result.exit_code == 1
    assert (
        "error: out: withdrawn: the owner prod was withdrawn here; `registry-bridge adopt` ends that" in result.stderr
    )
    assert there() == []
    ended = call(folder, "adopt", "--yes")
    assert (ended.exit_code, ended.stdout) == (0, "out: prod may write\n")
    assert call(folder, "apply", "--once").exit_code == 0
    assert there() == [KEY]
    nothing = call(folder, "adopt", "--yes")
    assert nothing.exit_code == 1
    assert "prod was withdrawn from none of them; say --from" in nothing.stderr


def left_behind(owner: str, age: float, deployment: str = "theirs") -> None:
    """What a bridge of another owner wrote there, and its claim of so many seconds ago."""
    store = out()
    store.foreign(ONLY, owner, KEY, name("shop/payments"), encode(PAYMENTS.endpoints))
    store.claim(ONLY, Claim(owner, deployment, 4, time.time() - age))


@pytest.mark.promise("law-5")
def test_an_owner_that_another_bridge_uses_is_not_withdrawn_unless_by_force(folder: Path) -> None:
    left_behind("other", age=5)
    result = call(folder, "withdraw", "--owner", "other", "--yes")
    assert result.exit_code == 1
    assert "out: another bridge (deployment theirs) writes there as other: it renewed its claim" in result.stderr
    assert "stop that bridge, or say --force; nothing was changed" in result.stderr
    assert there() == [KEY]
    assert not claim("other").tombstone
    forced = call(folder, "withdraw", "--owner", "other", "--yes", "--force")
    assert forced.exit_code == 0, forced.output
    assert there() == []
    assert claim("other").tombstone


@pytest.mark.promise("law-5")
def test_the_minute_in_which_a_dead_bridge_is_watched_does_not_count_as_being_stuck(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.claiming.LAPSE", 3.0)  # longer than start.wait
    left_behind("other", age=120)
    claims_are_seen_late(monkeypatch)
    result = call(folder, "withdraw", "--owner", "other", "--yes")
    assert (result.exit_code, there()) == (0, []), result.output


def test_what_a_withdrawal_did_not_take_away_is_not_said_to_be_withdrawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind("other", age=120, deployment=ours(folder))

    async def lost(*_: object) -> None:
        raise Unavailable("nobody answers")

    monkeypatch.setattr(MemoryRegistry, "apply", lost)
    result = call(folder, "withdraw", "--owner", "other", "--yes")
    assert (result.exit_code, there()) == (1, [KEY])
    assert "out: withdrawn: 0 records; 1 record still there" in result.stdout


def test_an_owner_that_cannot_be_one_is_refused(folder: Path) -> None:
    for command in (["withdraw", "--owner", "a b"], ["adopt", "--from", "a b"]):
        result = call(folder, *command)
        assert result.exit_code == 2
        assert "cannot name who writes" in result.stderr
    same = call(folder, "adopt", "--from", "prod")
    assert same.exit_code == 2
    assert "prod is the owner that the configuration has" in same.stderr


# adopt


def test_what_an_owner_wrote_that_was_renamed_is_taken_over_without_a_gap(folder: Path) -> None:
    left_behind("old", age=5, deployment=ours(folder))
    content = out().stands()[KEY]
    result = call(folder, "adopt", "--from", "old", given="y\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("out: 1 record with the mark of prod\n")
    stored = out().records[ONLY][KEY]
    assert (stored.owner, stored.record.content) == ("prod", content)
    assert claim("old").tombstone
    assert not claim().tombstone
    planned = call(folder, "plan", "--offline")
    assert (planned.exit_code, planned.stdout) == (0, "nothing to do\n")
    assert call(folder, "apply", "--once").exit_code == 0


def test_nothing_is_taken_over_from_a_bridge_that_runs(folder: Path) -> None:
    left_behind("old", age=5)
    result = call(folder, "adopt", "--from", "old", "--yes")
    assert result.exit_code == 1
    assert "another bridge (deployment theirs) writes there as old" in result.stderr
    assert out().records[ONLY][KEY].owner == "old"
    assert call(folder, "adopt", "--from", "old", "--yes", "--force").exit_code == 0
    assert out().records[ONLY][KEY].owner == "prod"


def test_an_owner_that_never_wrote_there_is_told_before_anything_changes(folder: Path) -> None:
    left_behind("old", age=5, deployment=ours(folder))
    mistyped = call(folder, "adopt", "--from", "odl", "--yes")
    assert (mistyped.exit_code, mistyped.stdout) == (1, "")
    assert "no bridge has written there as odl; correct --from, or say --force" in mistyped.stderr
    assert out().records[ONLY][KEY].owner == "old"
    assert call(folder, "adopt", "--from", "odl", "--yes", "--force").exit_code == 0
    assert out().records[ONLY][KEY].owner == "old"


@pytest.mark.promise("law-9")
def test_a_target_that_cannot_be_read_keeps_no_other_from_being_withdrawn_or_taken_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (folder / "bridge.yaml").read_text()
    more = "- {name: more, kind: memory, export: [{services: ['*'], from: [vms]}]}\n"
    (folder / "bridge.yaml").write_text(text.replace("admin:", f"{more}admin:").replace("wait: 2s", "wait: 500ms"))
    monkeypatch.setitem(StoreSettings.stores, "more", Store())  # which nobody can read
    applied = call(folder, "apply", "--once")
    assert applied.exit_code == 1
    assert "out: 1 written; 1 record there\nmore: not read, so left as it is\n" in applied.stdout
    assert applied.stderr.count("\n") == 1
    assert there() == [KEY]
    withdrawn = call(folder, "withdraw", "--yes")
    assert (withdrawn.exit_code, there()) == (1, [])
    assert "error: more: was not read whole in time" in withdrawn.stderr
    adopted = call(folder, "adopt", "--yes")
    assert (adopted.exit_code, adopted.stdout) == (1, "out: prod may write\n")
    assert "error: more: was not read whole in time" in adopted.stderr
    only = call(folder, "withdraw", "--registry", "more", "--yes")
    assert only.exit_code == 1
    assert "nothing was withdrawn" in only.stderr
