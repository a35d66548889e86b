"""Objects of Kubernetes as tests write them: what the API server takes, and what its controllers would have written."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Object = dict[str, Any]

PortLike = tuple[str, int] | tuple[str, int, str]
"""A port: its name ("" for none), number and, where it is not TCP, protocol."""

KINDS: Mapping[str, tuple[str, bool]] = {
    "ClusterRole": ("rbac.authorization.k8s.io/v1", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", False),
    "ConfigMap": ("v1", True),
    "Deployment": ("apps/v1", True),
    "EndpointSlice": ("discovery.k8s.io/v1", True),
    "Event": ("v1", True),
    "Lease": ("coordination.k8s.io/v1", True),
    "Namespace": ("v1", False),
    "NetworkPolicy": ("networking.k8s.io/v1", True),
    "Node": ("v1", False),
    "Pod": ("v1", True),
    "PodDisruptionBudget": ("policy/v1", True),
    "Role": ("rbac.authorization.k8s.io/v1", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", True),
    "Secret": ("v1", True),
    "Service": ("v1", True),
    "ServiceAccount": ("v1", True),
    "StatefulSet": ("apps/v1", True),
}
"""Kind → its version, and whether it is in a namespace."""


def plural(kind: str) -> str:
    """The word of a kind in URLs and rules."""
    word = kind.lower()
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def thing(kind: str, name: str, namespace: str = "", **rest: Any) -> Object:
    """An object with its kind, version and name; `rest` are further sections, those named `labels`, `annotations` and
    `owners` go into its metadata."""
    version, _ = KINDS[kind]
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    for section, field in (("labels", "labels"), ("annotations", "annotations"), ("owners", "ownerReferences")):
        if value := rest.pop(section, None):
            metadata[field] = value
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def service(
    namespace: str,
    name: str,
    ports: Sequence[PortLike] = (("http", 80),),
    *,
    selector: Mapping[str, str] | None = None,
    headless: bool = False,
    families: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A Service; without a selector unless one is given. More of its spec by the API's own names."""
    made: Object = {"ports": [_service_port(*one) for one in ports], **spec}
    if selector:
        made["selector"] = dict(selector)
    if headless:
        made["clusterIP"] = "None"
    if families:
        made["ipFamilies"] = list(families)
        made["ipFamilyPolicy"] = "RequireDualStack" if len(families) > 1 else "SingleStack"
    return thing("Service", name, namespace, labels=labels, annotations=annotations, spec=made)


class Pod(NamedTuple):
    """A pod as the controller of EndpointSlices sees it; `ready`, `serving` and `terminating` as in conditions."""

    address: str
    name: str = ""
    node: str = "node-1"
    zone: str = "eu-1a"
    ready: bool = True
    serving: bool | None = None
    terminating: bool = False

    @property
    def endpoint(self) -> Object:
        """Its entry in a slice."""
        return {
            "addresses": [self.address],
            "conditions": {
                "ready": self.ready and not self.terminating,
                "serving": self.ready if self.serving is None else self.serving,
                "terminating": self.terminating,
            },
            "nodeName": self.node,
            "targetRef": {"kind": "Pod", "name": self.name or f"pod-{re.sub('[.:]+', '-', self.address)}"},
            "zone": self.zone,
        }


def slice_(
    of: Object,
    endpoints: Sequence[Pod | Object],
    ports: Sequence[PortLike] | None = None,
    *,
    number: int = 0,
    family: str = "IPv4",
    name: str = "",
    manager: str = "endpointslice-controller.k8s.io",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """An EndpointSlice of the Service `of`, as the controller writes it: labels, owner, conditions, zone, target.

    `of` is best what the server answered: then its uid makes it the slice's owner. `ports` are the Service's, by their
    targetPort, unless given.
    """
    meta, spec = of["metadata"], of["spec"]
    what = {"kubernetes.io/service-name": meta["name"], "endpointslice.kubernetes.io/managed-by": manager}
    if spec.get("clusterIP") == "None":
        what["service.kubernetes.io/headless"] = ""
    suffix = hashlib.sha256(f"{family}/{number}/{manager}".encode()).hexdigest()[:5]
    return thing(
        "EndpointSlice",
        name or f"{meta['name']}-{suffix}",
        meta["namespace"],
        labels={**what, **(labels or {})},
        annotations=annotations,
        owners=[owner(of)] if "uid" in meta else None,
        addressType=family,
        ports=_slice_ports(spec, ports),
        endpoints=[one.endpoint if isinstance(one, Pod) else dict(one) for one in endpoints],
    )


def owner(of: Object) -> Object:
    """The reference by which an object belongs to another, as controllers write it."""
    meta = of["metadata"]
    return {
        "apiVersion": of.get("apiVersion", "v1"),
        "kind": of.get("kind", "Service"),
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def node(
    name: str, *, region: str = "eu", zone: str = "eu-1a", internal: Sequence[str] = (), external: Sequence[str] = ()
) -> Object:
    """A Node that is ready, with its topology labels and addresses."""
    addresses = [{"type": "InternalIP", "address": one} for one in internal]
    addresses += [{"type": "ExternalIP", "address": one} for one in external]
    return thing(
        "Node",
        name,
        labels={
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": zone,
        },
        status={
            "addresses": [*addresses, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    )


def lease(namespace: str, name: str, holder: str, *, seconds: int = 15, transitions: int = 0, **rest: Any) -> Object:
    """A Lease as an elector writes it; times by the API's own names in `rest`."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": transitions, **rest}
    return thing("Lease", name, namespace, spec=spec)


def ingress(*addresses: str) -> Object:
    """The status of a Service to which a cloud gave load balancers."""
    return {"loadBalancer": {"ingress": [{"ip": one, "ipMode": "VIP"} for one in addresses]}}


def _service_port(name: str, number: int, protocol: str = "TCP") -> Object:
    return {**({"name": name} if name else {}), "port": number, "protocol": protocol}


def _slice_ports(spec: Object, ports: Sequence[PortLike] | None) -> list[Object]:
    if ports is not None:
        return [{"name": one[0], "port": one[1], "protocol": one[2] if len(one) > 2 else "TCP"} for one in ports]
    return [
        {
            "name": one.get("name", ""),
            "port": target if isinstance(target := one.get("targetPort", one["port"]), int) else one["port"],
            "protocol": one.get("protocol", "TCP"),
            **({"appProtocol": one["appProtocol"]} if "appProtocol" in one else {}),
        }
        for one in spec.get("ports", ())
    ]
