"""The rules of an xDS stream, one claim each."""

import sys
import tracemalloc

import pytest

from bridge.xds.messages import CDS, EDS, Interest, ProtocolError, Request, Resource, Response
from bridge.xds.session import Session
from bridge.xds.whole import blamed
from tests.session_model import BAD, EMPTY, Shelf, resource, session, texts

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


# Rule 1


@BOTH_WAYS
@pytest.mark.promise("xDS-1", "law-7", "R-26")
def test_a_client_that_answers_late_is_told_the_newest_and_only_once(delta: bool) -> None:
    shelf = Shelf(a="0", b="0")
    stream = session(shelf, delta)
    ask(stream, delta, "a", "b")
    first = stream.take()
    for number in range(1, 1000):
        shelf.put(EDS, "a", str(number))
        stream.touch(EDS, ["a"])
        assert stream.take() is None
    assert texts(reply(stream, delta, first, "a", "b")) == {"a": "999"}


@BOTH_WAYS
@pytest.mark.promise("R-26", "law-7")
def test_a_client_that_never_reads_costs_no_more_with_time(delta: bool) -> None:
    shelf = Shelf(a="0", b="0")
    stream = session(shelf, delta)
    ask(stream, delta, "a", "b")
    stream.take()

    def change(times: int) -> int:
        for number in range(times):
            shelf.put(EDS, "a", f"{number:08}")
            stream.touch(EDS, ["a", "b"])
            stream.take()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    early = change(100)
    late = change(10_000)
    tracemalloc.stop()
    assert late - early < 4_096
    assert stream.status()[0].pending <= 2


@BOTH_WAYS
@pytest.mark.promise("xDS-1")
def test_a_change_that_is_taken_back_before_the_client_answers_is_not_told(delta: bool) -> None:
    shelf = Shelf(a="1")
    stream = session(shelf, delta)
    ask(stream, delta, "a")
    first = stream.take()
    shelf.put(EDS, "a", "2")
    stream.touch(EDS, ["a"])
    shelf.put(EDS, "a", "1")
    stream.touch(EDS, ["a"])
    assert reply(stream, delta, first, "a") is None


# Rule 2


@BOTH_WAYS
@pytest.mark.promise("xDS-2", "xDS-6")
def test_names_of_a_request_with_a_stale_nonce_count_and_its_answer_does_not(delta: bool) -> None:
    stream = session(Shelf(a="1", b="1"), delta)
    ask(stream, delta, "a")
    first = stream.take()
    assert first is not None
    if delta:
        stream.receive(Request(EDS, "stale", subscribe=("b",), error="no"))
    else:
        stream.receive(Request(EDS, "stale", names=("a", "b"), error="no"))
    assert stream.take() is None
    assert stream.status()[0].nacks == 0
    assert texts(reply(stream, delta, first, "a", "b")) == {"b": "1"}


@BOTH_WAYS
@pytest.mark.promise("xDS-2")
def test_a_nonce_is_answered_once(delta: bool) -> None:
    stream = session(Shelf(a="1"), delta)
    ask(stream, delta, "a")
    first = stream.take()
    assert reply(stream, delta, first, "a") is None
    assert reply(stream, delta, first, "a", error="second thoughts") is None
    status = stream.status()[0]
    assert (status.sent, status.acks, status.nacks, status.parked) == (1, 1, 0, ())


def test_requests_tell_what_is_newly_wanted_and_given_up() -> None:
    stream = session(Shelf(), delta=False)
    assert ask(stream, False, "a", "b", "a") == Interest(EDS, ("a", "b"), ())
    assert ask(stream, False, "b", "c") == Interest(EDS, ("c",), ("a",))
    assert ask(stream, False, "c", "b") == Interest(EDS)
    stream = session(Shelf(), delta=True)
    assert ask(stream, True, "a", "b") == Interest(EDS, ("a", "b"), ())
    assert ask(stream, True, "c", "b", drop="a x") == Interest(EDS, ("c",), ("a",))


# Rule 3


@BOTH_WAYS
@pytest.mark.promise("xDS-3")
def test_a_new_name_is_answered_even_when_nothing_changed(delta: bool) -> None:
    stream = synced(Shelf(a="1", b="1"), delta, "a")
    ask(stream, delta, "a", "b")
    assert texts(stream.take())["b"] == "1"


@BOTH_WAYS
@pytest.mark.promise("xDS-3")
def test_a_name_given_up_and_asked_for_again_is_new(delta: bool) -> None:
    stream = synced(Shelf(a="1", b="1"), delta, "a", "b")
    ask(stream, delta, *(() if delta else ("b",)), drop="a")
    assert stream.take() is None
    ask(stream, delta, *(("a",) if delta else ("a", "b")))
    assert texts(stream.take()) == {"a": "1"}


@BOTH_WAYS
@pytest.mark.promise("xDS-3")
def test_a_name_given_up_and_asked_for_again_during_a_response_is_answered_again(delta: bool) -> None:
    stream = session(Shelf(a="1"), delta)
    ask(stream, delta, "a")
    first = stream.take()
    ask(stream, delta, drop="a")
    ask(stream, delta, "a")
    assert texts(reply(stream, delta, first, "a")) == {"a": "1"}


@pytest.mark.promise("xDS-3")
def test_sotw_a_repeated_list_is_no_question() -> None:
    stream = synced(Shelf(a="1", b="1"), False, "a", "b")
    ask(stream, False, "b", "a", nonce="1", version="any")
    assert stream.take() is None


