"""How the pods of a Service are reached: by their own addresses, by those of their nodes, or by one for all of them.

Whatever the mode, what other bridges wrote beside the pods is read as it stands: it is no pod. And an address that
stands for a whole Service is told only where something native stands behind it, so that what bridges wrote does not
come out of Kubernetes once more, under another address.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, assert_never

from adapters.kubernetes.objects import KubeNode, KubeService, KubeSlice, ServicePort
from adapters.kubernetes.parts import Flaw, Nodes, Scope, health, is_native, part, place, united
from adapters.kubernetes.translate import Translated, foreign, translate, wanted_families, whole
from bridge.kit import address
from bridge.model import Endpoint, Health, Port

_LEAVE: Final = "or leave it out by `services:` or `selector:`"


def read(
    service: KubeService,
    slices: Iterable[KubeSlice],
    nodes: Nodes,
    scope: Scope,
    previous: Translated | None = None,
) -> Translated:
    """What a Service comes to in the scope's address mode; `previous` saves work, and changes no answer."""
    if scope.mode == "pod":
        return translate(service, slices, nodes, scope, previous)
    others = foreign(slices, scope)
    families = wanted_families(service, others, scope)
    others = [one for one in others if one.family in families]
    parts = [part(one, (), nodes, scope) for one in others if not is_native(one)]
    native = [one for one in others if is_native(one)]
    match scope.mode:
        case "node":
            reached, flaws = _by_nodes(service, native, nodes, scope)
        case "loadbalancer":
            reached, flaws = _by_balancer(service, native, families, scope)
        case "external-ip":
            reached, flaws = _by_external_ips(service, native, families, scope)
        case never:
            assert_never(never)
    flaws += [flaw for one in parts for flaw in one.flaws]
    return whole(service, united([reached, *(one.endpoints for one in parts)]), flaws, previous, stands=service.selects)


def _by_nodes(
    service: KubeService, slices: Sequence[KubeSlice], nodes: Nodes, scope: Scope
) -> tuple[list[Endpoint], list[Flaw]]:
    """A node each that has a pod which takes requests, weighing as much as it has of them."""
    ports = tuple(Port(one.name, one.node_port, one.protocol, one.app_protocol) for one in _with_node_ports(service))
    if not ports:
        what = f"has no node ports, by which it would be reached; make it of type NodePort, {_LEAVE}"
        return [], [Flaw("mode", "", what)]
    found: list[Endpoint] = []
    flaws: list[Flaw] = []
    for family in sorted({one.family for one in slices}):
        pods = _pods([one for one in slices if one.family == family])
        for name, states in sorted(pods.items()):
            state, weight = _usable(states)
            if not weight:
                continue
            node = nodes.get(name)
            why = _unreachable(name, node, family)
            if node is None or why:
                flaws.append(Flaw("node", "", why, weight))
                continue
            found += [
                Endpoint(
                    at,
                    ports,
                    state if node.ready else Health.UNHEALTHY,
                    place(node.region, node.zone, "", scope.locality),
                    scope.network,
                    weight,
                    metadata=_metadata(name),
                )
                for at in _internal(node, family)[:1]
            ]
    return found, flaws


def _with_node_ports(service: KubeService) -> list[ServicePort]:
    return [one for one in service.ports if one.node_port]


def _pods(slices: Iterable[KubeSlice]) -> dict[str, dict[str, Health]]:
    """By node, the addresses of its pods, each with the best that is said of it."""
    found: dict[str, dict[str, Health]] = defaultdict(dict)
    for one in slices:
        for row in one.rows:
            pods = found[row.node]
            state = health(row.conditions)
            pods[row.address] = min(state, pods.get(row.address, state))
    return found


def _usable(states: dict[str, Health]) -> tuple[Health, int]:
    """How the ready ones are and how many; where none is, the same of those that drain."""
    count = Counter(states.values())
    state = Health.HEALTHY if count[Health.HEALTHY] else Health.DRAINING
    return state, count[state]


def _unreachable(name: str, node: KubeNode | None, family: str) -> str:
    """Why the pods of a node cannot be reached by its address, "" when they can."""
    if not name:
        return "endpoints that name no node cannot be reached by one; they are left out"
    if node is None:
        return f"node {name} is not known, and its pods are left out"
    if not _internal(node, family):
        return f"node {name} has no InternalIP of {family}, and its pods are left out"
    return ""


def _internal(node: KubeNode, family: str) -> list[str]:
    found = []
    for kind, text in node.addresses:
        if kind == "InternalIP":
            try:
                at = address.parse(text)
            except ValueError:  # said of the node as one that has none
                continue
            if _family(at) == family:
                found.append(at)
    return found


def _by_balancer(
    service: KubeService, slices: Sequence[KubeSlice], families: frozenset[str], scope: Scope
) -> tuple[list[Endpoint], list[Flaw]]:
    if not service.ingress:
        waits = service.type == "LoadBalancer"
        remedy = "see why in the events of the Service" if waits else "make it of type LoadBalancer"
        what = f"has no address of a load balancer{' yet' if waits else ''}; {remedy}, {_LEAVE}"
        return [], [Flaw("mode", "", what)]
    return _by_one(service, service.ingress, slices, families, scope)


def _by_external_ips(
    service: KubeService, slices: Sequence[KubeSlice], families: frozenset[str], scope: Scope
) -> tuple[list[Endpoint], list[Flaw]]:
    if not service.external_ips:
        return [], [Flaw("mode", "", f"has no externalIPs, by which it would be reached; give it one, {_LEAVE}")]
    return _by_one(service, service.external_ips, slices, families, scope)


def _by_one(
    service: KubeService, said: Iterable[str], slices: Sequence[KubeSlice], families: frozenset[str], scope: Scope
) -> tuple[list[Endpoint], list[Flaw]]:
    """Addresses each of which stands for the whole Service, as healthy as the best that is behind it."""
    states = [health(row.conditions) for one in slices for row in one.rows]
    ports = tuple(Port(one.name, one.number, one.protocol, one.app_protocol) for one in service.ports)
    if not ports or not (states or service.selects):
        return [], []
    state = min(states, default=Health.UNHEALTHY)
    found: list[Endpoint] = []
    flaws: list[Flaw] = []
    for text in dict.fromkeys(said):
        try:
            at = address.host(text)
        except ValueError as error:
            flaws.append(Flaw("address", "", f"{error}; it is left out"))
            continue
        if not address.is_literal(at) or _family(at) in families:
            found.append(Endpoint(at, ports, state, scope.locality, scope.network))
    return found, flaws


def _family(at: str) -> str:
    return "IPv6" if ":" in at else "IPv4"


@lru_cache(maxsize=16384)
def _metadata(node: str) -> tuple[tuple[str, str], ...]:
    return (("node", node),)
