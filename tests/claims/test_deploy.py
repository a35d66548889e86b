"""What `deploy/` ships is what the commands make and take."""

import configparser
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli import main
from tests.envoy.certificates import Authority

ZOOKEEPER = "zookeeper/registry-bridge.service.d/zookeeper.conf"
DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_bootstrap_is_the_one_that_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vms.yaml").write_text("services: []")
    (tmp_path / "bridge.yaml").write_text("registries: [{name: vms, kind: static, files: [vms.yaml]}]")
    result = CliRunner().invoke(main, ["envoy-bootstrap", "--config", str(tmp_path / "bridge.yaml")])
    assert result.exit_code == 0, result.output
    assert yaml.safe_load((DEPLOY / "envoy" / "bootstrap.yaml").read_text("utf-8")) == yaml.safe_load(result.stdout)


def unit(*files: str) -> configparser.RawConfigParser:
    """A unit with its drop-ins."""
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[method-assign,assignment]
    read.read([DEPLOY / file for file in files])
    return read


def test_the_unit_runs_a_command_that_there_is_and_is_not_started_again_for_a_bad_configuration() -> None:
    service = unit("systemd/registry-bridge.service")["Service"]
    program, command, *options = service["ExecStart"].split()
    assert program.endswith("/registry-bridge")
    assert command in main.commands
    assert options == ["--config", "/etc/registry-bridge/bridge.yaml"]
    assert service["RestartPreventExitStatus"] == "2"
    assert service["StateDirectory"] == "registry-bridge"  # where `run` keeps its state: $STATE_DIRECTORY
    assert int(service["TimeoutStopSec"]) > 5  # `run` waits that long before it ends its streams


def test_beside_a_zookeeper_the_unit_is_as_hardened_and_goes_without_it() -> None:
    alone, beside = unit("systemd/registry-bridge.service"), unit("systemd/registry-bridge.service", ZOOKEEPER)
    assert dict(alone["Service"]).items() < dict(beside["Service"]).items()
    assert beside["Unit"]["After"] == "zookeeper.service"
    assert not {"Requires", "BindsTo", "PartOf"} & set(beside["Unit"])


def test_the_configuration_beside_a_zookeeper_will_do(tmp_path: Path) -> None:
    folder = shutil.copytree(DEPLOY / "zookeeper", tmp_path / "zookeeper")
    Authority().install(folder / "tls")
    result = CliRunner().invoke(main, ["check", "--strict", "--config", str(folder / "bridge.yaml")])
    assert result.exit_code == 0, result.output
