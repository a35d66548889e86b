"""The bridge beside ZooKeeper: what systemd says of its unit, and kustomize and an API server of its sidecar."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.servers.deploy import DEPLOY, KUSTOMIZE, Tools, named
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object, thing
from tests.whole import COMMAND

UNIT = "registry-bridge.service"
ZOOKEEPER = {"name": "zookeeper", "image": "zookeeper:3.9", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def analyze(*arguments: str) -> str:
    """What `systemd-analyze` has to say; without it the test is skipped, with the reason."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no `systemd-analyze` on the PATH; install systemd")
    result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return result.stdout + result.stderr if result.returncode else result.stderr


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The unit with its drop-in, as they are installed; only the program is ours."""
    text = (DEPLOY / "systemd" / UNIT).read_text("utf-8")
    (tmp_path / UNIT).write_text(text.replace("/opt/registry-bridge/bin/registry-bridge", COMMAND))
    shutil.copytree(DEPLOY / "zookeeper" / f"{UNIT}.d", tmp_path / f"{UNIT}.d")
    return tmp_path / UNIT


def test_systemd_finds_nothing_wrong(units: Path) -> None:
    assert analyze("verify", "--man=no", str(units)) == ""


def test_systemd_does_find_what_is_wrong_in_a_drop_in(units: Path) -> None:
    with (units.parent / f"{UNIT}.d" / "zookeeper.conf").open("a") as file:
        file.write("MemoryMaximum=1G\n")
    assert "MemoryMaximum" in analyze("verify", "--man=no", str(units))


def test_little_is_exposed(units: Path) -> None:
    """Of ten; 20 are two."""
    assert analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(units)) == ""


@pytest.fixture
def rendered(tools: Tools, tmp_path: Path) -> list[Object]:
    """A StatefulSet as somebody has it, with the sidecar."""
    labels = {"app": "zookeeper"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [ZOOKEEPER]}}
    room = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec = {
        "serviceName": "zookeeper", "replicas": 3, "selector": {"matchLabels": labels}, "template": pod,
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": room}],
    }  # fmt: skip
    (tmp_path / "zookeeper.yaml").write_text(yaml.safe_dump(thing("StatefulSet", "zookeeper", spec=spec)))
    shutil.copytree(DEPLOY / "zookeeper", tmp_path / "beside")
    (tmp_path / "kustomization.yaml").write_text("resources: [zookeeper.yaml]\ncomponents: [beside]\n")
    return tools.kustomize(tmp_path)


def test_the_sidecar_is_the_container_of_the_deployment_and_zookeeper_is_as_it_was(
    tools: Tools, rendered: list[Object]
) -> None:
    template = named(rendered, "StatefulSet")["spec"]["template"]
    pod = template["spec"]
    containers = {one["name"]: one for one in pod["containers"]}
    assert containers.pop("zookeeper") == ZOOKEEPER
    assert "securityContext" not in pod
    ours = containers["registry-bridge"]
    deployed = named(tools.kustomize(KUSTOMIZE / "base"), "Deployment")["spec"]["template"]["spec"]
    theirs = deployed["containers"][0]
    assert "readinessProbe" not in ours
    for same in ("args", "ports", "livenessProbe", "resources"):
        assert ours[same] == theirs[same]
    user = {key: value for key, value in deployed["securityContext"].items() if key != "fsGroup"}
    assert ours["securityContext"] == theirs["securityContext"] | user
    assert template["metadata"]["annotations"] == {"kubectl.kubernetes.io/default-container": "zookeeper"}


def test_its_configuration_is_the_one_that_is_shipped(rendered: list[Object]) -> None:
    (mounted, _) = next(
        one["projected"]["sources"]
        for one in named(rendered, "StatefulSet")["spec"]["template"]["spec"]["volumes"]
        if "projected" in one
    )
    configured = named(rendered, "ConfigMap", mounted["configMap"]["name"])
    shipped = {name: (DEPLOY / "zookeeper" / name).read_text("utf-8") for name in ("bridge.yaml", "vms.yaml")}
    assert configured["data"] == shipped


async def test_the_api_server_takes_every_field_of_it(rendered: list[Object], api: Client, namespace: str) -> None:
    for one in rendered:
        one["metadata"]["namespace"] = namespace
        await api.apply(one)
