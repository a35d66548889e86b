"""What holds for every dialect of ZooKeeper that is written, whatever is written."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.zookeeper import members
from adapters.zookeeper.dialects.curator import Curator
from adapters.zookeeper.dialects.dialect import Child, Dialect, PortNames, Written
from adapters.zookeeper.dialects.dubbo import Dubbo
from adapters.zookeeper.dialects.dubbo_app import DubboApp
from adapters.zookeeper.dialects.kafka import Kafka
from adapters.zookeeper.dialects.nerve import Nerve
from adapters.zookeeper.dialects.party import Party, ShallowParty
from adapters.zookeeper.dialects.plain import Plain
from adapters.zookeeper.dialects.serverset import ServerSet
from adapters.zookeeper.dialects.solr import Solr
from adapters.zookeeper.dialects.spring import Spring
from adapters.zookeeper.fitting import reduced
from bridge.kit.mark import Mark
from bridge.model import NOWHERE, Endpoint, Health, Locality, Port
from tests.builders import endpoint
from tests.claims.znodes import OURS, SCOPE, THEIRS, child, fitted, made, said, shows, tell

HTTP = PortNames("http")
WRITTEN: dict[str, Written] = {
    "curator": Curator(HTTP),
    "spring": Spring(HTTP),
    "nerve": Nerve(HTTP),
    "nerve encoded": Nerve(HTTP, encoded=True),
    "serverset": ServerSet(HTTP),
    "serverset, primary port only": ServerSet(PortNames("http", additional=False)),
    "dubbo": Dubbo("tri", "g", "1.0.0"),
    "dubbo-app": DubboApp(interfaces=("com.ex.Foo",)),
    "plain": Plain(HTTP),
    "party": Party(HTTP),
    "kingpin": ShallowParty(HTTP),
}
READ: dict[str, Dialect] = {**WRITTEN, "solr": Solr(HTTP), "kafka": Kafka(HTTP)}

written = pytest.mark.parametrize("dialect", WRITTEN.values(), ids=WRITTEN)
every = pytest.mark.parametrize("dialect", READ.values(), ids=READ)

words = st.text("abz09-_. ~+%/\\\"'ü\n", max_size=8)
ports = st.builds(
    Port,
    st.sampled_from(["", "http", "https", "admin", "80"]),
    st.integers(1, 65_535),
    st.sampled_from(["TCP", "TCP", "TCP", "UDP"]),
    st.sampled_from(["", "", "h2c"]),
)
endpoints = st.builds(
    Endpoint,
    st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
    st.lists(ports, min_size=1, max_size=4, unique_by=lambda port: (port.name, port.number)).map(tuple),
    st.sampled_from([None, *Health]),
    st.one_of(st.just(NOWHERE), st.builds(Locality, words, words, words)),
    st.one_of(st.just(""), words),
    st.integers(1, 100_000),
    st.sampled_from(["", "prod-a", "prod-a prod.b"]),
    st.booleans(),
    metadata=st.dictionaries(st.one_of(words, st.sampled_from(["zone", "weight", "registry-bridge"])), words).map(
        lambda pairs: tuple(sorted(pairs.items()))
    ),
)


def heeds_data(dialect: Dialect) -> bool:
    """Whether what a znode holds says anything that its name does not."""
    return any(branch.data for branch in dialect.branches) and not (isinstance(dialect, Nerve) and dialect.encoded)


@written
@given(st.data())
def test_what_is_written_reads_back_as_it_was_or_it_is_told(dialect: Written, data: st.DataObject) -> None:
    wanted = data.draw(endpoints)
    records, problems = fitted(dialect, wanted)
    for problem in problems:
        shows(problem)
    back = tell(dialect, *made(dialect, records), mark=OURS)
    assert not back.problems
    assert not back.others
    if not records:
        assert problems
        return
    (said,) = back.holding.endpoints
    assert said.id == wanted.id
    expected = reduced(dialect, wanted, Counter())
    assert expected is not None
    if expected.health is Health.UNHEALTHY:  # there is no word for it, and the only one is listed all the same
        expected = replace(expected, health=None)
    assert said == expected
    if not problems:
        assert said == replace(wanted, held=False, health=said.health)
    assert {one.key: one.content for one in back.holding.records} == {one.key: one.content for one in records}


@written
@given(st.data())
def test_another_bridge_sees_it_come_through_us(dialect: Written, data: st.DataObject) -> None:
    records, _ = fitted(dialect, data.draw(endpoints))
    ours = tell(dialect, *made(dialect, records), mark=OURS).holding.endpoints
    theirs = tell(dialect, *made(dialect, records), mark=THEIRS)
    assert not theirs.holding.records
    assert [replace(one.endpoint, via="") for one in theirs.others] == [replace(one, via="") for one in ours]
    for one, seen in zip(ours, theirs.others, strict=True):
        assert seen.endpoint.via == f"{one.via} {OURS.owner}".strip()


@written
def test_what_came_through_us_ends_with_us(dialect: Written) -> None:
    records, _ = fitted(dialect, endpoint("10.0.0.1:80", via="prod-eu1 prod-a"))
    told = tell(dialect, *made(dialect, records, THEIRS.owner), mark=OURS)
    assert (told.others, told.holding.records, told.problems) == ((), (), ())


@written
@given(st.data())
def test_a_new_owner_name_changes_neither_keys_nor_content(dialect: Written, data: st.DataObject) -> None:
    records, _ = fitted(dialect, data.draw(endpoints))
    renamed = tell(dialect, *made(dialect, records, "old"), mark=Mark("new", "one", ("old",))).holding
    assert {one.key: one.content for one in renamed.records} == {one.key: one.content for one in records}


@written
def test_every_endpoint_has_a_name_of_its_own(dialect: Written) -> None:
    them = [endpoint(f"10.0.0.{host}:{port}") for host in range(1, 9) for port in (80, 81)]
    records, problems = fitted(dialect, *them)
    assert {one.kind for one in problems} <= {"unsaid"}
    nodes = made(dialect, records)
    assert len({one.key for one in records}) == len({node.name for node in nodes}) == 16
    assert all("/" not in node.name and node.name.isascii() and node.name.isprintable() for node in nodes)


@written
def test_one_endpoint_more_or_less_touches_no_other_record(dialect: Written) -> None:
    them = [endpoint(f"10.0.0.{host}:80") for host in range(1, 9)]
    all_of_them = {one.key: one.content for one in fitted(dialect, *them)[0]}
    some = {one.key: one.content for one in fitted(dialect, *them[1:])[0]}
    assert some.items() < all_of_them.items()


@written
def test_who_never_reads_twice_gets_a_new_record_for_every_change(dialect: Written) -> None:
    (one,), _ = fitted(dialect, endpoint("10.0.0.1:80"))
    for other in (endpoint("10.0.0.1:80", weight=3), endpoint("10.0.0.1:80", metadata=(("a", "b"),))):
        (changed, *_), problems = fitted(dialect, other)
        if not problems:
            assert (changed.key == one.key) == dialect.in_place
            assert changed.content != one.content


@written
def test_what_is_not_to_be_used_is_not_listed_unless_all_is_so_or_there_is_a_word_for_it(dialect: Written) -> None:
    good, bad = endpoint("10.0.0.1:80"), endpoint("10.0.0.2:80", health=Health.UNHEALTHY)
    draining = endpoint("10.0.0.3:80", health=Health.DRAINING)
    listed = 3 if dialect.health(Health.UNHEALTHY) is Health.DRAINING else 1
    assert len(fitted(dialect, good, bad, draining)[0]) == listed
    assert len(fitted(dialect, bad, draining)[0]) == 2


@written
@pytest.mark.promise("R-34")
def test_a_record_that_was_made_twice_is_seen_as_one_too_many(dialect: Written) -> None:
    records, _ = fitted(dialect, endpoint("10.0.0.1:80"))
    nodes = made(dialect, records) + made(dialect, records)
    if nodes[0].name == nodes[1].name:
        return
    holding = tell(dialect, *nodes, mark=OURS).holding
    assert len(holding.records) == 2
    assert holding.records[0].key == records[0].key
    assert len(holding.endpoints) == 1


@written
@pytest.mark.promise("R-17")
def test_what_somebody_edits_is_still_ours_and_other_content(dialect: Written) -> None:
    records, _ = fitted(dialect, endpoint("10.0.0.1:80"))
    (node,) = made(dialect, records)
    if not heeds_data(dialect):
        return
    for data in (node.data.replace(b"10.0.0.1", b"10.0.0.9", 1), node.data[:-1], node.data + b"}"):
        (ours,) = tell(dialect, node._replace(data=data, version=1), mark=OURS).holding.records
        assert ours.key == records[0].key
        assert ours.content != records[0].content


def test_a_native_record_counts_before_a_bridges_whatever_their_age() -> None:
    native = child("i-1_1", {"host": "10.0.0.1", "port": 80, "weight": 5})
    (bridged,) = made(Nerve(), fitted(Nerve(), endpoint("10.0.0.1:80", weight=7))[0], "others")
    for order in ((native, bridged), (bridged, native._replace(created=bridged.created + 1))):
        (one,) = said(Nerve(), *order)
        assert (one.weight, one.via) == (5, "")


def test_who_stands_twice_and_says_two_things_is_told_and_the_younger_counts() -> None:
    old, young = (child(f"i-1_{weight}", {"host": "10.0.0.1", "port": 80, "weight": weight}) for weight in (1, 7))
    service, (problem,) = members.service(SCOPE.service, [tell(Nerve(), young, old)])
    assert [one.weight for one in service.endpoints] == [7]
    assert problem.kind == "duplicate"
    _, problems = members.service(SCOPE.service, [tell(Nerve(), old, old._replace(name="i-1_9"))])
    assert not problems, "two that say the same are no problem"


@every
@pytest.mark.promise("R-23", "law-9")
def test_a_record_that_turns_to_garbage_is_one_problem_and_keeps_what_it_said(dialect: Dialect) -> None:
    if not isinstance(dialect, Written) or not heeds_data(dialect):
        return
    nodes = made(dialect, fitted(dialect, endpoint("10.0.0.1:80"), endpoint("10.0.0.2:80"))[0], "others")
    before = members.take(dialect, nodes, {})
    broken = nodes[0]._replace(data=b"\xff\xfe", version=1)
    told = members.tell(dialect, members.take(dialect, [broken, nodes[1]], before), SCOPE, None)
    assert sorted(str(one.endpoint.id) for one in told.others) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert len(told.problems) == 1
    assert "what it said last stands" in told.problems[0].what
    born_anew = broken._replace(created=broken.created + 100)
    told = members.tell(dialect, members.take(dialect, [born_anew, nodes[1]], before), SCOPE, None)
    assert [str(one.endpoint.id) for one in told.others] == ["10.0.0.2:80"]


@every
def test_what_did_not_change_is_not_read_again(dialect: Dialect) -> None:
    if not isinstance(dialect, Written):
        return
    nodes = made(dialect, fitted(dialect, endpoint("10.0.0.1:80"))[0])
    before = members.take(dialect, nodes, {})
    after = members.take(dialect, [*nodes, child("other", "x")], before)
    assert after[nodes[0].key] is before[nodes[0].key]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = (
    *("name", "id", "address", "host", "port", "sslPort", "payload", "serviceType", "registrationTimeUTC", "enabled"),
    *("@class", "metadata", "labels", "weight", "instance_status", "serviceEndpoint", "additionalEndpoints", "status"),
    *(
        "shard",
        "vector",
        "select",
        "priority",
        "endpoints",
        "registry-bridge",
        "registry-bridge.via",
        "dubbo.endpoints",
    ),
)


@every
@pytest.mark.promise("S-17")
@given(st.data())
def test_no_record_whatever_it_holds_raises_more_than_a_problem(dialect: Dialect, data: st.DataObject) -> None:
    raw = data.draw(
        st.one_of(
            st.binary(max_size=60),
            json_values.map(json.dumps).map(str.encode),
            st.dictionaries(st.sampled_from(FIELDS), json_values).map(json.dumps).map(str.encode),
            _mutated(dialect),
        )
    )
    name = data.draw(st.one_of(st.text(min_size=1, max_size=20), st.sampled_from(_names(dialect))))
    branch = data.draw(st.sampled_from([one.path for one in dialect.branches]))
    for mark in (None, OURS):
        told = tell(dialect, Child(branch, name, raw), mark=mark)
        for problem in told.problems:
            shows(problem)
        for one in (*(aged.endpoint for aged in told.others), *told.holding.endpoints):
            hash(one)
            assert one.ports
            assert all(1 <= port.number <= 65_535 for port in one.ports)
            assert one.weight >= 1


def _names(dialect: Dialect) -> list[str]:
    if not isinstance(dialect, Written):
        return ["x"]
    return [node.name for node in made(dialect, fitted(dialect, endpoint("10.0.0.1:80", weight=3))[0])]


def _mutated(dialect: Dialect) -> st.SearchStrategy[bytes]:
    """A good record of JSON in which one value is another."""
    if not isinstance(dialect, Written):
        return st.just(b"")
    nodes = made(dialect, fitted(dialect, endpoint("10.0.0.1:80", weight=3, metadata=(("a", "b"),)))[0])
    try:
        good = [json.loads(node.data) for node in nodes]
    except ValueError:
        return st.binary(max_size=20)

    def mutate(values: tuple[Any, tuple[int, str]]) -> bytes:
        value, (number, key) = values
        return json.dumps({**good[number], key: value}).encode()

    keys = [(number, key) for number, one in enumerate(good) for key in sorted(one)]
    return st.tuples(json_values, st.sampled_from(keys)).map(mutate)
