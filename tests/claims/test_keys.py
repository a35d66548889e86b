from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import RecordKey
from bridge.model import ServiceName
from bridge.runtime.keys import Keys
from tests.builders import name
from tests.outlets import key

A, B, C = name("shop/a"), name("shop/b"), name("shop/c")
K, L = key("k"), key("l")


def test_who_wanted_a_key_first_keeps_it_until_it_lets_go() -> None:
    keys = Keys()
    assert keys.take(A, [K]) == {}
    assert keys.take(B, [K, L]) == {K: A}
    assert keys.take(A, [K]) == {}
    assert keys.freed == set()
    assert keys.take(A, []) == {}
    assert keys.freed == {B}
    assert keys.take(B, [K, L]) == {}


def test_whose_record_stands_there_has_the_key() -> None:
    keys = Keys()
    assert keys.take(A, [K]) == {}
    keys.stand({B: [K]})
    assert keys.freed == {A}
    assert keys.take(A, [K]) == {K: B}
    assert keys.take(B, [K]) == {}
    keys.freed.clear()
    keys.stand({B: []})
    assert keys.freed == set()  # it is still wanted
    keys.take(B, [])
    assert keys.freed == {A}


def test_two_records_under_one_key_are_no_reason_to_turn_in_circles() -> None:
    keys = Keys()
    for _ in range(3):
        keys.stand({A: [K], B: [K]})
        assert (keys.take(A, [K]), keys.take(B, [K])) == ({}, {K: A})
        assert keys.freed == set()


STEPS = st.lists(
    st.tuples(st.sampled_from([A, B, C]), st.booleans(), st.sets(st.sampled_from([K, L]), max_size=2)), max_size=30
)


@given(STEPS)
def test_every_key_that_is_wanted_comes_to_one_service_once_all_were_asked_again(
    steps: list[tuple[ServiceName, bool, set[RecordKey]]],
) -> None:
    keys = Keys()
    wanted: dict[ServiceName, set[RecordKey]] = {one: set() for one in (A, B, C)}
    standing: dict[ServiceName, set[RecordKey]] = {one: set() for one in (A, B, C)}
    lost: dict[ServiceName, dict[RecordKey, ServiceName]] = {one: {} for one in (A, B, C)}
    for one, stands, them in steps:
        if stands:
            standing[one] = {
                each for each in them if all(each not in standing[other] for other in wanted if other != one)
            }
            keys.stand({one: standing[one]})
        else:
            wanted[one] = them
        lost[one] = keys.take(one, wanted[one])
        for _ in range(5):
            again = sorted(keys.freed)
            keys.freed.clear()
            for other in again:
                lost[other] = keys.take(other, wanted[other])
        assert keys.freed == set()
    for each in (K, L):
        who = [one for one in wanted if each in wanted[one]]
        have = [one for one in who if each not in lost[one]]
        elsewhere = any(each in standing[one] for one in wanted if one not in who)
        assert len(have) == (1 if who and not elsewhere else 0)
        assert all(each in wanted[one] for one in have)
