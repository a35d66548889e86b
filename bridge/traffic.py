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
    for ports in _distinct(service.endpoints()):
        for port in ports:
            label = port.name or ("" if port is ports[0] else port.number)
            lowest[label] = min(port.number, lowest.get(label, port.number))
    if served is not None and (served in lowest or not lowest):
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
    numbers: dict[int, int | None] = {}  # by identity of the ports: adapters intern them
    taken: set[tuple[str, int]] = set()
    by_locality: dict[Locality, list[Host]] = {}
    total = 0
    for group in service.groups:
        present: list[tuple[Endpoint, int]] = []
        for endpoint in group.endpoints:
            key = id(endpoint.ports)
            if key not in numbers:
                numbers[key] = _choose(endpoint.ports, port, default)
            number = numbers[key]
            if number is not None and (endpoint.address, number) not in taken:
                taken.add((endpoint.address, number))
                present.append((endpoint, number))
        turned_away = not node.grpc and _held_are_few(present)
        for endpoint, number in present:
            health = endpoint.health or Health.HEALTHY  # no opinion from anybody is told as healthy
            if endpoint.held and turned_away:
                health = max(health, Health.DEGRADED)
            weight = max(1, endpoint.weight)
            total += weight
            by_locality.setdefault(endpoint.locality, []).append(Host(endpoint.address, number, health, weight))
    if total > WEIGHTS:
        by_locality = _lightened(by_locality, total)
    return Assignment(
        tuple(
            Place(0, locality, sum([host.weight for host in hosts]), tuple(sorted(hosts)))
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


def _held_are_few(present: list[tuple[Endpoint, int]]) -> bool:
    """Whether the held of a group are fewer than those that are seen and healthy.

    Only then are they turned away from: when they are many, the others could not carry the load of all.
    """
    held = sum([endpoint.held for endpoint, _ in present])
    if not held:
        return False
    healthy = sum([not endpoint.held and not endpoint.health for endpoint, _ in present])
    return held < healthy


def _lightened(by_locality: dict[Locality, list[Host]], total: int) -> dict[Locality, list[Host]]:
    """The same hosts with weights in the same proportions that Envoy can add up, each at least 1."""
    room = WEIGHTS - sum(len(hosts) for hosts in by_locality.values())
    return {
        locality: [host._replace(weight=max(1, host.weight * room // total)) for host in hosts]
        for locality, hosts in by_locality.items()
    }