@pytest.mark.promise("xDS-3")
def test_delta_a_name_that_is_asked_for_twice_was_forgotten_and_is_answered() -> None:
    stream = synced(Shelf(a="1", b="1"), True, "a", "b")
    assert ask(stream, True, "a") == Interest(EDS)
    assert texts(stream.take()) == {"a": "1"}


# Rules 4 and 13


@BOTH_WAYS
@pytest.mark.promise("xDS-4")
def test_endpoints_carry_what_changed(delta: bool) -> None:
    shelf = Shelf(a="1", b="1", c="1")
    stream = synced(shelf, delta, "a", "b")
    for name in "abc":
        shelf.put(EDS, name, "1" if name == "b" else "2")
    stream.touch(EDS, ["a", "b", "c"])
    assert texts(stream.take()) == {"a": "2"}


@pytest.mark.promise("xDS-4")
def test_sotw_clusters_carry_everything_and_delta_clusters_what_changed() -> None:
    for delta, expected in ((False, {"a": "2", "b": "1"}), (True, {"a": "2"})):
        shelf = Shelf()
        shelf.put(CDS, "a", "1")
        shelf.put(CDS, "b", "1")
        stream = session(shelf, delta)
        ask(stream, delta, type_url=CDS)
        assert texts(first := stream.take()) == {"a": "1", "b": "1"}
        assert reply(stream, delta, first) is None
        shelf.put(CDS, "a", "2")
        stream.touch(CDS, ["a"])
        assert texts(stream.take()) == expected


@pytest.mark.promise("xDS-4", "xDS-13")
def test_the_version_is_one_of_all_that_the_client_has_however_it_came_to_it() -> None:
    shelf = Shelf(a="2", b="1", c="1")
    stream = session(shelf, delta=False)
    ask(stream, False, "c", "b", "a")
    at_once = stream.take()

    other = Shelf(a="1", b="1", x="1")
    in_steps = synced(other, False, "x", "a")
    ask(in_steps, False, "a", "b")
    reply(in_steps, False, in_steps.take(), "a", "b")
    other.put(EDS, "a", "2")
    other.put(EDS, "c", "1")
    in_steps.touch(EDS, ["a"])
    reply(in_steps, False, in_steps.take(), "a", "b")
    ask(in_steps, False, "a", "b", "c")
    last = in_steps.take()

    assert at_once is not None
    assert last is not None
    assert (at_once.version, texts(last)) == (last.version, {"c": "1"})
    assert at_once.version == "518b6a446d496386e31be895bc0fa313"  # in every process, on every replica


@pytest.mark.promise("xDS-4", "xDS-13")
def test_another_content_is_another_version_and_the_same_the_same() -> None:
    shelf = Shelf(a="1", b="2")
    stream = session(shelf, delta=False)
    ask(stream, False, "a", "b")
    versions = []
    response = stream.take()
    for a, b in (("2", "1"), ("2", "2"), ("1", "2")):
        assert response is not None
        versions.append(response.version)
        shelf.put(EDS, "a", a)
        shelf.put(EDS, "b", b)
        stream.touch(EDS, ["a", "b"])
        response = reply(stream, False, response, "a", "b")
    assert response is not None
    assert len(set(versions)) == 3
    assert response.version == versions[0]


# Rule 5


@pytest.mark.promise("xDS-5")
def test_sotw_endpoints_have_no_wildcard() -> None:
    stream = session(Shelf(a="1"), delta=False)
    assert ask(stream, False) == ask(stream, False, "*") == Interest(EDS)
    assert stream.take() is None


@pytest.mark.promise("xDS-5", "xDS-6")
def test_delta_endpoints_have_no_wildcard() -> None:
    stream = session(Shelf(a="1"), delta=True)
    assert ask(stream, True) == ask(stream, True, "*") == Interest(EDS)
    assert stream.take() is None


@BOTH_WAYS
@pytest.mark.promise("xDS-5")
def test_a_first_request_for_clusters_without_names_is_the_wildcard(delta: bool) -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta)
    assert ask(stream, delta, type_url=CDS) == Interest(CDS, wildcard=True)
    assert reply(stream, delta, stream.take()) is None
    shelf.put(CDS, "b", "1")
    stream.touch(CDS, ["b"])
    assert texts(stream.take())["b"] == "1"


@BOTH_WAYS
@pytest.mark.promise("xDS-5")
def test_a_fresh_client_without_clusters_to_be_had_is_told_so(delta: bool) -> None:
    stream = session(Shelf(), delta)
    ask(stream, delta, type_url=CDS)
    response = stream.take()
    assert told(response) == ({}, ())
    assert reply(stream, delta, response) is None


@pytest.mark.promise("xDS-5")
def test_sotw_an_empty_list_of_clusters_is_no_wildcard_once_a_name_was_named() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "b", "1")
    stream = session(shelf, delta=False)
    assert ask(stream, False, "a", type_url=CDS) == Interest(CDS, ("a",))
    first = stream.take()
    assert texts(first) == {"a": "1"}
    assert reply(stream, False, first) is None
    assert stream.status()[0].names == 0
    assert not stream.status()[0].wildcard


@BOTH_WAYS
@pytest.mark.promise("xDS-5")
def test_a_star_is_the_wildcard_of_clusters_besides_names(delta: bool) -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta)
    assert ask(stream, delta, "*", "x", type_url=CDS) == Interest(CDS, ("x",), wildcard=True)
    response = stream.take()
    assert texts(response) == {"a": "1"}
    reply(stream, delta, response, "*", "x")
    kept = () if delta else ("x",)
    assert ask(stream, delta, *kept, type_url=CDS, drop="*") == Interest(CDS, wildcard=False)
    shelf.put(CDS, "a", "2")
    stream.touch(CDS, ["a"])
    assert stream.take() is None


