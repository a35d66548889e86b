"""A shelf of resources and a client of one stream, for the tests of the session.

The client does what Envoy does with what it is told: it applies the good part of refused clusters, nothing of refused
endpoints, keeps the hosts of removed endpoints, and waits for the endpoints of a cluster that it was told anew. It
checks as it goes that no response comes while one is unacknowledged, and that none is needless.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from bridge.xds.messages import CDS, EDS, Interest, Request, Resource, Response
from bridge.xds.session import Session

BOTH = frozenset((CDS, EDS))

BAD = "bad"
EMPTY = "empty"


def resource(name: str, content: str) -> Resource:
    return Resource(name, f"v-{content}", content.encode())


def content(told: Resource) -> str:
    return told.body.decode()


def is_bad(told: Resource) -> bool:
    return content(told).startswith(BAD)


class Shelf:
    """A Store whose contents tests set."""

    def __init__(self, **endpoints: str) -> None:
        self.made: dict[str, dict[str, Resource]] = {EDS: {}, CDS: {}}
        self.is_waiting = False
        for name, text in endpoints.items():
            self.put(EDS, name, text)

    def put(self, type_url: str, name: str, text: str | None) -> None:
        if text is None:
            self.made[type_url].pop(name, None)
        else:
            self.made[type_url][name] = resource(name, text)

    def get(self, type_url: str, name: str) -> Resource | None:
        return self.made[type_url].get(name)

    def clusters(self) -> list[str]:
        return sorted(self.made[CDS])

    def waiting(self) -> bool:
        return self.is_waiting

    def partial(self, name: str) -> bool:
        return self.is_waiting

    def empty(self, type_url: str, name: str) -> Resource:
        return resource(name, EMPTY)


def session(
    shelf: Shelf,
    delta: bool,
    types: frozenset[str] = BOTH,
    *,
    max_names: int = 1000,
    max_bytes: int = 4_000_000,
    always_resend: bool = False,
) -> Session:
    return Session(delta, shelf, types, max_names=max_names, max_bytes=max_bytes, always_resend=always_resend)


def texts(response: Response | None) -> dict[str, str]:
    """The contents that a response tells, by name."""
    assert response is not None
    return {told.name: content(told) for told in response.resources}


@dataclass
class Side:
    """One type, as the client sees it. What stands above `nonce` outlives the stream."""

    asks: set[str] | None = None  # None: never asked
    wildcard: bool = False
    has: dict[str, Resource] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)  # delta: versions to be told on a new stream
    version: str = ""
    nonce: str = ""
    first: bool = True
    fresh: bool = True  # it came to this stream with nothing
    named: bool = False
    told: dict[str, str] = field(default_factory=dict)  # accepted on this stream: name to version
    confirmed: set[str] = field(default_factory=set)  # the server had what it came with
    due: set[str] = field(default_factory=set)  # may be told again although unchanged
    refused: tuple[tuple[str, str], ...] = ()
    interest: set[str] = field(default_factory=set)
    watches: bool = False

    def renew(self) -> None:
        self.nonce, self.first, self.fresh, self.named = "", True, True, False
        self.told, self.due, self.refused = {}, set(), ()
        self.interest, self.watches, self.confirmed = set(), False, set()


class Client:
    def __init__(
        self, shelf: Shelf, delta: bool, types: frozenset[str] = BOTH, max_bytes: int = 4_000_000, names: bool = True
    ) -> None:
        """`names`: its errors name the clusters that are bad, and it takes the others; else it takes nothing."""
        self.shelf, self.delta, self.types, self.max_bytes, self.names = shelf, delta, types, max_bytes, names
        self.sides = {CDS: Side(), EDS: Side()}
        self.warming: set[str] = set()
        self.responses = 0
        self.wire: deque[Response] = deque()
        self.session = session(shelf, delta, types, max_bytes=max_bytes)

    @property
    def clusters(self) -> Side:
        return self.sides[CDS]

    @property
    def endpoints(self) -> Side:
        return self.sides[EDS]

    # What the client says.

    def send(self, request: Request) -> None:
        interest = self.session.receive(request)
        self._follow(self.sides[request.type_url], interest)

    def _follow(self, side: Side, interest: Interest) -> None:
        """What is wanted and dropped must add up to what is asked for, as the index of the server does."""
        assert not side.interest & set(interest.wanted)
        assert side.interest >= set(interest.dropped)
        side.interest = (side.interest | set(interest.wanted)) - set(interest.dropped)
        side.watches = side.watches if interest.wildcard is None else interest.wildcard
        assert (side.interest, side.watches) == (side.asks, side.wildcard)

    def ask(self, type_url: str, add: Iterable[str] = (), drop: Iterable[str] = (), *, wildcard: bool = False) -> None:
        """Want other names from now on; `wildcard` turns that of clusters on, for good."""
        side = self.sides[type_url]
        before = side.asks or set()
        add, drop = set(add), set(drop) - set(add)
        side.asks = (before | add) - drop
        turned = wildcard and not side.wildcard
        side.wildcard = side.wildcard or wildcard
        for name in drop & before:
            side.due.add(name)
            if not side.wildcard:
                self._forget(type_url, name)
        side.due |= (add if self.delta else add - before) | (set(self.shelf.made[CDS]) if turned else set())
        if not self.delta:
            self.send(self._whole(type_url, side))
            return
        asked = sorted(add) + (["*"] if turned and (add or not side.first) else [])
        initial = side.known if side.first else {}
        if side.first:
            side.fresh = not initial
        request = Request(type_url, subscribe=tuple(asked), unsubscribe=tuple(sorted(drop & before)), initial=initial)
        side.first = False
        self.send(request)

    def _forget(self, type_url: str, name: str) -> None:
        side = self.sides[type_url]
        for memory in (side.has, side.known, side.told):
            memory.pop(name, None)
        if type_url == EDS:
            self.warming.discard(name)

    def _whole(self, type_url: str, side: Side, error: str | None = None) -> Request:
        if side.first:
            side.first, side.fresh = False, not side.version
        names = sorted(side.asks or ())
        side.named = side.named or bool(names)
        if side.wildcard and side.named:
            names.append("*")
        return Request(type_url, side.nonce, side.version, tuple(names), error=error)

    def repeat(self, type_url: str) -> None:
        """Say again what was said; no question."""
        side = self.sides[type_url]
        if not self.delta and not side.first:
            self.send(self._whole(type_url, side))

    def reconnect(self) -> None:
        self.session = session(self.shelf, self.delta, self.types, max_bytes=self.max_bytes)
        self.wire.clear()
        order = [EDS, CDS] if self.warming else [CDS, EDS]  # Envoy asks for no clusters while some are warming
        for type_url in order:
            side = self.sides[type_url]
            side.renew()
            if not side.asks and not side.wildcard:
                side.asks = None  # to ask for nothing in a first request would be to ask for everything
                continue
            asks, side.asks = side.asks or set(), set()
            if self.delta:
                side.due |= asks
            turned, side.wildcard = side.wildcard, False
            self.ask(type_url, asks, wildcard=turned)

    # What it hears.

    def pull(self) -> bool:
        """Let the server send one response."""
        endpoints = self.endpoints
        endpoints.confirmed |= {
            name
            for name, version in endpoints.known.items()
            if (made := self.shelf.get(EDS, name)) is not None and made.version == version
        }
        response = self.session.take()
        if response is None:
            return False
        self.responses += 1
        side = self.sides[response.type_url]
        assert response.type_url not in {other.type_url for other in self.wire}, (
            "a response while one is unacknowledged"
        )
        self._judge(side, response)
        self.wire.append(response)
        return True

    def _judge(self, side: Side, response: Response) -> None:
        said = tuple((told.name, told.version) for told in response.resources)
        assert not said or said != side.refused or side.due & {name for name, _ in said}, "the same bytes after a NACK"
        assert list(said) == sorted(said)
        if response.type_url == CDS and not self.delta:
            anew = {name for name, version in said if side.told.get(name) != version}
            assert anew or side.due or set(side.told) - {name for name, _ in said} or side.refused or side.wildcard
        else:
            for told in response.resources:
                same = side.told.get(told.name) == told.version
                assert not same or told.name in side.due, f"{told.name} is told again for nothing"
                assert told.name in (side.asks or ()) or side.wildcard or told.name in side.due
            anew = {name for name, _ in said}
        if self.shelf.waiting():
            for told in response.resources:
                assert content(told) != EMPTY or told.name not in side.told or side.told[told.name] == told.version
                lacks = response.type_url == EDS and told.name not in side.told and told.name not in side.confirmed
                assert side.fresh or not lacks, "perhaps less than it has"
            assert response.type_url != CDS or not set(response.removed) & (side.told.keys() | side.known.keys())
        side.due -= {name for name, _ in said} | set(response.removed)
        if response.type_url == CDS:
            self.endpoints.due |= anew
            if side.refused and not self.names:  # for all that the server knows, some of those are in use, and warming
                self.endpoints.due |= {name for name, _ in said}

    def hear(self) -> bool:
        """Take in the response that came first, and answer it."""
        if not self.wire:
            return False
        response = self.wire.popleft()
        type_url = response.type_url
        side = self.sides[type_url]
        side.nonce = response.nonce
        bad = [told.name for told in response.resources if is_bad(told)]
        error = None
        if not bad:
            side.version = response.version
            side.refused = ()
        else:
            side.refused = tuple((told.name, told.version) for told in response.resources)
            side.due |= {told.name for told in response.resources} | set(response.removed)
            error = "malformed assignment"
            if type_url == CDS and self.names:
                error = "Error adding/updating cluster(s) " + ", ".join(f"{name}: no good" for name in bad)
        if type_url == CDS and (self.names or not bad):
            self._apply_clusters(side, response, bad)
        elif type_url == EDS:
            self._apply_endpoints(side, response, bad)
        if self.delta:
            self.send(Request(type_url, response.nonce, error=error))
        else:
            self.send(self._whole(type_url, side, error))
        return True

    def _apply_clusters(self, side: Side, response: Response, bad: list[str]) -> None:
        listed = {told.name for told in response.resources}
        gone = set(response.removed) if self.delta else set(side.has) - listed
        for name in gone:
            for memory in (side.has, side.known, side.told):
                memory.pop(name, None)
        for told in response.resources:
            if told.name in bad or not (side.wildcard or told.name in (side.asks or ())):
                continue
            had = side.has.get(told.name)
            if (had is None or had.version != told.version) and told.name in (self.endpoints.asks or ()):
                self.warming.add(told.name)
            side.has[told.name] = told
            if not (self.delta and bad):
                side.told[told.name] = told.version
            side.known[told.name] = told.version

    def _apply_endpoints(self, side: Side, response: Response, bad: list[str]) -> None:
        if bad:
            self.warming.clear()  # they go live with what they have
            return
        for told in response.resources:
            if told.name in (side.asks or ()):
                side.has[told.name] = told
                side.told[told.name] = side.known[told.name] = told.version
                self.warming.discard(told.name)
        for name in response.removed:  # hosts stay
            side.known.pop(name, None)
            side.told.pop(name, None)
            self.warming.discard(name)

    def quiet(self) -> None:
        """Let everything be said and heard."""
        start = self.responses
        while self.pull() or self.hear():
            assert self.responses - start < 300, "no end of responses"

    def follows(self) -> None:
        """After quiet, and with all sources seen, the client has what the shelf says."""
        self._follows_endpoints()
        self._follows_clusters()

    def _follows_endpoints(self) -> None:
        side = self.endpoints
        for name in sorted(side.asks or ()):
            want, has = self.shelf.get(EDS, name), side.has.get(name)
            assert has is None or not is_bad(has)
            if want is not None and not is_bad(want):
                assert has == want, f"{name} does not follow"
            elif want is None and name in side.told:
                assert has is not None, f"{name} was told, and is not known"
                assert content(has) == EMPTY, f"{name} is gone, and was not emptied"
            answerable = want is not None and (not is_bad(want) or name in side.told)
            assert name not in self.warming or not (answerable or name in side.told), f"{name} is warming for ever"

    def _follows_clusters(self) -> None:
        side = self.clusters
        if side.asks is None:
            return
        made = self.shelf.made[CDS]
        wanted = {name for name in made if side.wildcard or name in side.asks}
        assert set(side.has) <= wanted, "clusters that are gone"
        for name in sorted(wanted):
            has = side.has.get(name)
            assert has is None or not is_bad(has)
            assert is_bad(made[name]) or has == made[name], f"cluster {name} does not follow"


BOTH_WAYS = pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
ONLY_EDS, ONLY_CDS = frozenset([EDS]), frozenset([CDS])


def ask(
    stream: Session, delta: bool, *names: str, type_url: str = EDS, nonce: str = "", version: str = "", drop: str = ""
) -> Interest:
    """A request that asks for `names`: in delta besides what was asked for, otherwise instead of it."""
    if delta:
        return stream.receive(Request(type_url, nonce, subscribe=names, unsubscribe=tuple(drop.split())))
    return stream.receive(Request(type_url, nonce, version, names))


def reply(
    stream: Session, delta: bool, response: Response | None, *names: str, error: str | None = None
) -> Response | None:
    """An ACK or, with `error`, a NACK of `response`; then the next response."""
    assert response is not None
    names = () if delta else names
    stream.receive(Request(response.type_url, response.nonce, response.version, names, error=error))
    return stream.take()


def synced(shelf: Shelf, delta: bool, *names: str) -> Session:
    """A stream whose client asked for endpoints and accepted them."""
    stream = session(shelf, delta)
    ask(stream, delta, *names)
    assert reply(stream, delta, stream.take(), *names) is None
    return stream


def told(response: Response | None) -> tuple[dict[str, str], tuple[str, ...]]:
    assert response is not None
    return texts(response), response.removed


def run(stream: Session, delta: bool, *names: str) -> list[list[str]]:
    """Answer everything as Envoy would; the names of each response."""
    responses: list[list[str]] = []
    response = stream.take()
    while response is not None:
        bad = [each.name for each in response.resources if each.body.decode().startswith(BAD)]
        error = "Error adding/updating cluster(s) " + ", ".join(f"{name}: no good" for name in bad) if bad else None
        if response.type_url == EDS and bad:
            error = "malformed assignment"
        responses.append([each.name for each in response.resources])
        assert len(responses) < 50
        response = reply(stream, delta, response, *names, error=error)
    return responses


def clusters(**made: str) -> tuple[Shelf, Session]:
    """A fresh client of clusters in the state of the world, told all of them."""
    shelf = Shelf()
    for name, text in made.items():
        shelf.put(CDS, name, text)
    stream = session(shelf, delta=False)
    ask(stream, False, type_url=CDS)
    return shelf, stream
