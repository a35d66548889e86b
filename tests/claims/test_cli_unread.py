"""What commands say of a registry that they could not read, and of the others beside it."""

from pathlib import Path

import pytest

from tests.commands import call

CONFIG = """
owner: prod
registries:
  - name: consul
    kind: consul
    token_file: no-token
    import: {namespace: shop}
    export: [{services: ["shop/*"], from: [vms]}]
  - {name: vms, kind: static, files: [vms.yaml]}
snapshot: {path: state}
start: {wait: 2m}
"""
VMS = "services: [{name: shop/payments, ports: {http: 80}, endpoints: [10.20.0.1]}]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    (tmp_path / "vms.yaml").write_text(VMS)
    return tmp_path


@pytest.mark.parametrize("command", [["plan", "--offline"], ["apply", "--once"]], ids=" ".join)
def test_of_two_registries_only_the_one_that_is_lost_is_said_to_be_unread(folder: Path, command: list[str]) -> None:
    result = call(folder, *command)
    assert result.exit_code == 1
    assert f"error: consul: {folder / 'no-token'}: is not there" in result.stderr
    assert "vms" not in result.stderr


def test_check_says_of_what_it_does_not_look_at_how_to_read_it(folder: Path) -> None:
    looked = call(folder, "check", "--sample").stdout.splitlines()
    assert "  nothing is looked at here; `registry-bridge show --offline` reads it once" in looked
    assert not [line for line in call(folder, "check").stdout.splitlines() if "looked at" in line]
