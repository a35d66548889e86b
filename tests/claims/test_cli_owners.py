"""The commands that change who owns what is written: withdraw, adopt; where no bridge runs."""

import time
from pathlib import Path

import pytest

from bridge.adapter import Claim, RecordKey
from bridge.errors import Unavailable
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import encode
from bridge.testing.store import Store
from tests.builders import endpoint, name
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
