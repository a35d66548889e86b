"""What an adapter implements to have its registry read.

A source yields whole, immutable observations. Inside it may watch, poll, page or cache; outside, each value is
complete. Retries, back-off, name resolution, address policy and the belief in removals are the core's.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from bridge.model import ServiceName, Services


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was refused, with its neighbours unharmed.

    `kind` is a short stable word for metrics (`file`, `address`, `port`, `name`, `bound`, `duplicate` …), `where` the
    place in the registry (`vms.yaml:12: services[3].ports.http`), `what` a sentence that says what is wrong and what
    to do, `count` how many alike are meant.
    """

    kind: str
    where: str
    what: str
    service: ServiceName | None = None
    count: int = 1

    def __str__(self) -> str:
        more = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.where}: {self.what}{more}"


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of a registry (a file, one service's query) that fails to be read, whose last good view stands in.

    `since` is in seconds, monotonic, of the adapter's clock.
    """

    part: str
    since: float
    why: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one source says at one moment, whole.

    `read` is the number of the last complete reading that this view rests on: it grows with every reading made anew,
    and stays when a quiet watch repeats itself. `parts` counts what is read separately (files, queries), and `unread`
    names those of them that fail at present; when they are many, the core takes the source as lost.
    """

    services: Services
    read: int
    problems: tuple[Problem, ...] = ()
    parts: int = 1
    unread: tuple[Unread, ...] = ()


class Source(Protocol):
    """A registry as something read."""

    def observe(self) -> AsyncIterator[Observation]:
        """Yield a whole view now and at each change, for as long as it is iterated.

        Raises Unavailable or Denied when no whole view can be had; the core calls `observe` again after a while.
        Cancelling (or closing) the iterator releases everything that it held.
        """
        ...

    def refresh(self) -> None:
        """Read all again soon, past every cache; `Observation.read` grows when that is done."""
        ...
