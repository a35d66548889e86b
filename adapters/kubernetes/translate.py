"""A Service and its EndpointSlices as a service of the catalog, each instance under its own address.

Pure, and the same whatever the order of slices and rows: of two rows for one address and port a native one beats a
bridge's, then the one of better health counts, then the one in the slice first by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from adapters.kubernetes.extras import NOTHING, Extra, decode
from adapters.kubernetes.objects import MANAGER, OWNER, Conditions, KubeNode, KubeService, KubeSlice, Row, ServicePort
from bridge.adapter import Problem
from bridge.kit import address
from bridge.model import Endpoint, Health, Locality, Metadata, Port, Service, ServiceName

Families = Literal["primary", "IPv4", "IPv6", "all"]
"""Which addresses of a dual-stack Service count; `primary` are those of its first family, so that a pod counts once."""

Nodes = Mapping[str, KubeNode]
"""By name; empty where nodes are not read."""

NO_NODES: Final[Nodes] = {}


@dataclass(frozen=True, slots=True)
class Scope:
    """What the configuration says of everything in the registry.

    `locality` and `network` stand where the registry says none; `owners` are the names under which we write and wrote:
    what is theirs is a holding and no service.
    """

    locality: Locality
    network: str
    families: Families
    owners: frozenset[str]


class Flaw(NamedTuple):
    """Something of a Service that cannot be read: `kind` and `what` as a Problem's, `where` within it, how often."""

    kind: str
    where: str
    what: str
    times: int = 1


class Part(NamedTuple):
    """What one slice says."""

    slice: KubeSlice
    endpoints: tuple[Endpoint, ...]
    flaws: tuple[Flaw, ...]


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
        known = {id(part.slice): part for part in previous.parts}
    order = tuple(port.name for port in service.ports)
    parts = tuple(known.get(id(one)) or _part(one, order, nodes, scope) for one in others if one.family in families)
    name = ServiceName(*service.key)
    endpoints = united(parts)
    problems = told(name, (flaw for part in parts for flaw in part.flaws))
    found = Service.of(name, endpoints) if endpoints or service.selects else None
    if previous is not None and found == previous.service:
        found = previous.service
    return Translated(found, problems, parts, basis)


def held(slices: Iterable[KubeSlice]) -> tuple[Endpoint, ...]:
    """The endpoints that slices of ours say, sorted by id, under the address and port that they were wanted with."""
    parts = [_part(one, (), NO_NODES, _OURS) for one in sorted(slices, key=_by_key)]
    return tuple(sorted(united(parts), key=lambda one: one.id))


def foreign(slices: Iterable[KubeSlice], scope: Scope) -> list[KubeSlice]:
    """Those that are not ours, sorted by name."""
    return sorted((one for one in slices if one.stamp is None or one.stamp.owner not in scope.owners), key=_by_key)


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


def united(parts: Iterable[Part]) -> list[Endpoint]:
    """The endpoints of all parts, one for each address and port."""
    best: dict[tuple[str, int], Endpoint] = {}
    for part in parts:
        for endpoint in part.endpoints:
            key = endpoint.address, endpoint.ports[0].number
            other = best.setdefault(key, endpoint)
            if other is not endpoint and _rank(endpoint) < _rank(other):
                best[key] = endpoint
    return list(best.values())


def told(service: ServiceName, flaws: Iterable[Flaw]) -> tuple[Problem, ...]:
    """One problem for each kind of flaw: the first one, and how many there are."""
    first: dict[str, Flaw] = {}
    count: dict[str, int] = {}
    for flaw in flaws:
        first.setdefault(flaw.kind, flaw)
        count[flaw.kind] = count.get(flaw.kind, 0) + flaw.times
    return tuple(
        Problem(kind, f"{service}: {flaw.where}" if flaw.where else str(service), flaw.what, service, count[kind])
        for kind, flaw in sorted(first.items())
    )


@lru_cache(maxsize=64)
def health(conditions: Conditions) -> Health:
    """What the conditions of an endpoint come to: ready unless it says otherwise, serving as it is ready."""
    ready, serving, terminating = conditions
    ready = ready is not False
    if terminating:
        return Health.DRAINING if (ready if serving is None else serving) else Health.UNHEALTHY
    return Health.HEALTHY if ready else Health.UNHEALTHY


@lru_cache(maxsize=4096)
def place(region: str, zone: str, sub_zone: str, default: Locality) -> Locality:
    """A locality whose blanks are those of `default`, of whose zone a sub-zone has to be."""
    if not sub_zone and zone in ("", default.zone):
        sub_zone = default.sub_zone
    return Locality(region or default.region, zone or default.zone, sub_zone)


