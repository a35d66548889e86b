"""Curator's instances, and those of Spring Cloud and Dubbo, which are Curator's with a payload.

Records of others are as Curator 5.9 (`JsonInstanceSerializer`), Spring Cloud Zookeeper 5.0 (`ZookeeperInstance`) and
Dubbo 3.3 (`org.apache.dubbo.registry.zookeeper.ZookeeperInstance`) write them; what is accepted and refused is what
their readers were measured to do.
"""

import json
from typing import Any

import pytest

from adapters.zookeeper.dialects.curator import Curator
from adapters.zookeeper.dialects.dialect import Child, PortNames, Spelled
from adapters.zookeeper.dialects.dubbo_app import DubboApp
from adapters.zookeeper.dialects.payloads import DUBBO, SPRING
from adapters.zookeeper.dialects.spring import Spring
from bridge.model import Endpoint, Health, Locality, Port
from tests.builders import endpoint
from tests.claims.znodes import OURS, child, data_of, fitted, made, poisons_nobody, refused, said, tell
from tests.claims.zookeeper_records import CURATOR, OF_DUBBO, OF_SPRING, URI

DIALECT = Curator()


def but(record: str = CURATOR, **other: Any) -> Child:
    """The record with other fields; `...` takes one away."""
    fields = {key: value for key, value in {**json.loads(record), **other}.items() if value is not ...}
    return child("an-id", fields)


def test_an_instance_of_curator_is_an_address_and_a_port() -> None:
    assert said(DIALECT, child("id-1", CURATOR)) == [Endpoint("10.0.0.1", (Port("", 8080),))]
    assert said(Curator(PortNames("http")), child("id-1", CURATOR)) == [Endpoint("10.0.0.1", (Port("http", 8080),))]


def test_a_second_port_is_the_one_for_tls() -> None:
    assert said(DIALECT, but(sslPort=8443))[0].ports == (Port("", 8080), Port("https", 8443))
    assert said(DIALECT, but(port=None, sslPort=8443))[0].ports == (Port("https", 8443),)
    assert said(Curator(PortNames("", additional=False)), but(sslPort=8443))[0].ports == (Port("", 8080),)


@pytest.mark.parametrize(
    "record",
    [
        but(port="8080"),
        but(port=8080.0),
        but(sslPort=""),
        but(serviceType=None),
        but(serviceType=...),
        but(serviceType="DYNAMIC_SEQUENTIAL"),
        but(registrationTimeUTC="17"),
        but(uriSpec="{scheme}://{address}:{port}"),
        but(id=...),
        but(id="another than the child's name"),
        but(unknown=1, further={"a": []}),
        but(payload="hello"),
        but(payload=5),
        but(payload=["java.lang.Long", 5]),
        but(payload=["java.util.ArrayList", ["x"]]),
        child("id-1", b"\xef\xbb\xbf" + CURATOR.encode()),
    ],
)
def test_what_curators_reader_lets_pass_is_read(record: Child) -> None:
    assert said(DIALECT, record) == [Endpoint("10.0.0.1", (Port("", 8080),))]


def test_texts_of_a_payload_are_metadata() -> None:
    assert said(DIALECT, but(payload={"@class": "java.util.TreeMap", "k": "v", "n": 1}))[0].metadata == (("k", "v"),)


def test_an_instance_that_is_not_enabled_is_draining() -> None:
    assert said(DIALECT, but(enabled=False))[0].health is Health.DRAINING
    assert said(DIALECT, but(enabled=True))[0].health is None


POISON = [
    child("empty", ""),
    child("null", "null"),
    child("list", "[]"),
    child("words", "host:port"),
    child("half", CURATOR[:-5]),
    child("behind", CURATOR + "garbage"),
    child("twice", CURATOR[:-1] + ',"port":8081}'),
    child("nothing", "{}"),
    child("latin", CURATOR.replace("svc", "s\u00e9").encode("latin-1")),
    child("hbase", b"\xff\x00\x00\x00\x15master:16000"),
    child("half character", CURATOR.replace("svc", "\\ud800")),
    child("deep", '{"a":' * 40 + "1" + "}" * 40),
    child("large", CURATOR[:-1] + ',"x":"' + "x" * 70_000 + '"}'),
    child("a\nb", "x"),
    child("n" * 200, "x"),
    but(name=None),
    but(name=...),
    but(name=""),
    but(name=5),
    but(id=5),
    but(address=None),
    but(address=""),
    but(address=...),
    but(address="10.0.0.256"),
    but(address="010.0.0.1"),
    but(address="2130706433"),
    but(address="my host"),
    but(address=7),
    but(port=None),
    but(port="http"),
    but(port=0),
    but(port=-1),
    but(port=70_000),
    but(port=2**40),
    but(port=80.5),
    but(port=True),
    but(port=[8080]),
    but(sslPort=70_000),
    but(serviceType="dynamic"),
    but(serviceType="OTHER"),
    but(serviceType=1),
    but(registrationTimeUTC="2023-11-14T22:13:20Z"),
    but(registrationTimeUTC=[]),
]


