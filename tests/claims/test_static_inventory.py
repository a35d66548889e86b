import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from adapters.static.file_sd import Labels
from adapters.static.inventory import Inventory, Reader
from adapters.static.records import Scope
from adapters.static.schema import INVENTORY_SCHEMA
from adapters.static.shapes import Format
from bridge.errors import ConfigError
from bridge.kit import files
from bridge.kit.address import Allow
from bridge.kit.names import EVERY_NAMESPACE
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName
from bridge.screen import Bounds, ScreenPolicy, screen
from bridge.table import Table

LABELS = Labels("job", "zone", "weight")
SCOPE = Scope("shop", Locality("eu", "dc1"), "lan")


def reader(where: str = "vms.yaml", form: Format = "auto", scope: Scope = SCOPE) -> Reader:
    return Reader(where, form, scope, LABELS)


def outcome(read: Callable[[str], Inventory], text: str) -> Inventory | str:
    """The inventory, or why it is none."""
    try:
        return read(text)
    except ConfigError as error:
        return str(error)


def attempt(text: str, where: str = "vms.yaml", form: Format = "auto", scope: Scope = SCOPE) -> Inventory | str:
    """What is read in blocks and what is read whole, which must be the same."""
    whole = reader(where, form, scope)
    whole._by_blocks = lambda text: None  # type: ignore[method-assign]
    said = outcome(whole.read, text)
    assert outcome(reader(where, form, scope).read, text) == said
    return said


def inventory(text: str, **more: Any) -> Inventory:
    said = attempt(text, **more)
    assert isinstance(said, Inventory), said
    return said


def only(text: str, **more: Any) -> Service:
    (service,) = inventory(text, **more).services.values()
    return service


def refused(text: str, **more: Any) -> str:
    said = attempt(text, **more)
    assert isinstance(said, str), said
    return said


def test_the_example_of_the_documentation_is_read() -> None:
    said = only("""\
services:
  - name: shop/payments              # or payments, with `namespace:` from the registry's config
    ports: {http: 8080, admin: 9090} # the default for its endpoints
    locality: {region: eu, zone: dc1}
    metadata: {team: payments}
    endpoints:
      - 10.20.0.1
      - {address: 10.20.0.2, weight: 2, zone: dc2, health: draining, ports: {http: 8081}, metadata: {version: "2"}}
      - {address: vm7.dc1.example, network: dc1}   # a name: resolved, followed by its TTL
""")
    ports = (Port("http", 8080), Port("admin", 9090))
    assert said == Service.of(
        ServiceName("shop", "payments"),
        [
            Endpoint("10.20.0.1", ports, None, Locality("eu", "dc1"), "lan"),
            Endpoint(
                "10.20.0.2",
                (Port("http", 8081), Port("admin", 9090)),
                Health.DRAINING,
                Locality("eu", "dc2"),
                "lan",
                2,
                metadata=(("version", "2"),),
            ),
            Endpoint("vm7.dc1.example", ports, None, Locality("eu", "dc1"), "dc1"),
        ],
        (("team", "payments"),),
    )


def test_json_of_the_same_shape_is_the_same_format() -> None:
    text = "services:\n  - name: a\n    ports: {http: 80}\n    endpoints: [10.0.0.1, {address: '::ffff:10.0.0.2'}]\n"
    value = {
        "services": [{"name": "a", "ports": {"http": 80}, "endpoints": ["10.0.0.1", {"address": "::ffff:10.0.0.2"}]}]
    }
    assert inventory(text).services == inventory(json.dumps(value), where="vms.json").services
    assert [str(one.id) for one in only(text).endpoints] == ["10.0.0.1:80", "10.0.0.2:80"]


@pytest.mark.parametrize("word", ["healthy", "degraded", "draining", "unhealthy"])
def test_health_words(word: str) -> None:
    said = only(f"services: [{{name: a, port: 80, endpoints: [{{address: 10.0.0.1, health: {word}}}]}}]")
    assert said.endpoints[0].health is Health[word.upper()]


