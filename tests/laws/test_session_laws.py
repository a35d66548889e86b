"""The session against a client that does anything a client may do: it converges, says nothing needless, and ends."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bridge.xds.messages import CDS, EDS
from tests.session_model import BAD, Client, Shelf

NAMES = ["a", "ab", "a/b", "a/b:c", "d"]
TYPES = st.sampled_from([CDS, EDS])
SETS = st.sets(st.sampled_from(NAMES), max_size=4)
TEXTS = st.sampled_from(["1", "2", "3", f"{BAD}1", f"{BAD}2"]) | st.none()


class Stream(RuleBasedStateMachine):
    delta = False
    wildcard = True
    max_bytes = 4_000_000
    names = True

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.client = Client(self.shelf, self.delta, max_bytes=self.max_bytes, names=self.names)

    @rule(type_url=TYPES, name=st.sampled_from(NAMES), text=TEXTS)
    def content_changes(self, type_url: str, name: str, text: str | None) -> None:
        self.shelf.put(type_url, name, text)
        self.client.session.touch(type_url, [name])

    @rule(type_url=TYPES, texts=st.lists(TEXTS, min_size=len(NAMES), max_size=len(NAMES)))
    def all_content_changes(self, type_url: str, texts: list[str | None]) -> None:
        for name, text in zip(NAMES, texts, strict=True):
            self.shelf.put(type_url, name, text)
        self.client.session.touch(type_url, NAMES)

    @rule(type_url=TYPES, names=SETS)
    def touched_for_nothing(self, type_url: str, names: set[str]) -> None:
        self.client.session.touch(type_url, sorted(names))

    @rule()
    def a_required_source_comes_or_goes(self) -> None:
        self.shelf.is_waiting = not self.shelf.is_waiting

    @rule(add=SETS, drop=SETS)
    def endpoints_are_asked_for(self, add: set[str], drop: set[str]) -> None:
        self.client.ask(EDS, add, drop)

    @rule(add=SETS, drop=SETS)
    def clusters_are_asked_for(self, add: set[str], drop: set[str]) -> None:
        if self.wildcard or add or self.client.clusters.asks is not None:
            self.client.ask(CDS, add, drop, wildcard=self.wildcard)

    @rule(type_url=TYPES)
    def the_client_repeats_itself(self, type_url: str) -> None:
        self.client.repeat(type_url)

    @rule()
    def the_server_sends(self) -> None:
        self.client.pull()

    @rule()
    def the_client_hears(self) -> None:
        self.client.hear()

    @rule()
    def the_client_reconnects(self) -> None:
        if self.names:  # who comes with clusters and names no culprit cannot be told less of them, see Whole
            self.client.reconnect()

    @rule()
    def all_is_quiet(self) -> None:
        self.client.quiet()
        if not self.shelf.is_waiting:
            self.client.follows()
        sent = self.client.responses
        self.client.session.touch(EDS, NAMES)
        self.client.session.touch(CDS, NAMES)
        self.client.quiet()
        assert self.client.responses == sent, "responses although nothing changed"

    @invariant()
    def what_the_session_keeps_is_bounded_by_what_exists(self) -> None:
        for status in self.client.session.status():
            assert status.pending <= len(NAMES)
            assert status.told <= len(NAMES)
            assert len(status.parked) <= len(NAMES)

    def teardown(self) -> None:
        self.shelf.is_waiting = False
        self.all_is_quiet()


def _machine(**with_: object) -> type[Stream]:
    return type("Stream", (Stream,), with_)


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
@pytest.mark.parametrize("wildcard", [True, False], ids=["wildcard", "named"])
@pytest.mark.parametrize("max_bytes", [4_000_000, 80], ids=["whole", "split"])
@pytest.mark.promise("xDS-1", "xDS-2", "xDS-3", "xDS-4", "xDS-6", "xDS-7", "xDS-9", "xDS-10", "R-27", "law-3", "law-7")
def test_whatever_happens_the_client_follows_and_nothing_needless_is_said(
    delta: bool, wildcard: bool, max_bytes: int
) -> None:
    machine = _machine(delta=delta, wildcard=wildcard, max_bytes=max_bytes)
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=40, report_multiple_bugs=False))


@pytest.mark.parametrize("wildcard", [True, False], ids=["wildcard", "named"])
@pytest.mark.promise("xDS-10", "R-27")
def test_so_does_one_that_refuses_clusters_whole_and_names_none(wildcard: bool) -> None:
    machine = _machine(delta=False, wildcard=wildcard, names=False)
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=40, report_multiple_bugs=False))
