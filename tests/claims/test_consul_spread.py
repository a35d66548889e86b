"""On which of our nodes an instance stands: found once, and kept."""

from collections.abc import Iterable, Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.consul import spread
from adapters.consul.owned import Stands
from adapters.consul.places import Places
from adapters.consul.spread import CROWD, EACH, home, spare
from bridge.adapter import RecordKey

FIRST = "registry-bridge-us"
KEY = RecordKey("shop~web~10.1.0.1:80")
LOADS = st.lists(st.integers(0, 3 * EACH), max_size=6).map(
    lambda them: {f"n{at}": load for at, load in enumerate(them)}
)
MOST = st.integers(1, 8)


@given(LOADS, MOST)
def test_what_is_new_goes_where_there_is_room_and_a_node_is_made_when_there_is_none(
    loads: dict[str, int], most: int
) -> None:
    found = home(loads, most)
    if any(load < EACH for load in loads.values()):
        assert loads[found] < EACH
    elif len(loads) < most:
        assert found == ""
    else:
        assert loads[found] == min(loads.values())
    assert home(dict(loads), most) == found


@given(LOADS, MOST, st.data())
def test_what_stands_somewhere_stays_but_in_a_crowd_that_it_can_leave(
    loads: dict[str, int], most: int, data: st.DataObject
) -> None:
    stands = data.draw(st.sampled_from([*loads, "elsewhere"]))
    found = home(loads, most, stands)
    if stands in loads and found != stands:
        assert loads[stands] > CROWD * EACH
        assert found == "" or loads[found] < EACH
    if stands not in loads:
        assert found == home(loads, most)


@given(LOADS)
def test_a_node_goes_only_if_half_a_node_may_come_before_one_is_made(loads: dict[str, int]) -> None:
    going = spare(loads)
    assert all(loads[node] == 0 for node in going)
    assert not {*list(loads)[:1]} & {*going}
    left = {node: load for node, load in loads.items() if node not in going}
    assert spare(left) == ()
    if going:
        for _ in range(EACH // 2):
            node = home(left, len(left) + 1)
            left[node] += 1


@given(st.integers(0, 4 * EACH), st.integers(1, 5), st.randoms())
def test_however_they_come_and_go_none_has_more_than_it_should_and_nothing_moves(
    many: int, most: int, random: Random
) -> None:
    loads: dict[str, int] = {}
    stood: list[str] = []
    for _ in range(many):
        node = home(loads, most) or f"n{len(loads)}"
        loads[node] = loads.get(node, 0) + 1
        stood.append(node)
        if random.random() < 0.3:
            loads[stood.pop(random.randrange(len(stood)))] -= 1
    assert len(loads) <= most
    assert all(load <= EACH for load in loads.values()) or len(loads) == most
    assert all(home(loads, most, node) == node for node in stood if loads[node] <= CROWD * EACH)


def test_ten_thousand_fill_twenty_nodes() -> None:
    loads: dict[str, int] = {}
    for _ in range(20 * EACH):
        node = home(loads, 40) or f"n{len(loads)}"
        loads[node] = loads.get(node, 0) + 1
    assert [*loads.values()] == [EACH] * 20


def test_where_there_may_be_no_more_nodes_all_have_as_many() -> None:
    loads: dict[str, int] = {}
    for _ in range(5 * EACH):
        node = home(loads, 2) or f"n{len(loads)}"
        loads[node] = loads.get(node, 0) + 1
    assert [*loads.values()] == [5 * EACH // 2] * 2


@pytest.mark.parametrize(
    ("node", "number"),
    [
        (FIRST, 0),
        (f"{FIRST}-1", 1),
        (f"{FIRST}-20", 20),
        (f"{FIRST}-999", 999),
        (f"{FIRST}-1000", None),
        (f"{FIRST}-0", None),
        (f"{FIRST}-01", None),
        (f"{FIRST}-x", None),
        (f"{FIRST}-1-2", None),
        (f"{FIRST}1", None),
        ("registry-bridge-use-1", None),
        ("-1", None),
        ("", None),
    ],
)
def test_the_nodes_of_an_export_are_numbered(node: str, number: int | None) -> None:
    assert spread.number(FIRST, node) == number
    assert number is None or spread.named(FIRST, number) == node


def test_the_next_one_has_the_lowest_number_that_nobody_has() -> None:
    assert spread.free(FIRST, ()) == FIRST
    assert spread.free(FIRST, {FIRST, f"{FIRST}-1", f"{FIRST}-3"}) == f"{FIRST}-2"


def there(**nodes: Iterable[str]) -> Mapping[str, Stands]:
    return {name: Stands(5, True, "", frozenset(ids)) for name, ids in nodes.items()}


def test_what_was_sent_counts_until_it_is_seen() -> None:
    places = Places()
    places.seen(there(a=["x"], b=[]))
    places.send(KEY, "b", [])
    assert (places.load("a"), places.load("b"), places.sent(KEY)) == (1, 1, "b")
    places.seen(there(a=["x"], b=[]))
    assert (places.load("b"), places.sent(KEY), places.on(KEY)) == (1, "b", "")
    places.seen(there(a=["x"], b=[KEY]))
    assert (places.load("b"), places.sent(KEY), places.on(KEY)) == (1, "", "b")
    assert places.unseen() == frozenset()


def test_of_what_moves_each_node_has_what_it_will_have() -> None:
    places = Places()
    places.seen(there(a=[KEY, "x"], b=[]))
    places.send(KEY, "b", ["a"])
    assert (places.load("a"), places.load("b")) == (1, 1)
    places.seen(there(a=["x"], b=[]))
    assert (places.load("a"), places.load("b")) == (1, 1)
    places.unsent(KEY)
    assert (places.load("a"), places.load("b"), places.sent(KEY)) == (1, 0, "")


def test_what_is_written_where_it_stands_is_nowhere_else() -> None:
    places = Places()
    places.seen(there(a=[KEY]))
    places.send(KEY, "a", [])
    assert (places.load("a"), places.unseen()) == (1, frozenset())
    places.send(KEY, "", ["a"])
    assert places.load("a") == 0


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["", "a", "b"]), st.booleans()), max_size=20))
def test_what_is_counted_is_what_stands_there_once_all_is_seen(them: list[tuple[str, str, bool]]) -> None:
    places, stands = Places(), {"a": set[str](), "b": set[str]()}
    for key, to, fails in them:
        if RecordKey(key) in places.unseen():  # what was written is seen before it is written again
            places.seen(there(**stands))
        away = [node for node, ids in stands.items() if key in ids]
        places.send(RecordKey(key), to, away)
        if fails:
            places.unsent(RecordKey(key))
        else:
            for node in away:
                stands[node].discard(key)
            if to:
                stands[to].add(key)
        assert {node: places.load(node) for node in stands} == {node: len(ids) for node, ids in stands.items()}
    places.seen(there(**stands))
    assert places.unseen() == frozenset()
    assert {node: places.load(node) for node in stands} == {node: len(ids) for node, ids in stands.items()}
