"""The election by a Lease as it is configured, and the Lease as it is read and written."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from adapters.kubernetes.access import Cluster
from adapters.kubernetes.election import LeaderSettings, deployment_in
from adapters.kubernetes.lease import read, written
from bridge.config import parse
from bridge.errors import ConfigError
from bridge.kit.candidate import Standing, Write
from bridge.kit.mark import owner_name
from bridge.runtime.clock import SystemClock

HERE = Cluster("kubeconfig", "https://10.0.0.1:6443", b"the authority", "bridges")
WALL = 1_764_300_000.25


def settings(**given: Any) -> LeaderSettings:
    return LeaderSettings.model_validate({"kind": "kubernetes", **given})


def kubeconfig(folder: Path, namespace: str = "edge") -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": namespace}}],
                "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:6443"}}],
                "users": [{"name": "it", "user": {"token": "secret"}}],
            }
        )
    )
    return path


def test_left_to_itself_it_is_the_lease_that_kubernetes_own_controllers_have() -> None:
    left = settings()
    assert (left.name, left.lease, left.renew, left.retry) == ("registry-bridge", 15.0, 10.0, 2.0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"renew": "20s"}, "`renew` less than `lease`"),
        ({"retry": "12s"}, "`retry` must be less than `renew`"),
        ({"lease": "900ms", "renew": "500ms", "retry": "200ms"}, "`lease` is at least 1s"),
        ({"name": "Registry_Bridge"}, "take 1 to 63 lower-case letters"),
        ({"namespace": "a.b"}, "take 1 to 63 lower-case letters"),
        ({"context": "eu1"}, "write `kubeconfig:` too"),
        ({"quorum": 3}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        settings(**given)


def test_the_configuration_knows_it_and_names_what_is_wrong_by_its_line(tmp_path: Path) -> None:
    kubeconfig(tmp_path)
    text = "owner: prod\nregistries: [{name: vms, kind: static, files: [vms.yaml]}]\nleader:\n  kind: kubernetes\n"
    config = parse(f"{text}  kubeconfig: kubeconfig\n", tmp_path / "bridge.yaml")
    elector = config.elector(SystemClock(), None)
    assert elector.deployment.startswith("edge.registry-bridge.")
    assert elector.shelf is not None
    assert elector.shelf.place == "configmap edge/registry-bridge-decisions"
    with pytest.raises(ConfigError, match=r"bridge\.yaml:5: leader.rewew: unknown key; did you mean 'renew'"):
        parse(f"{text}  rewew: 5s\n", tmp_path / "bridge.yaml")


def test_outside_of_a_cluster_a_kubeconfig_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match="leader: no kubeconfig is named, and this is no pod of a cluster"):
        settings().open(SystemClock(), None)


def test_replicas_share_a_name_that_fits_everywhere_and_share_it_with_no_other_election() -> None:
    name = deployment_in(HERE, "bridges", "registry-bridge")
    assert name == deployment_in(HERE._replace(place="a pod", namespace="other"), "bridges", "registry-bridge")
    assert name.startswith("bridges.registry-bridge.")
    others = {
        deployment_in(HERE, "bridges", "other"),
        deployment_in(HERE, "other", "registry-bridge"),
        deployment_in(HERE._replace(server="https://10.0.0.2:6443"), "bridges", "registry-bridge"),
        deployment_in(HERE._replace(authority=b"another"), "bridges", "registry-bridge"),
        deployment_in(HERE, "b" * 63, "r" * 63),
        deployment_in(HERE, "b" * 63, "r" * 62 + "s"),
    }
    assert len({name, *others}) == 7
    assert all(owner_name(one) for one in others)


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"holderIdentity": None}, {"holderIdentity": 7, "leaseDurationSeconds": "x", "leaseTransitions": -1}],
)
def test_a_lease_that_says_nothing_is_held_by_nobody_for_as_long_as_ours(spec: Any) -> None:
    assert read({"spec": spec}, 15.0) == Standing("", 15.0, 0, (None, None))
    assert read({}, 15.0) == Standing("", 15.0, 0, (None, None))


def test_what_is_written_is_read_as_it_was_meant() -> None:
    write = Write("me", 1.5, 3, acquires=True)
    made = written(None, write, WALL, "bridges", "registry-bridge")
    assert made["metadata"] == {"name": "registry-bridge", "namespace": "bridges"}
    assert made["spec"]["renewTime"] == made["spec"]["acquireTime"] == "2025-11-28T03:20:00.250000Z"
    said = read(made, 15.0)
    assert (said.holder, said.seconds, said.transitions) == ("me", 2.0, 3)  # the API knows whole seconds only


def test_every_renewal_moves_even_when_the_clock_stands_still_and_leaves_what_others_wrote() -> None:
    found = written(None, Write("me", 15.0, 1, acquires=True), WALL, "bridges", "x")
    found["metadata"] |= {"resourceVersion": "7", "labels": {"team": "edge"}}
    found["spec"]["strategy"] = None
    again = written(found, Write("me", 15.0, 1, acquires=False), WALL, "bridges", "x")
    assert again["metadata"] == found["metadata"]
    assert "strategy" in again["spec"]
    assert again["spec"]["acquireTime"] == found["spec"]["acquireTime"]
    assert read(again, 15.0) != read(found, 15.0)
