"""Finagle's ServerSets.

JSON as Finagle writes and reads it (serverset2's `Entry`, `Vector`; `JsonCodec` of Twitter's commons), Thrift as the
`ServiceInstance` of Twitter's commons (endpoint.thrift) comes out of TBinaryProtocol.
"""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.zookeeper import members
from adapters.zookeeper.dialects import thrift
from adapters.zookeeper.dialects.dialect import Child, PortNames
from adapters.zookeeper.dialects.serverset import ServerSet
from bridge.model import Endpoint, Health, Locality, Port
from tests.builders import endpoint
from tests.claims.znodes import OURS, child, data_of, fitted, made, poisons_nobody, refused, said, tell
from tests.claims.zookeeper_records import SERVERSET, SERVERSET_THRIFT

DIALECT = ServerSet()
BARE = '{"serviceEndpoint":{"host":"10.0.0.1","port":9000},"additionalEndpoints":{},"status":"ALIVE"}'


def member(record: str = BARE, name: str = "member_0000000001", **other: Any) -> Child:
    """The record with other fields; `...` takes one away."""
    return child(name, {key: one for key, one in {**json.loads(record), **other}.items() if one is not ...})


def at(host: str, port: int) -> dict[str, Any]:
    return {"host": host, "port": port}


def vector(*rules: tuple[str, object], name: str = "vector_0000000001") -> Child:
    return child(name, {"vector": [{"select": select, "weight": weight, "priority": 1} for select, weight in rules]})


def weights(*them: Child) -> list[tuple[int, Health | None]]:
    return [(one.weight, one.health) for one in said(DIALECT, *them)]


def test_a_member_has_a_port_of_its_service_and_named_ones_besides() -> None:
    assert said(DIALECT, child("member_0000000001", SERVERSET)) == [
        Endpoint("10.0.0.1", (Port("", 9000), Port("http", 9001)), metadata=(("k", "v"), ("shard", "3")))
    ]
    assert said(ServerSet(PortNames("rpc")), child("member_0000000001", SERVERSET))[0].ports[0] == Port("rpc", 9000)
    only = ServerSet(PortNames("rpc", additional=False))
    assert said(only, child("member_0000000001", SERVERSET))[0].ports == (Port("rpc", 9000),)


def test_a_further_endpoint_that_is_the_service_names_it() -> None:
    """As Aurora registers: `aurora` and `http` are one port."""
    one = member(additionalEndpoints={"aurora": at("10.0.0.1", 9000), "admin": at("10.0.0.1", 9001)})
    assert said(DIALECT, one)[0].ports == (Port("aurora", 9000), Port("admin", 9001))
    two = member(additionalEndpoints={"aurora": at("10.0.0.1", 9000), "http": at("10.0.0.1", 9000)})
    assert said(ServerSet(PortNames("http")), two)[0].ports == (Port("http", 9000), Port("aurora", 9000))


def test_a_default_name_that_another_port_has_is_not_given_twice() -> None:
    one = member(additionalEndpoints={"http": at("10.0.0.1", 9001)})
    assert said(ServerSet(PortNames("http")), one)[0].ports == (Port("", 9000), Port("http", 9001))


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("ALIVE", None),
        ("STOPPING", Health.DRAINING),
        ("DEAD", Health.UNHEALTHY),
        ("STARTING", Health.UNHEALTHY),
        ("STOPPED", Health.UNHEALTHY),
        ("WARNING", Health.UNHEALTHY),
        ("UNKNOWN", Health.UNHEALTHY),
        ("alive", Health.UNHEALTHY),
        (None, Health.UNHEALTHY),
        (2, Health.UNHEALTHY),
        (..., Health.UNHEALTHY),
    ],
)
def test_only_who_is_alive_is_used(status: Any, health: Health | None) -> None:
    assert said(DIALECT, member(status=status))[0].health is health


def test_what_finagle_lets_pass_is_read() -> None:
    for one in (member(additionalEndpoints=...), member(additionalEndpoints=None), member(x=1), member(metadata=None)):
        assert said(DIALECT, one)[0].ports == (Port("", 9000),)
    assert said(DIALECT, member(name="member_k8s-0a1b"))[0].address == "10.0.0.1", "any suffix"


