"""Pods that are reached through their nodes, through a load balancer, or through external IPs."""

from typing import Any

import pytest

from adapters.kubernetes.modes import read as read_mode
from adapters.kubernetes.objects import node_of, service_of, slice_of
from adapters.kubernetes.parts import Families, Mode, Scope
from adapters.kubernetes.translate import Translated
from bridge.model import NOWHERE, Health, Locality, Port
from tests import kube
from tests.kube import bridged, node, row, slice_

Json = dict[str, Any]

DRAINING = {"ready": False, "serving": True, "terminating": True}
UNREADY = {"ready": False}

NODES = (
    node("n1", "192.0.2.1", "2001:db8::1", region="eu", zone="eu-1a"),
    node("n2", "192.0.2.2", "2001:db8::2", region="eu", zone="eu-1b"),
    node("n3", "192.0.2.3"),
)


def exposed(*, families: tuple[str, ...] = ("IPv4",), **said: Any) -> Json:
    """A Service of type NodePort with two ports of which both have one."""
    one = kube.service("shop/web", "http:80", "grpc:90", selector={"app": "web"}, families=families, **said)
    one["spec"]["type"] = said.get("type", "NodePort")
    for number, port in enumerate(one["spec"]["ports"]):
        port["nodePort"] = 30080 + number
    return one


def read(
    mode: Mode, said: Json, *slices: Json, nodes: tuple[Json, ...] = NODES, families: Families = "primary"
) -> Translated:
    scope = Scope(Locality("far", "", ""), "nodes", families, mode, frozenset({"us"}))
    known = {one.key.name: one for one in map(node_of, nodes)}
    return read_mode(service_of(said), [slice_of(one) for one in slices], known, scope)


def says(found: Translated) -> dict[str, tuple[Health | None, int]]:
    assert found.service is not None
    return {str(one.id): (one.health, one.weight) for one in found.service.endpoints}


def pods(*rows: Json, name: str = "shop/web-1", family: str = "IPv4") -> Json:
    return slice_(name, *rows, of="web", family=family)


def test_a_node_with_ready_pods_weighs_as_much_as_it_has() -> None:
    found = read(
        "node",
        exposed(),
        pods(row("10.1.0.1", nodeName="n1"), row("10.1.0.2", nodeName="n1"), row("10.1.0.3", nodeName="n2")),
        pods(row("10.1.0.2", nodeName="n1"), row("10.1.0.4", nodeName="n1", conditions=UNREADY), name="shop/web-2"),
        pods(row("10.1.0.2", nodeName="n1", conditions=UNREADY), name="shop/web-3"),
    )
    assert says(found) == {"192.0.2.1:30080": (Health.HEALTHY, 2), "192.0.2.2:30080": (Health.HEALTHY, 1)}
    assert found.service is not None
    one = found.service.endpoints[0]
    assert one.ports == (Port("http", 30080), Port("grpc", 30081))
    assert (one.locality, one.network, one.metadata) == (Locality("eu", "eu-1a"), "nodes", (("node", "n1"),))
    assert found.problems == ()


def test_a_node_whose_pods_only_drain_is_draining_and_one_without_a_serving_pod_is_none() -> None:
    found = read(
        "node",
        exposed(),
        pods(
            row("10.1.0.1", nodeName="n1", conditions=DRAINING),
            row("10.1.0.2", nodeName="n2", conditions=DRAINING),
            row("10.1.0.3", nodeName="n2"),
            row("10.1.0.4", nodeName="n3", conditions=UNREADY),
        ),
    )
    assert says(found) == {"192.0.2.1:30080": (Health.DRAINING, 1), "192.0.2.2:30080": (Health.HEALTHY, 1)}


def test_a_node_that_is_not_ready_is_unhealthy() -> None:
    found = read("node", exposed(), pods(row("10.1.0.1", nodeName="n1")), nodes=(node("n1", "192.0.2.1", ready=False),))
    assert says(found) == {"192.0.2.1:30080": (Health.UNHEALTHY, 1)}


def test_nodes_have_an_address_of_each_family_that_counts() -> None:
    service = exposed(families=("IPv6", "IPv4"))
    both = (
        pods(row("10.1.0.1", nodeName="n1")),
        pods(row("fd00::1", nodeName="n1"), row("fd00::2", nodeName="n1"), name="shop/web-6", family="IPv6"),
    )
    assert says(read("node", service, *both)) == {"[2001:db8::1]:30080": (Health.HEALTHY, 2)}
    assert set(says(read("node", service, *both, families="IPv4"))) == {"192.0.2.1:30080"}
    assert set(says(read("node", service, *both, families="all"))) == {"192.0.2.1:30080", "[2001:db8::1]:30080"}


@pytest.mark.parametrize(
    ("nodes", "row_", "why"),
    [
        ((), row("10.1.0.1", nodeName="n1"), "node n1 is not known, and its pods are left out (2 times)"),
        ((node("n1", "fd00::9"),), row("10.1.0.1", nodeName="n1"), "node n1 has no InternalIP of IPv4, and its pods"),
        ((node("n1", "192.0.2.1", kind="ExternalIP"),), row("10.1.0.1", nodeName="n1"), "node n1 has no InternalIP"),
        ((node("n1", "not an address"),), row("10.1.0.1", nodeName="n1"), "node n1 has no InternalIP of IPv4"),
        ((), row("10.1.0.1"), "endpoints that name no node cannot be reached by one; they are left out (2 times)"),
    ],
)
def test_pods_whose_node_has_no_address_are_one_problem(nodes: tuple[Json, ...], row_: Json, why: str) -> None:
    found = read("node", exposed(), pods(row_, {**row_, "addresses": ["10.1.0.2"]}), nodes=nodes)
    assert says(found) == {}
    (problem,) = found.problems
    assert problem.count == 2
    assert f"shop/web: {why}" in str(problem)


