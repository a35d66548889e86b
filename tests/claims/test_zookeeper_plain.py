"""Conventions in which the name says most: `host:port`, kazoo's parties, Solr's live nodes, Kafka's brokers.

Parties as kazoo 2.11 (`recipe/party.py`) and kingpin (`zk_update_monitor`) have them, live nodes as Solr's ZkController
registers them, brokers as Kafka's `BrokerIdZNode` of versions 1 to 5.
"""

import json
from typing import Any

import pytest

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dialect import Child, PortNames
from adapters.zookeeper.dialects.kafka import Kafka
from adapters.zookeeper.dialects.known import Options, dialect
from adapters.zookeeper.dialects.party import Party, ShallowParty
from adapters.zookeeper.dialects.plain import Plain
from adapters.zookeeper.dialects.solr import Solr
from adapters.zookeeper.fitting import key
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.paths import Mapped, Tree
from adapters.zookeeper.target import TreeTarget
from bridge.adapter import Put, Record, Target
from bridge.model import Endpoint, Health, Locality, Port
from tests.builders import endpoint
from tests.claims.znodes import OURS, WEB, child, fitted, made, poisons_nobody, refused, said, tell
from tests.claims.zookeeper_records import KAFKA

PLAIN = Plain()
ONE = Endpoint("10.0.0.1", (Port("", 8080),))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("10.0.0.1:8080", ""),
        ("10.0.0.1:8080", " \n"),
        ("10.0.0.1:8080", "10.0.0.1:8080"),
        ("10.0.0.1:8080", "4711"),
        ("10.0.0.1:8080", "{}"),
        ("10.0.0.1:8080", '{"started":"2024-01-01"}'),
        ("10.0.0.1:8080", '{"host":"10.0.0.1","port":8080}'),
        ("server-0000000001", "10.0.0.1:8080\n"),
        ("server-0000000001", '{"address":"10.0.0.1","port":8080}'),
        ("server-0000000001", '{"ip":"10.0.0.1","port":8080}'),
    ],
)
def test_name_and_data_say_an_address_or_one_of_them_does(name: str, data: str) -> None:
    assert said(PLAIN, child(name, data)) == [ONE]


def test_an_ipv6_address_is_cut_at_its_last_colon() -> None:
    for name in ("[2001:db8::1]:8080", "2001:db8::1:8080"):
        assert said(PLAIN, child(name))[0].id == ("2001:db8::1", 8080)


def test_weight_and_metadata_may_stand_in_json() -> None:
    data = {"weight": 3, "metadata": {"zone": "dc1", "a": "b"}}
    assert said(PLAIN, child("10.0.0.1:8080", data)) == [
        Endpoint("10.0.0.1", (Port("", 8080),), None, Locality(zone="dc1"), weight=3, metadata=(("a", "b"),))
    ]
    assert said(PLAIN, child("10.0.0.1:8080", {"weight": 0}))[0].health is Health.DRAINING


def test_where_both_say_another_address_nobody_is_believed() -> None:
    for data in ("10.0.0.2:8080", '{"host":"10.0.0.1","port":8081}'):
        assert "which of them is it?" in refused(PLAIN, child("10.0.0.1:8080", data))


BAD = [
    child("lock-0000000001", ""),
    child("a", "b"),
    child("b", b"\xff\x00\x00"),
    child("10.0.0.1:8080", b"\xff\xfe"),
    child("10.0.0.2:8080", "{"),
    child("10.0.0.3:8080", '{"host":"10.0.0.3"}'),
    child("10.0.0.4:8080", '{"port":8080}'),
    child("10.0.0.5:8080", '{"weight":"heavy"}'),
    child("10.0.0.6:8080", '{"metadata":[1]}'),
    child("10.0.0.7:0"),
    child("10.0.0.7:65536"),
    child("10.0.0.7:http"),
    child("10.0.0.7:"),
    child(":8080"),
    child("10.0.0.256:8080"),
    child("010.0.0.1:8080"),
    child("a b:8080"),
    child("c", "x" * 70_000),
]


@pytest.mark.promise("R-23", "law-9")
def test_a_child_that_says_no_address_costs_itself() -> None:
    poisons_nobody(PLAIN, [child(f"10.0.1.{number}:80") for number in range(1, 51)], BAD)


