"""`convert registry` and `adopt --nodes`: what stands in a registry, and on whose word."""

from pathlib import Path

import pytest
import yaml

from tests.commands import call

INVENTORY = """
services:
  - name: shop/web
    ports: {http: 80}
    endpoints:
      - {address: 10.0.0.1, weight: 3, metadata: {team: pay}}
      - {address: 10.0.0.2, health: unhealthy, metadata: {team: payments}}
      - {address: vm7.example, health: healthy, metadata: {team: pay}}
      - {address: 10.0.0.4, metadata: {team: mail}}
  - {name: shop/mail, port: 25, endpoints: [10.0.0.9]}
"""
CONFIG = """
owner: prod
registries:
  - {name: vms, kind: static, files: [vms.yaml]}
  - {name: out, kind: static, export: [{file: out.json, format: file_sd, services: ["*/*"], from: [vms]}]}
snapshot: {path: state}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vms.yaml").write_text(INVENTORY)
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    return tmp_path


def test_what_a_registry_says_is_an_inventory_with_names_as_names(folder: Path) -> None:
    result = call(folder, "convert", "registry", "vms", "--where", "team=pay*")
    assert result.exit_code == 0, result.stderr
    assert yaml.safe_load(result.stdout) == {
        "services": [
            {
                "name": "shop/web",
                "ports": {"http": 80},
                "endpoints": [
                    {"address": "10.0.0.1", "weight": 3, "metadata": {"team": "pay"}},
                    {"address": "10.0.0.2", "health": "unhealthy", "metadata": {"team": "payments"}},
                    {"address": "vm7.example", "metadata": {"team": "pay"}},
                ],
            }
        ]
    }
    assert result.stderr == "note: shop/web: 10.0.0.2:80 is unhealthy, and is written down as that\n"


def test_an_inventory_of_nothing_is_an_error(folder: Path) -> None:
    result = call(folder, "convert", "registry", "vms", "--where", "team=x")
    assert (result.exit_code, result.stderr) == (1, "error: vms: no service was found\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("convert", "registry", "vm"), "'vm' is no registry of this configuration; known are vms, out"),
        (("convert", "haproxy", "vms.yaml", "--where", "a=b"), "--where belongs to the format registry"),
        (("convert", "registry", "vms", "--where", "team"), "'team' is not of the form key=glob"),
        (("adopt", "--nodes", "db-*", "--from", "old"), "leave out --from and --force"),
        (("adopt", "--nodes", "db-*"), "of out none is a registry in which hands register something"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, arguments: tuple[str, ...], why: str) -> None:
    result = call(folder, *arguments)
    assert result.exit_code == 2
    assert why in " ".join(result.stderr.replace("│", " ").split())


def test_a_registry_that_is_not_read_whole_is_no_inventory(folder: Path) -> None:
    (folder / "bridge.yaml").write_text(CONFIG.replace("[vms.yaml]", "[vms.yaml, more.yaml]"))
    result = call(folder, "convert", "registry", "vms")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "more.yaml: is not there; put it back" in result.stderr
