"""A Service and its EndpointSlices as a service of the catalog, each instance under its own address.

Pure, and the same whatever the order of slices and rows.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from adapters.kubernetes.objects import KubeService, KubeSlice, ServicePort
from adapters.kubernetes.parts import HELD, NO_NODES, Flaw, Nodes, Part, Scope, part, told, united
from bridge.adapter import Problem
from bridge.model import Endpoint, Service, ServiceName

_ALL: Final = frozenset(("IPv4", "IPv6", "FQDN"))


class Translated(NamedTuple):
    """What a Service comes to: None when it is none of the catalog's. The rest is for the next time."""

    service: Service | None
    problems: tuple[Problem, ...]
    parts: tuple[Part, ...] = ()
    basis: tuple[tuple[ServicePort, ...], Scope, Nodes] | None = None


def translate(
    service: KubeService,
    slices: Iterable[KubeSlice],
    nodes: Nodes,
    scope: Scope,
    previous: Translated | None = None,
) -> Translated:
    """The endpoints that all slices of a Service say together, ours left out, those of other bridges `via` them.

    A Service without a selector for which nobody else says an endpoint is none of the catalog's; one with a selector
    stands there empty. `previous` saves the work for slices that are the same objects as before, and changes no answer.
    """
    others = foreign(slices, scope)
    families = wanted_families(service, others, scope)
    basis = (service.ports, scope, nodes)
    known: dict[int, Part] = {}
    if previous is not None and previous.basis is not None and _same(previous.basis, basis):
        known = {id(one.slice): one for one in previous.parts}
    order = tuple(port.name for port in service.ports)
    parts = tuple(known.get(id(one)) or part(one, order, nodes, scope) for one in others if one.family in families)
    flaws = [flaw for one in parts for flaw in one.flaws]
    found = whole(service, united(one.endpoints for one in parts), flaws, previous, stands=service.selects)
    return found._replace(parts=parts, basis=basis)


def held(slices: Iterable[KubeSlice]) -> tuple[Endpoint, ...]:
    """The endpoints that slices of ours say, sorted by id, under the address and port that they were wanted with."""
    parts = [part(one, (), NO_NODES, HELD) for one in slices]
    return tuple(sorted(united(one.endpoints for one in parts), key=lambda one: one.id))


def foreign(slices: Iterable[KubeSlice], scope: Scope) -> list[KubeSlice]:
    """Those that are not ours, sorted by name."""
    others = (one for one in slices if one.stamp is None or one.stamp.owner not in scope.owners)
    return sorted(others, key=lambda one: one.key)


def wanted_families(service: KubeService, slices: Iterable[KubeSlice], scope: Scope) -> frozenset[str]:
    """The address types that count: names always do, and become addresses later.

    The Service of a selector has slices of each of its families from the start, if only empty ones; without a selector
    its first family may be one that nobody ever writes, so that the first one written counts.
    """
    if scope.families == "all":
        return _ALL
    if scope.families != "primary":
        return frozenset((scope.families, "FQDN"))
    families = service.families or ("IPv4", "IPv6")
    if not service.selects:
        written = {one.family for one in slices}
        families = (*(one for one in families if one in written), *families)
    return frozenset((families[0], "FQDN"))


def whole(
    service: KubeService,
    endpoints: Sequence[Endpoint],
    flaws: Iterable[Flaw],
    previous: Translated | None,
    *,
    stands: bool,
) -> Translated:
    """What all parts come to, the same object as in `previous` where it is equal; `stands` if it counts when empty."""
    name = ServiceName(*service.key)
    found = Service.of(name, endpoints) if endpoints or stands else None
    if previous is not None and found == previous.service:
        found = previous.service
    return Translated(found, told(name, flaws))


def _same(one: tuple[object, Scope, Nodes], other: tuple[object, Scope, Nodes]) -> bool:
    return one[0] == other[0] and one[1] == other[1] and one[2] is other[2]
