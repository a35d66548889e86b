"""What is kept of Services, EndpointSlices and Nodes: parsed once at the door, immutable, small and interned.

Raw JSON in, values out; ValueError when an object cannot be understood. The API server validates what it stores, so
that such an object is rare; it costs itself and nothing else. Fields are those of the API's v1 types; nothing is
decided here.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bridge.adapter import RecordKey
from bridge.kit import fields
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Metadata, Port

PREFIX: Final = "registry-bridge.dev/"
MANAGER: Final = "registry-bridge"
OWNER: Final = f"{PREFIX}owner"
TARGET: Final = f"{PREFIX}target"
FORMAT: Final = f"{PREFIX}format"
EXTRAS: Final = f"{PREFIX}endpoints"
SYNC: Final = f"{PREFIX}sync"
BESIDE: Final = f"{PREFIX}beside-selector"
SERVICE_NAME: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
HEADLESS: Final = "service.kubernetes.io/headless"
TOPOLOGY: Final = ("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints")
REGION: Final = "topology.kubernetes.io/region"
ZONE: Final = "topology.kubernetes.io/zone"
MULTICLUSTER: Final = "multicluster.kubernetes.io/service-name"

_FAMILIES = ("IPv4", "IPv6", "FQDN")


class Key(NamedTuple):
    """Names an object within its kind; `namespace` is "" for what has none."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class ServicePort(NamedTuple):
    """A port of a Service; `node_port` is 0 where it has none."""

    name: str
    protocol: str
    number: int
    node_port: int
    app_protocol: str


@dataclass(frozen=True, slots=True)
class KubeService:
    """A Service. `annotations` are those of the bridge and of topology; `stamp` is the mark of whoever made it."""

    key: Key
    uid: str
    version: str
    type: str
    headless: bool
    selects: bool
    ports: tuple[ServicePort, ...]
    families: tuple[str, ...]
    labels: Metadata
    annotations: Metadata
    topology: bool
    external_ips: tuple[str, ...]
    ingress: tuple[str, ...]
    terminating: bool
    stamp: Stamp | None
    target: str


