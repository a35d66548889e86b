"""What an adapter implements to have its registry read and written.

A source yields whole, immutable observations. Inside it may watch, poll, page or cache; outside, each value is
complete. Retries, back-off, name resolution, address policy, the belief in removals, planning and limits are the
core's.
"""

from collections.abc import AsyncIterator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NewType, Protocol, runtime_checkable

from bridge.model import Endpoint, EndpointId, Service, ServiceName, Services
from bridge.table import Table

Target = NewType("Target", str)
"""One thing in a registry that is written by itself (a file, a tree), as it is configured; "" where there is one."""

RecordKey = NewType("RecordKey", str)
"""Names a record within its target: ours and lasting, kept in its mark; never a number that the registry gives."""


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

    `since` is in seconds, monotonic, of the adapter's clock. `never`: there is no such view, since the part was not
    read once yet. While one is so the core takes the source as lost, and removes nothing on its behalf; the other parts
    are served.
    """

    part: str
    since: float
    why: str
    never: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One thing of ours in a registry's own form: a block of a file, a znode, a Consul service, an EndpointSlice.

    `content` is canonical, projected on the fields that we own: equal content means that there is nothing to do, and
    the difference of two is what an operator is shown. `revision` is the adapter's (a digest, a resourceVersion, a
    ModifyIndex): None on what `fit` makes, and on what was observed that which a write has to name.

    `names` are what it takes besides its key, such as what its service is called there: no record of another service
    is written that takes one of them too.
    """

    key: RecordKey
    service: ServiceName
    content: bytes
    revision: Hashable = None
    names: tuple[RecordKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """What a target has for one service, as its writer sees it.

    `records` are ours, sorted by key; `endpoints` what they say, sorted by id, read back as any source is read, under
    the address and port that they were wanted with: by these, what is not wanted any more is known. `taken` are the
    keys in our naming that somebody else holds, each with who that is; `facts` what `fit` has to know besides (the
    ports of a Service, the version of a parent).
    """

    records: tuple[Record, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    taken: tuple[tuple[RecordKey, str], ...] = ()
    facts: Hashable = None


Holdings = Table[ServiceName, Holding]


@dataclass(frozen=True, slots=True)
class Claim:
    """The small record in each target that says who writes there.

    `deployment` are the replicas that share an election; `term` grows with each of their leaders; `beat` is when it was
    last renewed, in seconds since the epoch; `tombstone` says that the owner was withdrawn and nobody is to write on.
    `revision` is the adapter's, as a record's is: a claim that is written replaces the one that it was observed with.
    """

    owner: str
    deployment: str
    term: int
    beat: float
    tombstone: bool = False
    revision: Hashable = None


@dataclass(frozen=True, slots=True)
class Held:
    """What one target has of ours; `claims` are every owner's that stand there, sorted by owner and deployment.

    `facts` is what the adapter keeps of the target as a whole.
    """

    holdings: Holdings = field(default_factory=Table)
    claims: tuple[Claim, ...] = ()
    facts: Hashable = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one source says at one moment, whole.

    What carries our mark is in `held`, target by target, and everything else in `services`, where `Endpoint.via` tells
    what another bridge wrote. A target that was never read whole is missing from `held`, and nothing is written to it;
    one that was, and has nothing of ours, stands there empty.

    `read` is the number of the last complete reading that this view rests on: it grows with every reading made anew,
    and stays when a quiet watch repeats itself. `parts` counts what is read separately (files, queries), and `unread`
    names those of them that fail at present; when they are many, the core takes the source as lost.

    `others` are the claims of other bridges that stand beside what is read and not written by us, each with the name of
    what it is the claim of. What an owner wrote is left out when none of its claims, here or in `held`, has moved for a
    day.

    `how` says to operators how the registry is followed at present, where an adapter has several ways. `servers` are
    names that nobody else's servers have, where there are such: two registries with one in common are one and the same,
    whatever they are called and however they are reached.
    """

    services: Services
    read: int
    problems: tuple[Problem, ...] = ()
    parts: int = 1
    unread: tuple[Unread, ...] = ()
    held: Table[Target, Held] = field(default_factory=Table)
    others: tuple[tuple[str, Claim], ...] = ()
    how: str = ""
    servers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Put:
    """Write `record`. `replaces` is the one that stands under its key now; None: there is none."""

    record: Record
    replaces: Record | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove `record`, which stands there exactly so."""

    record: Record


Change = Put | Remove


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


@runtime_checkable
class Recalling(Protocol):
    """A source that names things by what it named before: a restart shall give nobody another name."""

    def recall(self, services: Services) -> None:
        """What was last believed of it, from a process before this one; said before it is observed, if anything is."""
        ...


@runtime_checkable
class Sink(Source, Protocol):
    """A registry as something written too: what is written is also read, and only an observation says that it is there.

    `concurrency` is how many changes of one target may be under way at once, each of another service. An adapter whose
    target is rewritten whole (a file), or that has transactions, says many, and writes together what waits together.
    """

    @property
    def concurrency(self) -> int: ...

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """The records that say `service`, in the order in which they must be made, and what they cannot say.

        Pure. `holding` is for a stable packing and for its facts. No key stands twice.
        """
        ...

    async def apply(self, target: Target, change: Change) -> None:
        """Make one change if the target still has what it replaces, never retrying, fenced by the claim last written.

        Returns when it is made for good. Raises Conflict when something else stands there, Rejected when this content
        will not do, Denied (not `whole` where others may well do) or Unavailable. It is cancelled at the moment when
        this replica may cease to lead, and sends nothing after that (`kit.deadline`).
        """
        ...

    async def claim(self, target: Target, claim: Claim) -> None:
        """Write the claim of `claim.owner` if the one that stands there is still that of `claim.revision` (None: none).

        Raises Conflict when it is another one, Denied or Unavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something that a hand registered in a registry, of which a record of ours may take the place.

    `place` and `name` are what the registry calls it, `service` and `where` what it is the instance of and at which
    address; without a name it is a place of which all went, and which is left. `stays` says why it cannot go for ours,
    "" where it can; `loses` what ours has not, or says otherwise; `yields`: it was let go, and goes in the moment in
    which ours is written. `revision` is the adapter's.
    """

    place: str
    name: str
    service: str
    where: str
    stays: str = ""
    loses: tuple[str, ...] = ()
    yields: bool = False
    revision: Hashable = None


@runtime_checkable
class Heir(Protocol):
    """A sink that can take over, one by one and without a gap, what hands registered there."""

    async def strangers(self, target: Target, places: Sequence[str], wanted: Services) -> Sequence[Stranger]:
        """What hands registered in the places of these names (globs), as it stands there now; sorted.

        `wanted` is what would be written to the target if nobody else had written there. The sink is being observed.
        Raises Denied or Unavailable.
        """
        ...

    async def let_go(self, target: Target, stranger: Stranger) -> None:
        """Let it go for ours: where a record says it too, the sink writes that from now on in its place, in one step.

        Until then nothing is different for its readers. Raises Conflict, Rejected, Denied or Unavailable.
        """
        ...

    async def clear(self, target: Target, place: str) -> bool:
        """Remove a place of which something went for ours, if nothing is left there; whether that was so.

        Raises Conflict, Rejected, Unavailable, or Denied where it is left empty for want of a right.
        """
        ...


class Probe(NamedTuple):
    """How somebody else looks at an endpoint for a registry, as consul-esm does at external nodes.

    `said` is that in the registry's words. `kind` is tcp, http or https, with the port, and the path of a GET; or "",
    where it is no such check, or one with more to it. Times are in seconds.
    """

    service: ServiceName
    endpoint: EndpointId
    said: str
    kind: str
    port: int
    path: str
    interval: float
    timeout: float


@runtime_checkable
class Probing(Protocol):
    """A registry that knows how its endpoints are looked at from outside."""

    async def probes(self, services: Iterable[ServiceName]) -> Sequence[Probe]:
        """All such checks of the endpoints of these services. Raises Denied or Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """Why a service is not written as it is wanted: a sentence, and what to do.

    `kind` is a short stable word: `taken`, `parked`, `withheld`, `unsaid`.
    """

    service: ServiceName
    kind: str
    text: str


@runtime_checkable
class Teller(Protocol):
    """A sink that has a place for a note beside a service, where its users look: an Event of Kubernetes."""

    async def tell(self, target: Target, note: Note) -> None:
        """Leave a note, in the place of the one of its kind that stands there for the service.

        Nothing depends on it. Raises Conflict, Rejected, Denied or Unavailable, and is asked again another time.
        """
        ...