def test_what_else_stands_there_is_nobodys_business() -> None:
    told = tell(DIALECT, child("lock-0000000001", "x"), child(".owner", "y"), child("Member_1", BARE))
    assert (told.others, told.problems) == ((), ())


def test_a_port_at_another_host_is_left_out_and_the_member_stands() -> None:
    one = member(
        additionalEndpoints={"http": at("10.0.0.2", 9001), "b": at("10.0.0.1", 0), "c": 7, "d": at("10.0.0.1", 1)}
    )
    told = tell(DIALECT, one)
    assert told.others[0].endpoint.ports == (Port("", 9000), Port("d", 1))
    assert len(told.problems) == 3


def test_a_member_of_thrift_says_the_same_as_one_of_json() -> None:
    assert said(DIALECT, child("member_0000000001", SERVERSET_THRIFT)) == said(
        DIALECT, child("member_0000000001", SERVERSET)
    )


def test_fields_of_thrift_that_nobody_knows_are_passed_over() -> None:
    strange = (
        b"\x02\x00\x10\x01"
        b"\x0a\x00\x11"
        + b"\x00" * 8
        + b"\x0f\x00\x12\x08\x00\x00\x00\x02"
        + b"\x00" * 8
        + b"\x0d\x00\x13\x0b\x08\x00\x00\x00\x01\x00\x00\x00\x01k\x00\x00\x00\x07"
        + b"\x0c\x00\x14\x03\x00\x01\x05\x00"
    )
    assert said(DIALECT, child("member_1", SERVERSET_THRIFT[:-1] + strange + b"\x00")) == said(
        DIALECT, child("member_1", SERVERSET_THRIFT)
    )


@pytest.mark.promise("S-17")
@given(
    st.one_of(
        st.binary(max_size=80),
        st.tuples(st.integers(0, len(SERVERSET_THRIFT)), st.binary(max_size=4)).map(
            lambda cut: SERVERSET_THRIFT[: cut[0]] + cut[1] + SERVERSET_THRIFT[cut[0] + len(cut[1]) :]
        ),
    )
)
def test_no_bytes_make_the_reader_of_thrift_fail_otherwise(data: bytes) -> None:
    try:
        thrift.member(data)
    except ValueError as error:
        text = str(error)
    else:
        text = ""
    assert text == "" or text.isprintable()


BAD = [
    child("member_1", ""),
    child("member_2", "null"),
    child("member_3", "[]"),
    child("member_4", "10.0.0.1:9000"),
    child("member_5", BARE[:-3]),
    child("member_6", BARE + "}"),
    child("member_7", b"\xff\xfe\x00"),
    child("member_8", SERVERSET_THRIFT[:-1]),
    child("member_9", SERVERSET_THRIFT[:20]),
    child("member_10", b"\x0c"),
    child("member_11", b"\x00"),
    child("member_12", b"\x0c\x00\x01\x0b\x00\x01\x7f\xff\xff\xff"),
    child("member_13", b"\x0f\x00\x09\x0f\x7f\xff\xff\xff" + b"\x00" * 40),
    child("member_14", BARE[:-1] + ',"status":"DEAD"}'),
    child("member_15", BARE[:-1] + ',"x":"' + "y" * 70_000 + '"}'),
    member(name="member_20", serviceEndpoint=...),
    member(name="member_21", serviceEndpoint=None),
    member(name="member_22", serviceEndpoint="10.0.0.1:9000"),
    member(name="member_23", serviceEndpoint={"host": "10.0.0.1"}),
    member(name="member_24", serviceEndpoint={"port": 9000}),
    member(name="member_25", serviceEndpoint={"host": "10.0.0.1", "port": "9000"}),
    member(name="member_26", serviceEndpoint={"host": "10.0.0.1", "port": 9000.0}),
    member(name="member_27", serviceEndpoint=at("10.0.0.1", 0)),
    member(name="member_28", serviceEndpoint=at("10.0.0.1", 65_536)),
    member(name="member_29", serviceEndpoint=at("", 9000)),
    member(name="member_30", serviceEndpoint=at("127.1", 9000)),
    member(name="member_31", additionalEndpoints="x"),
    member(name="member_32", metadata="x"),
    member(name="member_33", metadata={"a": {"b": "c"}}),
    member(name="member_34", shard="3"),
    member(name="member_35", shard=2**40),
    child("vector_1", ""),
    child("vector_2", "{}"),
    child("vector_3", '{"vector":{}}'),
    child("vector_4", b"\xff"),
]