@pytest.mark.parametrize(
    ("service", "endpoint", "ports"),
    [
        ("port: 80", "10.0.0.1", [("", 80)]),
        ("port: 80", "10.0.0.1:81", [("", 81)]),
        ("ports: {http: 80, admin: 90}", "10.0.0.1:81", [("http", 81), ("admin", 90)]),
        ("ports: {http: 80, admin: 90}", "{address: 10.0.0.1, port: 81}", [("http", 81), ("admin", 90)]),
        ("ports: {http: 80, admin: 90}", "{address: 10.0.0.1, ports: {admin: 91}}", [("http", 80), ("admin", 91)]),
        ("ports: {http: 80, admin: 90}", "{address: 10.0.0.1, ports: {admin: null}}", [("http", 80)]),
        ("ports: {http: 80}", "{address: 10.0.0.1, ports: {grpc: 90}}", [("http", 80), ("grpc", 90)]),
        ("metadata: {}", "10.0.0.1:81", [("", 81)]),
        ("metadata: {}", "'[2001:db8::1]:81'", [("", 81)]),
        ("port: 80", "'2001:db8::1'", [("", 80)]),
        ("metadata: {}", "{address: 10.0.0.1, ports: {grpc: 90}}", [("grpc", 90)]),
    ],
)
def test_ports_of_the_service_are_the_default_for_its_endpoints(
    service: str, endpoint: str, ports: list[tuple[str, int]]
) -> None:
    said = only(f"services:\n  - name: a\n    {service}\n    endpoints:\n      - {endpoint}\n")
    assert [(port.name, port.number) for port in said.endpoints[0].ports] == ports


def test_a_name_without_a_namespace_is_in_the_registrys() -> None:
    text = "services: [{name: a, endpoints: []}, {name: legacy/b, endpoints: []}]"
    assert set(inventory(text).services) == {ServiceName("shop", "a"), ServiceName("legacy", "b")}
    assert "namespace:" in refused("services: [{name: a, endpoints: []}]", scope=SCOPE._replace(namespace=""))


def test_an_empty_list_is_an_inventory_without_services() -> None:
    assert inventory("services: []\n") == Inventory({})
    assert inventory("[]", where="targets.json").services == {}


@pytest.mark.promise("R-22")
@pytest.mark.parametrize("text", ["", "   \n\n", "# nothing\n", "---\n", "null\n", "\n"])
def test_an_empty_file_is_an_error_and_never_an_empty_inventory(text: str) -> None:
    assert "is empty" in refused(text)
    assert "services: []" in refused(text)


STRUCTURE = """\
services:
  - name: a
    ports: {http: 80}
    endpoints:
      - 10.0.0.1
      - {address: 10.0.0.2, weight: 2}
  - name: b
    endpoints: []
count: 2
"""


@pytest.mark.promise("R-22")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight", "wieght", "vms.yaml:6: services[0].endpoints[1].wieght: unknown key; did you mean 'weight'?"),
        ("    ports:", "    prots:", "vms.yaml:3: services[0].prots: unknown key; did you mean 'ports'?"),
        ("services:", "service:", "vms.yaml:1: service: unknown key; did you mean 'services'?"),
        ("count: 2", "cuont: 2", "vms.yaml:9: cuont: unknown key; did you mean 'count'?"),
        ("count: 2", "count: 3", "vms.yaml:9: count: is 3, and 2 services are there: is the file half written?"),
        ("endpoints: []", "endpoints: {}", "vms.yaml:8: services[1].endpoints: must be a list; write [] for none"),
        ("    endpoints: []\n", "", "vms.yaml:7: services[1].endpoints: must be a list; write [] for none"),
        ("- name: b\n    endpoints: []", "- b", "vms.yaml:7: services[1]: must be a mapping of keys"),
        ("- name: b\n    ", "- ", "vms.yaml:7: services[1].name: is required; add it"),
        ("{http: 80}", "[80]", "vms.yaml:3: services[0].ports: must be a mapping"),
        (
            "{address: 10.0.0.2, weight: 2}",
            "{address: 10.0.0.2, locality: {zon: a}}",
            "vms.yaml:6: services[0].endpoints[1].locality.zon: unknown key; did you mean 'zone'?",
        ),
        ("count: 2", "services: []", "vms.yaml:9: key 'services' stands twice"),
        ("weight: 2}", "weight: 2", "vms.yaml:7: is not YAML"),
    ],
)
def test_a_wrong_structure_fails_the_file_with_line_and_field(old: str, new: str, message: str) -> None:
    assert refused(STRUCTURE.replace(old, new)).startswith(message)


@pytest.mark.parametrize("text", ["5", "x", "{}", "{a: 1}", "true"])
@pytest.mark.parametrize("form", ["auto", "native", "file_sd"])
def test_a_file_of_another_shape_says_what_it_should_be(text: str, form: Format) -> None:
    assert refused(text, form=form).startswith("vms.yaml:1: ")


