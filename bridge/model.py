"""The values that everything else is about: services, endpoints, and where they are.

All are immutable, compare by content and hold no cycles, so that they can be shared by every room and by every
version of a view.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple, NewType, Self

from bridge.table import Table

SourceName = NewType("SourceName", str)
"""The `name:` of a registry in the configuration."""

Metadata = tuple[tuple[str, str], ...]
"""Sorted pairs; hashable; small."""


class ServiceName(NamedTuple):
    """What clients look for; written `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `namespace/name`; ValueError when it is not two non-empty parts."""
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise ValueError(f"{text!r} is not a service name of the form namespace/name")
        return cls(namespace, name)


class EndpointId(NamedTuple):
    """One instance within a service: its address and the number of its primary port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Port(NamedTuple):
    """A port of an endpoint; `name` is "" when the registry gives none."""

    name: str
    number: int
    protocol: str = "TCP"
    app_protocol: str = ""


class Locality(NamedTuple):
    """Where an endpoint or a node is, as Envoy and the topology labels of Kubernetes say it."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


NOWHERE = Locality()


class Health(IntEnum):
    """Best to worst; None stands where a source has no opinion."""

    HEALTHY = 0
    DEGRADED = 1
    DRAINING = 2
    UNHEALTHY = 3


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One running instance.

    `address` is a canonical IP literal everywhere after `resolve` and `screen`; before them it may be a host name.
    `ports[0]` is the primary port, chosen by the adapter; there is at least one.
    `weight` is at least 1.
    `via` is the owner of the bridge that wrote it, "" when native; where bridges relay and the registry can say it, all
    owners that it came through, joined by blanks, of whom the last wrote it.
    `held` is set by the guard alone; `health` then stays what was last seen.
    """

    address: str
    ports: tuple[Port, ...]
    health: Health | None = None
    locality: Locality = NOWHERE
    network: str = ""
    weight: int = 1
    via: str = ""
    held: bool = False
    metadata: Metadata = ()

    @property
    def id(self) -> EndpointId:
        return EndpointId(self.address, self.ports[0].number)


def order(endpoint: Endpoint) -> tuple[str, int]:
    """Sorts endpoints by their id, without making one for each."""
    return endpoint.address, endpoint.ports[0].number


@dataclass(frozen=True, slots=True)
class Service:
    """A service as one source says it; `endpoints` are sorted by id, and no id stands twice."""

    name: ServiceName
    endpoints: tuple[Endpoint, ...] = ()
    metadata: Metadata = ()

    @classmethod
    def of(cls, name: ServiceName, endpoints: Iterable[Endpoint], metadata: Metadata = ()) -> Self:
        """Sort the endpoints by id; ValueError when an id stands twice."""
        ordered = tuple(sorted(endpoints, key=order))
        for one, following in pairwise(ordered):
            if order(one) == order(following):
                raise ValueError(f"{name}: endpoint {one.id} stands twice")
        return cls(name, ordered, metadata)


Services = Table[ServiceName, Service]