@pytest.mark.promise("R-23", "law-9")
def test_a_member_that_nobody_can_use_costs_itself() -> None:
    good = [
        member(name=f"member_1{number:09}", serviceEndpoint=at(f"10.0.1.{number}", 9000)) for number in range(1, 51)
    ]
    poisons_nobody(DIALECT, good, BAD)


# Weights


THREE = [member(name=f"member_000000000{n}", serviceEndpoint=at(f"10.0.0.{n}", 9000), shard=n) for n in (1, 2, 3)]


def test_without_vectors_everybody_weighs_the_same() -> None:
    assert weights(*THREE) == [(1, None)] * 3
    assert weights(*THREE, vector()) == [(1, None)] * 3


def test_a_vector_selects_by_member_address_and_shard() -> None:
    one = vector(("member=member_0000000001", 0.5), ("inet=10.0.0.2:9000", 1.2), ("shard=3", 2.0))
    assert weights(*THREE, one) == [(5, None), (12, None), (20, None)]


def test_weights_that_are_whole_are_the_same_here_and_others_the_smallest_of_their_proportion() -> None:
    assert weights(*THREE, vector(("shard=1", 3.0))) == [(3, None), (1, None), (1, None)]
    assert weights(*THREE, vector(("shard=1", 2.0), ("shard=2", 2.0), ("shard=3", 2.0))) == [(2, None)] * 3
    assert weights(*THREE, vector(("shard=1", 1.5))) == [(3, None), (2, None), (2, None)]
    assert weights(*THREE, vector(("shard=1", 0.333))) == [(33, None), (100, None), (100, None)]


def test_of_vectors_that_say_the_same_one_counts() -> None:
    """Finagle has them in a set."""
    one, two = vector(("shard=1", 3.0)), vector(("shard=1", 3.0), name="vector_2")
    assert weights(*THREE, one, two) == [(3, None), (1, None), (1, None)]
    other = child("vector_3", one.data.replace(b'"priority": 1', b'"priority": 2'))
    assert weights(*THREE, one, other) == [(9, None), (1, None), (1, None)]


def test_weights_multiply_over_rules_and_vectors() -> None:
    one = vector(("shard=1", 0.5), ("shard=1", 3.0))
    two = vector(("member=member_0000000001", 2.0), ("shard=2", 0.1), name="vector_2")
    assert weights(*THREE, one, two) == [(30, None), (1, None), (10, None)]


def test_who_is_to_get_nothing_is_draining() -> None:
    assert weights(*THREE, vector(("shard=1", 0.0), ("shard=2", -1.0))) == [
        (1, Health.DRAINING),
        (1, Health.DRAINING),
        (1, None),
    ]


def test_a_weight_changes_nothing_of_who_is_dead() -> None:
    dead = member(name="member_9", status="DEAD", shard=9)
    assert weights(dead, vector(("shard=9", 0.0))) == [(1, Health.UNHEALTHY)]


def test_weights_beyond_all_bounds_are_bounded() -> None:
    one = vector(("shard=1", 1e308), ("shard=1", 1e308), ("shard=2", 1e-30))
    assert weights(*THREE, one) == [(65_535, None), (1, None), (100, None)]


@pytest.mark.parametrize(
    "rule", [("shard=1", 2), ("shard=1", "2.0"), ("port=9000", 2.0), ("", 2.0), (7, 2.0), ("shard", 2.0)]
)
def test_a_rule_that_counts_for_no_reader_counts_for_nobody_and_is_told(rule: Any) -> None:
    told = tell(DIALECT, *THREE, vector(rule, ("shard=2", 2.0)))
    assert sorted(one.endpoint.weight for one in told.others) == [1, 1, 2]
    (problem,) = told.problems
    assert problem.what.startswith("vector_0000000001: ")


