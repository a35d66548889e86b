"""What a client is told of what is gone, unknown, or not seen yet, and when it comes back: rules 6, 7 and 8."""

import pytest

from bridge.xds.messages import CDS, EDS, Request
from bridge.xds.session import Session
from tests.session_model import BOTH_WAYS, EMPTY, Shelf, ask, reply, session, synced, texts, told

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
