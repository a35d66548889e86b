"""What one stream asks for of one type, what it has of it, and what it refused."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from bridge.xds.messages import CDS, Interest, ProtocolError, Resource, Response, Store

ALL = "*"
LONGEST_NAME = 2048
LONGEST_ERROR = 1000

Told = Resource | str | None
"""What a client has under a name: the resource it accepted, the version it said it has ("" where it has perhaps
something, in a version that nobody knows), or nothing."""


class Parked(NamedTuple):
    """A version that the client refused, and what it said; not sent again until the content changes."""

    version: str
    error: str


@dataclass(frozen=True, slots=True)
class Status:
    """One type of one stream, for operators.

    `names` counts what is asked for by name, `told` what the client has; `pending` counts names to be looked at when
    the client has answered; `size` is the length of the last response's resources in bytes; `parked` are sorted
    triples of name, version and error.
    """

    type_url: str
    wildcard: bool
    names: int
    told: int
    version: str
    unacknowledged: bool
    pending: int
    sent: int
    acks: int
    nacks: int
    size: int
    parked: tuple[tuple[str, str, str], ...]


@lru_cache(maxsize=16_384)
def _mark(name: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{name}\0{version}".encode(), digest_size=16).digest(), "big")


def mark(name: str, told: Told) -> int:
    """What `told` under `name` adds to the version of a whole; nothing adds nothing."""
    if not told:
        return 0
    return _mark(name, told if isinstance(told, str) else told.version)


def version_of(told: Told) -> str | None:
    return told.version if isinstance(told, Resource) else told


class Subscription(ABC):
    """One type on one stream, whatever the protocol.

    The version of the whole is the sum, modulo 2^128, of a 128-bit hash of each (name, version) that the client has:
    it does not depend on order, so that one change costs one subtraction and one addition, and it is the same in
    every process that tells the same.

    A client is trusted, so the sum need not withstand somebody who builds collisions.
    """

    __slots__ = (
        "acks",
        "asked",
        "delta",
        "dirty",
        "ever_named",
        "extra",
        "flight",
        "fresh",
        "have",
        "max_names",
        "nacks",
        "owes",
        "parked",
        "sent",
        "size",
        "store",
        "total",
        "type_url",
    )

    def __init__(self, type_url: str, store: Store, delta: bool, max_names: int) -> None:
        self.type_url = type_url
        self.store = store
        self.delta = delta
        self.max_names = max_names
        self.asked = False  # whether there was a request of this type
        self.fresh = True  # whether the first request carried no version: the client came with nothing
        self.ever_named = False
        self.have: dict[str, Told] = {}  # every name asked for, and what the wildcard brought
        self.extra: set[str] | None = None  # names asked for besides the wildcard; None while there is no wildcard
        self.dirty: dict[str, bool] = {}  # names to look at, oldest first; True: must be answered, even if unchanged
        self.owes = False  # a response is due even if there is nothing to tell
        self.flight: Response | None = None
        self.parked: dict[str, Parked] = {}
        self.total = 0
        self.sent = self.acks = self.nacks = self.size = 0

    # Names.

    @property
    def wildcard(self) -> bool:
        return self.extra is not None

    @property
    def named(self) -> Collection[str]:
        """The names asked for by name."""
        return self.have.keys() if self.extra is None else self.extra

    def ask(self, names: Collection[str], version: str) -> Interest:
        """State of the world: `names` is all that is asked for from now on."""
        if not self.asked:
            self.asked, self.fresh = True, not version
        elif self.extra is None and len(names) == len(self.have) and self.have.keys() == set(names):
            return Interest(self.type_url)
        # An empty list is the wildcard only for clusters and only until a name was named (rule 5); a client that gives
        # up everything may send one empty name (rule 20).
        self.ever_named = self.ever_named or bool(names)
        wildcard = self.type_url == CDS and (not self.ever_named or ALL in names)
        asked = _clean(names)
        named = self.named
        wanted = tuple(name for name in asked if name not in named)
        dropped = tuple(name for name in named if name not in asked)
        return self._turn(wanted, dropped, wildcard)

    def ask_delta(
        self, subscribe: Collection[str], unsubscribe: Collection[str], initial: Mapping[str, str]
    ) -> Interest:
        """Delta: add and take away; `initial` is what the client says it has, believed in the first request only."""
        first, self.asked = not self.asked, True
        wildcard = self.wildcard
        if self.type_url == CDS:
            wildcard = (wildcard and ALL not in unsubscribe) or ALL in subscribe or (first and not subscribe)
        asked = _clean(subscribe)
        named = self.named
        wanted = tuple(name for name in asked if name not in named)
        dropped = tuple(name for name in _clean(unsubscribe) if name in named and name not in asked)
        again = [name for name in asked if name in named]
        interest = self._turn(wanted, dropped, wildcard)
        # A client that asks again has forgotten what it had: it is answered, even when nothing changed.
        self.dirty.update(dict.fromkeys(again, True))
        if first and initial:
            self.owes = False
            for name, version in initial.items():
                if wildcard or name in self.have:
                    self._set(name, version)
                    self.dirty[name] = False
        return interest

    def _turn(self, wanted: tuple[str, ...], dropped: tuple[str, ...], wildcard: bool) -> Interest:
        count = len(self.named) + len(wanted) - len(dropped)
        if count > self.max_names:
            raise ProtocolError(f"{self.type_url}: {count} names are asked for on one stream; at most {self.max_names}")
        for name in wanted:
            if len(name) > LONGEST_NAME:
                raise ProtocolError(
                    f"{self.type_url}: the name {name[:60]!r}… is longer than {LONGEST_NAME} characters"
                )
        turned = wildcard != self.wildcard
        if turned and wildcard:
            self.extra = set(self.have)
        for name in dropped:
            self._drop(name)
        if turned and not wildcard:
            kept, self.extra = self.named, None
            for name in [name for name in self.have if name not in kept]:
                self._forget(name)
        for name in wanted:
            self.have.setdefault(name, None)
            if self.extra is not None:
                self.extra.add(name)
        self._answer_for(wanted, wildcard and turned)
        return Interest(self.type_url, wanted, dropped, wildcard if turned else None)

    def _drop(self, name: str) -> None:
        if self.extra is None:
            self._forget(name)
            return
        # The client cannot know whether the wildcard still covers the name: it is told, either way.
        self.extra.discard(name)
        if self.have.get(name) is None:
            self.have.pop(name, None)
        self.dirty[name] = True

    def _forget(self, name: str) -> None:
        self._set(name, None)
        self.have.pop(name, None)
        self.dirty.pop(name, None)
        self.parked.pop(name, None)

    def _set(self, name: str, told: Told) -> None:
        """Note what the client has under a name that is asked for."""
        had = self.have.get(name)
        self.total = (self.total + mark(name, told) - mark(name, had)) % (1 << 128)
        if isinstance(told, Resource) and had is None:
            self.have.pop(name, None)
            name = told.name  # the string that all streams share, instead of this request's own
        if told is not None or self.extra is None or name in self.extra:
            self.have[name] = told
        else:
            self.have.pop(name, None)

    def wants(self, name: str) -> bool:
        return self.extra is not None or name in self.have

    # What happens.

    def touch(self, names: Iterable[str]) -> None:
        """The content of `names` may have changed."""
        for name in names:
            if self.extra is not None or name in self.have:
                self.dirty.setdefault(name, False)

    def hear(self, nonce: str, error: str | None) -> None:
        """Take an ACK or a NACK; only the newest nonce counts (rule 2)."""
        flight = self.flight
        if flight is None or nonce != flight.nonce:
            return
        self.flight = None
        if error is None:
            self.acks += 1
            self._accept(flight)
        else:
            self.nacks += 1
            self._refuse(flight, error[:LONGEST_ERROR])

    @abstractmethod
    def take(self, nonce: str) -> Response | None:
        """The next response, none while one is unacknowledged."""

    @abstractmethod
    def news(self, response: Response) -> Collection[str]:
        """The names in `response`, just taken, that are told anew."""

    @abstractmethod
    def _answer_for(self, wanted: Iterable[str], everything: bool) -> None:
        """Names, or the wildcard, are newly asked for."""

    @abstractmethod
    def _accept(self, flight: Response) -> None: ...

    @abstractmethod
    def _refuse(self, flight: Response, error: str) -> None: ...

    def _took(self, resource: Resource) -> None:
        """The client accepted `resource`, which may be what it had before."""
        name = resource.name
        parked = self.parked.get(name)
        if parked is not None:
            current = self.store.get(self.type_url, name)
            if current is None or resource.version == parked.version or current.version != parked.version:
                del self.parked[name]
        self._set(name, resource)

    def _send(self, response: Response, size: int) -> Response:
        self.flight, self.owes, self.size = response, False, size
        self.sent += 1
        if not self.dirty:
            self.dirty = {}  # lets go of the table that a crowd of names left
        return response

    def told(self) -> dict[str, str]:
        """What the client has accepted, or said it has: name to version."""
        return {name: version for name, told in self.have.items() if (version := version_of(told))}

    def status(self) -> Status:
        return Status(
            self.type_url,
            self.wildcard,
            len(self.named),
            len(self.told()),
            written(self.total),
            self.flight is not None,
            len(self.dirty),
            self.sent,
            self.acks,
            self.nacks,
            self.size,
            tuple(sorted((name, *parked) for name, parked in self.parked.items())),
        )


def written(total: int) -> str:
    """A sum of marks as a version."""
    return f"{total % (1 << 128):032x}"


def cost(resource: Resource) -> int:
    """Bytes that a resource takes in a response, at most."""
    return len(resource.body) + len(resource.name.encode()) + len(resource.version) + 32


def _clean(names: Iterable[str]) -> dict[str, None]:
    asked = dict.fromkeys(names)
    asked.pop(ALL, None)
    asked.pop("", None)
    return asked
