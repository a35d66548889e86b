"""What a client asks for on its stream, and what ends one: rules 2, 3, 5 and 20."""

import pytest

from bridge.xds.messages import CDS, EDS, Interest, ProtocolError, Request
from tests.session_model import BOTH_WAYS, ONLY_CDS, ONLY_EDS, Shelf, ask, reply, session, synced, texts, told

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
