"""SmartStack: instances as Nerve 0.9.7 writes them (`reporter/zookeeper.rb`) and Synapse 0.18.9 reads them.

Synapse reads what stands in the name where that begins with `base64_`, and the data where that fails
(`service_watcher/zookeeper/zookeeper.rb`).
"""

import base64
import json
from typing import Any

import pytest

from adapters.zookeeper.dialects.dialect import Child, PortNames
from adapters.zookeeper.dialects.nerve import Nerve
from bridge.model import Endpoint, Health, Locality, Port
from tests.builders import endpoint
from tests.claims.znodes import child, data_of, fitted, made, poisons_nobody, said, tell
from tests.claims.zookeeper_records import NERVE, NERVE_OLD

DIALECT = Nerve()


def instance(name: str = "i-1_0000000001", **other: Any) -> Child:
    """An old record with other fields; `...` takes one away."""
    return child(name, {key: one for key, one in {**json.loads(NERVE_OLD), **other}.items() if one is not ...})


def encoded(record: str, number: int = 1) -> str:
    text = base64.urlsafe_b64encode(record.encode()).decode()
    return f"base64_{len(text)}_{text}_{number:010}"


def test_an_instance_is_a_host_a_port_a_weight_and_labels() -> None:
    assert said(DIALECT, child("i-1_0000000001", NERVE)) == [
        Endpoint("10.0.0.5", (Port("", 8080),), weight=10, metadata=(("az", "a"),))
    ]
    assert said(Nerve(PortNames("http")), child("i-1_0000000001", NERVE_OLD)) == [
        Endpoint("10.0.0.5", (Port("http", 8080),))
    ]


def test_the_name_of_an_instance_is_free_text() -> None:
    for name in ("10.0.0.9_9090_0000000001", "i-1", "host.name:80_0000000007", "base64ish_0000000001"):
        assert said(DIALECT, child(name, NERVE_OLD))[0].id == Endpoint("10.0.0.5", (Port("", 8080),)).id


def test_what_haproxy_is_told_is_nobody_elses() -> None:
    one = instance(haproxy_server_options="backup; evil", server_port_to_check="1")
    assert said(DIALECT, one) == [Endpoint("10.0.0.5", (Port("", 8080),))]


def test_labels_of_places_are_places() -> None:
    assert said(DIALECT, instance(labels={"zone": "dc1", "region": "eu", "n": 1, "t": True, "gone": None})) == [
        Endpoint("10.0.0.5", (Port("", 8080),), None, Locality("eu", "dc1"), metadata=(("n", "1"), ("t", "true")))
    ]


def test_a_weight_of_nothing_is_draining() -> None:
    assert said(DIALECT, instance(weight=0)) == [Endpoint("10.0.0.5", (Port("", 8080),), Health.DRAINING)]


def test_an_instance_may_stand_in_its_name() -> None:
    for data in ("", "garbage", NERVE_OLD):
        assert said(DIALECT, child(encoded(NERVE), data))[0].weight == 10


@pytest.mark.parametrize(
    "name",
    [
        encoded("{"),
        encoded(NERVE_OLD).replace("base64_", "base64_1", 1),
        "base64_4_!!!!_0000000001",
        "base64_5_abcde_0000000001",
        "base64__0000000001",
        encoded("[]"),
        encoded("\ud7ff"),
    ],
)
def test_where_the_name_is_broken_the_data_count(name: str) -> None:
    assert said(DIALECT, child(name, NERVE))[0].weight == 10


