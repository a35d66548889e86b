"""CSV, Consul's service definitions and EndpointSlices as inventories."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.static.csv_table import Columns
from adapters.static.file_sd import Labels
from adapters.static.inventory import Inventory, Reader
from adapters.static.records import Scope
from adapters.static.shapes import Format
from bridge.errors import ConfigError
from bridge.model import Endpoint, Health, Locality, Port, ServiceName

SCOPE = Scope("shop", Locality("eu", "dc1"), "lan")
LABELS = Labels("job", "zone", "weight")


def outcome(text: str, where: str, form: Format = "auto", columns: Columns | None = None) -> Inventory | str:
    try:
        return Reader(where, form, SCOPE, LABELS, columns=columns).read(text)
    except ConfigError as error:
        return str(error)


def read(text: str, where: str, form: Format = "auto", columns: Columns | None = None) -> Inventory:
    said = outcome(text, where, form, columns)
    assert isinstance(said, Inventory), said
    return said


def refused(text: str, where: str, form: Format = "auto", columns: Columns | None = None) -> str:
    said = outcome(text, where, form, columns)
    assert isinstance(said, str), said
    return said


def survives(text: str, where: str, form: Format, columns: Columns | None = None) -> None:
    said = outcome(text, where, form, columns)
    if isinstance(said, str):
        assert said.startswith(where)
        assert len(said) < 2000
        return
    for problem in said.problems:
        assert problem.where.startswith(where)
        assert str(problem).isprintable()
        assert len(str(problem)) < 1000


def said(inventory: Inventory) -> dict[str, list[str]]:
    return {str(name): [str(one.id) for one in service.endpoints] for name, service in inventory.services.items()}


# CSV


CMDB = Columns("Application", "IP Address", "Port", "Site", None, "State", ";", ("in use", "spare"))
EXPORT = """\
\ufeffID;Application;IP Address;Port;Site;State;Remark\r
1;Payments;10.0.0.1;8080;dc2;in use;"two
lines; and a sign"\r
2;Payments;10.0.0.2;8080;;spare;\r
\r
3;legacy/Web_Shop;2001:db8::1;80;dc1;in use;"a ""quoted"" one"\r
4;Payments;10.0.0.3;8080;dc2;retired;\r
"""


def test_an_export_with_columns_of_its_own_is_read() -> None:
    inventory = read(EXPORT.removeprefix("\ufeff"), "cmdb.csv", columns=CMDB)
    assert inventory.problems == ()
    assert inventory.services[ServiceName("shop", "payments")].endpoints == (
        Endpoint("10.0.0.1", (Port("", 8080),), None, Locality("eu", "dc2"), "lan"),
        Endpoint("10.0.0.2", (Port("", 8080),), None, Locality("eu", "dc1"), "lan"),
    )
    assert said(inventory)["legacy/web-shop"] == ["[2001:db8::1]:80"]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_a_table_with_plain_names_needs_no_configuration(sign: str) -> None:
    rows = [
        ["service", "address", "port", "weight", "x,y;z"],
        ["a", "10.0.0.1", "80", "3", ""],
        ["a", "vm7.example", "80", "", ""],
    ]
    text = "\n".join(sign.join(f'"{value}"' for value in row) for row in rows)
    endpoints = read(text, "vms.csv").services[ServiceName("shop", "a")].endpoints
    assert [(one.address, one.weight) for one in endpoints] == [("10.0.0.1", 3), ("vm7.example", 1)]


def test_a_header_alone_is_a_table_of_none() -> None:
    assert read("service,address,port\n", "vms.csv") == Inventory({})


@pytest.mark.promise("R-22")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10.0.0.1,80\n", "v.csv:1: the header has no column 'service'; known are 10.0.0.1, 80: `csv.columns.service`"),
        ("service,addres,port\n", "v.csv:1: the header has no column 'address'; did you mean 'addres'?"),
        ("service,address,port,port\n", "v.csv:1: the header has two columns 'port'"),
        ('service,address,port\na,"10.0.0.1,80\n', "v.csv:2: is not CSV: unexpected end of data; is the file half"),
        ('service,address,port\na,"b"x,80\n', "v.csv:2: is not CSV"),
        ("service,address,port\na,10.0.0.1,80\na,10.0.0.2\n", "v.csv:3: has 2 values, and the header has 3"),
        ("service,address,port\n" + "x" * 200_000, "v.csv:2: is not CSV: field larger than field limit"),
        ("service,address,port" + "," * 2000, "v.csv:1: has 2003 values; 1000 are read"),
        ("", "v.csv: is empty"),
    ],
)
def test_a_table_that_cannot_be_trusted_fails_with_its_line(text: str, message: str) -> None:
    assert refused(text, "v.csv").startswith(message)


@pytest.mark.promise("R-23", "S-08", "S-09")
@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a,10.0.0.1", "row"),
        ("a,10.0.0.1,80,1,x", "row"),
        (",10.0.0.1,80,", "name"),
        ("../../kube-system/x,10.0.0.1,80,", "name"),
        ("/etc/x,10.0.0.1,80,", "name"),
        ("a\x1b[0m,10.0.0.1,80,", "name"),
        ("a,010.0.0.1,80,", "address"),
        ("a,,80,", "address"),
        ("a,10.0.0.1,0,", "address"),
        ("a,10.0.0.1,٣,", "address"),
        ("a,10.0.0.1,80,many", "address"),
        ("a,10.0.0.1,80,0", "address"),
    ],
)
def test_a_bad_line_is_one_problem(row: str, kind: str) -> None:
    good = "".join(f"good,10.1.0.{i},80,\n" for i in range(30))
    inventory = read(f"service,address,port,weight\n{row}\n{good}", "v.csv")
    (problem,) = inventory.problems
    assert (problem.kind, problem.where) == (kind, "v.csv:2")
    assert str(problem).isprintable()
    assert list(said(inventory)) == ["shop/good"]


def test_lines_that_are_not_active_are_no_problem_unless_all_are() -> None:
    text = "service,address,port,state\na,10.0.0.1,80,off\n"
    columns = Columns(status="state", active=("on",))
    (problem,) = read(text, "v.csv", columns=columns).problems
    assert "none of its 1 lines is active" in problem.what
    assert read(f"{text}a,10.0.0.2,80,on\n", "v.csv", columns=columns).problems == ()


@pytest.mark.promise("S-17")
@given(st.text(max_size=60) | st.text('service,address,port;"\n\r\t10.0.0.1:80', max_size=80), st.integers(0, 40))
def test_any_table_is_problems_or_a_clear_error(text: str, at: int) -> None:
    survives(text, "v.csv", "csv")
    whole = "service,address,port\na,10.0.0.1,80\n"
    survives(whole[:at] + text + whole[at:], "v.csv", "csv")


# Consul


CONSUL: dict[str, Any] = {
    "services": [
        {
            "id": "payments-1",
            "name": "payments",
            "address": "10.0.0.1",
            "port": 8080,
            "tags": ["prod", "v2"],
            "meta": {"team": "infra"},
            "weights": {"passing": 5, "warning": 1},
            "tagged_addresses": {"wan": {"address": "198.51.100.1", "port": 80}},
            "check": {"http": "http://localhost/health", "interval": "10s"},
            "locality": {"region": "us", "zone": "z9"},
            "token": "hunter2-is-a-secret",
        },
        {"Name": "Legacy_Web", "Address": "vm7.example", "Port": 80, "TaggedAddresses": {}, "EnableTagOverride": True},
        {"name": "web-proxy", "kind": "connect-proxy", "address": "10.0.0.1", "port": 21000},
    ]
}


@pytest.mark.promise("S-12")
def test_service_definitions_are_read_in_both_spellings() -> None:
    inventory = read(json.dumps(CONSUL), "consul.json")
    assert inventory.services[ServiceName("shop", "payments")].endpoints == (
        Endpoint(
            "10.0.0.1",
            (Port("", 8080),),
            None,
            Locality("us", "z9"),
            "lan",
            5,
            metadata=(("tags", "prod,v2"), ("team", "infra")),
        ),
    )
    assert said(inventory)["shop/legacy-web"] == ["vm7.example:80"]
    assert [problem.what.split("; ")[0] for problem in inventory.problems] == [
        "`check` is not read",
        "`kind` is not read",
        "`tagged_addresses` is not read",
    ]
    assert "hunter2" not in repr(inventory)


def test_a_single_definition_is_read() -> None:
    for key in ("service", "Service"):
        text = json.dumps({key: {"Name": "a", "address": "10.0.0.1", "PORT": 80}})
        assert said(read(text, "a.json")) == {"shop/a": ["10.0.0.1:80"]}
    assert read('{"services": []}', "a.json", "consul") == Inventory({})


@pytest.mark.promise("R-23", "S-08")
@pytest.mark.parametrize(
    ("one", "kind", "what"),
    [
        ({"name": "a", "port": 80}, "address", "a file does not say at which node"),
        ({"name": "a", "address": "", "port": 80}, "address", "is required"),
        ({"name": "a", "address": "10.0.0.1"}, "port", "port None is not a whole number"),
        ({"name": "a", "address": "10.0.0.1", "port": "80"}, "port", "is not a whole number"),
        ({"name": "a", "address": "10.0.0.1", "port": 0}, "port", "is not between"),
        ({"address": "10.0.0.1", "port": 80}, "name", "is not text"),
        ({"name": "../kube-system/x", "address": "10.0.0.1", "port": 80}, "name", "is a path"),
        ({"name": "a", "address": "unix:///x", "port": 80}, "address", "is not"),
        ({"name": "a", "address": "10.0.0.1", "port": 80, "weights": {"passing": 0}}, "weights", "is not between"),
        ({"name": "a", "address": "10.0.0.1", "port": 80, "weights": 5}, "weights", "is not a mapping"),
        ({"name": "a", "address": "10.0.0.1", "port": 80, "meta": {"x": 1.5}}, "meta", "is not text"),
        ({"name": "a", "address": "10.0.0.1", "port": 80, "tags": "x"}, "tags", "is not a list"),
        ({"name": "a", "address": "10.0.0.1", "port": 80, "tags": ["x\n"]}, "tags", "control characters"),
    ],
)
def test_a_bad_definition_is_one_problem(one: Any, kind: str, what: str) -> None:
    good = [{"name": "good", "address": f"10.1.0.{i}", "port": 80} for i in range(30)]
    inventory = read(json.dumps({"services": [*good, one]}), "c.json", "consul")
    (problem,) = inventory.problems
    assert (problem.kind, problem.where) == (
        kind,
        f"c.json:1: services[30].{kind}",
    )
    assert what in problem.what
    assert list(said(inventory)) == ["shop/good"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "c.json:1: has neither `service` nor `services`"),
        ([], "c.json:1: must be a mapping with `service`"),
        ({"services": {}}, "c.json:1: services: must be a list"),
        ({"services": [5]}, "c.json:1: services[0]: must be a mapping"),
        ({"service": {"name": "a", "Name": "b"}}, "c.json:1: service: has a key in two spellings"),
    ],
)
def test_a_file_that_is_no_definition_fails_with_its_line(value: Any, message: str) -> None:
    assert refused(json.dumps(value), "c.json", "consul").startswith(message)


def test_a_slip_in_a_native_inventory_is_not_taken_for_a_definition() -> None:
    text = "services:\n  - {name: a, port: 80}\n"
    assert refused(text, "vms.yaml") == "vms.yaml:2: services[0].endpoints: must be a list; write [] for none"


# EndpointSlices


SLICES = """\
# saved with kubectl
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: payments-x1
  namespace: pay
  labels: {kubernetes.io/service-name: payments}