@pytest.mark.promise("xDS-5")
def test_delta_a_name_given_up_beside_the_wildcard_is_told_as_the_wildcard_has_it() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta=True)
    ask(stream, True, "*", "a", "x", type_url=CDS)
    reply(stream, True, stream.take())
    ask(stream, True, type_url=CDS, drop="a x")
    assert told(stream.take()) == ({"a": "1"}, ("x",))


# Rule 6


def reconnected(shelf: Shelf, **versions: str) -> Session:
    """A delta stream that asked for clusters first."""
    stream = session(shelf, delta=True)
    stream.receive(Request(CDS, initial={}))
    reply(stream, True, stream.take())
    stream.receive(Request(EDS, subscribe=("a", "b"), initial=versions))
    return stream


@pytest.mark.promise("xDS-6", "xDS-13")
def test_delta_a_client_that_comes_back_is_sent_the_difference() -> None:
    stream = reconnected(Shelf(a="1", b="2"), a="v-1", b="v-1")
    assert texts(response := stream.take()) == {"b": "2"}
    assert reply(stream, True, response) is None


@pytest.mark.promise("xDS-6")
def test_delta_clusters_that_went_meanwhile_are_removed() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "c", "1")
    stream = session(shelf, delta=True)
    stream.receive(Request(CDS, initial={"a": "v-1", "b": "v-1"}))
    assert told(stream.take()) == ({"c": "1"}, ("b",))


@pytest.mark.promise("xDS-6")
def test_delta_what_a_client_says_it_has_is_believed_in_its_first_request_only() -> None:
    stream = session(Shelf(a="1"), delta=True)
    stream.receive(Request(CDS))
    reply(stream, True, stream.take())
    stream.receive(Request(EDS))
    stream.receive(Request(EDS, subscribe=("a",), initial={"a": "v-1"}))
    assert texts(stream.take()) == {"a": "1"}


@pytest.mark.promise("xDS-6")
def test_delta_endpoints_asked_for_before_clusters_are_all_sent() -> None:
    """An Envoy that asks in this order is warming, and waits for endpoints that it has."""
    stream = session(Shelf(a="1"), delta=True)
    stream.receive(Request(EDS, subscribe=("a",), initial={"a": "v-1"}))
    assert texts(stream.take()) == {"a": "1"}


@pytest.mark.promise("xDS-6", "xDS-9")
def test_delta_endpoints_of_a_cluster_told_on_this_stream_are_sent_whatever_the_client_has() -> None:
    shelf = Shelf(a="1", b="1")
    shelf.put(CDS, "a", "2")
    shelf.put(CDS, "b", "1")
    stream = session(shelf, delta=True)
    stream.receive(Request(CDS, initial={"a": "v-1", "b": "v-1"}))
    assert texts(stream.take()) == {"a": "2"}
    stream.receive(Request(EDS, subscribe=("a", "b"), initial={"a": "v-1", "b": "v-1"}))
    assert texts(stream.take()) == {"a": "1"}


@pytest.mark.promise("xDS-6")
def test_delta_endpoints_are_always_sent_again_where_that_is_switched_on() -> None:
    stream = session(Shelf(a="1"), delta=True, always_resend=True)
    stream.receive(Request(CDS))
    reply(stream, True, stream.take())
    stream.receive(Request(EDS, subscribe=("a",), initial={"a": "v-1"}))
    assert texts(stream.take()) == {"a": "1"}


@pytest.mark.promise("xDS-6", "xDS-13")
def test_delta_a_client_that_has_everything_is_sent_nothing() -> None:
    shelf = Shelf(a="1")
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta=True)
    stream.receive(Request(CDS, initial={"a": "v-1"}))
    stream.receive(Request(EDS, subscribe=("a",), initial={"a": "v-1"}))
    assert stream.take() is None


# Rule 7


@BOTH_WAYS
@pytest.mark.promise("xDS-7")
def test_a_service_that_is_gone_is_told_as_empty(delta: bool) -> None:
    shelf = Shelf(a="1", b="1")
    stream = synced(shelf, delta, "a", "b")
    shelf.put(EDS, "a", None)
    stream.touch(EDS, ["a"])
    response = stream.take()
    assert told(response) == ({"a": EMPTY}, ())
    stream.touch(EDS, ["a"])
    assert reply(stream, delta, response, "a", "b") is None
    shelf.put(EDS, "a", "2")
    stream.touch(EDS, ["a"])
    assert texts(stream.take()) == {"a": "2"}


@BOTH_WAYS
@pytest.mark.promise("xDS-7")
def test_a_cluster_that_is_gone_is_removed(delta: bool) -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "b", "1")
    stream = session(shelf, delta)
    ask(stream, delta, type_url=CDS)
    reply(stream, delta, stream.take())
    shelf.put(CDS, "a", None)
    stream.touch(CDS, ["a"])
    assert told(stream.take()) == (({}, ("a",)) if delta else ({"b": "1"}, ()))


# Rule 8


