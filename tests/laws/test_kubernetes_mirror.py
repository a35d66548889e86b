"""Whatever the order of lists, events, cuts and restores: in the end the mirror is what the server has."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.kubernetes.client import Expired
from adapters.kubernetes.mirror import Mirror
from adapters.kubernetes.objects import service_of, slice_of
from adapters.kubernetes.owned import home
from adapters.kubernetes.parts import Scope
from adapters.kubernetes.reading import Reading
from adapters.kubernetes.seen import Seen
from adapters.kubernetes.settings import ImportSettings
from bridge.model import NOWHERE
from tests import kube

Json = dict[str, Any]

NAMES = st.sampled_from(["a", "b", "c"])
SPACES = st.sampled_from(["shop", "tools", "kube-system"])
SCOPE = Scope(NOWHERE, "", "primary", "pod", frozenset())


def reading(seen: Seen) -> Reading:
    return Reading(seen, ImportSettings().selection(), SCOPE)


def read(reading: Reading, seen: Seen) -> None:
    for _ in reading.update(seen.pull().read):
        pass


class Server:
    """One collection, with its history: the version, what happened, and its object."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[tuple[str, str], Json] = {}
        self.history: list[tuple[int, str, Json]] = []

    def put(self, made: Json) -> None:
        key = made["metadata"]["namespace"], made["metadata"]["name"]
        self._happens("MODIFIED" if key in self.objects else "ADDED", made)
        self.objects[key] = made

    def drop(self, key: tuple[str, str]) -> None:
        if (stood := self.objects.pop(key, None)) is not None:
            self._happens("DELETED", json.loads(json.dumps(stood)))

    def _happens(self, kind: str, made: Json) -> None:
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, kind, made))

    def pages(self, size: int) -> list[str]:
        items = [self.objects[key] for key in sorted(self.objects)]
        said = []
        for start in range(0, len(items) or 1, size):
            metadata = {"resourceVersion": str(self.version)}
            if start + size < len(items):
                metadata["continue"] = f"page {len(said) + 1}"
            said.append(json.dumps({"kind": "List", "metadata": metadata, "items": items[start : start + size]}))
        return said

    def after(self, version: str) -> list[bytes]:
        """What a watch from there says."""
        return [
            json.dumps({"type": kind, "object": made}).encode() for at, kind, made in self.history if at > int(version)
        ]