def test_a_vector_that_turns_to_garbage_keeps_its_weights() -> None:
    good = vector(("shard=1", 2.0))
    before = members.take(DIALECT, [*THREE, good], {})
    after = members.take(DIALECT, [*THREE, good._replace(data=b"{", version=1)], before)
    parts = {key: one.part for key, one in after.items()}
    assert sorted(one.weight for one in DIALECT.join(parts).endpoints.values()) == [1, 1, 2]


def test_vectors_of_others_do_not_change_what_we_wrote() -> None:
    nodes = made(DIALECT, fitted(DIALECT, endpoint("10.0.0.1:9000"))[0])
    told = tell(DIALECT, *nodes, vector(("inet=10.0.0.1:9000", 3.0)), mark=OURS)
    assert told.holding.endpoints[0].weight == 1


# Writing


def test_a_member_is_written_as_finagle_writes_it_and_with_both_keys() -> None:
    one = endpoint("10.0.0.1:9000", port="", more=[Port("http", 9001)], metadata=(("k", "v"), ("shard", "3")))
    (node,) = made(DIALECT, fitted(DIALECT, one)[0])
    data = node.data.decode()
    (record,) = fitted(DIALECT, one)[0]
    stem = record.key.removeprefix("shop/web/")
    assert data == SERVERSET.replace(
        '{"k":"v"}', f'{{"registry-bridge":"registry-bridge/1 owner=prod-eu1 key={stem}","k":"v"}}'
    )
    assert data.startswith('{"'), "by these two bytes old readers know JSON"
    assert data_of(DIALECT, endpoint("10.0.0.1:9000", port=""))["additionalEndpoints"] == {}


@given(st.integers(1, 65_535))
def test_a_name_is_one_that_old_readers_know_as_a_members(port: int) -> None:
    """Aurora's `Group`, in Java, matches `member_-?[0-9]+`; Twitter's, in Python, reads a number and writes it."""
    (node,) = made(DIALECT, fitted(DIALECT, endpoint(f"10.0.0.1:{port}"))[0])
    assert re.fullmatch("member_[0-9]+", node.name)
    assert f"member_{int(node.name.removeprefix('member_')):010}" == node.name


def test_ports_that_have_no_name_have_no_place() -> None:
    one = Endpoint("10.0.0.1", (Port("http", 80), Port("", 81), Port("http", 82), Port("admin", 83)))
    records, problems = fitted(DIALECT, one)
    assert said(DIALECT, *made(DIALECT, records))[0].ports == (Port("http", 80), Port("admin", 83))
    assert [problem.kind for problem in problems] == ["unsaid"]


def test_what_no_port_of_tcp_is_is_left_out() -> None:
    records, problems = fitted(DIALECT, Endpoint("10.0.0.1", (Port("http", 80), Port("dns", 53, "UDP"))))
    assert said(DIALECT, *made(DIALECT, records))[0].ports == (Port("http", 80),)
    assert [problem.kind for problem in problems] == ["port"]
    records, problems = fitted(DIALECT, Endpoint("10.0.0.1", (Port("dns", 53, "UDP"), Port("http", 80))))
    assert not records
    assert "has no place in serverset" in problems[0].what


def test_localities_are_metadata() -> None:
    one = data_of(DIALECT, endpoint("10.0.0.1:9000", locality=Locality("eu", "dc1", "r7")))
    assert {"region": "eu", "zone": "dc1", "sub_zone": "r7"}.items() <= one["metadata"].items()


def test_a_host_name_is_not_written() -> None:
    records, (problem,) = fitted(DIALECT, Endpoint("vm7.example", (Port("", 80),)))
    assert not records
    assert "vm7.example" in problem.what


def test_a_problem_says_what_is_wrong() -> None:
    assert refused(DIALECT, member(serviceEndpoint=at("10.0.0.1", 99_999))) == (
        "serviceEndpoint.port 99999 is not between 1 and 65535; it is left out"
    )