BAD = [
    child("i-1_1", ""),
    child("i-1_2", "null"),
    child("i-1_3", "[]"),
    child("i-1_4", "10.0.0.5:8080"),
    child("i-1_5", NERVE[:-4]),
    child("i-1_6", b"\xff\xfe"),
    child("i-1_7", NERVE_OLD[:-1] + ',"port":1}'),
    child("i-1_8", NERVE_OLD[:-1] + ',"x":"' + "y" * 70_000 + '"}'),
    child("i-1_9", '{"a":NaN}'),
    child(encoded('{"host":"10.0.0.5"}'), NERVE_OLD),
    child(encoded("{}", 2), NERVE_OLD),
    child("base64_4_!!!!_0000000001", ""),
    instance("i-1_20", host=...),
    instance("i-1_21", host=None),
    instance("i-1_22", host=""),
    instance("i-1_23", host=5),
    instance("i-1_24", host="a b"),
    instance("i-1_25", host="0x7f.1"),
    instance("i-1_26", port=...),
    instance("i-1_27", port="8080"),
    instance("i-1_28", port=0),
    instance("i-1_29", port=65_536),
    instance("i-1_30", port=True),
    instance("i-1_31", port=80.5),
    instance("i-1_32", weight=-1),
    instance("i-1_33", weight="10"),
    instance("i-1_34", weight=10**9),
    instance("i-1_35", weight=None),
    instance("i-1_36", labels="az=a"),
    instance("i-1_37", labels={"az": {"a": 1}}),
]


@pytest.mark.promise("R-23", "law-9")
def test_an_instance_that_nobody_can_use_costs_itself() -> None:
    good = [instance(f"i-2_{number:010}", host=f"10.0.1.{number}") for number in range(1, 51)]
    poisons_nobody(DIALECT, good, BAD)


def test_two_instances_under_one_address_are_one_and_the_younger_counts() -> None:
    """As when a process is started again before its old session has ended."""
    assert said(DIALECT, instance("i-1_1", weight=1), instance("i-1_2", weight=7))[0].weight == 7


def test_an_instance_is_written_as_nerve_writes_it() -> None:
    one = endpoint("10.0.0.5:8080", weight=10, metadata=(("az", "a"),))
    (record,) = fitted(DIALECT, one)[0]
    (node,) = made(DIALECT, [record])
    name, _, number = node.name.rpartition("_")
    assert name.startswith("registry-bridge-")
    assert number.isdigit(), "its leader election wants digits behind the last _"
    stem = record.key.removeprefix("shop/web/")
    assert node.data.decode() == (
        f'{{"host":"10.0.0.5","port":8080,"name":"{name}","weight":10,'
        f'"labels":{{"registry-bridge":"registry-bridge/1 owner=prod-eu1 key={stem}","az":"a"}}}}'
    )


def test_with_path_encoding_the_name_says_the_same() -> None:
    dialect = Nerve(encoded=True)
    (record,) = fitted(dialect, endpoint("10.0.0.5:8080"))[0]
    (node,) = made(dialect, [record])
    form, length, text, number = node.name.split("_", 3)
    assert (form, len(text)) == ("base64", int(length))
    assert number.isdigit()
    assert base64.urlsafe_b64decode(text) == node.data
    assert said(DIALECT, node._replace(data=b""))[0].id.port == 8080


def test_a_name_that_would_be_too_long_is_not_encoded() -> None:
    dialect = Nerve(encoded=True)
    large = endpoint("10.0.0.5:8080", metadata=tuple((f"k{n:02}", "v" * 1_000) for n in range(60)))
    (node,) = made(dialect, fitted(dialect, large)[0])
    assert node.name.startswith("registry-bridge-")
    assert len(said(dialect, node)[0].metadata) == 60


def test_no_weight_is_written_that_haproxy_would_refuse() -> None:
    (record,), (problem,) = fitted(Nerve(PortNames("http")), endpoint("10.0.0.5:8080", weight=1_000))
    assert json.loads(record.content)["weight"] == 256
    assert problem.kind == "weight"


def test_what_haproxy_would_be_told_is_never_written() -> None:
    one = endpoint("10.0.0.5:8080", metadata=(("haproxy_server_options", "backup"),))
    assert "haproxy_server_options" not in data_of(DIALECT, one)
    assert data_of(DIALECT, one)["labels"]["haproxy_server_options"] == "backup", "a label is a label"


def test_the_settings_of_generators_are_not_ours_to_read() -> None:
    """They are the data of the service's own znode, which is no child."""
    assert [(branch.path, branch.data) for branch in DIALECT.branches] == [("", True)]
    assert tell(DIALECT).problems == ()