class Collections(RuleBasedStateMachine):
    """Services and slices, each with a server and a mirror; a watch is the part of its history not yet told."""

    def __init__(self) -> None:
        super().__init__()
        admit = ImportSettings().chosen().admit
        self.seen = Seen(home)
        self.servers = {"services": Server(), "slices": Server()}
        self.mirrors: dict[str, Mirror[Any]] = {
            "services": Mirror(service_of, admit),
            "slices": Mirror(slice_of, admit),
        }
        self.take: dict[str, Callable[[Any], None]] = {
            "services": self.seen.take_services,
            "slices": self.seen.take_slices,
        }
        self.saved = {kind: (10, {}) for kind in self.servers}
        self.reading = reading(self.seen)
        self.list("services", 2)
        self.list("slices", 2)

    @rule(space=SPACES, name=NAMES, selects=st.booleans(), label=st.sampled_from(["", "x"]))
    def put_service(self, space: str, name: str, selects: bool, label: str) -> None:
        labels = {"registry-bridge.dev/owner": label} if label else {}
        made = kube.service(f"{space}/{name}", selector={"app": name} if selects else None, labels=labels)
        self.servers["services"].put(made)

    @rule(space=SPACES, name=NAMES, of=NAMES, rows=st.integers(0, 3), bad=st.booleans())
    def put_slice(self, space: str, name: str, of: str, rows: int, bad: bool) -> None:
        there = [kube.row(f"10.0.{ord(of)}.{number + 1}") for number in range(rows)]
        made = kube.slice_(f"{space}/{name}-0a1b2c3d-1", *there, of=of)
        if bad:
            made["ports"] = [{"port": "eighty"}]
        self.servers["slices"].put(made)

    @rule(kind=st.sampled_from(["services", "slices"]), space=SPACES, name=NAMES)
    def drop(self, kind: str, space: str, name: str) -> None:
        self.servers[kind].drop((space, name if kind == "services" else f"{name}-0a1b2c3d-1"))

    @rule(kind=st.sampled_from(["services", "slices"]), count=st.integers(1, 5))
    def hear(self, kind: str, count: int) -> None:
        """A watch goes on from where the mirror is, and is cut after some events."""
        for line in self.servers[kind].after(self.mirrors[kind].version)[:count]:
            self.take[kind](self.mirrors[kind].event(line))

    @rule(kind=st.sampled_from(["services", "slices"]))
    def bookmark(self, kind: str) -> None:
        """The server says how far it is, having said all before."""
        self.hear(kind, 1_000)
        version = str(self.servers[kind].version)
        line = json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}).encode()
        assert not self.mirrors[kind].event(line)
        assert self.mirrors[kind].version == version

    @rule(kind=st.sampled_from(["services", "slices"]), size=st.integers(1, 4))
    def list(self, kind: str, size: int) -> None:
        mirror = self.mirrors[kind]
        listing = mirror.listing()
        for page in self.servers[kind].pages(size):
            for _ in listing.page(page):
                pass
        self.take[kind](mirror.take(listing))

    @rule(kind=st.sampled_from(["services", "slices"]), size=st.integers(1, 2))
    def list_in_vain(self, kind: str, size: int) -> None:
        """A page is missing: the view is the same as before."""
        pages = self.servers[kind].pages(size)
        listing = self.mirrors[kind].listing()
        before = self.mirrors[kind].objects
        for page in pages[:-1]:
            for _ in listing.page(page):
                pass
        assert not listing.whole
        assert self.mirrors[kind].objects == before

    @rule(kind=st.sampled_from(["services", "slices"]))
    def save(self, kind: str) -> None:
        server = self.servers[kind]
        self.saved[kind] = server.version, dict(server.objects)

    @rule(kind=st.sampled_from(["services", "slices"]))
    def restore(self, kind: str) -> None:
        """Etcd goes back; what listens hears of it by a list alone."""
        server = self.servers[kind]
        server.version, objects = self.saved[kind]
        server.objects, server.history = dict(objects), []
        older = int(self.mirrors[kind].version) > server.version
        listing = self.mirrors[kind].listing()
        for page in server.pages(500):
            for _ in listing.page(page):
                pass
        assert self.mirrors[kind].restored(listing) == older
        self.take[kind](self.mirrors[kind].take(listing))

    @rule()
    def look(self) -> None:
        read(self.reading, self.seen)

    @invariant()
    def what_was_heard_to_the_end_is_what_is_there(self) -> None:
        for kind, server in self.servers.items():
            mirror = self.mirrors[kind]
            if int(mirror.version) == server.version:
                wanted = {key for key in server.objects if key[0] != "kube-system"}
                known = set(mirror.objects) | {key for of, key in self.seen.problems if of == _WORDS[kind]}
                assert known == wanted
                assert {str(one.version) for one in mirror.objects.values()} <= {
                    one["metadata"]["resourceVersion"] for one in server.objects.values()
                }

    @precondition(
        lambda self: all(int(self.mirrors[kind].version) == one.version for kind, one in self.servers.items())
    )
    @rule()
    def step_by_step_is_as_from_nothing(self) -> None:
        read(self.reading, self.seen)
        fresh = Seen(home)
        for kind, take in (("services", fresh.take_services), ("slices", fresh.take_slices)):
            mirror = Mirror[Any](service_of if kind == "services" else slice_of, ImportSettings().chosen().admit)
            listing = mirror.listing()
            for page in self.servers[kind].pages(3):
                for _ in listing.page(page):
                    pass
            take(mirror.take(listing))
        other = reading(fresh)
        touched = fresh.pull()
        for _ in other.update(touched.read):
            pass
        assert self.reading.services == other.services
        assert self.reading.problems == other.problems
        assert self.seen.problems == fresh.problems
        for name in touched.held:
            assert sorted(map(str, self.seen.at_home(name))) == sorted(map(str, fresh.at_home(name)))


_WORDS = {"services": "service", "slices": "endpointslice"}

TestCollections = Collections.TestCase


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
@pytest.mark.promise("S-17")
def test_no_page_of_garbage_is_taken_for_a_list(text: str) -> None:
    listing = Mirror(service_of, lambda _: True).listing()
    with pytest.raises(ValueError):
        for _ in listing.page(text):
            pass
    assert not listing.whole


@given(cut=st.integers(0, 400))
@pytest.mark.promise("R-14")
def test_no_page_that_is_cut_is_taken_for_one(cut: int) -> None:
    server = Server()
    for name in "abc":
        server.put(kube.service(f"shop/{name}"))
    [page] = server.pages(500)
    listing = Mirror(service_of, lambda _: True).listing()
    with pytest.raises(ValueError):
        for _ in listing.page(page[: min(cut, len(page) - 1)]):
            pass
    assert not listing.whole


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["ADDED", "DELETED", "BOOKMARK", "ERROR", "ODD"]) | VALUES, "object": VALUES}
)


@given(EVENTS | VALUES)
@pytest.mark.promise("S-17")
def test_an_event_of_garbage_changes_nothing_but_asks_for_a_list(said: Any) -> None:
    mirror = Mirror(service_of, lambda _: True)
    before = mirror.objects
    try:
        assert not mirror.event(json.dumps(said).encode())
    except Expired:
        pass
    assert mirror.objects == before
