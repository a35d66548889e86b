"""What is told on an xDS stream, in which order, how often and at what cost: rules 1, 4, 9, 13 and 15."""

import sys
import tracemalloc

import pytest

from bridge.xds.messages import CDS, EDS, Resource, Response
from bridge.xds.session import Session
from tests.session_model import (
    BOTH_WAYS,
    Shelf,
    ask,
    clusters,
    reply,
    resource,
    run,
    session,
    synced,
    texts,
)

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
@pytest.mark.promise("law-7")
def test_clusters_that_come_and_go_cost_no_more_with_time(delta: bool) -> None:
    """The client asks for no endpoints, and so never hears of those that its clusters warm with."""

    def change(shelf: Shelf, stream: Session, response: Response | None) -> Response | None:
        for number in range(1_000):
            for text in ("1", None):
                shelf.put(CDS, f"cluster-{number}", text)
                stream.touch(CDS, [f"cluster-{number}"])
                response = reply(stream, delta, response)
        return response

    shelves = [Shelf() for _ in range(2)]
    streams = [session(shelf, delta) for shelf in shelves]
    for stream in streams:
        ask(stream, delta, type_url=CDS)
    change(shelves[0], streams[0], streams[0].take())  # what is remembered of names for all streams is not meant
    response = streams[1].take()
    tracemalloc.start()
    response = change(shelves[1], streams[1], response)
    assert response is not None
    assert tracemalloc.get_traced_memory()[0] < 16_384
    tracemalloc.stop()


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