@pytest.mark.promise("xDS-8")
def test_delta_a_name_nobody_can_answer_is_removed_at_once_and_told_when_it_is_known() -> None:
    shelf = Shelf(a="1")
    for waiting in (False, True):
        shelf.is_waiting = waiting
        stream = session(shelf, delta=True)
        ask(stream, True, "a", "x")
        response = stream.take()
        assert told(response) == ({"a": "1"}, ("x",))
        assert reply(stream, True, response) is None
    stream.touch(EDS, ["x"])
    assert stream.take() is None
    shelf.put(EDS, "x", "1")
    stream.touch(EDS, ["x"])
    assert texts(stream.take()) == {"x": "1"}


@pytest.mark.promise("xDS-8", "law-3")
def test_delta_a_name_nobody_can_answer_keeps_the_hosts_that_the_client_has() -> None:
    stream = reconnected(Shelf(b="1"), a="v-1", b="v-1")
    assert told(stream.take()) == ({}, ("a",))  # Envoy leaves the hosts of removed endpoints alone


@pytest.mark.promise("xDS-8")
def test_sotw_a_name_nobody_can_answer_is_empty_to_a_fresh_client() -> None:
    shelf = Shelf(a="1")
    shelf.is_waiting = True
    stream = session(shelf, delta=False)
    ask(stream, False, "a", "x")
    response = stream.take()
    assert texts(response) == {"a": "1", "x": EMPTY}
    shelf.put(EDS, "x", "1")
    stream.touch(EDS, ["x"])
    assert texts(reply(stream, False, response, "a", "x")) == {"x": "1"}


@pytest.mark.promise("xDS-8", "law-3")
def test_sotw_a_name_nobody_can_answer_is_not_emptied_at_a_client_that_came_with_hosts() -> None:
    shelf = Shelf(a="1")
    stream = session(shelf, delta=False)
    ask(stream, False, "a", "x", version="of an earlier stream")
    response = stream.take()
    assert texts(response) == {"a": "1"}
    assert reply(stream, False, response, "a", "x") is None
    stream.touch(EDS, ["x"])
    assert stream.take() is None
    shelf.put(EDS, "x", "1")
    stream.touch(EDS, ["x"])
    assert texts(stream.take()) == {"x": "1"}


@BOTH_WAYS
@pytest.mark.promise("xDS-8", "law-3")
def test_nothing_is_emptied_while_a_required_source_is_waiting(delta: bool) -> None:
    shelf = Shelf(a="1")
    stream = synced(shelf, delta, "a")
    shelf.is_waiting = True
    shelf.put(EDS, "a", None)
    stream.touch(EDS, ["a"])
    assert stream.take() is None
    shelf.is_waiting = False
    assert texts(stream.take()) == {"a": EMPTY}


@BOTH_WAYS
@pytest.mark.promise("xDS-8", "law-3")
def test_a_client_that_came_with_hosts_is_told_none_that_a_waiting_source_may_add_to(delta: bool) -> None:
    shelf = Shelf(a="1")
    shelf.is_waiting = True
    stream = session(shelf, delta)
    if delta:
        stream.receive(Request(CDS))
        stream.receive(Request(EDS, subscribe=("a",), initial={"a": "v-of both sources"}))
        assert told(stream.take()) == ({}, ())  # that there are no clusters, to whom came with none
        assert told(response := stream.take()) == ({}, ("a",))  # Envoy keeps the hosts, and waits no longer
        assert reply(stream, delta, response) is None
    else:
        ask(stream, delta, "a", version="of an earlier stream")
        assert stream.take() is None
    shelf.put(EDS, "a", "2")
    stream.touch(EDS, ["a"])
    assert stream.take() is None
    shelf.is_waiting = False
    assert texts(stream.take()) == {"a": "2"}


@BOTH_WAYS
@pytest.mark.promise("xDS-8", "law-3")
def test_a_client_that_came_with_nothing_is_told_what_is_known_while_a_source_is_waiting(delta: bool) -> None:
    shelf = Shelf(a="1")
    shelf.is_waiting = True
    stream = session(shelf, delta)
    ask(stream, delta, "a")
    response = stream.take()
    assert texts(response) == {"a": "1"}
    shelf.put(EDS, "a", "2")
    stream.touch(EDS, ["a"])
    assert texts(reply(stream, delta, response, "a")) == {"a": "2"}


@pytest.mark.promise("xDS-8", "law-3")
def test_delta_while_a_required_source_is_waiting_clusters_come_and_none_goes() -> None:
    shelf = Shelf()
    shelf.is_waiting = True
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta=True)
    stream.receive(Request(CDS, initial={"a": "v-1", "b": "v-1"}))
    shelf.put(CDS, "c", "1")
    stream.touch(CDS, ["c"])
    response = stream.take()
    assert told(response) == ({"c": "1"}, ())
    assert reply(stream, True, response) is None
    shelf.is_waiting = False
    assert told(stream.take()) == ({}, ("b",))


@pytest.mark.promise("xDS-8", "law-3")
@pytest.mark.parametrize(("version", "answered"), [("", True), ("of an earlier stream", False)])
def test_sotw_while_a_required_source_is_waiting_only_fresh_clients_are_told_clusters(
    version: str, answered: bool
) -> None:
    shelf = Shelf()
    shelf.is_waiting = True
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta=False)
    ask(stream, False, type_url=CDS, version=version)
    response = stream.take()
    assert (response is not None) == answered
    shelf.put(CDS, "b", "1")
    stream.touch(CDS, ["b"])
    shelf.is_waiting = False
    response = reply(stream, False, response) if answered else stream.take()
    assert texts(response) == {"a": "1", "b": "1"}


# Rule 9