def test_a_service_without_node_ports_says_what_to_do() -> None:
    found = read("node", kube.service("shop/web", selector={"app": "web"}), pods(row("10.1.0.1", nodeName="n1")))
    (problem,) = found.problems
    assert str(problem) == (
        "shop/web: has no node ports, by which it would be reached; make it of type NodePort, or leave it out by "
        "`services:` or `selector:`"
    )


def balanced(*ingress: Json, **said: Any) -> Json:
    return exposed(type="LoadBalancer", status={"loadBalancer": {"ingress": list(ingress)}}, **said)


def test_a_load_balancer_stands_for_the_service_under_its_ports() -> None:
    found = read("loadbalancer", balanced({"ip": "198.51.100.7", "ipMode": "VIP"}), pods(row("10.1.0.1")))
    assert says(found) == {"198.51.100.7:80": (Health.HEALTHY, 1)}
    assert found.service is not None
    assert found.service.endpoints[0].ports == (Port("http", 80), Port("grpc", 90))
    assert found.service.endpoints[0].locality == Locality("far")


def test_a_load_balancer_may_have_a_name_and_addresses_of_both_families() -> None:
    service = balanced({"ip": "198.51.100.7"}, {"ip": "2001:db8::7"}, {"hostname": "x.elb.example"})
    assert set(says(read("loadbalancer", service, pods(row("10.1.0.1"))))) == {"198.51.100.7:80", "x.elb.example:80"}
    assert set(says(read("loadbalancer", service, pods(row("10.1.0.1")), families="all"))) == {
        "198.51.100.7:80",
        "[2001:db8::7]:80",
        "x.elb.example:80",
    }


@pytest.mark.parametrize(
    ("rows", "is_"),
    [
        ((row("10.1.0.1", conditions=UNREADY), row("10.1.0.2")), Health.HEALTHY),
        ((row("10.1.0.1", conditions=UNREADY), row("10.1.0.2", conditions=DRAINING)), Health.DRAINING),
        ((row("10.1.0.1", conditions=UNREADY),), Health.UNHEALTHY),
        ((), Health.UNHEALTHY),
    ],
)
def test_one_address_for_all_is_as_healthy_as_the_best_behind_it(rows: tuple[Json, ...], is_: Health) -> None:
    assert says(read("loadbalancer", balanced({"ip": "198.51.100.7"}), pods(*rows)))["198.51.100.7:80"][0] is is_
    service = exposed(externalIPs=["203.0.113.5", "203.0.113.5"])
    assert says(read("external-ip", service, pods(*rows))) == {"203.0.113.5:80": (is_, 1)}


@pytest.mark.parametrize(
    ("mode", "service", "why"),
    [
        ("loadbalancer", balanced(), "has no address of a load balancer yet; see why in the events of the Service, or"),
        ("loadbalancer", exposed(), "has no address of a load balancer; make it of type LoadBalancer, or leave it out"),
        ("external-ip", exposed(), "has no externalIPs, by which it would be reached; give it one, or leave it out by"),
        ("loadbalancer", balanced({"ip": ""}), "'' is neither an IP address nor a host name; it is left out"),
    ],
)
def test_a_service_that_has_no_such_address_says_what_to_do(mode: Mode, service: Json, why: str) -> None:
    found = read(mode, service, pods(row("10.1.0.1")))
    assert says(found) == {}
    (problem,) = found.problems
    assert why in str(problem)


@pytest.mark.parametrize("mode", ["node", "loadbalancer", "external-ip"])
def test_what_other_bridges_wrote_is_read_as_it_stands_and_nothing_leads_to_it_alone(mode: Mode) -> None:
    service = balanced({"ip": "198.51.100.7"}, externalIPs=["203.0.113.5"])
    del service["spec"]["selector"]
    theirs = bridged("shop/vms", "10.9.0.1", of="web", owner="east")
    ours = bridged("shop/ours", "10.9.0.2", of="web", owner="us")
    found = read(mode, service, theirs, ours)
    assert says(found) == {"10.9.0.1:8080": (Health.HEALTHY, 1)}
    assert found.service is not None
    assert found.service.endpoints[0].via == "east"
    assert found.problems == ()


@pytest.mark.parametrize("mode", ["node", "loadbalancer", "external-ip"])
def test_what_is_as_it_was_is_the_same_object(mode: Mode) -> None:
    service = service_of(balanced({"ip": "198.51.100.7"}, externalIPs=["203.0.113.5"]))
    known = {one.key.name: one for one in map(node_of, NODES)}
    scope = Scope(NOWHERE, "", "primary", mode, frozenset())
    one = read_mode(service, [slice_of(pods(row("10.1.0.1", nodeName="n1")))], known, scope)
    two = read_mode(service, [slice_of(pods(row("10.1.0.2", nodeName="n1")))], known, scope, one)
    assert one.service is two.service is not None


def test_a_heartbeat_of_a_node_changes_nothing() -> None:
    said = node("n1", "192.0.2.1")
    later = {**said, "metadata": {**said["metadata"], "resourceVersion": "10"}}
    assert node_of(said) == node_of(later)
