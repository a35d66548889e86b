"""What `deploy/` ships is what the commands make and take."""

import configparser
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli import main

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_bootstrap_is_the_one_that_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vms.yaml").write_text("services: []")
    (tmp_path / "bridge.yaml").write_text("registries: [{name: vms, kind: static, files: [vms.yaml]}]")
    result = CliRunner().invoke(main, ["envoy-bootstrap", "--config", str(tmp_path / "bridge.yaml")])
    assert result.exit_code == 0, result.output
    assert yaml.safe_load((DEPLOY / "envoy" / "bootstrap.yaml").read_text("utf-8")) == yaml.safe_load(result.stdout)


def test_the_unit_runs_a_command_that_there_is_and_is_not_started_again_for_a_bad_configuration() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(DEPLOY / "systemd" / "registry-bridge.service")
    service = dict(unit["Service"])
    program, command, *options = service["ExecStart"].split()
    assert program.endswith("/registry-bridge")
    assert command in main.commands
    assert options == ["--config", "/etc/registry-bridge/bridge.yaml"]
    assert service["RestartPreventExitStatus"] == "2"
    assert service["StateDirectory"] == "registry-bridge"  # where `run` keeps its state: $STATE_DIRECTORY
    assert int(service["TimeoutStopSec"]) > 5  # `run` waits that long before it ends its streams


ZOOKEEPER = DEPLOY / "zookeeper"


def test_the_configuration_beside_a_zookeeper_will_do() -> None:
    result = CliRunner().invoke(main, ["check", "--strict", "--config", str(ZOOKEEPER / "bridge.yaml")])
    assert result.exit_code == 0, result.output


def test_what_is_dropped_in_beside_a_zookeeper_is_for_the_unit_that_there_is() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(ZOOKEEPER / "beside-zookeeper.conf")
    assert set(unit.sections()) == {"Unit", "Service"}
    assert unit["Unit"]["After"] == "zookeeper.service"
    assert "ExecStart" not in unit["Service"]


def test_the_sidecar_runs_with_no_rights_and_has_the_files_that_it_names() -> None:
    sidecar = yaml.safe_load((ZOOKEEPER / "compose.yaml").read_text("utf-8"))["services"]["registry-bridge"]
    command, *options = sidecar["command"]
    assert command in main.commands
    assert options == ["--config", "/etc/registry-bridge/bridge.yaml"]
    assert (sidecar["read_only"], sidecar["cap_drop"]) == (True, ["ALL"])
    mounted = dict(one.split(":")[:2] for one in sidecar["volumes"])
    assert mounted["./bridge.yaml"] == options[1]
    assert all((ZOOKEEPER / one).exists() for one in mounted if one.startswith("./"))