@BOTH_WAYS
@pytest.mark.promise("xDS-9")
def test_clusters_come_before_endpoints_and_endpoints_do_not_wait_for_their_ack(delta: bool) -> None:
    shelf = Shelf(a="1")
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta)
    ask(stream, delta, "a")
    ask(stream, delta, type_url=CDS)
    first, second = stream.take(), stream.take()
    assert first is not None
    assert second is not None
    assert (first.type_url, second.type_url) == (CDS, EDS)
    assert first.nonce != second.nonce


@BOTH_WAYS
@pytest.mark.promise("xDS-9")
def test_a_cluster_told_anew_has_its_endpoints_told_again_and_no_other(delta: bool) -> None:
    shelf = Shelf(a="1", b="1")
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "b", "1")
    stream = synced(shelf, delta, "a", "b")
    ask(stream, delta, type_url=CDS)
    clusters, endpoints = stream.take(), stream.take()
    assert texts(endpoints) == {"a": "1", "b": "1"}
    reply(stream, delta, clusters)
    assert reply(stream, delta, endpoints, "a", "b") is None
    shelf.put(CDS, "b", "2")
    stream.touch(CDS, ["a", "b"])
    assert texts(stream.take())["b"] == "2"
    assert texts(stream.take()) == {"b": "1"}


@BOTH_WAYS
@pytest.mark.promise("xDS-9")
def test_endpoints_on_their_way_when_a_cluster_is_told_anew_are_told_again(delta: bool) -> None:
    shelf = Shelf(a="1")
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta)
    ask(stream, delta, "a")
    endpoints = stream.take()
    ask(stream, delta, type_url=CDS)
    clusters = stream.take()
    assert clusters is not None
    assert clusters.type_url == CDS
    assert texts(reply(stream, delta, endpoints, "a")) == {"a": "1"}


# Rule 10


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


@BOTH_WAYS
@pytest.mark.promise("xDS-10", "R-27")
def test_bad_endpoints_are_found_by_halves_and_their_neighbours_flow(delta: bool) -> None:
    names = [f"n{number}" for number in range(8)]
    shelf = Shelf(**dict.fromkeys(names, "1"))
    shelf.put(EDS, "n5", f"{BAD}1")
    stream = session(shelf, delta)
    ask(stream, delta, *names)
    assert run(stream, delta, *names) == [
        names,
        ["n0", "n1", "n2", "n3"],
        ["n4", "n5", "n6", "n7"],
        ["n4", "n5"],
        ["n4"],
        ["n5"],
        ["n6", "n7"],
    ]
    assert stream.told(EDS) == {name: "v-1" for name in names if name != "n5"}
    (status,) = stream.status()
    assert status.parked == (("n5", "v-bad1", "malformed assignment"),)
    assert (status.sent, status.acks, status.nacks) == (7, 3, 4)


@BOTH_WAYS
@pytest.mark.promise("xDS-10", "R-27")
def test_a_parked_version_stays_parked_until_the_content_changes(delta: bool) -> None:
    shelf = Shelf(a=f"{BAD}1", b="1")
    stream = session(shelf, delta)
    ask(stream, delta, "a", "b")
    run(stream, delta, "a", "b")
    stream.touch(EDS, ["a", "b"])
    assert stream.take() is None
    shelf.put(EDS, "a", "2")
    stream.touch(EDS, ["a"])
    assert run(stream, delta, "a", "b") == [["a"]]
    assert stream.status()[0].parked == ()


@BOTH_WAYS
@pytest.mark.promise("xDS-10", "R-27")
def test_a_resource_that_was_refused_before_is_tried_alone(delta: bool) -> None:
    shelf = Shelf(a=f"{BAD}1", b="1", c="1")
    stream = session(shelf, delta)
    ask(stream, delta, "a", "b", "c")
    run(stream, delta, "a", "b", "c")
    for name, text in (("a", f"{BAD}2"), ("b", "2"), ("c", "2")):
        shelf.put(EDS, name, text)
    stream.touch(EDS, ["a", "b", "c"])
    assert run(stream, delta, "a", "b", "c") == [["b", "c"], ["a"]]


@BOTH_WAYS
@pytest.mark.promise("xDS-10")
def test_endpoints_that_were_refused_go_back_to_those_accepted_last(delta: bool) -> None:
    """A cluster that was warming went live without hosts when its endpoints were refused."""
    shelf = Shelf(a="1")
    stream = synced(shelf, delta, "a")
    shelf.put(EDS, "a", f"{BAD}1")
    stream.touch(EDS, ["a"])
    response = stream.take()
    assert texts(response) == {"a": f"{BAD}1"}
    response = reply(stream, delta, response, "a", error="no")
    assert texts(response) == {"a": "1"}
    assert reply(stream, delta, response, "a", error="not that either") is None


@BOTH_WAYS
@pytest.mark.promise("xDS-10", "xDS-9")
def test_a_cluster_told_anew_gets_the_endpoints_accepted_last_while_newer_ones_are_parked(delta: bool) -> None:
    shelf = Shelf(a="1")
    stream = synced(shelf, delta, "a")
    shelf.put(EDS, "a", f"{BAD}1")
    stream.touch(EDS, ["a"])
    run(stream, delta, "a")
    shelf.put(CDS, "a", "1")
    ask(stream, delta, type_url=CDS)
    clusters, endpoints = stream.take(), stream.take()
    assert texts(clusters) == texts(endpoints) == {"a": "1"}
    assert reply(stream, delta, endpoints, "a") is None
    assert stream.status()[1].parked == (("a", "v-bad1", "malformed assignment"),)