def many(number: int) -> dict[str, Any]:
    return {
        "services": [
            {"name": f"s{i}", "ports": {"http": 80}, "endpoints": [f"10.{i >> 8}.{i & 255}.{j + 1}" for j in range(10)]}
            for i in range(number)
        ]
    }


GARBAGE: list[tuple[Any, str]] = [
    ({"address": "10.0.0.1", "ports": {"http": 99999}}, "port"),
    ({"address": "10.0.0.1", "port": 0}, "port"),
    ({"address": "10.0.0.1", "port": "80"}, "port"),
    ({"address": "10.0.0.1", "port": True}, "port"),
    ({"address": "10.0.0.1", "ports": {"80": 80}}, "ports"),
    ({"address": "10.0.0.1", "ports": [80]}, "ports"),
    ({"address": "10.0.0.1", "weight": float("nan")}, "weight"),
    ({"address": "10.0.0.1", "weight": 0}, "weight"),
    ({"address": "10.0.0.1", "weight": 1.5}, "weight"),
    ({"address": "10.0.0.1", "weight": 10**30}, "weight"),
    ({"address": "10.0.0.1", "health": "fine"}, "health"),
    ({"address": "10.0.0.1", "health": None}, "health"),
    ({"address": "10.0.0.1", "zone": 3}, "zone"),
    ({"address": "10.0.0.1", "zone": "a\r\nb"}, "zone"),
    ({"address": "10.0.0.1", "locality": "a"}, "locality"),
    ({"address": "10.0.0.1", "network": ""}, "network"),
    ({"address": "10.0.0.1", "metadata": {"a": "x" * 1_000_000}}, "metadata"),
    ({"address": "10.0.0.1", "metadata": {"a": "x\r\nHost: y"}}, "metadata"),
    ({"address": "10.0.0.1", "metadata": {"a": None}}, "metadata"),
    ({"address": "10.0.0.1", "metadata": {"a": 1.1}}, "metadata"),
    ({"address": "10.0.0.1\r\n"}, "address"),
    ({"address": "010.0.0.1"}, "address"),
    ({"address": 5}, "address"),
    ({}, "address"),
    ("127.1", "address"),
    ("\x00\x01\x02", "address"),
    ("x" * 1_000_000, "address"),
    (None, "address"),
    (10.2, "address"),
    ([], "address"),
]


@pytest.mark.promise("R-23", "S-06", "S-09")
@pytest.mark.parametrize(("garbage", "kind"), GARBAGE, ids=lambda value: str(value)[:60])
def test_one_bad_record_among_many_is_one_problem(garbage: Any, kind: str) -> None:
    value = many(20)
    value["services"][7]["endpoints"][3] = garbage
    said = reader("vms.json").read(json.dumps(value))
    (problem,) = said.problems
    assert problem.kind in (kind, "ports" if kind == "port" else kind)
    assert problem.where.startswith("vms.json:1: services[7].endpoints[3]")
    assert len(str(problem)) < 500
    assert str(problem).isprintable()
    assert sum(len(service.endpoints) for service in said.services.values()) == 199


@pytest.mark.promise("R-23")
def test_one_bad_record_among_ten_thousand_is_one_problem_that_names_its_line() -> None:
    value = many(1000)
    value["services"][700]["endpoints"][3] = {"address": "10.0.0.1", "weight": -1}
    text = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False)
    said = reader().read(text)
    (problem,) = said.problems
    line = text.splitlines().index("    weight: -1") + 1
    assert problem.where == f"vms.yaml:{line}: services[700].endpoints[3].weight"
    assert sum(len(service.endpoints) for service in said.services.values()) == 9999


@pytest.mark.promise("R-23")
@pytest.mark.parametrize(
    ("key", "garbage"),
    [
        ("name", "Pay Ments"),
        ("name", "shop/a\r\nb"),
        ("name", 5),
        ("name", "x" * 1_000_000),
        ("network", 3),
        ("ports", {"http": -1}),
        ("port", 0),
        ("metadata", {"a": "\n"}),
        ("locality", {"zone": ""}),
    ],
)
def test_a_service_with_a_bad_field_is_one_problem_and_its_neighbours_stay(key: str, garbage: Any) -> None:
    value = many(20)
    value["services"][7][key] = garbage
    text = yaml.safe_dump(value, sort_keys=False)
    said = inventory(text)
    (problem,) = said.problems
    assert problem.kind in (key, "ports")
    assert problem.count == 10
    assert "services[7]" in problem.where
    assert len(str(problem)) < 500
    assert len(said.services) == 19


