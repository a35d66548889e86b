"""Services of the catalog as EndpointSlices, and what of them cannot be said there."""

import pytest

from adapters.kubernetes import slices
from adapters.kubernetes.fit import fit
from adapters.kubernetes.objects import EXTRAS, TARGET
from bridge.adapter import Holding
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName
from tests import kube
from tests.builders import endpoint, hosts, service
from tests.kube_world import PAYMENTS, World, form, problems, shop, written

V4 = slices.writer("prod", form().writing.target, "IPv4")
V6 = slices.writer("prod", form().writing.target, "IPv6")


def test_vms_stand_in_a_slice_beside_their_service() -> None:
    (one,) = written(World(shop("http:80")), PAYMENTS)
    assert one["metadata"]["name"] == f"payments-{V4}-0"
    assert one["metadata"]["labels"] == {
        "kubernetes.io/service-name": "payments",
        "endpointslice.kubernetes.io/managed-by": "registry-bridge",
        "registry-bridge.dev/owner": "prod",
    }
    assert one["metadata"]["annotations"] == {"registry-bridge.dev/format": "1"}
    assert one["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "name": "payments",
            "uid": "uid-of-payments",
            "blockOwnerDeletion": False,
        }
    ]
    assert one["addressType"] == "IPv4"
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    ready = {"ready": True, "serving": True, "terminating": False}
    assert one["endpoints"] == [
        {"addresses": ["10.20.0.1"], "conditions": ready},
        {"addresses": ["10.20.0.2"], "conditions": ready},
    ]


@pytest.mark.parametrize(
    ("health", "ready", "serving", "terminating"),
    [
        (None, True, True, False),
        (Health.HEALTHY, True, True, False),
        (Health.DEGRADED, True, True, False),
        (Health.DRAINING, False, True, True),
        (Health.UNHEALTHY, False, False, False),
    ],
)
def test_health_is_all_three_conditions(health: Health | None, ready: bool, serving: bool, terminating: bool) -> None:
    world, how = World(shop("http:80")), form()
    said = service("shop/payments", endpoint("10.20.0.1:8080", health=health))
    (one,) = written(world, said)
    assert one["endpoints"][0]["conditions"] == {"ready": ready, "serving": serving, "terminating": terminating}
    assert world.holding("shop/payments", how).endpoints[0].health == (health or Health.HEALTHY)


def test_an_endpoint_comes_back_as_it_went_in() -> None:
    world = World(shop("http:80", "grpc:90"))
    rich = endpoint(
        "10.20.0.1:9000",
        port="grpc",
        more=[Port("http", 8080)],
        health=Health.DEGRADED,
        locality=Locality("eu", "dc1", "r7"),
        network="dc1",
        weight=3,
        via="east west",
        metadata=(("rack", "7"),),
    )
    said = service("shop/payments", rich, "10.20.0.2:8080")
    world.say(said, form())
    assert world.problems == ()
    there = {one.address: one for one in world.holding("shop/payments", form()).endpoints}
    assert there["10.20.0.1"] == rich
    assert there["10.20.0.1"].id == rich.id, "under the port that it is wanted with"


def test_the_content_of_a_record_has_a_line_for_each_endpoint() -> None:
    world = World(shop("http:80"))
    said = service("shop/payments", endpoint("10.20.0.1:8080", weight=3, locality=Locality(zone="a")), "10.20.0.2:8080")
    (change,) = world.plan(said, form())
    assert change.record.content.decode().split("\n") == [
        (
            '{"slice": "IPv4", "service": "payments", "uid": "uid-of-payments", '
            '"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}'
        ),
        '{"address": "10.20.0.1", "is": "ready", "zone": "a", "extra": {"weight": 3}}',
        '{"address": "10.20.0.2", "is": "ready"}',
    ]


def test_families_have_slices_of_their_own() -> None:
    world = World(shop("http:80", families=("IPv4", "IPv6")))
    said = service("shop/payments", "10.20.0.1:8080", "[2001:db8::1]:8080")
    assert {one["metadata"]["name"]: one["addressType"] for one in written(world, said)} == {
        f"payments-{V4}-0": "IPv4",
        f"payments-{V6}-0": "IPv6",
    }


def test_only_a_headless_services_slices_say_so() -> None:
    label = "service.kubernetes.io/headless"
    (one,) = written(World(shop("http:80", clusterIP="None")), PAYMENTS)
    assert one["metadata"]["labels"][label] == ""
    (one,) = written(World(shop("http:80")), PAYMENTS)
    assert label not in one["metadata"]["labels"]


def test_a_named_target_has_slices_of_its_own() -> None:
    world = World(shop("http:80"))
    written(world, PAYMENTS)
    found = written(world, service("shop/payments", "10.30.0.1:8080"), target="inventory")
    assert [one["metadata"]["labels"].get(TARGET) for one in sorted(found, key=str)].count("inventory") == 1
    assert len(found) == 2
    assert len(world.holding("shop/payments", form()).records) == 1
    assert world.gone("shop/payments", form(target="inventory")) == 1


# Ports.


