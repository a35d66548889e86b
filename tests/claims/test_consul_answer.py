"""The index is a cursor and no more."""

from adapters.consul.answer import FROM_START, Answer, Cursor


def answer(**headers: str) -> Answer:
    return Answer.of({name.replace("_", "-"): value for name, value in headers.items()}, b"[]", list)


def test_a_question_goes_on_from_the_last_answer() -> None:
    cursor = Cursor()
    assert not cursor.follow(7)
    assert cursor.index == 7


def test_an_index_that_goes_back_is_forgotten_and_told() -> None:
    cursor = Cursor()
    cursor.follow(568)
    assert cursor.follow(518)
    assert cursor.index == FROM_START


def test_an_index_that_is_missing_is_forgotten_and_is_no_way_back() -> None:
    cursor = Cursor()
    cursor.follow(568)
    assert not cursor.follow(0)
    assert cursor.index == FROM_START


def test_an_index_that_is_no_number_is_none() -> None:
    assert answer(X_Consul_Index="abc").index == 0
    assert answer(X_Consul_Index="-1").index == 0
    assert answer().index == 0
    assert answer(X_Consul_Index="12").index == 12


def test_only_answers_that_do_not_stream_say_whether_there_is_a_leader() -> None:
    assert answer(X_Consul_KnownLeader="false").leaderless
    assert not answer(X_Consul_KnownLeader="false", X_Consul_Query_Backend="streaming").leaderless
    assert not answer(X_Consul_KnownLeader="true").leaderless
    assert not answer().leaderless