@pytest.mark.promise("R-23")
def test_a_file_of_which_more_than_a_tenth_is_bad_fails_whole() -> None:
    value = many(2)
    value["services"][0]["endpoints"][:2] = [{"address": "127.1"}] * 2
    assert len(inventory(json.dumps(value)).problems) == 2
    value["services"][1]["endpoints"][0] = "127.1"
    message = refused(json.dumps(value, indent=1))
    assert message.startswith("vms.yaml:10: services[0].endpoints[0].address: '127.1' is not")
    assert "3 of 20" in message


@pytest.mark.promise("S-06")
def test_problems_are_told_up_to_a_bound() -> None:
    value = many(400)
    for service in value["services"]:
        service["endpoints"][0] = "127.1"
    problems = reader("vms.json").read(json.dumps(value)).problems
    assert len(problems) == 101
    assert problems[-1].count == 300


@pytest.mark.promise("S-06")
def test_wrong_encoding_names_the_line() -> None:
    with pytest.raises(ConfigError, match=r"vms.yaml:2: is not UTF-8"):
        files.text(b"services:\n  - name: \xff\n", "vms.yaml")


def test_an_endpoint_that_stands_twice_counts_once() -> None:
    said = inventory("services: [{name: a, port: 80, endpoints: [10.0.0.1, {address: 10.0.0.1, weight: 5}]}]")
    (service,) = said.services.values()
    assert [endpoint.weight for endpoint in service.endpoints] == [1]
    assert [problem.kind for problem in said.problems] == ["duplicate"]


def test_a_service_that_stands_twice_is_united() -> None:
    block = "  - name: a\n    port: 80\n    endpoints: [10.0.0.1, 10.0.0.{}]\n"
    said = inventory("services:\n" + block.format(2) + block.format(3))
    (service,) = said.services.values()
    assert [str(one.id) for one in service.endpoints] == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
    assert [problem.kind for problem in said.problems] == ["duplicate"]
    twice = inventory("services:\n" + block.format(2) + block.format(2))
    assert len(twice.problems) == 2


@pytest.mark.promise("S-02")
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_what_no_registry_may_say_is_refused_from_an_inventory(address: str) -> None:
    said = inventory(f"services: [{{name: a, port: 80, endpoints: ['{address}', 10.0.0.1]}}]")
    bounds = Bounds(services=10, endpoints=10, ports=10, weight=10, pairs=10, key=10, value=10, metadata=10)
    policy = ScreenPolicy(None, allow_loopback=False, namespaces=EVERY_NAMESPACE, bounds=bounds)
    screened = screen(Table(said.services), policy, None)
    assert [str(e.id) for e in screened.services[ServiceName("shop", "a")].endpoints] == ["10.0.0.1:80"]
    assert [problem.kind for problem in screened.problems] == ["address"]


@pytest.mark.promise("S-03")
def test_an_inventory_fills_only_the_namespaces_that_it_may() -> None:
    said = inventory("services: [{name: a, endpoints: []}, {name: kube-system/dns, endpoints: []}]")
    bounds = Bounds(services=10, endpoints=10, ports=10, weight=10, pairs=10, key=10, value=10, metadata=10)
    policy = ScreenPolicy(Allow(["10.0.0.0/8"]), allow_loopback=False, namespaces=EVERY_NAMESPACE, bounds=bounds)
    assert set(screen(Table(said.services), policy, None).services) == {ServiceName("shop", "a")}


# file_sd


FILE_SD = """\
[
  {"targets": ["10.0.0.1:9100", "[2001:db8::1]:9100", "vm7.example:9100"],
   "labels": {"job": "node_exporter", "zone": "dc2", "weight": "3", "__meta_x": "y", "team": "infra"}},
  {"targets": ["10.0.0.2:9100"], "labels": {"job": "node_exporter"}},
  {"targets": ["10.0.0.3:80"], "labels": {"job": "legacy/web"}}
]
"""


@pytest.mark.parametrize("as_yaml", [False, True])
def test_file_sd_is_read(as_yaml: bool) -> None:
    text = yaml.safe_dump(json.loads(FILE_SD)) if as_yaml else FILE_SD
    said = inventory(text, where="targets.yml" if as_yaml else "targets.json")
    assert set(said.services) == {ServiceName("shop", "node-exporter"), ServiceName("legacy", "web")}
    port = (Port("", 9100),)
    assert said.services[ServiceName("shop", "node-exporter")].endpoints == (
        Endpoint("10.0.0.1", port, None, Locality("eu", "dc2"), "lan", 3, metadata=(("team", "infra"),)),
        Endpoint("10.0.0.2", port, None, Locality("eu", "dc1"), "lan"),
        Endpoint("2001:db8::1", port, None, Locality("eu", "dc2"), "lan", 3, metadata=(("team", "infra"),)),
        Endpoint("vm7.example", port, None, Locality("eu", "dc2"), "lan", 3, metadata=(("team", "infra"),)),
    )
    assert said.problems == ()


