"""What a client refuses is found, parked and told no more (rule 10), and everything else flows."""

import pytest

from bridge.xds.messages import CDS, EDS
from bridge.xds.whole import Whole, blamed
from tests.session_model import (
    BAD,
    BOTH_WAYS,
    EMPTY,
    Shelf,
    ask,
    clusters,
    reply,
    run,
    session,
    synced,
    texts,
    told,
)


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


@pytest.mark.promise("xDS-10", "R-27")
def test_sotw_the_culprit_among_clusters_is_found_by_halves_when_the_error_names_none() -> None:
    names = [f"c{number}" for number in range(8)]
    shelf, stream = clusters(**{**dict.fromkeys(["old", *names], "1"), "c5": f"{BAD}1"})
    told = []
    response = stream.take()
    while response is not None:
        assert len(told) < 20, "no end of it"
        told.append(sorted(texts(response)))
        bad = [one for one in texts(response).values() if one.startswith(BAD)]
        response = reply(stream, False, response, error="Proto constraint validation failed" if bad else None)
    assert told[-1] == sorted({"old", *names} - {"c5"})
    assert [name for name, *_ in stream.status()[0].parked] == ["c5"]
    shelf.put(CDS, "c5", "2")
    stream.touch(CDS, ["c5"])
    assert "c5" in texts(stream.take())


@pytest.mark.promise("R-27", "law-7")
def test_sotw_suspects_that_change_and_are_refused_for_ever_are_each_to_be_tried_once() -> None:
    shelf, stream = clusters(**dict.fromkeys("abcdefgh", "1"))
    response = stream.take()
    for number in range(100):
        for one in "abcdefgh":
            shelf.put(CDS, one, f"{BAD}{number}")
        stream.touch(CDS, "abcdefgh")
        response = reply(stream, False, response, error="no")
    assert isinstance(stream._clusters, Whole)
    assert sum(map(len, stream._clusters.trials)) <= 8


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