@pytest.mark.promise("R-23", "law-9", "S-06")
def test_a_record_of_curators_that_nobody_can_use_costs_itself() -> None:
    good = [but(address=f"10.0.1.{number}") for number in range(1, 51)]
    poisons_nobody(DIALECT, [one._replace(name=f"id-{at}") for at, one in enumerate(good)], distinct(POISON))


def distinct(them: list[Child]) -> list[Child]:
    return [one._replace(name=f"{one.name}-{at}") for at, one in enumerate(them)]


def test_a_folder_of_services_with_slashes_is_no_instance() -> None:
    assert said(DIALECT, child("orders", "", children=3)) == []
    assert refused(DIALECT, child("orders", "", children=0)).startswith("is empty")


def test_what_is_written_is_what_curator_writes_and_nothing_besides() -> None:
    (node,) = made(DIALECT, fitted(DIALECT, endpoint("10.0.0.1:8080"))[0])
    assert node.name == "registry-bridge~1~prod-eu1~10.0.0.1:8080"
    assert node.data.decode() == (
        '{"name":"web","id":"registry-bridge~1~prod-eu1~10.0.0.1:8080","address":"10.0.0.1","port":8080,'
        '"sslPort":null,"payload":null,"registrationTimeUTC":0,"serviceType":"STATIC","uriSpec":null}'
    )
    assert json.loads(CURATOR).keys() == json.loads(node.data).keys(), "old readers refuse fields that they do not know"


def test_what_ends_with_the_bridge_says_so() -> None:
    assert data_of(Curator(ephemeral=True), endpoint("10.0.0.1:80"))["serviceType"] == "DYNAMIC"


def test_the_port_for_tls_is_written_as_such() -> None:
    one = Endpoint("10.0.0.1", (Port("", 80), Port("admin", 81), Port("https", 443)))
    assert data_of(DIALECT, one)["sslPort"] == 443
    _, problems = fitted(DIALECT, one)
    assert [problem.what for problem in problems] == ["curator has no place for further ports; left out"]


def test_what_curator_has_no_place_for_is_told_once_a_service() -> None:
    them = [
        endpoint(f"10.0.0.{number}:80", locality=Locality("eu", "a"), weight=3, metadata=(("a", "b"),))
        for number in range(1, 9)
    ]
    _, (problem,) = fitted(Curator(PortNames("http")), *them)
    assert problem.what == "curator has no place for locality, metadata, weight; left out"
    assert (problem.kind, problem.count) == ("unsaid", 8)


# Spring Cloud

SPRING_CLOUD = Spring()


def with_metadata(**metadata: Any) -> Child:
    payload = {**json.loads(OF_SPRING)["payload"], "metadata": metadata}
    return but(OF_SPRING, payload=payload)


def test_an_instance_of_spring_cloud_has_metadata() -> None:
    assert said(SPRING_CLOUD, child("id-1", OF_SPRING)) == [
        Endpoint("10.0.0.1", (Port("", 8080),), metadata=(("team", "pay"),))
    ]


def test_its_load_balancers_words_are_ours() -> None:
    (one,) = said(SPRING_CLOUD, with_metadata(zone="dc1", region="eu", weight="3", a=1, b=True, c=None))
    assert one == Endpoint(
        "10.0.0.1", (Port("", 8080),), None, Locality("eu", "dc1"), weight=3, metadata=(("a", "1"), ("b", "true"))
    )


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("UP", None),
        ("up", None),
        ("", None),
        (" ", None),
        (None, None),
        ("OUT_OF_SERVICE", Health.DRAINING),
        ("DOWN", Health.DRAINING),
    ],
)
def test_the_status_is_in_the_metadata(status: str | None, health: Health | None) -> None:
    assert said(SPRING_CLOUD, with_metadata(instance_status=status))[0].health is health


