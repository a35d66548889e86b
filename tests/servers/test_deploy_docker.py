"""The Dockerfile: what BuildKit says of it, and that its steps, run in an empty folder, make a bridge."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.deploy import DEPLOY, KUSTOMIZE, ROOT, Dockerfile, Tools, named

FILE = DEPLOY / "docker" / "Dockerfile"
IGNORED = FILE.with_name("Dockerfile.dockerignore")
HOME = "/opt/registry-bridge"


@pytest.fixture(scope="module")
def made(tools: Tools) -> Dockerfile:
    return tools.dockerfile(FILE)


def test_buildkit_finds_nothing_wrong(made: Dockerfile) -> None:
    assert made.warnings == []


def test_the_linter_does_find_what_is_wrong(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("from scratch AS One\nENV KEY=$NOWHERE PASSWORD=1\nCMD run it\n")
    warned = " ".join(tools.dockerfile(tmp_path / "Dockerfile").warnings)
    assert all(rule in warned for rule in ("StageNameCasing", "UndefinedVar", "JSONArgsRecommended"))


def test_the_image_runs_as_the_user_of_the_deployment(tools: Tools, made: Dockerfile) -> None:
    pod = named(tools.kustomize(KUSTOMIZE / "base"), "Deployment")["spec"]["template"]["spec"]
    user = pod["securityContext"]
    assert made.image["User"] == f"{user['runAsUser']}:{user['runAsGroup']}"
    ports = {f"{one['containerPort']}/tcp" for one in pod["containers"][0]["ports"]}
    assert made.image["ExposedPorts"].keys() == ports
    assert made.image["Cmd"] == pod["containers"][0]["args"]
    assert made.image["StopSignal"] == "SIGTERM"


def test_every_package_is_pinned_by_its_hashes(made: Dockerfile) -> None:
    fetching = [
        step for stage in made.stages for step in stage.steps if re.search(r"pip (install|wheel|download)", step)
    ]
    assert all("--require-hashes" in step or "--no-index" in step for step in fetching)
    assert not [step for stage in made.stages for step in stage.steps if re.search(r"\b(curl|wget|apt-get)\b", step)]


@pytest.mark.timeout(900)
def test_its_steps_make_a_bridge_in_an_empty_folder(made: Dockerfile, tmp_path: Path) -> None:
    build, last = made.stages
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "base"], check=True)
    run(build.steps, tmp_path)
    home = tmp_path / HOME[1:]
    assert f"COPY --from={build.name} {HOME} {HOME}" in last.steps

    packages = {path.name.partition("-")[0] for path in home.glob("lib/python*/site-packages/*.dist-info")}
    assert {"registry_bridge", "kubernetes", "watchfiles", "uvloop"} <= packages
    assert not {"pip", "pytest", "mypy", "ruff", "hatchling"} & packages

    (tmp_path / "bridge.yaml").write_text("registries: [{name: vms, kind: static, files: [vms.yaml]}]")
    shutil.copy(KUSTOMIZE / "overlays" / "both-ways" / "vms.yaml", tmp_path)
    said = subprocess.run(
        [*made.image["Entrypoint"], "check", "--config", tmp_path / "bridge.yaml", "--output", "json"],
        env={"PATH": f"{home}/bin"}, cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["registries"][0]["endpoints"] == 2


def run(steps: list[str], root: Path) -> None:
    """Do what an engine does with the steps of a stage, with the image's folders below `root`."""
    env = {"PATH": f"{root}/base/bin:{os.environ['PATH']}", "HOME": str(root)}
    env |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    quick = {"PIP_NO_COMPILE": "1", **cached()}  # what is made is the same
    folder = root
    for step in steps:
        word, _, rest = step.partition(" ")
        rest = rest.replace(HOME, str(root / HOME[1:]))
        match word:
            case "ENV":
                env |= dict(one.split("=", 1) for one in shlex.split(rest)) | quick
                if "PIP_CACHE_DIR" in env:
                    env.pop("PIP_NO_CACHE_DIR", None)
            case "WORKDIR":
                folder = root / rest.lstrip("/")
                folder.mkdir(parents=True)
            case "COPY":
                copy(*shlex.split(rest), folder=folder)
            case "RUN":
                done = subprocess.run(
                    ["/bin/sh", "-c", rest], cwd=folder, env=env, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{step}: {done.stderr[-2000:]}"
            case _:
                raise AssertionError(f"this test knows no {word}")


def cached() -> dict[str, str]:
    """Where pip has what the environment of the tests was made of, if it keeps that: the same by the same hashes."""
    asked = [sys.executable, "-m", "pip", "cache", "dir"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return {"PIP_CACHE_DIR": said.stdout.strip()} if said.returncode == 0 else {}


def copy(*names: str, folder: Path) -> None:
    kept = {line[1:] for line in IGNORED.read_text().splitlines() if line.startswith("!")}
    *sources, target = names
    for name in sources:
        assert name in kept, f"{IGNORED.name} keeps {name} from the build"
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / target)
