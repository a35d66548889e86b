"""The chart and the kustomize overlays say the same, say what is right, and refuse what is wrong."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bridge import __version__
from bridge.cli import main
from tests.envoy.certificates import Authority
from tests.servers.deploy import CHART, KUSTOMIZE, RefusedError, Right, Tools, configuration, named, rights
from tests.servers.kubernetes.objects import Object

SECRET = {"xds": {"tls": {"secret": "registry-bridge-tls"}}}
VMS = {"name": "vms", "kind": "static", "files": ["vms.yaml"]}
EXPORT = {"services": ["shop/*"], "from": ["vms"]}

SAME: dict[str, dict[str, Any]] = {
    "base": SECRET,
    "overlays/both-ways": {
        **SECRET,
        "kubernetes": {"export": [EXPORT | {"create_services": True}]},
        "registries": [VMS],
        "files": {"vms.yaml": (KUSTOMIZE / "overlays" / "both-ways" / "vms.yaml").read_text()},
    },
    "overlays/insecure": {"xds": {"insecure": True}},
    "overlays/namespaces": {**SECRET, "kubernetes": {"import": {"namespaces": ["shop"]}}},
}
"""Overlay → the values by which the chart says the same."""

OVERLAYS = sorted(SAME)


def essence(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    """Objects by what they are, without what each tool adds of its own: labels, checksums, the hash in a name."""
    found = {}
    for one in objects:
        meta = one["metadata"]
        for added in ("labels", "annotations"):
            meta.pop(added, None)
            one.get("spec", {}).get("template", {}).get("metadata", {}).pop("annotations", None)
        if one["kind"] == "ConfigMap":
            meta["name"] = unhashed(meta["name"])
            one["data"]["bridge.yaml"] = yaml.safe_load(one["data"]["bridge.yaml"])
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            del one["spec"]["template"]["metadata"]
            pod["containers"][0].pop("imagePullPolicy", None)
            source = pod["volumes"][0]["projected"]["sources"][0]["configMap"]
            source["name"] = unhashed(source["name"])
        if one["kind"] == "Service":
            one["spec"].setdefault("type", "ClusterIP")
        found[one["kind"], meta.get("namespace", ""), meta["name"]] = one
    assert len(found) == len(objects)
    return found


def unhashed(name: str) -> str:
    return re.sub(r"-[a-z0-9]{10}$", "", name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_chart_renders_what_the_overlay_does(tools: Tools, overlay: str) -> None:
    assert essence(tools.template(SAME[overlay])) == essence(tools.kustomize(KUSTOMIZE / overlay))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_configuration_will_do(tools: Tools, overlay: str, tmp_path: Path) -> None:
    for name, content in named(tools.kustomize(KUSTOMIZE / overlay), "ConfigMap")["data"].items():
        (tmp_path / name).write_text(content)
    Authority().install(tmp_path / "tls")
    result = CliRunner().invoke(main, ["check", "--strict", "--config", str(tmp_path / "bridge.yaml")])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_runs_as_nobody_with_nothing_it_could_write_to_but_its_state(tools: Tools, overlay: str) -> None:
    pod = named(tools.kustomize(KUSTOMIZE / overlay), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] >= 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    writable = {one["name"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert {one["name"] for one in pod["volumes"] if "emptyDir" in one} == writable


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_selects_pods_selects_those_of_the_deployment(tools: Tools, overlay: str) -> None:
    objects = tools.kustomize(KUSTOMIZE / overlay)
    spec = named(objects, "Deployment")["spec"]
    selectors = [
        spec["selector"]["matchLabels"],
        named(objects, "Service")["spec"]["selector"],
        named(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        named(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in spec["template"]["spec"]["topologySpreadConstraints"]),
    ]
    assert all(one and one.items() <= spec["template"]["metadata"]["labels"].items() for one in selectors)


def test_an_overlay_of_ones_own_brings_all_to_its_namespace(tools: Tools, tmp_path: Path) -> None:
    here = Path(*[".."] * len(tmp_path.parts[1:]), *KUSTOMIZE.parts[1:])
    (tmp_path / "bridge.yaml").write_text("registries: []\n")
    (tmp_path / "kustomization.yaml").write_text(
        f"namespace: edge\nresources: [{here}/base]\n"
        f"components: [{here}/components/export, {here}/components/create-services, {here}/components/nodes]\n"
        "images: [{name: registry-bridge, newName: registry.example/registry-bridge}]\n"
        "configMapGenerator:\n"
        "  - {name: registry-bridge-config, namespace: registry-bridge, behavior: merge, files: [bridge.yaml]}\n"
    )
    objects = tools.kustomize(tmp_path)
    assert {one["metadata"].get("namespace", "edge") for one in objects} == {"edge"}
    assert {who["namespace"] for one in objects for who in one.get("subjects", ())} == {"edge"}
    assert configuration(objects) == {"registries": []}
    pod = named(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"registry.example/registry-bridge:{__version__}"
    source = pod["volumes"][0]["projected"]["sources"][0]["configMap"]
    assert source["name"] == named(objects, "ConfigMap")["metadata"]["name"]
    assert {one.resource for one in rights(objects)} >= {"nodes", "events"}


def test_the_versions_are_those_of_the_bridge(tools: Tools) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert {chart["version"], chart["appVersion"]} == {__version__}
    pod = named(tools.kustomize(KUSTOMIZE / "base"), "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"registry-bridge:{__version__}"


def test_helm_finds_nothing_wrong(tools: Tools) -> None:
    tools.helm("lint", "--strict", str(CHART))


# what follows from values


def test_a_registrys_address_is_all_that_the_chart_needs(tools: Tools) -> None:
    more = {"name": "zk", "kind": "zookeeper", "hosts": "zk.example:2181"}
    objects = tools.template({"registries": [more]})
    assert configuration(objects)["registries"] == [{"name": "kubernetes", "kind": "kubernetes"}, more]
    secrets = {one["metadata"]["name"] for one in objects if one["kind"] == "Secret"}
    assert secrets == {"registry-bridge-tls", "registry-bridge-client"}


def test_what_is_said_of_the_cluster_is_passed_on_word_for_word(tools: Tools) -> None:
    said = {
        "name": "eu1",
        "required": False,
        "network": "pods",
        "removals": {"small": "5%"},
        "import": {"opt_in": False},
    }
    config = configuration(
        tools.template({"kubernetes": said, "config": {"leader": {"lease": "30s"}, "owner": "edge"}})
    )
    assert config["registries"] == [{"kind": "kubernetes", **said}]
    assert config["leader"] == {"kind": "kubernetes", "name": "registry-bridge", "lease": "30s"}
    assert config["owner"] == "edge"


def test_names_of_namespaces_ask_for_rights_there_only(tools: Tools) -> None:
    values = {"kubernetes": {"import": {"namespaces": ["shop", "pay"]}, "export": [EXPORT]}, "registries": [VMS]}
    granted = rights(tools.template(values))
    assert {one.namespace for one in granted} == {"shop", "pay", "registry-bridge"}
    assert {one.namespace for one in granted if one.resource == "endpointslices"} == {"shop", "pay"}


def test_rights_follow_from_what_is_configured(tools: Tools) -> None:
    def granted(**kubernetes: Any) -> set[Right]:
        return rights(tools.template({"kubernetes": kubernetes}))

    read = granted()
    assert {one.verb for one in read if one.resource in ("services", "endpointslices")} == {"list", "watch"}
    nodes = granted(**{"import": {"address_mode": "node"}})
    assert nodes - read == {Right("", "", "nodes", "list"), Right("", "", "nodes", "watch")}
    fills = granted(export=[EXPORT])
    assert not [one for one in fills - read if one.resource == "services"]
    creates = granted(export=[EXPORT | {"create_services": True}])
    assert creates - fills == {Right("", "", "services", verb) for verb in ("get", "create", "update", "delete")}
    claims = granted(export=[EXPORT | {"claim_namespace": "claims"}])
    assert {one.namespace for one in claims - fills} == {"claims"}


def test_openshift_is_recognised_and_asks_for_one_right_more(tools: Tools) -> None:
    values = {"kubernetes": {"export": [EXPORT]}}
    plain = rights(tools.template(values))
    more = rights(tools.template(values, more=["--api-versions", "security.openshift.io/v1"])) - plain
    assert more == {Right("", "discovery.k8s.io", "endpointslices/restricted", "create")}
    assert rights(tools.template(values | {"rbac": {"openshift": True}})) - plain == more


def test_a_change_of_policy_restarts_no_pod_and_another_does(tools: Tools) -> None:
    def checksum(**values: Any) -> str:
        meta = named(tools.template(values), "Deployment")["spec"]["template"]["metadata"]
        return str(meta["annotations"]["checksum/config"])

    policy = {"services": {"shop/*": {"failover": "zone"}}}
    assert checksum(config=policy) == checksum() == checksum(files={"vms.yaml": "services: {}"})
    assert checksum(config={"log": {"level": "debug"}}) != checksum()


def test_plain_text_is_warned_of_and_kept_to_those_that_are_labelled(tools: Tools) -> None:
    objects = tools.template(SAME["overlays/insecure"])
    clients, probes = named(objects, "NetworkPolicy")["spec"]["ingress"]
    assert clients["from"] == [{"namespaceSelector": {"matchLabels": {"registry-bridge.dev/clients": "true"}}}]
    assert "from" not in probes
    assert "Secret" not in {one["kind"] for one in objects}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 0}, "/replicas"),
        ({"replica": 3}, "replica"),
        ({"kubernetes": {"enabled": False}}, "nothing is read"),
        ({"kubernetes": {"kubeconfig": "eu1"}}, "/kubernetes"),
        ({"kubernetes": {"export": [{"services": ["shop/*"]}]}}, "from"),
        ({"kubernetes": {"import": {"address_mode": "pods"}}}, "address_mode"),
        ({"registries": [{"name": "zk"}]}, "kind"),
        ({"config": {"registries": []}}, "/config"),
        ({"files": {"bridge.yaml": ""}}, "bridge.yaml"),
        ({"owner": "two words"}, "/owner"),
    ],
)
def test_wrong_values_are_refused_by_name(tools: Tools, values: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(said)):
        tools.template(values)
