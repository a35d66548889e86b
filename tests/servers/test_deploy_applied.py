"""A real API server takes what `deploy/` ships, field by field, and Helm installs, upgrades and removes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.deploy import CHART, KUSTOMIZE, Tools
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.objects import KINDS, thing
from tests.servers.kubernetes.server import ApiServer
from tests.servers.test_deploy_rendered import EXPORT, OVERLAYS, VMS

FULL: dict[str, Any] = {
    "kubernetes": {"import": {"address_mode": "node"}, "export": [EXPORT | {"create_services": True}]},
    "registries": [VMS],
    "files": {"vms.yaml": "services: []"},
    "secrets": ["eu1"],
    "config": {"services": {"shop/*": {"failover": "zone"}}},
    "xds": {"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"], "annotations": {"a": "b"}}},
    "networkPolicy": {"clients": [{"podSelector": {"matchLabels": {"app": "envoy"}}}]},
    "rbac": {"openshift": True},
    "serviceAccount": {"annotations": {"a": "b"}},
    "podLabels": {"team": "edge"},
    "podAnnotations": {"a": "b"},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "imagePullSecrets": [{"name": "login"}],
}
"""Every value in use."""


async def standing(api: Client, name: str, *namespaces: str) -> set[tuple[str, str]]:
    """Kind and name of every object that a release of this name would have made."""
    found = set()
    for kind, (_, namespaced) in KINDS.items():
        for namespace in namespaces if namespaced else ("",):
            found |= {(kind, one["metadata"]["name"]) for one in await api.list(kind, namespace)}
    return {one for one in found if one[1].startswith(name)}


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_the_api_server_takes_every_field_of_an_overlay(tools: Tools, api: Client, overlay: str) -> None:
    for namespace in ("registry-bridge", "shop"):
        await api.apply(thing("Namespace", namespace))
    for one in tools.kustomize(KUSTOMIZE / overlay):
        await api.apply(one)


async def test_a_field_that_is_none_would_be_refused(tools: Tools, api: Client, namespace: str) -> None:
    (budget,) = [one for one in tools.template(namespace=namespace) if one["kind"] == "PodDisruptionBudget"]
    budget["spec"]["maxAvailable"] = 1
    with pytest.raises(ApiError, match="maxAvailable"):
        await api.apply(budget)


async def test_its_pods_are_admitted_where_nothing_but_the_restricted_is(tools: Tools, api: Client) -> None:
    strict = await api.namespace(**{"pod-security.kubernetes.io/enforce": "restricted"})
    (deployment,) = [one for one in tools.template(FULL, namespace=strict) if one["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    await api.create(thing("Pod", "good", strict, spec=spec))
    del spec["securityContext"]["seccompProfile"]
    with pytest.raises(ApiError, match="violates PodSecurity"):
        await api.create(thing("Pod", "bad", strict, spec=spec))


@pytest.fixture
def kubeconfig(cluster: ApiServer, tmp_path: Path) -> Iterator[str]:
    return str(cluster.kubeconfig(tmp_path))


async def test_helm_installs_upgrades_and_removes_it(
    tools: Tools, api: Client, namespace: str, kubeconfig: str
) -> None:
    at = ("--namespace", namespace, "--kubeconfig", kubeconfig)
    release = f"edge-{namespace}"
    made = f"{release}-registry-bridge"
    tools.helm("install", release, str(CHART), *at)
    first = await api.get("Secret", f"{made}-tls", namespace)
    await api.get("Deployment", made, namespace)

    tools.helm("upgrade", release, str(CHART), *at, "--values", "-", values=FULL)
    again = await api.get("Secret", f"{made}-tls", namespace)
    assert again["data"] == first["data"]  # every Envoy still knows it
    await api.get("ClusterRole", f"{made}-write")

    tools.helm("uninstall", release, *at)
    assert await standing(api, release, namespace) == set()


async def test_the_notes_say_what_to_do_next(tools: Tools, namespace: str, kubeconfig: str) -> None:
    at = ("--namespace", namespace, "--kubeconfig", kubeconfig, "--dry-run=server")
    said = tools.helm("install", "edge", str(CHART), *at)
    assert f"serves Envoy at edge-registry-bridge.{namespace}.svc:18000" in said
    assert "the Secret edge-registry-bridge-client" in said
    assert "WARNING" not in said
    open_ = tools.helm("install", "edge", str(CHART), *at, "--set", "xds.insecure=true")
    assert "WARNING: xds.insecure is set" in open_
