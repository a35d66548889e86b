"""The adapter of `adapters/README.md`, as somebody else's distribution: installed, found, conforming, in use."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "worked_adapter"
README = Path(__file__).parents[2] / "adapters" / "README.md"
COMMAND = str(Path(sys.executable).with_name("registry-bridge"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the author's sources, and beside them an environment in which they are installed."""
    folder = tmp_path_factory.mktemp("author")
    shutil.copytree(HERE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    run(*pip, "--no-deps", "--no-build-isolation", "--target", str(folder / "site"), str(folder / "source"))
    return folder


def run(*command: str, at: Path | None = None, site: Path | None = None, code: int = 0) -> str:
    """What a command prints; AssertionError shows all of it where it ends otherwise than with `code`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV_"))}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    done = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_it_is_found_by_its_entry_point(installed: Path) -> None:
    kinds = json.loads(run(COMMAND, "adapters", "--output", "json", site=installed / "site"))["adapters"]
    (mine,) = [one for one in kinds if one["kind"] == "json-folder"]
    assert (mine["distribution"], mine["loads"]) == ("registry-bridge-json-folder", True)
    assert "json-folder" not in run(COMMAND, "adapters")


def test_it_keeps_every_promise(installed: Path) -> None:
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", "."]
    said = run(*pytest_, "tests", at=installed / "source", site=installed / "site")
    found = re.search(r"(\d+) passed", said)
    assert found is not None, said
    assert int(found[1]) >= 60, said


def test_its_settings_are_checked_like_all_others(installed: Path, tmp_path: Path) -> None:
    config = tmp_path / "bridge.yaml"
    config.write_text("registries:\n- {name: vms, kind: json-folder, foldr: x}\n")
    done = subprocess.run(
        [COMMAND, "check", "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(installed / "site")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 2
    assert "bridge.yaml:2: registries[0].foldr: unknown key; did you mean 'folder'?" in done.stdout + done.stderr


def test_a_bridge_writes_through_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    native = {"endpoints": [{"address": "10.1.0.1", "ports": {"http": 80}}]}
    (tmp_path / "services/shop.old.json").write_text(json.dumps(native))
    (tmp_path / "vms.yaml").write_text("services:\n- {name: shop/web, ports: {http: 8080}, endpoints: [10.0.0.1]}\n")
    config = tmp_path / "bridge.yaml"
    config.write_text("""\
owner: prod
leader: {kind: none}
registries:
- {name: vms, kind: static, files: [vms.yaml]}
- {name: folder, kind: json-folder, folder: services, export: [{services: ["*"], from: [vms]}]}
snapshot: {path: state}
""")
    run(COMMAND, "apply", "--once", "--config", str(config), at=tmp_path, site=installed / "site")
    written = json.loads((tmp_path / "services/shop.web.json").read_text())
    assert [one["address"] for one in written["endpoints"]] == ["10.0.0.1"]
    assert "owner=prod" in written["mark"]
    assert json.loads((tmp_path / "services/shop.old.json").read_text()) == native


def test_the_readme_shows_it_as_it_is() -> None:
    """Each block of Python in the README is a piece of a file of the worked adapter, to the letter."""
    sources = [path.read_text("utf-8") for path in sorted(HERE.rglob("*.py"))] + [
        (HERE / "pyproject.toml").read_text("utf-8")
    ]
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        for piece in block.split("\n...\n"):
            assert any(piece.strip("\n") in source for source in sources), (
                f"the worked adapter says otherwise:\n{piece}"
            )
