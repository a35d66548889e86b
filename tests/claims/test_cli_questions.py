"""What commands ask before they change anything, and what they say when the answer is no, or there is none."""

from pathlib import Path

import pytest

from tests.commands import call

CONFIG = """
owner: prod
registries:
  - {name: vms, kind: static, files: [vms.yaml]}
  - {name: out, kind: static, export: [{file: hosts, format: hosts, services: ["shop/*"], from: [vms]}]}
snapshot: {path: state}
"""
VMS = "services: [{name: shop/payments, ports: {http: 80}, endpoints: [10.20.0.1]}]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    (tmp_path / "vms.yaml").write_text(VMS)
    return tmp_path


def test_where_nobody_answers_nothing_is_changed_and_it_is_said_how_not_to_be_asked(folder: Path) -> None:
    assert call(folder, "apply", "--once").exit_code == 0
    unanswered = call(folder, "withdraw")
    assert unanswered.exit_code == 1
    assert "Remove all 1 record of prod? [y/N]" in unanswered.stderr
    assert unanswered.stderr.endswith("\nerror: nobody answered, and nothing was changed; --yes does not ask\n")
    refused = call(folder, "withdraw", given="n\n")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (1, "error: nothing was changed")
    assert "10.20.0.1" in (folder / "hosts").read_text()


def test_an_owner_that_never_wrote_there_is_a_mistake_and_gets_no_tombstone(folder: Path) -> None:
    mistaken = call(folder, "withdraw", "--owner", "pord", "--yes")
    assert mistaken.exit_code == 1
    assert "error: no bridge has written there as pord; correct --owner, or say --force" in mistaken.stderr
    assert not (folder / ".hosts.claim").exists()
    assert call(folder, "withdraw", "--owner", "pord", "--yes", "--force").exit_code == 0
    assert "pord" in (folder / ".hosts.claim").read_text()


def test_who_has_written_nothing_yet_can_be_kept_from_it(folder: Path) -> None:
    asked = call(folder, "withdraw", given="y\n")
    assert asked.exit_code == 0, asked.output
    assert "prod has no records there; keep it from writing any until `adopt`? [y/N]" in asked.stderr
    assert call(folder, "apply", "--once").exit_code == 1
    assert not (folder / "hosts").exists()