_ALL: Final = frozenset(("IPv4", "IPv6", "FQDN"))
_OURS: Final = Scope(Locality(), "", "all", frozenset())


def _same(one: tuple[object, Scope, Nodes], other: tuple[object, Scope, Nodes]) -> bool:
    return one[0] == other[0] and one[1] == other[1] and one[2] is other[2]


def _by_key(one: KubeSlice) -> tuple[str, str]:
    return one.key


def _rank(endpoint: Endpoint) -> tuple[bool, int]:
    return bool(endpoint.via), endpoint.health or 0


def _part(slice_: KubeSlice, order: tuple[str, ...], nodes: Nodes, scope: Scope) -> Part:
    where = f"endpointslice {slice_.key.name}"
    stamp = slice_.stamp
    if stamp is None and slice_.manager == MANAGER:
        what = f"a bridge wrote it, and its label {OWNER} is gone; it is left out: put the label back, or delete it"
        return Part(slice_, (), (Flaw("mark", where, what),))
    ports, flaws = _ports(slice_.ports, order if stamp is None else ())
    found = [Flaw("port", where, what) for what in flaws]
    if slice_.rows and not ports:
        what = "it has no port with a number, which means any port; its endpoints are left out: give it one"
        return Part(slice_, (), (Flaw("port", where, what, len(slice_.rows)),))
    extras, flaws = decode(slice_.extras if stamp is not None else "")
    found += [Flaw("extras", where, f"annotation: {what}; the endpoint is read without it") for what in flaws]
    endpoints = []
    for row in slice_.rows:
        try:
            at = address.host(row.address) if slice_.family == "FQDN" else address.parse(row.address)
        except ValueError as error:
            found.append(Flaw("address", where, f"{error}; the endpoint is left out"))
            continue
        if stamp is None:
            endpoints.append(_native(at, ports, row, nodes, scope))
            continue
        extra = extras.get(row.address, NOTHING)
        if scope is not _OURS:
            extra = extra._replace(via=f"{extra.via} {stamp.owner}".lstrip())
        if scope.owners.isdisjoint(extra.via.split(" ")):
            endpoints.append(_written(at, ports, row, extra, scope))
    return Part(slice_, tuple(endpoints), tuple(found))


def _native(at: str, ports: tuple[Port, ...], row: Row, nodes: Nodes, scope: Scope) -> Endpoint:
    region, zone = row.region, row.zone
    if not (region and zone) and (node := nodes.get(row.node)) is not None:
        region, zone = region or node.region, zone or node.zone
    locality = place(region, zone, "", scope.locality)
    return Endpoint(at, ports, health(row.conditions), locality, scope.network, metadata=_metadata(row.node, row.pod))


def _written(at: str, ports: tuple[Port, ...], row: Row, extra: Extra, scope: Scope) -> Endpoint:
    state = health(row.conditions)
    return Endpoint(
        at,
        _led_by(ports, extra.port),
        Health.DEGRADED if extra.degraded and state is Health.HEALTHY else state,
        place(extra.region or row.region, row.zone, extra.sub_zone, scope.locality),
        extra.network or scope.network,
        extra.weight,
        extra.via,
        metadata=extra.metadata,
    )


@lru_cache(maxsize=16384)
def _ports(said: tuple[Port, ...], order: tuple[str, ...]) -> tuple[tuple[Port, ...], tuple[str, ...]]:
    """The ports that have a number, as the Service orders them, and what is wrong with the others."""
    last = len(order)
    ports = sorted(said, key=lambda port: order.index(port.name) if port.name in order else last)
    lacking = [port.name or "without a name" for port in ports if not port.number]
    flaws = [f"port {name} has no number, which means any port; it is left out" for name in lacking]
    return tuple(port for port in ports if port.number), tuple(flaws)


@lru_cache(maxsize=16384)
def _led_by(ports: tuple[Port, ...], primary: tuple[str, int]) -> tuple[Port, ...]:
    """The ports, the primary one first, be it one that the slice has not."""
    name, number = primary
    if not number:
        return ports
    first = [port for port in ports if port.number == number][:1] or [Port(name, number)]
    return (*first, *(port for port in ports if port is not first[0]))


@lru_cache(maxsize=16384)
def _metadata(node: str, pod: str) -> Metadata:
    return tuple((key, value) for key, value in (("node", node), ("pod", pod)) if value)