def test_a_weight_of_nothing_is_draining() -> None:
    assert said(SPRING_CLOUD, with_metadata(weight="0"))[0] == Endpoint(
        "10.0.0.1", (Port("", 8080),), Health.DRAINING, metadata=()
    )


def test_the_data_of_an_instance_are_watched_for_its_status() -> None:
    assert [branch.changes for branch in SPRING_CLOUD.branches] == [True]


def test_an_instance_without_a_payload_is_spring_clouds_too() -> None:
    assert len(said(SPRING_CLOUD, child("id-1", CURATOR))) == 1


def test_spring_and_dubbo_pass_over_each_others_instances() -> None:
    assert said(SPRING_CLOUD, child("id-1", OF_DUBBO)) == []
    assert said(DubboApp(), child("id-1", OF_SPRING)) == []
    assert said(DubboApp(), child("id-1", CURATOR)) == []


SPRING_BAD = [
    *POISON,
    but(payload={"metadata": {}}),
    but(payload={"@class": "java.util.TreeMap", "k": "v"}),
    but(payload="hello"),
    but(payload=[]),
    with_metadata(nested={"a": "b"}),
    with_metadata(nested=["a"]),
    with_metadata(weight="many"),
    with_metadata(weight="-1"),
    but(OF_SPRING, payload={"@class": SPRING, "metadata": "x"}),
]


@pytest.mark.promise("R-23", "law-9")
def test_a_record_that_springs_reader_throws_on_costs_itself() -> None:
    good = [but(OF_SPRING, address=f"10.0.1.{number}")._replace(name=f"id-{number}") for number in range(1, 51)]
    poisons_nobody(SPRING_CLOUD, good, distinct(SPRING_BAD))


def test_what_is_written_for_spring_cloud_is_what_it_writes_itself() -> None:
    one = endpoint("10.0.0.1:8080", locality=Locality("eu", "dc1"), weight=2, metadata=(("team", "pay"),))
    dialect = Spring(PortNames("http"))
    (node,) = made(dialect, fitted(dialect, one)[0])
    assert node.data.decode() == (
        '{"name":"web","id":"registry-bridge~1~prod-eu1~10.0.0.1:8080","address":"10.0.0.1","port":8080,'
        '"sslPort":null,"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",'
        '"id":"registry-bridge~1~prod-eu1~10.0.0.1:8080","name":"web","metadata":{'
        '"registry-bridge":"registry-bridge/1 owner=prod-eu1 key=10.0.0.1:8080","instance_status":"UP",'
        '"region":"eu","team":"pay","weight":"2","zone":"dc1"}},"registrationTimeUTC":0,"serviceType":"STATIC",'
        '"uriSpec":' + URI + "}"
    )


def test_the_uri_of_an_ipv6_address_has_brackets_and_the_address_has_none() -> None:
    record = data_of(SPRING_CLOUD, endpoint("[2001:db8::1]:80"))
    values = {"scheme": "http", "address": record["address"], "port": str(record["port"])}
    parts = record["uriSpec"]["parts"]
    uri = "".join(values[part["value"]] if part["variable"] else part["value"] for part in parts)
    assert uri == "http://[2001:db8::1]:80"


def test_what_is_not_to_be_used_is_out_of_service_in_place() -> None:
    records = [
        fitted(SPRING_CLOUD, endpoint("10.0.0.1:80", health=health))[0][0] for health in (None, Health.UNHEALTHY)
    ]
    assert records[0].key == records[1].key
    assert b'"instance_status":"OUT_OF_SERVICE"' in records[1].content


def test_a_status_that_is_metadata_elsewhere_takes_nobody_out() -> None:
    records, problems = fitted(SPRING_CLOUD, endpoint("10.0.0.1:80", metadata=(("instance_status", "DOWN"),)))
    assert b'"instance_status":"UP"' in records[0].content
    assert any("instance_status" in problem.what for problem in problems)


# Dubbo's applications

APP = Spelled("app", "/services/app")
DUBBO_APP = DubboApp(protocol="tri", interfaces=("com.ex.Foo", "com.ex.Bar"), group="g", version="1.0.0")