Conditions = tuple[bool | None, bool | None, bool | None]
"""Ready, serving, terminating, as they stand there."""


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint of a slice; `pod` is the name of its targetRef, `hints` the zones of its hint."""

    address: str
    conditions: Conditions
    zone: str
    region: str
    node: str
    pod: str
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KubeSlice:
    """An EndpointSlice. `service` is the name in its label, "" without one; `owner` the uid of its owning Service.

    A port without a number means any port, and has number 0 here. `extras` is what a bridge says of its endpoints that
    the API has no field for.
    """

    key: Key
    uid: str
    version: str
    service: str
    family: str
    ports: tuple[Port, ...]
    rows: tuple[Row, ...]
    manager: str
    headless: bool
    owner: str
    stamp: Stamp | None
    target: str
    extras: str


@dataclass(frozen=True, slots=True)
class KubeNode:
    """A Node; `addresses` are pairs of type and address, such as InternalIP.

    Two versions that say the same are equal: a node writes its heartbeat into itself every few minutes.
    """

    key: Key
    uid: str
    version: str = field(compare=False)
    addresses: tuple[tuple[str, str], ...]
    region: str
    zone: str
    ready: bool


def service_of(said: Mapping[str, Any]) -> KubeService:
    """A Service as the API says it."""
    meta, spec = _Meta.of(said), fields.mapping(said, "spec")
    ip = spec.get("clusterIP")
    annotations = tuple((key, value) for key, value in meta.annotations if key.startswith(PREFIX) or key in TOPOLOGY)
    status = fields.mapping(fields.mapping(said, "status"), "loadBalancer")
    return KubeService(
        meta.key,
        meta.uid,
        meta.version,
        fields.word(spec.get("type") or "ClusterIP"),
        ip == "None",
        bool(spec.get("selector")),
        fields.interned(tuple(_service_port(one) for one in fields.several(spec, "ports"))),
        fields.interned(tuple(fields.word(one) for one in fields.several(spec, "ipFamilies"))),
        fields.interned(meta.labels),
        fields.interned(annotations),
        bool(spec.get("trafficDistribution"))
        or any(key in TOPOLOGY and value.lower() == "auto" for key, value in annotations),
        tuple(fields.text(one, "externalIPs") for one in fields.several(spec, "externalIPs")),
        tuple(_ingress(one) for one in fields.several(status, "ingress")),
        meta.terminating,
        meta.stamp("service"),
        dict(meta.labels).get(TARGET, ""),
    )


def slice_of(said: Mapping[str, Any]) -> KubeSlice:
    """An EndpointSlice as the API says it."""
    meta = _Meta.of(said)
    family = said.get("addressType")
    if family not in _FAMILIES:
        raise ValueError(f"addressType {excerpt(family)} is none of {', '.join(_FAMILIES)}")
    labels = dict(meta.labels)
    owners = [one.get("uid") for one in meta.owners if one.get("kind") == "Service"]
    return KubeSlice(
        meta.key,
        meta.uid,
        meta.version,
        fields.word(labels.get(SERVICE_NAME, "")),
        family,
        fields.interned(tuple(_slice_port(one) for one in fields.several(said, "ports"))),
        tuple(_row(one) for one in fields.several(said, "endpoints")),
        fields.word(labels.get(MANAGED_BY, "")),
        HEADLESS in labels,
        fields.word(owners[0]) if owners else "",
        meta.stamp("endpointslice") if labels.get(MANAGED_BY) == MANAGER else None,
        fields.word(labels.get(TARGET, "")),
        dict(meta.annotations).get(EXTRAS, ""),
    )


def node_of(said: Mapping[str, Any]) -> KubeNode:
    """A Node as the API says it."""
    meta, status = _Meta.of(said), fields.mapping(said, "status")
    labels = dict(meta.labels)
    return KubeNode(
        meta.key,
        meta.uid,
        meta.version,
        tuple(
            (fields.word(one.get("type")), fields.text(one.get("address"), "address"))
            for one in fields.mappings(status, "addresses")
        ),
        fields.word(labels.get(REGION, "")),
        fields.word(labels.get(ZONE, "")),
        any(
            one.get("type") == "Ready" and one.get("status") == "True" for one in fields.mappings(status, "conditions")
        ),
    )


def key_of(said: Mapping[str, Any]) -> Key:
    """How an object is named, for messages about one that cannot be understood too."""
    metadata = said.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return Key(fields.word(str(metadata.get("namespace") or "")), str(metadata.get("name") or ""))


class _Meta(NamedTuple):
    key: Key
    uid: str
    version: str
    labels: Metadata
    annotations: Metadata
    owners: tuple[Mapping[str, Any], ...]
    terminating: bool

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "_Meta":
        metadata = fields.mapping(said, "metadata")
        return cls(
            Key(fields.word(metadata.get("namespace") or ""), fields.text(metadata.get("name"), "metadata.name")),
            fields.text(metadata.get("uid") or "", "metadata.uid"),
            fields.text(metadata.get("resourceVersion") or "", "metadata.resourceVersion"),
            fields.pairs(metadata, "labels"),
            fields.pairs(metadata, "annotations"),
            tuple(fields.mappings(metadata, "ownerReferences")),
            bool(metadata.get("deletionTimestamp")),
        )

    def stamp(self, kind: str) -> Stamp | None:
        """The mark of the bridge that wrote the object; it has a key of its own in each format."""
        owner = dict(self.labels).get(OWNER)
        if owner is None:
            return None
        said = dict(self.annotations).get(FORMAT, "")
        key = RecordKey(f"{kind}/{self.key.namespace}/{self.key.name}")
        return Stamp(sys.intern(owner), key, int(said) if said.isdecimal() else 0)


def _service_port(said: Any) -> ServicePort:
    port = fields.a_mapping(said, "ports")
    return ServicePort(
        fields.word(port.get("name") or ""),
        fields.word(port.get("protocol") or "TCP"),
        fields.number(port.get("port"), "port", 0, 65535),
        fields.number(port.get("nodePort") or 0, "port", 0, 65535),
        fields.word(port.get("appProtocol") or ""),
    )


def _slice_port(said: Any) -> Port:
    port = fields.a_mapping(said, "ports")
    return Port(
        fields.word(port.get("name") or ""),
        fields.number(port.get("port") or 0, "port", 0, 65535),
        fields.word(port.get("protocol") or "TCP"),
        fields.word(port.get("appProtocol") or ""),
    )


def _row(said: Any) -> Row:
    row = fields.a_mapping(said, "endpoints")
    addresses = fields.several(row, "addresses")
    if not addresses:
        raise ValueError("endpoints: one of them has no address")
    topology, target = fields.mapping(row, "deprecatedTopology"), fields.mapping(row, "targetRef")
    return Row(
        fields.text(addresses[0], "addresses"),
        _conditions(fields.mapping(row, "conditions")),
        fields.word(row.get("zone") or topology.get(ZONE) or ""),
        fields.word(topology.get(REGION) or ""),
        fields.word(row.get("nodeName") or ""),
        fields.text(target.get("name") or "", "targetRef.name") if target.get("kind") == "Pod" else "",
        fields.interned(
            tuple(fields.word(one.get("name")) for one in fields.mappings(fields.mapping(row, "hints"), "forZones"))
        ),
    )


def _conditions(said: Mapping[str, Any]) -> Conditions:
    values = [said.get(key) for key in ("ready", "serving", "terminating")]
    for value in values:
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"conditions: {excerpt(value)} is neither true nor false")
    ready, serving, terminating = values
    return fields.interned((ready, serving, terminating))


def _ingress(said: Any) -> str:
    ingress = fields.a_mapping(said, "ingress")
    return fields.text(ingress.get("ip") or ingress.get("hostname") or "", "ingress")
