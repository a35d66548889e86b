"""What a configuration says of an election in a ZooKeeper."""

import pytest
from pydantic import ValidationError

from adapters.zookeeper.election import LeaderSettings
from bridge.config import parse
from bridge.kit.mark import owner_name
from bridge.runtime.clock import SystemClock

HOSTS = "zk1:2181,zk2:2181,zk3:2181"


def deployment(hosts: str, path: str) -> str:
    made = LeaderSettings.model_validate({"kind": "zookeeper", "hosts": hosts, "path": path})
    return made.open(SystemClock(), None).deployment


def test_the_least_that_has_to_be_said_is_where() -> None:
    made = LeaderSettings.model_validate({"kind": "zookeeper", "hosts": "zk1"})
    assert made.path == "/registry-bridge-leader/registry-bridge"
    assert (made.timing.lease, made.timing.renew, made.timing.retry) == (15, 10, 2)
    assert made.open(SystemClock(), None).deployment.startswith("registry-bridge-leader-registry-bridge.")


def test_replicas_of_one_election_are_one_deployment_however_they_list_the_servers() -> None:
    one = deployment(HOSTS, "/leaders/prod")
    assert one == owner_name(one)
    assert one == deployment("zk3:2181,zk1:2181,zk2:2181", "/leaders/prod")
    others = {
        deployment(HOSTS, "/leaders/test"),
        deployment(f"{HOSTS}/app", "/leaders/prod"),
        deployment("zk9:1", "/leaders/prod"),
    }
    assert one not in others
    assert len(others) == 3


@pytest.mark.parametrize("path", ["leaders", "/", "/a//b", "/a/", "/a/../b", "/a\n"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="is no path; write such as"):
        LeaderSettings.model_validate({"kind": "zookeeper", "hosts": "zk1", "path": path})


def test_it_is_found_by_its_kind(tmp_path) -> None:
    text = (
        "owner: prod\nregistries:\n- {name: a, kind: static, files: [a.yaml]}\n"
        "leader: {kind: zookeeper, hosts: zk1, lease: 20s}\n"
    )
    made = parse(text, tmp_path / "bridge.yaml")
    assert isinstance(made.leader, LeaderSettings)
    assert made.leader.lease == 20