@pytest.mark.promise("xDS-10", "R-27")
def test_delta_bad_clusters_are_found_by_halves() -> None:
    shelf = Shelf()
    for name in "abcd":
        shelf.put(CDS, name, "1")
    shelf.put(CDS, "b", f"{BAD}1")
    stream = session(shelf, delta=True)
    ask(stream, True, type_url=CDS)
    assert run(stream, True) == [["a", "b", "c", "d"], ["a", "b"], ["a"], ["b"], ["c", "d"]]
    assert stream.told(CDS).keys() == {"a", "c", "d"}


@pytest.mark.promise("xDS-10", "R-27")
def test_delta_removals_in_a_refused_response_are_told_again_with_less_and_once_alone() -> None:
    shelf = Shelf()
    for name in "ab":
        shelf.put(CDS, name, "1")
    stream = session(shelf, delta=True)
    ask(stream, True, type_url=CDS)
    run(stream, True)
    shelf.put(CDS, "a", None)
    shelf.put(CDS, "b", f"{BAD}1")
    stream.touch(CDS, ["a", "b"])
    response = stream.take()
    assert told(response) == ({"b": f"{BAD}1"}, ("a",))
    response = reply(stream, True, response, error="no")
    assert told(response) == ({}, ("a",))
    assert reply(stream, True, response, error="no") is None


@pytest.mark.promise("xDS-10", "xDS-3")
def test_delta_a_refused_cluster_that_is_asked_for_by_name_is_told_as_removed() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", f"{BAD}1")
    shelf.put(CDS, "b", "1")
    stream = session(shelf, delta=True)
    ask(stream, True, type_url=CDS)
    run(stream, True)
    ask(stream, True, "a", type_url=CDS)
    assert told(response := stream.take()) == ({}, ("a",))
    assert reply(stream, True, response) is None


@pytest.mark.promise("xDS-10", "xDS-8", "law-3")
def test_delta_the_good_part_of_refused_clusters_stays_while_a_required_source_is_waiting() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", f"{BAD}1")
    shelf.put(CDS, "b", "1")
    stream = session(shelf, delta=True)
    ask(stream, True, type_url=CDS)
    response = stream.take()
    shelf.is_waiting = True
    shelf.put(CDS, "b", None)
    stream.touch(CDS, ["b"])
    response = reply(stream, True, response, error="no")
    assert told(response) == ({"a": f"{BAD}1"}, ())
    assert reply(stream, True, response, error="no") is None
    shelf.is_waiting = False
    assert told(stream.take()) == ({}, ("b",))


@BOTH_WAYS
@pytest.mark.promise("xDS-10")
def test_what_was_refused_and_is_gone_is_parked_no_more(delta: bool) -> None:
    for type_url in (EDS, CDS):
        shelf = Shelf()
        shelf.put(type_url, "a", f"{BAD}1")
        shelf.put(type_url, "b", "1")
        stream = session(shelf, delta)
        ask(stream, delta, "a", "b", type_url=type_url)
        run(stream, delta, "a", "b")
        assert len(stream.status()[0].parked) == 1
        shelf.put(type_url, "a", None)
        shelf.put(type_url, "b", "2")
        stream.touch(type_url, ["a", "b"])
        run(stream, delta, "a", "b")
        assert stream.status()[0].parked == ()


@BOTH_WAYS
@pytest.mark.promise("xDS-10", "xDS-7")
def test_endpoints_that_go_while_the_accepted_ones_are_told_again_are_emptied(delta: bool) -> None:
    shelf = Shelf(a="1")
    stream = synced(shelf, delta, "a")
    shelf.put(EDS, "a", f"{BAD}1")
    stream.touch(EDS, ["a"])
    response = reply(stream, delta, stream.take(), "a", error="no")
    assert texts(response) == {"a": "1"}
    shelf.put(EDS, "a", None)
    stream.touch(EDS, ["a"])
    assert texts(reply(stream, delta, response, "a")) == {"a": EMPTY}


def clusters(**made: str) -> tuple[Shelf, Session]:
    """A fresh client of clusters in the state of the world, told all of them."""
    shelf = Shelf()
    for name, text in made.items():
        shelf.put(CDS, name, text)
    stream = session(shelf, delta=False)
    ask(stream, False, type_url=CDS)
    return shelf, stream


@pytest.mark.promise("xDS-10", "R-27")
def test_sotw_a_bad_cluster_goes_back_to_what_was_accepted_last() -> None:
    shelf, stream = clusters(a="1", b="1", c="1")
    reply(stream, False, stream.take())
    shelf.put(CDS, "a", "2")
    shelf.put(CDS, "b", f"{BAD}1")
    stream.touch(CDS, ["a", "b"])
    response = reply(
        stream, False, stream.take(), error="Error adding/updating cluster(s) b: lb_policy is no good for cluster a"
    )
    assert texts(response) == {"a": "2", "b": "1", "c": "1"}
    assert reply(stream, False, response) is None
    shelf.put(CDS, "c", "2")
    stream.touch(CDS, ["c"])
    response = stream.take()
    assert texts(response) == {"a": "2", "b": "1", "c": "2"}
    shelf.put(CDS, "b", "2")
    stream.touch(CDS, ["b"])
    assert texts(reply(stream, False, response)) == {"a": "2", "b": "2", "c": "2"}