def test_ports_are_called_as_the_service_calls_them() -> None:
    world = World(shop(":80"))
    (one,) = written(world, PAYMENTS)
    assert one["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    (one,) = written(World(shop("web:80")), PAYMENTS)
    assert one["ports"] == [{"name": "web", "port": 8080, "protocol": "TCP"}], "one port each: they mean each other"


def test_where_a_headless_service_has_no_ports_slices_have_those_of_the_endpoints() -> None:
    there = shop(clusterIP="None")
    there["spec"]["ports"] = None
    world = World(there)
    (one,) = written(world, service("shop/payments", endpoint("10.20.0.1:8080", more=[Port("Admin_Port", 9000)])))
    assert [(port["name"], port["port"]) for port in one["ports"]] == [("http", 8080), ("admin-port", 9000)]
    assert world.problems == ()


def test_endpoints_with_other_ports_stand_in_other_slices() -> None:
    world = World(shop("http:80"))
    found = written(world, service("shop/payments", "10.20.0.1:8080", "10.20.0.2:9090"))
    assert sorted(one["ports"][0]["port"] for one in found) == [8080, 9090]


def test_a_port_that_the_service_has_not_is_told_and_costs_no_endpoint() -> None:
    said = service("shop/payments", endpoint("10.20.0.1:8080", more=[Port("admin", 9000)]))
    world = World(shop("http:80"))
    (one,) = written(world, said)
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    (problem,) = world.problems
    assert (problem.kind, problem.service) == ("port", said.name)
    assert "'admin' is none of the Service shop/payments; add it there" in problem.what


def test_an_endpoint_without_a_port_of_the_service_is_told_once_for_all_alike() -> None:
    world = World(shop("web:80", "grpc:90"))
    said = service("shop/payments", *hosts(5), endpoint("10.9.0.1:9000", port="grpc"))
    (one,) = written(world, said)
    assert [row["addresses"] for row in one["endpoints"]] == [["10.9.0.1"]]
    (problem,) = world.problems
    assert problem.count == 5
    assert str(problem) == (
        "service shop/payments: 10.0.0.1:80: none of its ports ('http') is one of the Service shop/payments "
        "('web', 'grpc'); name one alike, the endpoint is left out (5 times)"
    )


def test_a_protocol_has_to_match_too() -> None:
    said = service("shop/payments", Endpoint("10.20.0.1", (Port("dns", 53, "UDP"),)))
    assert "port" in problems(said, shop("dns:53"))
    assert problems(said, shop("dns:53/UDP")) == {}
    odd = service("shop/payments", Endpoint("10.20.0.1", (Port("dns", 53, "QUIC"),)))
    assert "port" in problems(odd, shop("dns:53"))


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "address"),
        ("169.254.169.254", "address"),
        ("0.0.0.0", "address"),
        ("239.1.1.1", "address"),
        ("255.255.255.255", "address"),
        ("::1", "address"),
        ("fe80::1", "address"),
        ("ff0e::1", "address"),
        ("vm7.example", "address"),
        ("010.0.0.1", "address"),
        ("2001:db8::1", "family"),
    ],
)
def test_an_address_that_no_slice_may_hold_costs_itself(address: str, kind: str) -> None:
    bad = Endpoint(address, (Port("http", 8080),))
    world = World(shop("http:80"))
    (one,) = written(world, Service.of(PAYMENTS.name, [*PAYMENTS.endpoints, bad]))
    assert len(one["endpoints"]) == 2
    assert [problem.kind for problem in world.problems] == [kind]
    assert "is left out" in world.problems[0].what


def test_metadata_that_are_too_large_are_left_out_and_through_whom_it_came_never_is() -> None:
    large = tuple((f"k{number:02}", "x" * 1000) for number in range(5))
    said = service("shop/payments", endpoint("10.20.0.1:8080", metadata=large, via="east"), "10.20.0.2:8080")
    world = World(shop("http:80"))
    (one,) = written(world, said)
    assert one["metadata"]["annotations"][EXTRAS] == '{"10.20.0.1":{"via":"east"}}'
    assert [problem.kind for problem in world.problems] == ["extra"]


def test_what_cannot_say_through_whom_it_came_is_not_written() -> None:
    world = World(shop("http:80"))
    assert written(world, service("shop/payments", endpoint("10.20.0.1:8080", via="no name!"))) == []
    assert [problem.kind for problem in world.problems] == ["via"]


def test_an_endpoint_that_says_more_than_there_is_room_for_costs_itself() -> None:
    way = " ".join(f"bridge-{number}" for number in range(25))
    world = World(shop("http:80"))
    said = service("shop/payments", endpoint("10.20.0.1:8080", via=way), "10.20.0.2:8080")
    (one,) = written(world, said, size=1000)
    assert [row["addresses"] for row in one["endpoints"]] == [["10.20.0.2"]]
    assert [problem.kind for problem in world.problems] == ["bound"]


def test_a_zone_that_is_no_label_is_left_out() -> None:
    world = World(shop("http:80"))
    said = service("shop/payments", endpoint("10.20.0.1:8080", locality=Locality("eu", "rack 7\n")))
    (one,) = written(world, said)
    assert "zone" not in one["endpoints"][0]
    assert [problem.kind for problem in world.problems] == ["locality"]


@pytest.mark.promise("S-08")
@pytest.mark.parametrize(
    "name",
    [
        ServiceName("..", "passwd"),
        ServiceName("shop", "../../etc/passwd\n"),
        ServiceName("shop", "y" * 64),
        ServiceName("shop", "Payments"),
        ServiceName("shop/x", "payments"),
        ServiceName("shop", "pay%2Fments"),
    ],
)
def test_a_name_that_is_no_label_is_left_out_and_told(name: ServiceName) -> None:
    records, told = fit(Service(name, PAYMENTS.endpoints), Holding(), form(create=True, services="*"))
    assert records == ()
    (problem,) = told
    assert problem.kind == "name"
    assert str(problem).isprintable()


def test_the_longest_names_fit() -> None:
    name = "y" * 63
    (one,) = written(World(shop("http:80", name=name)), Service(ServiceName("shop", name), PAYMENTS.endpoints))
    assert len(one["metadata"]["name"]) < 253


def test_a_namespace_that_is_not_read_is_not_written() -> None:
    said = service("kube-system/dns", "10.20.0.1:53")
    assert "import.namespaces" in problems(said, kube.service("kube-system/dns", "http:53"))["namespace"]
