"""What a guard is told and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bridge.adapter import Observation
from bridge.model import Endpoint, EndpointId, ServiceName, Services
from bridge.table import Table

Key = tuple[ServiceName, EndpointId]
"""One endpoint of one service."""

Why = Literal["gathering", "large", "last", "flood"]
"""Why a hold goes on: it is young, its loss is not small, nobody of its service is left, the source is in a flood."""

Reason = Literal[
    "draining", "unhealthy", "ours", "replaced", "small", "closed", "confirmed", "released", "accepted", "returned"
]
"""What ended a hold; the first three never begin one, but for what is seen to be ours a little later."""


@dataclass(frozen=True, slots=True)
class Removals:
    """How a source's removals are judged: `removals:` of its configuration. Times in seconds, shares as fractions."""

    settled: float
    gather: float
    small: float
    source: float
    confirm: float
    last: float
    flood_release: float
    probe: bool
    session_timeout: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The source says this, whole."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class Probed:
    """One round over `Verdict.probe`: True where it opened, False where it was refused or timed out, None where the
    error was our own (no more sockets, no route of ours), which is no evidence."""

    results: Mapping[EndpointId, bool | None]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Every word of an operator that is in force, each with the time it was given (any clock that grows).

    A word serves one absence: it is used up when it ends a hold, and when its endpoint is seen; the next absence
    needs a newer one. `health` accepts the health flood that there is, or the next one.
    """

    holds: Mapping[Key, float]
    health: float | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """The last view stands until then (monotonic seconds); None ends it."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The source cannot be read; it is back with the next Seen."""


@dataclass(frozen=True, slots=True)
class Elapsed:
    """`Verdict.wake_at` has come."""


Event = Seen | Probed | Accepted | Frozen | Lost | Elapsed


class Hold(NamedTuple):
    """A disappearance that is not yet believed.

    `since` is in seconds, monotonic; `wait` tells an operator what would end it; `closed` counts the probes that
    found it closed since it last opened.
    """

    service: ServiceName
    endpoint: Endpoint
    since: float
    why: Why
    wait: str
    closed: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is believed of a source now.

    `services` are what is seen and what is held (`Endpoint.held`). Step with Elapsed at `wake_at`. Call
    `Source.refresh` when `refresh` is True: it is so once, and again 5 s later if nothing came of it. `probe` is the
    round to be done: it stays until its Probed comes, and is empty until the next one is due. `began` and `ended` are
    of this step alone, sorted.
    """

    services: Services
    holds: Table[ServiceName, tuple[Hold, ...]]
    flood: bool
    health_flood: bool
    frozen: bool
    wake_at: float | None
    refresh: bool
    probe: tuple[EndpointId, ...]
    began: tuple[Key, ...]
    ended: tuple[tuple[ServiceName, EndpointId, Reason], ...]