@pytest.mark.promise("xDS-10", "R-27")
def test_sotw_a_bad_cluster_that_was_never_accepted_is_left_out() -> None:
    _, stream = clusters(a="1", b=f"{BAD}1")
    assert run(stream, False) == [["a", "b"], ["a"]]
    assert stream.status()[0].parked[0][:2] == ("b", "v-bad1")


@pytest.mark.promise("xDS-10", "xDS-2")
def test_sotw_a_bad_cluster_that_was_given_up_meanwhile_harms_no_other() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "b", f"{BAD}1")
    stream = session(shelf, delta=False)
    ask(stream, False, "a", "b", type_url=CDS)
    response = stream.take()
    ask(stream, False, "a", type_url=CDS)
    response = reply(stream, False, response, "a", error="Error adding/updating cluster(s) b: no good")
    assert texts(response) == {"a": "1"}
    assert stream.status()[0].parked == ()


@pytest.mark.promise("xDS-10", "law-3")
def test_sotw_a_bad_cluster_is_not_left_out_where_the_client_may_have_an_older_one_in_use() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "b", f"{BAD}1")
    stream = session(shelf, delta=False)
    ask(stream, False, type_url=CDS, version="of an earlier stream")
    assert run(stream, False) == [["a", "b"]]
    shelf.put(CDS, "a", "2")
    stream.touch(CDS, ["a"])
    assert run(stream, False) == [["a", "b"]]
    assert stream.told(CDS) == {"a": "v-2"}
    shelf.put(CDS, "b", None)
    stream.touch(CDS, ["b"])
    assert run(stream, False) == [["a"]]


@pytest.mark.promise("xDS-10")
def test_sotw_a_cluster_that_is_accepted_after_all_is_parked_no_more() -> None:
    shelf = Shelf()
    shelf.put(CDS, "a", "1")
    shelf.put(CDS, "b", f"{BAD}1")
    stream = session(shelf, delta=False)
    ask(stream, False, type_url=CDS, version="of an earlier stream")
    run(stream, False)
    shelf.put(CDS, "a", "2")
    stream.touch(CDS, ["a"])
    assert reply(stream, False, stream.take()) is None
    assert stream.status()[0].parked == ()
    assert stream.told(CDS) == {"a": "v-2", "b": "v-bad1"}


@pytest.mark.promise("xDS-10", "R-27")
def test_sotw_clusters_refused_without_a_name_go_back_to_what_was_accepted_last_and_so_do_their_endpoints() -> None:
    shelf, stream = clusters(a="1", b="1")
    shelf.put(EDS, "a", "1")
    shelf.put(EDS, "b", "1")
    reply(stream, False, stream.take())
    ask(stream, False, "a", "b")
    reply(stream, False, stream.take(), "a", "b")
    shelf.put(CDS, "a", "2")
    stream.touch(CDS, ["a"])
    response = stream.take()
    assert reply(stream, False, stream.take(), "a", "b") is None
    response = reply(stream, False, response, error="Proto constraint validation failed")
    assert texts(response) == {"a": "1", "b": "1"}
    assert texts(endpoints := stream.take()) == {"a": "1"}  # the client may have taken the new one, and be warming
    assert reply(stream, False, endpoints, "a", "b") is None
    assert reply(stream, False, response, error="Proto constraint validation failed") is None


@pytest.mark.promise("xDS-10", "law-3")
def test_sotw_a_client_that_refuses_all_clusters_is_not_told_that_there_are_none() -> None:
    shelf, stream = clusters(a=f"{BAD}1", b=f"{BAD}1")
    assert run(stream, False) == [["a", "b"]]
    shelf.put(CDS, "b", "2")
    stream.touch(CDS, ["b"])
    assert run(stream, False) == [["b"]]
    shelf.put(CDS, "b", None)
    stream.touch(CDS, ["b"])
    assert told(stream.take()) == ({}, ())


@pytest.mark.promise("xDS-10")
def test_a_long_error_is_kept_in_part() -> None:
    stream = session(Shelf(a=f"{BAD}1"), delta=True)
    ask(stream, True, "a")
    reply(stream, True, stream.take(), error="x" * 100_000)
    assert len(stream.status()[0].parked[0][2]) == 1000


@pytest.mark.parametrize(
    ("error", "names"),
    [
        ("Error adding/updating cluster(s) shop/a: bad, shop/a:grpc: worse than shop/b", {"shop/a", "shop/a:grpc"}),
        ("Error adding/updating cluster(s) shop/a:grpc: bad", {"shop/a:grpc"}),
        ("2 clusters failed: resource index 3: shop/b: INVALID_ARGUMENT: [...]", {"shop/b"}),
        ("duplicate cluster shop/a found", {"shop/a"}),
        ("duplicate cluster 'shop/a:grpc'.", {"shop/a:grpc"}),
        ("shop/abc: bad, my/shop/a: bad, x.shop/b: bad", set()),
        ("Proto constraint validation failed", set()),
        ("", set()),
    ],
)
@pytest.mark.promise("xDS-10")
def test_the_culprits_are_read_from_the_error(error: str, names: set[str]) -> None:
    assert blamed(error, ["shop/a", "shop/b", "shop/a:grpc"]) == names
    assert blamed(error, []) == set()


# Rule 15


@BOTH_WAYS
@pytest.mark.promise("xDS-15")
def test_responses_are_split_at_resource_borders_and_the_rest_follows_the_ack(delta: bool) -> None:
    names = ["a", "b", "c", "large", "z"]
    shelf = Shelf(**{name: ("9" * 500 if name == "large" else "9" * 100) for name in names})
    stream = session(shelf, delta, max_bytes=480)
    ask(stream, delta, *names)
    assert run(stream, delta, *names) == [["a", "b"], ["c"], ["large"], ["z"]]
    assert stream.told(EDS).keys() == set(names)