addressType: IPv4
ports:
  - {name: http, port: 8080, protocol: TCP, appProtocol: http}
  - {name: dns, port: 53, protocol: UDP}
endpoints:
  - {addresses: [10.0.0.1, 10.9.9.9], zone: z1, nodeName: n1}
  - {addresses: [10.0.0.2], conditions: {ready: true, serving: true, terminating: false}}
  - {addresses: [10.0.0.3], conditions: {ready: false}}
  - {addresses: [10.0.0.4], conditions: {ready: false, serving: true, terminating: true}}
  - {addresses: [10.0.0.5], conditions: {ready: false, serving: false, terminating: true}}
  - {addresses: [10.0.0.6], conditions: {ready: null}}
---
apiVersion: v1
kind: Service
metadata: {name: payments}
---
apiVersion: v1
kind: List
items:
  - apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {labels: {kubernetes.io/service-name: legacy}}
    addressType: FQDN
    ports: [{port: 80}]
    endpoints: [{addresses: [VM7.example.]}]
  - apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {namespace: pay, labels: {kubernetes.io/service-name: payments}}
    addressType: IPv6
    ports: [{name: http, port: 8080}]
    endpoints: [{addresses: ["2001:DB8::1"]}]
---
"""


def test_slices_are_read_document_by_document() -> None:
    inventory = read(SLICES, "slices.yaml")
    ports = (Port("http", 8080, "TCP", "http"),)
    here = Locality("eu", "dc1")
    assert inventory.services[ServiceName("pay", "payments")].endpoints == (
        Endpoint("10.0.0.1", ports, None, Locality("eu", "z1"), "lan"),
        Endpoint("10.0.0.2", ports, Health.HEALTHY, here, "lan"),
        Endpoint("10.0.0.3", ports, Health.UNHEALTHY, here, "lan"),
        Endpoint("10.0.0.4", ports, Health.DRAINING, here, "lan"),
        Endpoint("10.0.0.5", ports, Health.UNHEALTHY, here, "lan"),
        Endpoint("10.0.0.6", ports, None, here, "lan"),
        Endpoint("2001:db8::1", (Port("http", 8080),), None, here, "lan"),
    )
    assert said(inventory)["shop/legacy"] == ["vm7.example:80"]
    assert [problem.where for problem in inventory.problems] == ["slices.yaml:12: [0].ports[1]", "slices.yaml:1"]
    assert [problem.kind for problem in inventory.problems] == ["ignored", "ignored"]


def test_json_of_slices_is_the_same() -> None:
    items = [one for document in yaml.safe_load_all(SLICES) if document for one in document.get("items", [document])]
    for kind in ("List", "EndpointSliceList"):
        text = json.dumps({"apiVersion": "v1", "kind": kind, "items": items}, indent=1)
        assert read(text, "slices.json").services == read(SLICES, "slices.yaml").services


def slice_of(*endpoints: Any, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "pay", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 80}],
        "endpoints": list(endpoints),
    } | more


def test_a_slice_without_endpoints_names_its_service() -> None:
    assert said(read(json.dumps(slice_of()), "s.json")) == {"pay/a": []}
    assert said(read(json.dumps(slice_of(endpoints=None)), "s.json")) == {"pay/a": []}


@pytest.mark.promise("R-23", "S-08", "S-03")
@pytest.mark.parametrize(
    ("one", "what", "count"),
    [
        (slice_of({"addresses": []}), "must be a list of at least one", 1),
        (slice_of({"addresses": ["2001:db8::1"]}), "is not of addressType IPv4", 1),
        (slice_of({"addresses": ["vm7.example"]}), "is not an IP address", 1),
        (slice_of({"addresses": [5]}), "is not text", 1),
        (slice_of({"addresses": ["10.0.0.1"], "conditions": {"ready": "yes"}}), "neither true nor false", 1),
        (slice_of({"addresses": ["10.0.0.1"], "zone": "a\nb"}), "control characters", 1),
        (slice_of(5), "is not a mapping", 1),
        (slice_of({"addresses": ["10.0.0.1"]}, ports=None), "any port", 1),
        (slice_of({"addresses": ["10.0.0.1"]}, ports=[{"port": None}]), "a port without a number", 1),
        (slice_of({"addresses": ["10.0.0.1"]}, ports=[{"port": 80, "protocol": "UDP"}]), "none of them is TCP", 2),
        (slice_of({"addresses": ["10.0.0.1"]}, ports=[{"port": 80}, {"port": 81}]), "two ports are named ''", 1),
        (slice_of({}, {}, metadata={"namespace": "pay"}), "is to name the service", 2),
        (slice_of({}, metadata=5), "is not a mapping", 1),
        (slice_of({}, addressType="IP"), "is none of IPv4", 1),
        (
            slice_of({}, metadata={"namespace": 5, "labels": {"kubernetes.io/service-name": "a"}}),
            "namespace 5 is not",
            1,
        ),
        (
            slice_of({}, metadata={"labels": {"kubernetes.io/service-name": "kube-system/dns"}}),
            "is not a lower-case DNS label",
            1,
        ),
        (
            slice_of({}, metadata={"namespace": "..", "labels": {"kubernetes.io/service-name": "dns"}}),
            "is not a lower-case DNS label",
            1,
        ),
    ],
)
def test_a_bad_slice_or_endpoint_is_a_problem(one: Any, what: str, count: int) -> None:
    good = slice_of(*({"addresses": [f"10.1.0.{i}"]} for i in range(50)))
    inventory = read(json.dumps({"kind": "List", "items": [good, one]}), "s.json")
    assert what in inventory.problems[-1].what
    assert sum(problem.count for problem in inventory.problems) == count
    assert len(said(inventory)["pay/a"]) == 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\n---\n", "s.yaml: is empty"),
        ("---\n5\n", "s.yaml:2: [0]: 5 is not an object"),
        ("kind: Service\napiVersion: v1\n", "s.yaml:1: has no EndpointSlice of discovery.k8s.io/v1, but 'v1 Service'"),
        ("kind: List\nitems: 5\n", "s.yaml:2: [0].items: must be a list"),
        ("kind: List\nitems: [5]\n", "s.yaml:2: [0].items[0]: 5 is not an object"),
        (yaml.safe_dump(slice_of(endpoints=5)), "s.yaml:3: [0].endpoints: must be a list"),
        ("", "s.yaml: is empty"),
    ],
)
def test_a_file_without_slices_fails_with_its_line(text: str, message: str) -> None:
    assert refused(text, "s.yaml", "endpointslice").startswith(message)


junk = st.sampled_from([None, True, 0, 80, 1.5, "", "x", "10.0.0.9", "a\n", [], {}, ["10.0.0.8"], {"x": 1}, "../x"])
keys = st.sampled_from(
    [
        *("service", "services", "name", "address", "port", "ports", "meta", "tags", "weights", "kind", "items"),
        *("metadata", "labels", "addressType", "endpoints", "addresses", "conditions", "ready", "protocol", "passing"),
    ]
)
values = st.recursive(junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@pytest.mark.promise("S-17")
@given(values, keys)
def test_any_definition_is_problems_or_a_clear_error(value: Any, key: str) -> None:
    survives(json.dumps(value), "c.json", "consul")
    survives(json.dumps({"services": [{"name": "a", "address": "10.0.0.1", "port": 80, key: value}]}), "c.json", "auto")


@pytest.mark.promise("S-17")
@given(values, keys)
def test_any_slice_is_problems_or_a_clear_error(value: Any, key: str) -> None:
    survives(json.dumps(value), "s.json", "endpointslice")
    survives(json.dumps(slice_of({"addresses": ["10.0.0.1"], key: value}, **{key: value})), "s.json", "auto")
    survives(yaml.safe_dump_all([value, slice_of(value)]), "s.yaml", "endpointslice")
