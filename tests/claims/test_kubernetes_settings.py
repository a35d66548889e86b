"""What the configuration may say of a cluster, and what it is told when it may not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from adapters.kubernetes.objects import service_of
from adapters.kubernetes.settings import Settings
from bridge.errors import ConfigError
from bridge.kit import Kit
from bridge.testing.clock import FakeClock
from tests import kube
from tests.claims.test_kubernetes_kubeconfig import GOOD


def settings(folder: Path = Path(), **keys: Any) -> Settings:
    return Settings.model_validate({"name": "k8s", "kind": "kubernetes", **keys}, context={"folder": folder})


def refused(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**keys)
    return str(caught.value)


def admitted(*keys: str, **said: Any) -> list[str]:
    selection = settings(**{"import": said}).imported.selection()
    return [key for key in keys if selection.admits(service_of(kube.service(key, labels={"app": key.split("/")[1]})))]


def test_nothing_but_its_kind_need_be_said() -> None:
    said = settings()
    assert said.timeout == 10
    assert admitted("shop/web", "default/api", "kube-system/dns") == ["shop/web", "default/api"]


def test_pods_are_not_probed_unless_told_to() -> None:
    assert settings().removals.probe is False
    assert settings(removals={"gather": "5s"}).removals.probe is False
    assert settings(removals={"probe": True}).removals.probe is True


def test_namespaces_and_names_are_chosen() -> None:
    keys = ("shop/web", "shop/api", "tools/web", "kube-system/dns")
    assert admitted(*keys, namespaces=["shop", "kube-system"]) == ["shop/web", "shop/api", "kube-system/dns"]
    assert admitted(*keys, **{"except": ["tools"]}) == ["shop/web", "shop/api"]
    assert admitted(*keys, services=["w*"]) == ["shop/web", "tools/web"]
    assert admitted(*keys, services=["shop/*"]) == ["shop/web", "shop/api"]
    assert admitted(*keys, selector="app in (web, dns)") == ["shop/web", "tools/web"]
    assert admitted(*keys, opt_in=True) == []


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"namespace": "shop"}, "`namespace` names services that have none, and a cluster's have theirs; remove it"),
        ({"context": "eu1"}, "`context` is one of a kubeconfig; write `kubeconfig:` too"),
        ({"timeout": "10ms"}, "`timeout` is less than 1s"),
        ({"import": {"address_mode": "gateway"}}, "'gateway' is not there yet; take pod, node, loadbalancer or"),
        ({"import": {"address_mode": "pods"}}, "'pod', 'node', 'loadbalancer' or 'external-ip'"),
        ({"import": {"namespaces": []}}, "at least 1 item"),
        ({"import": {"namespaces": ["Shop!"]}}, "Shop!"),
        ({"import": {"namespaces": ["shop"], "except": ["shop"]}}, "'shop' is named and excepted; remove one of them"),
        ({"import": {"selector": "a=(b"}}, "is no label selector"),
        ({"import": {"services": ["["]}}, "'['"),
        ({"import": {"opt-in": True}}, "opt-in"),
    ],
)  # fmt: skip
def test_what_will_not_do_is_told(keys: dict[str, Any], what: str) -> None:
    assert what in refused(**keys)


def test_a_kubeconfig_that_leads_nowhere_is_found_offline(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kubeconfig: is not there; put it back"):
        settings(tmp_path, kubeconfig="kubeconfig").check()
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(GOOD))
    assert settings(tmp_path, kubeconfig="kubeconfig", context="us1").check() is None
    with pytest.raises(ConfigError, match=r"has no context 'us2'; there are: eu1, us1"):
        settings(tmp_path, kubeconfig="kubeconfig", context="us2").check()


def test_a_pods_account_is_not_looked_for_offline() -> None:
    assert settings().check() is None


def test_opening_reads_and_asks_nothing(tmp_path: Path) -> None:
    settings(tmp_path, kubeconfig="no-such-file").open(Kit("k8s", FakeClock()))