@pytest.mark.promise("xDS-15")
def test_names_that_keep_changing_do_not_keep_the_others_from_being_told() -> None:
    shelf = Shelf(**dict.fromkeys("abcd", "9" * 100))
    stream = session(shelf, delta=True, max_bytes=480)
    ask(stream, True, *"abcd")
    seen: set[str] = set()
    response = stream.take()
    for number in range(3):
        seen |= texts(response).keys()
        shelf.put(EDS, "a", f"{number:0100}")
        stream.touch(EDS, ["a"])
        response = reply(stream, True, response)
    assert seen == set("abcd")


@pytest.mark.promise("xDS-15")
def test_sotw_clusters_cannot_be_split_and_their_size_is_shown() -> None:
    _, stream = clusters(a="9" * 1000, b="9" * 1000)
    assert len(texts(stream.take())) == 2
    assert stream.status()[0].size > 2000


# Rule 20, and what ends a stream


@pytest.mark.parametrize("type_url", [CDS, EDS])
def test_sotw_one_empty_name_gives_up_everything_and_is_not_answered(type_url: str) -> None:
    shelf = Shelf(a="1")
    shelf.put(CDS, "a", "1")
    stream = session(shelf, delta=False)
    ask(stream, False, "a", type_url=type_url)
    reply(stream, False, stream.take(), "a")
    assert ask(stream, False, "", type_url=type_url) == Interest(type_url, dropped=("a",))
    assert stream.take() is None
    stream.touch(type_url, ["a"])
    assert stream.take() is None


@BOTH_WAYS
def test_too_many_names_end_the_stream(delta: bool) -> None:
    stream = session(Shelf(), delta, max_names=3)
    ask(stream, delta, "a", "b", "c")
    with pytest.raises(ProtocolError, match="4 names are asked for on one stream; at most 3"):
        ask(stream, delta, "a", "b", "c", "d")
    ask(stream, delta, *(["d"] if delta else ["a", "b", "d"]), drop="c")
    with pytest.raises(ProtocolError, match="longer than"):
        ask(stream, delta, "x" * 3000, drop="a b d")


def test_a_stream_serves_its_own_type_and_an_aggregated_one_leaves_others_unanswered() -> None:
    listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
    stream = session(Shelf(a="1"), delta=False)
    assert ask(stream, False, type_url=listeners) == Interest(listeners)
    assert stream.take() is None
    stream.touch(listeners, ["a"])
    with pytest.raises(ProtocolError, match="no type_url"):
        ask(stream, False, "a", type_url="")
    stream = session(Shelf(a="1"), False, ONLY_EDS)
    with pytest.raises(ProtocolError, match="another type"):
        ask(stream, False, type_url=CDS)
    assert ask(stream, False, "a", type_url="") == Interest(EDS, ("a",))
    assert texts(stream.take()) == {"a": "1"}
    stream = session(Shelf(), False, ONLY_CDS)
    assert ask(stream, False, type_url="") == Interest(CDS, wildcard=True)
    assert stream.told(EDS) == {}


@BOTH_WAYS
def test_a_stream_that_ends_gives_up_all_it_asked_for(delta: bool) -> None:
    shelf = Shelf(a="1")
    shelf.put(CDS, "c", "1")
    stream = session(shelf, delta)
    ask(stream, delta, "a", "x")
    ask(stream, delta, type_url=CDS)
    stream.take()
    assert stream.close() == (Interest(CDS, wildcard=False), Interest(EDS, dropped=("a", "x")))


def test_status_says_what_a_stream_asks_for_and_has() -> None:
    stream = session(Shelf(a="1"), delta=False)
    ask(stream, False, "a", "x", version="of an earlier stream")
    assert stream.take() is not None
    (status,) = stream.status()
    assert (status.type_url, status.wildcard, status.names, status.told) == (EDS, False, 2, 0)
    assert (status.unacknowledged, status.pending, status.sent) == (True, 0, 1)


# What it costs


class CountingShelf(Shelf):
    asked = 0

    def get(self, type_url: str, name: str) -> Resource | None:
        self.asked += 1
        return super().get(type_url, name)


@BOTH_WAYS
def test_a_change_costs_the_names_that_changed_not_those_asked_for(delta: bool) -> None:
    names = [f"n{number}" for number in range(500)]
    shelf = CountingShelf(**dict.fromkeys(names, "1"))
    stream = synced(shelf, delta, *names)
    shelf.asked = 0
    for number in range(10):
        shelf.put(EDS, "n7", f"2{number}")
        stream.touch(EDS, ["n7", "unknown"])
        assert reply(stream, delta, stream.take(), *names) is None
    assert shelf.asked == 10


@BOTH_WAYS
def test_a_stream_keeps_the_bytes_that_the_others_have_not_a_copy_of_its_own(delta: bool) -> None:
    shelf = Shelf(a="1")
    stream = synced(shelf, delta, "a")
    older, other = shelf.made[EDS]["a"], resource("a", "1")
    shelf.put(EDS, "a", "1")
    stream.touch(EDS, ["a"])
    assert stream.take() is None
    assert sys.getrefcount(older) == sys.getrefcount(other)  # the stream has let go of it
    assert sys.getrefcount(shelf.made[EDS]["a"]) > sys.getrefcount(other)