def test_an_address_is_written_as_name_and_as_json_with_the_mark() -> None:
    (record,), _ = fitted(PLAIN, endpoint("10.0.0.1:8080", port="", weight=3, metadata=(("a", "b"),)))
    (node,) = made(PLAIN, [record])
    assert node.name == "10.0.0.1:8080"
    assert json.loads(node.data) == {
        "host": "10.0.0.1",
        "port": 8080,
        "weight": 3,
        "metadata": {"registry-bridge": "registry-bridge/1 owner=prod-eu1 key=10.0.0.1:8080", "a": "b"},
    }


@pytest.mark.promise("R-18")
def test_a_name_that_somebody_else_has_is_taken() -> None:
    (record,), _ = fitted(PLAIN, endpoint("10.0.0.1:8080"))
    native = tell(PLAIN, child("10.0.0.1:8080"), mark=OURS).holding
    assert native.taken == ((record.key, "somebody without a mark"),)
    theirs = tell(PLAIN, *made(PLAIN, [record], "prod-us1"), mark=OURS).holding
    assert theirs.taken == ((record.key, "prod-us1"),)
    assert tell(PLAIN, *made(PLAIN, [record]), mark=OURS).holding.taken == ()


@pytest.mark.promise("S-06")
def test_what_its_mark_makes_longer_than_is_read_is_not_written() -> None:
    tree = Tree.of("/services/{name}", Mapped("shop"))
    target = TreeTarget(Target("/services/{name}"), tree, PLAIN, Mirror(tree, PLAIN, ours=True), OURS)
    said = {"host": "10.0.0.1", "port": 8080, "metadata": {"k": ""}}
    said["metadata"] = {"k": "x" * (words.MAX_DATA - len(words.compact(said)))}
    record = Record(key(WEB, "10.0.0.1:8080"), WEB, words.compact(said))
    assert len(record.content) == words.MAX_DATA
    with pytest.raises(ValueError, match="at most 65,536 are read again"):
        target.write(Put(record, None))


# Parties

MEMBER = "0123456789abcdef0123456789abcdef"


PARTY_BAD = [
    child(f"{MEMBER}__party__{at}", data) for at, data in enumerate(("", "host-1", "a:b", b"\xff", "10.0.0.1:0"))
]


def test_who_takes_part_holds_its_identifier() -> None:
    dialect = Party()
    assert said(dialect, child(f"{MEMBER}__party__", "10.0.0.1:8080"), child("lock", "x")) == [ONE]
    poisons_nobody(dialect, [child(f"{at}__party__", f"10.0.1.{at}:80") for at in range(1, 51)], PARTY_BAD)


KINGPIN_BAD = [child(f"{MEMBER}-{which}") for which in ("x", "10.0.0.1", "10.0.0.1:0", "10.0.0.256:1", "a b:1", "-:1")]


def test_who_takes_part_in_a_shallow_party_is_called_by_it() -> None:
    dialect = ShallowParty()
    assert not any(branch.data for branch in dialect.branches)
    assert said(dialect, child(f"{MEMBER}-10.0.0.1:8080"), child("lock-1"), child("10.0.0.1:8080")) == [ONE]
    assert said(dialect, child(f"{MEMBER}-my-host:8080"))[0].address == "my-host"
    poisons_nobody(dialect, [child(f"{at:032x}-10.0.1.{at}:80") for at in range(1, 51)], KINGPIN_BAD)


def test_kingpin_finds_an_address_behind_the_first_hyphen() -> None:
    dialect = ShallowParty()
    (node,) = made(dialect, fitted(dialect, endpoint("10.0.0.1:8080", via="prod-a prod.b"))[0])
    assert node.name == "registry_bridge~1~prod=eu1~prod=a+prod.b-10.0.0.1:8080"
    assert node.name[node.name.find("-") + 1 :] == "10.0.0.1:8080"


def test_kazoo_finds_an_address_in_the_data() -> None:
    dialect = Party()
    (node,) = made(dialect, fitted(dialect, endpoint("10.0.0.1:8080"))[0])
    assert node.name == "registry-bridge~1~prod-eu1~10.0.0.1:8080__party__"
    assert node.data == b"10.0.0.1:8080"


