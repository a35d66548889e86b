"""Which services of a Consul count, and which of their instances: by name, tag, meta and by who wrote them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from adapters.consul.objects import Instance
from bridge.kit.place import excerpt

OWN: Final = "consul"
"""Consul's service of itself."""

SIDECAR: Final = "-sidecar-proxy"

SYNC_NODE: Final = "k8s-sync"
"""The node under which consul-k8s writes what it copies from Kubernetes."""

SYNC_TAG: Final = "k8s"
"""Its tag, by default: a service of which any instance has it goes into no Kubernetes."""

_MANAGED: Final = "consul-k8s-endpoints-controller"


@dataclass(frozen=True, slots=True)
class Selection:
    """Any of the globs is enough; an instance has all of the `tags`, and one of the values of each key of `meta`.

    `synced`: whether what consul-k8s copied from Kubernetes counts too, which the cluster says itself.
    """

    globs: tuple[str, ...]
    tags: frozenset[str]
    meta: tuple[tuple[str, frozenset[str]], ...]
    synced: bool

    def lists(self, names: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """Those of the names, which come with the tags of all instances, that are worth reading."""
        return frozenset(
            name
            for name, tags in names.items()
            if name != OWN
            and self.tags <= tags
            and not (name.endswith(SIDECAR) and name.removesuffix(SIDECAR) in names)
            and matches(self.globs, name)
        )

    def admits(self, instance: Instance) -> bool:
        """Whether an instance counts; proxies and gateways never do."""
        if instance.kind or not self.tags <= set(instance.tags):
            return False
        if self.meta:
            meta = dict(instance.meta)
            if not all(meta.get(key) in values for key, values in self.meta):
                return False
        return self.synced or not from_kubernetes(instance)


def from_kubernetes(instance: Instance) -> bool:
    """Whether consul-k8s wrote it, by catalog sync or for its mesh."""
    meta, node = dict(instance.meta), dict(instance.node.meta)
    return (
        instance.node.name == SYNC_NODE
        or "kubernetes" in (meta.get("external-source"), node.get("external-source"))
        or node.get("synthetic-node") == "true"
        or meta.get("managed-by") == _MANAGED
    )


def glob(text: str) -> str:
    """`text` itself, if it is a glob over names of Consul; ValueError when it can match nothing."""
    if not text or len(text) > 200 or not text.isprintable():
        raise ValueError(f"{excerpt(text)} is not a glob over names such as web, web-* or *")
    return text


def matches(globs: Iterable[str], name: str) -> bool:
    """Whether a name of Consul, of a service or a node, matches any of them."""
    return any(_compiled(one).fullmatch(name) for one in globs)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
