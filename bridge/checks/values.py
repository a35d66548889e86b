"""What the checks of a registry are told and what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bridge.adapter import Problem
from bridge.kit.names import Pattern
from bridge.model import Endpoint, EndpointId, Health, ServiceName, Services
from bridge.table import Table

Key = tuple[ServiceName, EndpointId]
"""One endpoint of one service."""


Kind = Literal["tcp", "http", "https"]


@dataclass(frozen=True, slots=True)
class Check:
    """How the endpoints of some services are checked: `health:` of a registry's configuration. Times in seconds.

    `place` is where it stands there. `port` is a name or a number, None for the primary one. `rise` passes in a row
    make healthy what had failed, `fall` failures in a row make unhealthy.
    """

    place: str
    services: tuple[Pattern, ...]
    kind: Kind
    port: str | int | None
    interval: float
    timeout: float
    rise: int
    fall: int

    def names(self, service: ServiceName) -> bool:
        """Whether it is meant for a service."""
        return any(pattern.matches(service) for pattern in self.services)

    def of(self, endpoint: Endpoint) -> EndpointId | str:
        """Where an endpoint is checked, or why it cannot be."""
        if isinstance(self.port, int):
            return EndpointId(endpoint.address, self.port)
        found = endpoint.ports[0] if self.port is None else None
        for port in endpoint.ports:
            if found is None and port.name == self.port:
                found = port
        if found is None:
            return f"no port is named {self.port!r}"
        if found.protocol != "TCP":
            return f"a {found.protocol} port answers no connection; name another with `port`"
        return EndpointId(endpoint.address, found.number)


class Passed(NamedTuple):
    """A check that found what it wanted."""


class Failed(NamedTuple):
    """A check that did not, and what it found."""

    why: str


class Hindered(NamedTuple):
    """A check that could not be made for a reason of our own (no more sockets, no route of ours): no evidence."""

    why: str


Result = Passed | Failed | Hindered


@dataclass(frozen=True, slots=True)
class Exist:
    """The registry says this, whole."""

    services: Services


@dataclass(frozen=True, slots=True)
class Found:
    """What came of checks that were asked for."""

    results: Mapping[Key, Result]


@dataclass(frozen=True, slots=True)
class Elapsed:
    """`Round.wake_at` has come."""


Event = Exist | Found | Elapsed


class Ask(NamedTuple):
    """A check to be made now; its result is told once, whatever it is."""

    key: Key
    check: Check
    at: EndpointId


class Opinion(NamedTuple):
    """What is known of an endpoint: `health` is None until the first verdict; `since`: seconds, monotonic.

    `why` is what the last check found that differed from the one before, and how many in a row had failed then.
    """

    check: Check
    at: EndpointId
    health: Health | None
    why: str
    since: float

    def __str__(self) -> str:
        return f"{self.at} {self.check.kind}{f': {self.why}' if self.why else ''}"


Opinions = Table[ServiceName, Mapping[EndpointId, Opinion]]


class Counts(NamedTuple):
    """How many endpoints are in which state."""

    healthy: int = 0
    unhealthy: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """What the checks of a registry come to now.

    `opinions` has every endpoint that is checked. `asks` are to be begun now and are not said again. Step with Elapsed
    at `wake_at` (monotonic seconds). `problems` are what cannot be checked, one for each check and reason.
    """

    opinions: Opinions
    counts: Counts
    asks: tuple[Ask, ...]
    wake_at: float | None
    problems: tuple[Problem, ...]
