"""What a bridge observes of a ZooKeeper in tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.zookeeper.settings import Settings
from bridge.model import SourceName
from tests.servers.observing import PATIENCE, Observing, observing

__all__ = ["CURATOR", "NAME", "PATIENCE", "Observing", "observing", "settings", "tree"]

NAME = SourceName("zk")

CURATOR = ({"path": "/services/{name}", "dialect": "curator", "namespace": "shop", "ports": {"default": "http"}},)


def settings(hosts: str, trees: Sequence[Mapping[str, Any]] = CURATOR, **more: Any) -> Settings:
    """The registry `zk`; sessions are short, so that tests are."""
    said = {"name": NAME, "kind": "zookeeper", "hosts": hosts, "session": "2s", "trees": list(trees), **more}
    return Settings.model_validate(said)


def tree(root: str, dialect: str, **more: Any) -> list[dict[str, Any]]:
    """One tree of a dialect, which is read."""
    place = {"path": f"{root}/{{name}}", "dialect": dialect, "namespace": "shop", "ports": {"default": "http"}}
    return [{**place, **more}]
