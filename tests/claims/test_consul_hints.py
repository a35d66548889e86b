"""What two answers of a Consul, one after the other, say of which services something has changed."""

import json
from typing import Any

from adapters.consul.answer import INDEX, Answer
from adapters.consul.hints import Compared, Read, Touched, checks_of, nodes_of, summary_of


def answer(said: Any) -> Answer:
    body = json.dumps(said).encode()
    return Answer.of({INDEX: "7"}, body, lambda: json.loads(body))


def compared(read: Read, *said: Any) -> list[frozenset[Touched] | None]:
    """What each answer shows after the one before it."""
    made = Compared(read)
    return [made.take(answer(one)) for one in said]


def check(service: str, node: str = "vm-1", **more: Any) -> dict[str, Any]:
    return {"ServiceName": service, "Node": node, "CheckID": f"check:{service}", **more}


def test_the_first_answer_shows_nothing_and_leaves_everything_open():
    assert compared(checks_of, [check("web")]) == [None]
    assert compared(checks_of, []) == [None]


def test_a_check_that_comes_or_goes_names_its_service():
    came, went = {Touched("web", "vm-1")}, {Touched("web", "vm-1")}
    assert compared(checks_of, [], [check("Web")], [])[1:] == [came, went]


def test_a_check_that_says_the_same_in_other_words_names_nothing():
    said = [check("web", Output=f"refused at {time}", ModifyIndex=time) for time in (1, 2)]
    assert compared(checks_of, *([one] for one in said))[1:] == [frozenset()]


def test_a_check_of_a_node_names_the_node():
    assert compared(checks_of, [], [check("", "vm-7")])[1:] == [{Touched("", "vm-7")}]


def test_a_node_that_has_another_address_or_meta_is_named_and_one_that_was_only_written_is_not():
    node = {"Node": "vm-1", "Address": "10.0.0.1", "Meta": {"zone": "a"}, "ModifyIndex": 4}
    others = ({"ModifyIndex": 5}, {"Address": "10.0.0.2"}, {"Meta": {"zone": "b"}})
    for other, names in zip(others, (False, True, True), strict=True):
        shown = compared(nodes_of, [node], [{**node, **other}])[1]
        assert shown == ({Touched("", "vm-1")} if names else set())


def test_a_summary_names_what_has_other_numbers_nodes_or_tags():
    one = {"Name": "Web", "Nodes": ["vm-1"], "InstanceCount": 1, "ChecksPassing": 1, "ChecksCritical": 0, "Tags": None}
    for other in (
        {"Nodes": ["vm-2"]},
        {"InstanceCount": 2},
        {"ChecksPassing": 0, "ChecksCritical": 1},
        {"Tags": ["v2"]},
    ):
        assert compared(summary_of, [one], [{**one, **other}])[1] == {Touched("web")}
    assert compared(summary_of, [one], [one, {"Name": "api"}])[1] == {Touched("api")}
    assert compared(summary_of, [one], [])[1] == {Touched("web")}


def test_what_cannot_be_understood_names_nothing():
    for garbage in (None, {}, "x", [None, 7, "x"]):
        for read in (checks_of, nodes_of, summary_of):
            assert compared(read, [], garbage)[1] == set()


def test_a_large_answer_is_asked_for_less_often():
    made = Compared(checks_of)
    made.take(answer([]))
    small = made.pace
    made.take(answer([check("web", Output="x" * 1_000_000)]))
    assert small < made.pace <= 3
