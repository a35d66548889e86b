"""What one EndpointSlice says, and how several say it together.

Pure, and the same whatever the order of rows and slices.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final, Literal, NamedTuple

from adapters.kubernetes.extras import NOTHING, Extra, decode
from adapters.kubernetes.objects import MANAGER, OWNER, Conditions, KubeNode, KubeSlice, Row
from bridge.adapter import Problem
from bridge.kit import address
from bridge.model import NOWHERE, Endpoint, Health, Locality, Metadata, Port, ServiceName

Families = Literal["primary", "IPv4", "IPv6", "all"]
"""Which addresses of a dual-stack Service count; `primary` are those of its first family, so that a pod counts once."""

Mode = Literal["pod", "node", "loadbalancer", "external-ip"]
"""How pods are reached."""

Nodes = Mapping[str, KubeNode]
"""By name; empty where nodes are not read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the configuration says of everything in the registry.

    `locality` and `network` stand where the registry says none; `owners` are the names under which we write and wrote:
    what is theirs is a holding and no service.
    """

    locality: Locality
    network: str
    families: Families
    mode: Mode
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


def is_native(slice_: KubeSlice) -> bool:
    """Whether no bridge wrote it, not even one whose mark is gone."""
    return slice_.stamp is None and slice_.manager != MANAGER


def part(slice_: KubeSlice, order: tuple[str, ...], nodes: Nodes, scope: Scope) -> Part:
    """What a slice says, its ports in the `order` of their names if it is native, and `via` its bridge if it is not.

    What came through one of the scope's owners before is left out: whatever it says goes round in a circle.
    """
    where = f"endpointslice {slice_.key.name}"
    stamp = slice_.stamp
    if stamp is None and slice_.manager == MANAGER:
        what = f"a bridge wrote it, and its label {OWNER} is gone; it is left out: put the label back, or delete it"
        return Part(slice_, (), (Flaw("mark", where, what),))
    ports, lacking = _ports(slice_.ports, order if stamp is None else ())
    if slice_.rows and not ports:
        what = "there is no port with a number, which would mean any; its endpoints are left out: write one"
        return Part(slice_, (), (Flaw("port", where, what, len(slice_.rows)),))
    flaws = [Flaw("port", where, f"port {one} has no number, which means any port; it is left out") for one in lacking]
    extras, unclear = decode(slice_.extras if stamp is not None else "")
    flaws += [Flaw("extras", where, f"annotation: {what}; its endpoint is read without it") for what in unclear]
    endpoints = []
    for row in slice_.rows:
        try:
            at = address.host(row.address) if slice_.family == "FQDN" else address.parse(row.address)
        except ValueError as error:
            flaws.append(Flaw("address", where, f"{error}; the endpoint is left out"))
            continue
        if stamp is None:
            endpoints.append(_native(at, ports, row, nodes, scope))
            continue
        extra = extras.get(row.address, NOTHING)
        way = extra.via if scope is HELD else f"{extra.via} {stamp.owner}".lstrip()
        if scope.owners.isdisjoint(way.split(" ")):
            endpoints.append(_written(at, ports, row, extra._replace(via=way), scope))
    return Part(slice_, tuple(endpoints), tuple(flaws))


def united(parts: Iterable[Iterable[Endpoint]]) -> list[Endpoint]:
    """The endpoints of all parts, one for each address and port.

    Of two a native one counts before a bridge's, then the one of better health; between equals the order of their
    content decides.
    """
    best: dict[tuple[str, int], Endpoint] = {}
    for endpoint in chain.from_iterable(parts):
        key = endpoint.address, endpoint.ports[0].number
        other = best.setdefault(key, endpoint)
        if other is not endpoint and _rank(endpoint) < _rank(other):
            best[key] = endpoint
    return list(best.values())


def told(service: ServiceName, flaws: Iterable[Flaw]) -> tuple[Problem, ...]:
    """One problem for each kind of flaw: the first one, and how many there are."""
    first: dict[str, Flaw] = {}
    count: dict[str, int] = {}
    for flaw in sorted(flaws):
        first.setdefault(flaw.kind, flaw)
        count[flaw.kind] = count.get(flaw.kind, 0) + flaw.times
    return tuple(
        Problem(kind, f"{service}: {flaw.where}" if flaw.where else str(service), flaw.what, service, count[kind])
        for kind, flaw in first.items()
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


def _rank(endpoint: Endpoint) -> tuple[object, ...]:
    state = endpoint.health or Health.HEALTHY
    return (
        bool(endpoint.via),
        state,
        endpoint.via,
        endpoint.metadata,
        endpoint.locality,
        endpoint.ports,
        endpoint.weight,
    )


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
    """The ports that have a number, those in `order` first, and the names of the others."""
    last = len(order)
    ports = sorted(said, key=lambda port: order.index(port.name) if port.name in order else last)
    lacking = [port.name or "without a name" for port in ports if not port.number]
    return tuple(port for port in ports if port.number), tuple(lacking)


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


NO_NODES: Final[Nodes] = {}
HELD: Final = Scope(NOWHERE, "", "all", "pod", frozenset())
"""Nobody's, with nothing to add: endpoints are read as they were written, without the bridge that wrote them."""