def test_the_labels_that_say_what_are_configuration() -> None:
    text = '[{"targets": ["10.0.0.1:80"], "labels": {"app": "a", "az": "z", "job": "x"}}]'
    read = Reader("t.json", "file_sd", SCOPE, Labels("app", "az", "w")).read(text)
    (service,) = read.services.values()
    assert service.name == ServiceName("shop", "a")
    assert service.endpoints[0].locality.zone == "z"
    assert service.endpoints[0].metadata == (("job", "x"),)


def test_two_jobs_that_come_to_one_name_are_not_mixed() -> None:
    text = json.dumps([{"targets": [f"10.0.0.{i}:80"], "labels": {"job": job}} for i, job in enumerate(["a_b", "a-b"])])
    said = inventory(text)
    (service,) = said.services.values()
    assert [endpoint.address for endpoint in service.endpoints] == ["10.0.0.0"]
    (problem,) = said.problems
    assert problem.kind == "name"
    assert "rename one" in problem.what


@pytest.mark.promise("R-23", "S-09")
@pytest.mark.parametrize(
    ("group", "count"),
    [
        ({"targets": ["10.0.0.1"], "labels": {"job": "a"}}, 1),
        ({"targets": ["10.0.0.1:99999"], "labels": {"job": "a"}}, 1),
        ({"targets": ["2001:db8::1:80"], "labels": {"job": "a"}}, 1),
        ({"targets": [80], "labels": {"job": "a"}}, 1),
        ({"targets": ["10.0.0.1:80\r\n"], "labels": {"job": "a"}}, 1),
        ({"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {}}, 2),
        ({"targets": ["10.0.0.1:80", "10.0.0.2:80"]}, 2),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "a\r\nb"}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "???"}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": ["a"]}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "a", "weight": "many"}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "a", "weight": "NaN"}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "a", "weight": "0"}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "a", "x": "a\nb"}}, 1),
        ({"targets": ["10.0.0.1:80"], "labels": {"job": "a", "x": 1.5}}, 1),
    ],
    ids=lambda value: str(value)[:60],
)
def test_one_bad_group_or_target_is_one_problem(group: Any, count: int) -> None:
    good = {"targets": [f"10.1.0.{i}:80" for i in range(30)], "labels": {"job": "good"}}
    said = inventory(json.dumps([good, group]))
    (problem,) = said.problems
    assert problem.count == count
    assert problem.where.startswith("vms.yaml:1: [1].")
    assert str(problem).isprintable()
    assert len(said.services[ServiceName("shop", "good")].endpoints) == 30


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([5], "t.json:1: [0]: must be a mapping"),
        ([{"target": []}], "t.json:1: [0].target: unknown key; did you mean 'targets'?"),
        ([{"targets": "x"}], "t.json:1: [0].targets: must be a list"),
        ([{"labels": {}}], "t.json:1: [0].targets: must be a list"),
        ([{"targets": [], "labels": []}], "t.json:1: [0].labels: must be a mapping"),
    ],
)
def test_a_wrong_structure_of_file_sd_fails_the_file(value: Any, message: str) -> None:
    assert refused(json.dumps(value), where="t.json").startswith(message)


# The schema


EXAMPLE: dict[str, Any] = {
    "services": [
        {
            "name": "shop/payments",
            "ports": {"http": 8080, "admin": 9090},
            "locality": {"region": "eu", "zone": "dc1"},
            "network": "dc1",
            "metadata": {"team": "payments", "year": 2026},
            "endpoints": [
                "10.20.0.1",
                "10.20.0.4:81",
                {"address": "10.20.0.2", "weight": 2, "zone": "dc2", "health": "draining", "ports": {"admin": None}},
                {"address": "vm7.dc1.example", "network": "dc1", "port": 81, "locality": {"sub_zone": "r1"}},
            ],
        },
        {"name": "legacy", "port": 80, "endpoints": []},
    ],
    "count": 2,
}


def test_the_schema_and_the_reader_agree_on_the_example() -> None:
    assert Draft202012Validator(INVENTORY_SCHEMA).is_valid(EXAMPLE)
    assert inventory(json.dumps(EXAMPLE)).problems == ()
    Draft202012Validator.check_schema(INVENTORY_SCHEMA)
