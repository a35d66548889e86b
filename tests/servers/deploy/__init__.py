"""What `deploy/` ships for Kubernetes, as the programs of its users take it: kustomize, Helm, BuildKit."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.golang import build
from tests.servers.kubernetes.objects import Object

MODULE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "registry-bridge"
KUSTOMIZE = DEPLOY / "kubernetes"
PROGRAMS = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "dockerfile": "./dockerfile",
}


class RefusedError(Exception):
    """A program did not take what it was given; the text is what it said."""


class Stage(NamedTuple):
    """A stage of a Dockerfile: its steps as they stand there, arguments not filled in."""

    name: str
    base: str
    steps: list[str]


class Dockerfile(NamedTuple):
    """What BuildKit makes of a Dockerfile; `image` is the configuration of what is built."""

    warnings: list[str]
    stages: list[Stage]
    image: Mapping[str, Any]


class Tools:
    """The programs, found in the cache or built into it; raises NoProgramError."""

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self._programs = build(MODULE, PROGRAMS, say)

    def kustomize(self, folder: Path) -> list[Object]:
        """The objects of `kustomize build`."""
        return _objects(self._run("kustomize", "build", str(folder)))

    def template(
        self, values: Mapping[str, Any] | None = None, *, release: str = "registry-bridge",
        namespace: str = "registry-bridge", more: Sequence[str] = (),
    ) -> list[Object]:  # fmt: skip
        """The objects of `helm template` with these values; `more` are further arguments."""
        given = json.dumps(values or {})
        arguments = ("template", release, str(CHART), "--namespace", namespace, "--values", "-", *more)
        return _objects(self._run("helm", *arguments, given=given))

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """What helm says; `values` are read by a flag `--values -` among the arguments."""
        return self._run("helm", *arguments, given=json.dumps(values or {}))

    def dockerfile(self, file: Path) -> Dockerfile:
        """What BuildKit makes of it."""
        said = json.loads(self._run("dockerfile", str(file)))
        return Dockerfile(said["warnings"], [Stage(**one) for one in said["stages"]], said["image"])

    def _run(self, program: str, *arguments: str, given: str = "") -> str:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))}
        command = [self._programs[program], *arguments]
        result = subprocess.run(
            command, input=given, env=env, capture_output=True, text=True, timeout=120, check=False
        )  # fmt: skip
        if result.returncode:
            raise RefusedError(result.stderr.strip())
        return result.stdout


def _objects(text: str) -> list[Object]:
    return [one for one in yaml.safe_load_all(text) if one]


def named(objects: Sequence[Object], kind: str, name: str = "") -> Object:
    """The one object of a kind, or the one of that name; AssertionError when it is not one."""
    (found,) = [one for one in objects if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    return found


def configuration(objects: Sequence[Object]) -> Any:
    """What bridge.yaml says."""
    return yaml.safe_load(named(objects, "ConfigMap")["data"]["bridge.yaml"])


class Right(NamedTuple):
    """What a role grants: in a namespace ("" for everywhere), in a group; `name` where only that one is granted."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""


def rights(objects: Sequence[Object]) -> set[Right]:
    """All that the roles grant."""
    return {
        Right(one["metadata"].get("namespace", ""), group, resource, verb, name)
        for one in objects
        if one["kind"] in ("Role", "ClusterRole")
        for rule in one["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