def test_an_instance_of_a_dubbo_application_has_its_protocols_ports() -> None:
    assert said(DubboApp(), child("10.0.0.1:20880", OF_DUBBO)) == [
        Endpoint("10.0.0.1", (Port("dubbo", 20880), Port("rest", 8081)), None, Locality(zone="dc1"))
    ]


def of_dubbo(**metadata: Any) -> Child:
    payload = json.loads(OF_DUBBO)["payload"]
    return but(OF_DUBBO, payload={**payload, "metadata": {**payload["metadata"], **metadata}})


def test_an_application_that_serves_nothing_has_no_instances() -> None:
    assert said(DubboApp(), of_dubbo(**{"dubbo.metadata.revision": "0"})) == []
    assert said(DubboApp(), of_dubbo(**{"dubbo.metadata.revision": None})) == []


DUBBO_BAD = [
    *POISON,
    of_dubbo(**{"dubbo.endpoints": "[{]"}),
    of_dubbo(**{"dubbo.endpoints": '{"port":1}'}),
    of_dubbo(**{"dubbo.endpoints": '[{"port":0,"protocol":"dubbo"}]'}),
    of_dubbo(**{"dubbo.endpoints": '[{"port":20880}]'}),
    of_dubbo(nested={"a": "b"}),
    but(payload={"@class": "com.ex.Other"}),
    but(OF_DUBBO, payload={"@class": DUBBO, "metadata": "x"}),
]


@pytest.mark.promise("R-23", "law-9")
def test_a_record_that_dubbos_reader_throws_on_costs_itself() -> None:
    good = [but(OF_DUBBO, address=f"10.0.1.{number}")._replace(name=f"id-{number}") for number in range(1, 51)]
    poisons_nobody(DubboApp(), good, distinct(DUBBO_BAD))


def test_an_application_is_written_with_what_it_serves_beside_it() -> None:
    metadata, foo, bar = DUBBO_APP.beside(APP)
    revision = metadata.path.removeprefix("/dubbo/metadata/app/")
    assert len(revision) == 32
    assert json.loads(metadata.data) == {
        "app": "app",
        "revision": revision,
        "services": {
            f"g/{one}:1.0.0:tri": {
                "name": one,
                "group": "g",
                "version": "1.0.0",
                "protocol": "tri",
                "path": one,
                "params": {"side": "provider", "interface": one, "group": "g", "version": "1.0.0"},
            }
            for one in ("com.ex.Foo", "com.ex.Bar")
        },
    }
    assert (foo.path, foo.data, foo.one_of_many) == ("/dubbo/mapping/com.ex.Foo", b"app", True)
    assert bar.path == "/dubbo/mapping/com.ex.Bar"


def test_instances_that_are_written_name_the_revision_that_stands_beside() -> None:
    record = DUBBO_APP.say(APP, Endpoint("10.0.0.1", (Port("tri", 50051),)))
    payload = json.loads(DUBBO_APP.node(record, OURS.owner).data)["payload"]
    assert payload["@class"] == DUBBO
    assert payload["metadata"] == {
        "registry-bridge": "registry-bridge/1 owner=prod-eu1 key=10.0.0.1:50051",
        "dubbo.metadata.revision": DUBBO_APP.beside(APP)[0].path.rpartition("/")[2],
        "dubbo.endpoints": '[{"port":50051,"protocol":"tri"}]',
        "dubbo.metadata.storage-type": "remote",
    }


def test_without_interfaces_an_application_cannot_be_written() -> None:
    records, (problem,) = fitted(DubboApp(), Endpoint("10.0.0.1", (Port("dubbo", 20880),)))
    assert not records
    assert "interfaces:" in problem.what


def test_another_version_of_what_is_served_is_another_revision() -> None:
    revisions = {
        dialect.beside(APP)[0].path
        for dialect in (
            DUBBO_APP,
            DubboApp(interfaces=("com.ex.Foo",)),
            DubboApp(interfaces=("com.ex.Foo",), version="2"),
        )
    }
    assert len(revisions) == 3


def test_what_a_bridge_wrote_for_one_is_passed_over_by_the_other() -> None:
    nodes = made(SPRING_CLOUD, fitted(SPRING_CLOUD, endpoint("10.0.0.1:80"))[0])
    told = tell(DUBBO_APP, *nodes)
    assert (told.others, told.problems) == ((), ())
