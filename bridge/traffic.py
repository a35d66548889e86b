"""What a class of nodes sees of a service: which hosts, in which localities, with which health and weight.

Pure values; `xds.wire` turns them into bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bridge.merge import Merged
from bridge.model import NOWHERE, Endpoint, Health, Locality, Metadata, Port

WEIGHTS = 2**32 - 1
"""What the weights of a priority may come to, and those of a locality within it."""

RETRIES = 1024
"""What one cluster may try again at a time: as much as it may ask. Envoy's own 3 fail a request as soon as a host dies
to which four were on their way."""

Label = str | int
"""A port of a service: by its name, by its number, or "" for each endpoint's primary port, where that has no name."""


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """When Envoy turns away from a host by what it sees itself; times in seconds."""

    consecutive_5xx: int
    interval: float
    base_ejection_time: float
    max_ejection_percent: int


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """What a CDS cluster says besides where its endpoints are.

    `connect_timeout` is in seconds; `lb` is round_robin, least_request, random, ring_hash or maglev.
    """

    connect_timeout: float
    lb: str
    outlier_detection: OutlierDetection | None


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's word on one service; `port` is its default port by name or number, None when they said none."""

    port: str | int | None
    cluster: ClusterPolicy


class NodeClass(NamedTuple):
    """What a node's view depends on: nodes of one class see the same."""

    locality: Locality
    network: str
    labels: Metadata
    grpc: bool


_HEALTHY = Health.HEALTHY  # looked up once: an enum's member costs as much as a host

ANY = NodeClass(NOWHERE, "", (), grpc=False)
"""Every Envoy."""


class Host(NamedTuple):
    """One address and port as Envoy is told it."""

    address: str
    port: int
    health: Health
    weight: int


class Place(NamedTuple):
    """The hosts of one locality in one priority, sorted; `weight` is the sum of theirs."""

    priority: int
    locality: Locality
    weight: int
    hosts: tuple[Host, ...]


class Assignment(NamedTuple):
    """Where a port of a service is, in the strict form of xDS rule 12; no place at all is the empty assignment.

    Places are sorted by priority and locality, none stands twice, and an address and port stands once in all.
    """

    places: tuple[Place, ...] = ()


def default_port(service: Merged, policy: Policy, served: Label | None) -> Label:
    """The port that is meant when none is named.

    The policy's; else the one `served` so far, while any endpoint has it; else the only one, the one named `http`, or
    the one with the lowest number.
    """
    if policy.port is not None:
        return policy.port
    lowest: dict[Label, int] = {}
    some: tuple[Port, ...] = ()
    for group in service.groups:
        for endpoint in group.endpoints:
            if endpoint.ports is some:
                continue
            some = endpoint.ports
            for port in some:
                label = port.name or ("" if port is some[0] else port.number)
                if label == served:
                    return label
                lowest[label] = min(port.number, lowest.get(label, port.number))
    if served is not None and not lowest:
        return served
    if "http" in lowest:
        return "http"
    return min(lowest, key=lambda label: (lowest[label], str(label)), default="")


def ports(service: Merged, default: Label) -> tuple[Label, ...]:
    """All ports of a service, the default one first, then those with a name, then those with none."""
    named: set[str] = set()
    numbered: set[int] = set()
    for some in _distinct(service.endpoints()):
        own = _choose(some, default, default)
        for port in some:
            if port.name:
                named.add(port.name)
            elif port.number != own:
                numbered.add(port.number)
    return (default, *sorted(named - {default}), *sorted(numbered - {default}))


def view(service: Merged, port: Label, node: NodeClass, default: Label) -> Assignment:
    """What nodes of that class see of a port of the service; `default` is the service's default port.

    An endpoint that lacks the port is left out. A primary port without a name stands in for the default port.
    """
    numbers: dict[int, int] = {}  # by identity of the ports: adapters intern them; 0 where the port is lacking
    taken: dict[str, int] = {}  # address to the first of its ports
    further: set[tuple[str, int]] = set()
    by_locality: dict[Locality, list[Host]] = {}
    locality: Locality | None = None
    hosts: list[Host] = []
    total = 0
    make = tuple.__new__  # of a NamedTuple, at half the cost: there may be a thousand hosts
    for group in service.groups:
        held: list[tuple[list[Host], int]] = []
        healthy = 0
        for endpoint in group.endpoints:
            some = endpoint.ports
            number = numbers.get(id(some))
            if number is None:
                number = numbers[id(some)] = _choose(some, port, default) or 0
            if not number:
                continue
            address = endpoint.address
            if address not in taken:
                taken[address] = number
            elif taken[address] == number or (address, number) in further:
                continue
            else:
                further.add((address, number))
            if endpoint.locality is not locality:
                locality = endpoint.locality
                hosts = by_locality.setdefault(locality, [])
            if endpoint.held:
                held.append((hosts, len(hosts)))
            elif not endpoint.health:
                healthy += 1
            weight = max(1, endpoint.weight)
            total += weight
            # No opinion from anybody is told as healthy.
            hosts.append(make(Host, (address, number, endpoint.health or _HEALTHY, weight)))
        # The held of a group are turned away from while they are fewer than those that are seen and healthy: when
        # they are many, the others could not carry the load of all.
        if not node.grpc and len(held) < healthy:
            for where, place in held:
                where[place] = where[place]._replace(health=max(where[place].health, Health.DEGRADED))
    if total > WEIGHTS:
        by_locality = _lightened(by_locality, total)
    return Assignment(
        tuple(
            Place(0, locality, sum([weight for _, _, _, weight in hosts]), tuple(sorted(hosts)))
            for locality, hosts in sorted(by_locality.items())
        )
    )


def _distinct(endpoints: Iterable[Endpoint]) -> Iterable[tuple[Port, ...]]:
    return {id(endpoint.ports): endpoint.ports for endpoint in endpoints}.values()


def _choose(some: tuple[Port, ...], label: Label, default: Label) -> int | None:
    """The number of an endpoint's port of that label; None when it lacks it."""
    if isinstance(label, int):
        return label if any(port.number == label for port in some) else None
    if label:
        for port in some:
            if port.name == label:
                return port.number
    if label == "" or (label == default and not some[0].name):
        return some[0].number
    return None


def _lightened(by_locality: dict[Locality, list[Host]], total: int) -> dict[Locality, list[Host]]:
    """The same hosts with weights in the same proportions that Envoy can add up, each at least 1."""
    room = WEIGHTS - sum(len(hosts) for hosts in by_locality.values())
    return {
        locality: [host._replace(weight=max(1, host.weight * room // total)) for host in hosts]
        for locality, hosts in by_locality.items()
    }
