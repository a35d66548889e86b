"""Objects of Kubernetes for tests, as the API server says them."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def port(text: str) -> Json:
    """`http:80`, `dns:53/UDP`, `:80` (the port of a Service that has only one), `any:` (without a number)."""
    said, _, protocol = text.partition("/")
    name, _, number = said.partition(":")
    made: Json = {"name": name, "protocol": protocol or "TCP"}
    return {**made, "port": int(number)} if number else made


def service(
    key: str,
    *ports: str,
    selector: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    families: Sequence[str] = ("IPv4",),
    status: Json | None = None,
    **spec: Any,
) -> Json:
    """A Service without a selector; `service("shop/payments", "http:80")`."""
    namespace, name = key.split("/")
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{name}",
            "resourceVersion": "7",
            "labels": dict(labels or {}),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "ports": [{**port(one), "targetPort": 8080} for one in ports or ("http:80",)],
            "clusterIP": "10.96.0.9",
            "type": "ClusterIP",
            "ipFamilies": list(families),
            **({"selector": dict(selector)} if selector is not None else {}),
            **spec,
        },
        "status": {"loadBalancer": {}, **(status or {})},
    }


def row(address: str, **said: Any) -> Json:
    """An endpoint that is ready, unless `conditions` say otherwise; `pod` names its targetRef."""
    pod = said.pop("pod", None)
    made: Json = {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        **said,
    }
    return {**made, "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": f"u-{pod}"}} if pod else made


def slice_(
    key: str,
    *rows: str | Json,
    of: str,
    ports: Sequence[str] | None = ("http:8080",),
    family: str = "IPv4",
    manager: str = "endpointslice-controller.k8s.io",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Json:
    """An EndpointSlice of the Service `of`, as its controller writes it."""
    namespace, name = key.split("/")
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{name}",
            "resourceVersion": "8",
            "labels": {"kubernetes.io/service-name": of, MANAGED_BY: manager, **(labels or {})},
            "annotations": dict(annotations or {}),
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": of, "uid": f"uid-of-{of}", "blockOwnerDeletion": True}
            ],
        },
        "addressType": family,
        "endpoints": [row(one) if isinstance(one, str) else one for one in rows] or None,
        "ports": None if ports is None else [port(one) for one in ports],
    }


def bridged(
    key: str,
    *rows: str | Json,
    of: str,
    owner: str,
    ports: Sequence[str] = ("http:8080",),
    family: str = "IPv4",
    extras: str = "",
) -> Json:
    """An EndpointSlice that the bridge of `owner` wrote."""
    return slice_(
        key,
        *rows,
        of=of,
        ports=ports,
        family=family,
        manager="registry-bridge",
        labels={"registry-bridge.dev/owner": owner},
        annotations={
            "registry-bridge.dev/format": "1",
            **({"registry-bridge.dev/endpoints": extras} if extras else {}),
        },
    )


def node(
    name: str, *addresses: str, ready: bool = True, region: str = "", zone: str = "", kind: str = "InternalIP"
) -> Json:
    """A Node with its addresses."""
    labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": "9",
            "labels": {key: value for key, value in labels.items() if value},
        },
        "status": {
            "addresses": [{"type": kind, "address": one} for one in addresses]
            + [{"type": "Hostname", "address": name}],
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": "True" if ready else "Unknown"},
            ],
        },
    }