# Solr


@pytest.mark.parametrize(
    ("name", "address", "port", "context"),
    [
        ("10.0.0.1:8983_solr", "10.0.0.1", 8983, "solr"),
        ("10.0.0.1:8983_", "10.0.0.1", 8983, ""),
        ("my_host.example:8983_solr_core", "my_host.example", 8983, "solr_core"),
        ("10.0.0.1:8983_search%2Fsolr", "10.0.0.1", 8983, "search/solr"),
        ("[2001:db8::1]:8983_solr", "2001:db8::1", 8983, "solr"),
    ],
)
def test_a_live_node_of_solr_is_its_name(name: str, address: str, port: int, context: str) -> None:
    (one,) = said(Solr(PortNames("http")), child(name))
    assert (one.address, one.ports) == (address, (Port("http", port),))
    assert dict(one.metadata).get("context", "") == context


SOLR_BAD = [
    child(name) for name in ("x", "10.0.0.1:8983", "10.0.0.1_solr", "10.0.0.1:0_solr", "10.0.0.1:99999_solr", ":1_s")
]


def test_a_live_node_of_no_name_costs_itself() -> None:
    poisons_nobody(Solr(), [child(f"10.0.1.{at}:8983_solr") for at in range(1, 51)], SOLR_BAD)


# Kafka

DIALECT = Kafka()


def broker(name: str = "1", **other: Any) -> Child:
    return child(name, {key: one for key, one in {**KAFKA, **other}.items() if one is not ...})


def test_a_broker_has_the_ports_of_its_listeners() -> None:
    assert said(DIALECT, broker()) == [
        Endpoint("h1", (Port("CLIENT", 9092), Port("SSL", 9093)), metadata=(("broker", "1"), ("rack", "a")))
    ]
    assert said(Kafka(PortNames("", additional=False)), broker())[0].ports == (Port("CLIENT", 9092),)
    assert said(Kafka(listener="SSL"), broker())[0].ports == (Port("SSL", 9093), Port("CLIENT", 9092))


def test_a_broker_of_the_first_version_has_a_host_and_a_port() -> None:
    first = child("0", {"version": 1, "host": "10.0.0.1", "port": 9092, "jmx_port": 9999, "timestamp": "1"})
    assert said(DIALECT, first)[0].id == ("10.0.0.1", 9092)


def test_a_broker_without_plain_text_has_its_first_listener() -> None:
    one = broker(host=None, port=-1, endpoints=["SSL://[::1]:9093", "SASL_SSL://[::1]:9094"])
    assert said(DIALECT, one)[0].ports == (Port("SSL", 9093), Port("SASL_SSL", 9094))


def test_a_listener_elsewhere_is_told_and_left_out() -> None:
    one = broker(endpoints=["CLIENT://h1:9092", "EXTERNAL://public.example:9094"])
    told = tell(DIALECT, one)
    assert told.others[0].endpoint.ports == (Port("CLIENT", 9092),)
    assert "EXTERNAL" in told.problems[0].what
    assert said(Kafka(listener="EXTERNAL"), one)[0].address == "public.example"


KAFKA_BAD = [
    child("1", ""),
    child("2", "[]"),
    child("3", "{"),
    broker("4", version=...),
    broker("5", version="5"),
    broker("6", host=None, port=-1, endpoints=[]),
    broker("7", host=None, port=-1, endpoints=...),
    broker("8", endpoints="SSL://h1:1"),
    broker("9", endpoints=["h1:9092"]),
    broker("10", endpoints=["SSL://h1:port"]),
    broker("11", endpoints=[7]),
    broker("12", port="9092"),
    broker("13", rack=7),
]


def test_a_broker_that_nobody_can_reach_costs_itself() -> None:
    poisons_nobody(
        DIALECT, [broker(str(n), host=f"h{n}", endpoints=[f"A://h{n}:1"], port=1) for n in range(20, 60)], KAFKA_BAD
    )
    assert tell(DIALECT, child("topics", "x"), child("seqid", "")).problems == ()


def test_nobody_writes_brokers_or_live_nodes() -> None:
    for name in ("kafka", "solr"):
        assert not hasattr(dialect(name, Options()), "say")
