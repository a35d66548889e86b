"""A Service and its EndpointSlices, as their controllers and bridges write them, in the catalog."""

from typing import Any

import pytest

from adapters.kubernetes.objects import KubeNode, node_of, service_of, slice_of
from adapters.kubernetes.parts import NO_NODES, Scope
from adapters.kubernetes.translate import Translated, held, translate
from bridge.model import NOWHERE, Health, Locality, Port
from tests import kube
from tests.kube import bridged, row, service, slice_

SCOPE = Scope(NOWHERE, "", "primary", "pod", frozenset({"us"}))
PAYMENTS = service("shop/payments", "http:80", "grpc:90", selector={"app": "payments"})
VMS = service("shop/payments", "http:80")

Json = dict[str, Any]


def read(
    said: Json, *slices: Json, scope: Scope = SCOPE, nodes: tuple[Json, ...] = (), previous: Translated | None = None
) -> Translated:
    known: dict[str, KubeNode] = {one.key.name: one for one in map(node_of, nodes)} or dict(NO_NODES)
    return translate(service_of(said), [slice_of(one) for one in slices], known, scope, previous)


def states(found: Translated) -> dict[str, Health | None]:
    assert found.service is not None
    return {str(one.id): one.health for one in found.service.endpoints}


def problem(found: Translated) -> str:
    (one,) = found.problems
    return str(one)


def test_pods_of_a_selector_are_read_with_their_ports_places_and_names() -> None:
    found = read(
        PAYMENTS,
        slice_(
            "shop/payments-x7k2p",
            row("10.1.0.7", pod="payments-7c-abc", nodeName="node-1", zone="eu-1a"),
            row("10.1.1.9", pod="payments-7c-def", nodeName="node-2", zone="eu-1b"),
            of="payments",
            ports=("grpc:9090", "http:8080"),
        ),
        nodes=(kube.node("node-1", "192.0.2.1", region="eu", zone="eu-1a"),),
        scope=Scope(Locality("far", "", ""), "pods", "primary", "pod", frozenset()),
    )
    assert found.problems == ()
    assert found.service is not None
    one, other = found.service.endpoints
    assert one.address == "10.1.0.7"
    assert one.ports == (Port("http", 8080), Port("grpc", 9090)), "the Service's first port is the primary one"
    assert (one.health, one.locality, one.network) == (Health.HEALTHY, Locality("eu", "eu-1a"), "pods")
    assert one.metadata == (("node", "node-1"), ("pod", "payments-7c-abc"))
    assert other.locality == Locality("far", "eu-1b"), "a node that is not known leaves what the configuration says"


@pytest.mark.parametrize(
    ("conditions", "is_"),
    [
        (None, Health.HEALTHY),
        ({}, Health.HEALTHY),
        ({"ready": True}, Health.HEALTHY),
        ({"ready": False}, Health.UNHEALTHY),
        ({"ready": None, "serving": None, "terminating": None}, Health.HEALTHY),
        ({"ready": False, "serving": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "serving": False, "terminating": True}, Health.UNHEALTHY),
        ({"ready": True, "serving": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "terminating": True}, Health.UNHEALTHY),
        ({"ready": False, "serving": True, "terminating": False}, Health.UNHEALTHY),
    ],
)
def test_conditions_come_to_one_health(conditions: Json | None, is_: Health) -> None:
    found = read(PAYMENTS, slice_("shop/a", row("10.1.0.7", conditions=conditions), of="payments"))
    assert states(found) == {"10.1.0.7:8080": is_}


def test_a_selector_without_pods_is_an_empty_service_and_no_selector_without_endpoints_is_none() -> None:
    placeholder = slice_("shop/payments-0", of="payments", ports=None)
    found = read(PAYMENTS, placeholder)
    assert found.service is not None
    assert found.service.endpoints == ()
    assert read(PAYMENTS).service == found.service
    assert read(VMS, placeholder) == Translated(None, (), read(VMS, placeholder).parts, read(VMS).basis)


def test_ours_are_no_service_and_anothers_come_through_it() -> None:
    ours = bridged("shop/ours", "10.0.0.1", of="payments", owner="us")
    theirs = bridged("shop/theirs", "10.0.0.2", of="payments", owner="east")
    assert read(VMS, ours).service is None
    found = read(VMS, ours, theirs).service
    assert found is not None
    assert [(str(one.id), one.via) for one in found.endpoints] == [("10.0.0.2:8080", "east")]


def test_what_came_through_us_once_ends_here() -> None:
    extras = '{"10.0.0.2":{"via":"us west"},"10.0.0.3":{"via":"west"}}'
    found = read(VMS, bridged("shop/a", "10.0.0.2", "10.0.0.3", of="payments", owner="east", extras=extras)).service
    assert found is not None
    assert [(str(one.id), one.via) for one in found.endpoints] == [("10.0.0.3:8080", "west east")]


def test_what_we_wrote_is_read_back_under_the_port_that_it_was_wanted_with() -> None:
    extras = '{"10.0.0.1":{"port":"admin:9000","via":"west","weight":3},"10.0.0.2":{"port":"grpc:9090"}}'
    ours = bridged(
        "shop/a", "10.0.0.1", "10.0.0.2", of="payments", owner="us", ports=("http:8080", "grpc:9090"), extras=extras
    )
    one, other = held([slice_of(ours)])
    assert one.ports == (Port("admin", 9000), Port("http", 8080), Port("grpc", 9090))
    assert (one.via, one.weight) == ("west", 3)
    assert other.ports == (Port("grpc", 9090), Port("http", 8080))


def test_ports_are_known_by_their_names_slice_by_slice() -> None:
    """A named targetPort has another number in the pods of another version."""
    old = slice_("shop/a", "10.1.0.1", of="payments", ports=("grpc:9090", "http:8080"))
    new = slice_("shop/b", "10.1.0.2", of="payments", ports=("http:8081", "grpc:9091", "metrics:9100"))
    found = read({**PAYMENTS, "spec": {**PAYMENTS["spec"], "clusterIP": "None"}}, old, new).service
    assert found is not None
    assert [one.ports for one in found.endpoints] == [
        (Port("http", 8080), Port("grpc", 9090)),
        (Port("http", 8081), Port("grpc", 9091), Port("metrics", 9100)),
    ]


@pytest.mark.parametrize("name", [None, ""])
def test_no_name_of_a_port_is_an_empty_one(name: str | None) -> None:
    said = slice_("shop/a", "10.1.0.1", of="payments")
    said["ports"] = [{"name": name, "port": 8080}, {"name": "b", "port": 1, "appProtocol": "kubernetes.io/h2c"}]
    found = read(service("shop/payments", ":80"), said).service
    assert found is not None
    assert found.endpoints[0].ports == (Port("", 8080), Port("b", 1, "TCP", "kubernetes.io/h2c"))


def test_ports_keep_their_protocol() -> None:
    dns = service("kube-system/kube-dns", "dns:53/UDP", "dns-tcp:53", "metrics:9153", selector={"k8s-app": "kube-dns"})
    ports = ("metrics:9153", "dns-tcp:53", "dns:53/UDP", "m3ua:2905/SCTP")
    found = read(dns, slice_("kube-system/a", "10.1.0.1", of="kube-dns", ports=ports)).service
    assert found is not None
    assert found.endpoints[0].ports == (
        Port("dns", 53, "UDP"),
        Port("dns-tcp", 53),
        Port("metrics", 9153),
        Port("m3ua", 2905, "SCTP"),
    )


def test_a_port_without_a_number_means_any_and_is_told() -> None:
    found = read(PAYMENTS, slice_("shop/a", "10.1.0.1", of="payments", ports=("any:", "http:8080")))
    assert states(found) == {"10.1.0.1:8080": Health.HEALTHY}
    assert problem(found) == (
        "shop/payments: endpointslice a: port any has no number, which means any port; it is left out"
    )


@pytest.mark.parametrize("ports", [None, (), ("any:",)])
def test_endpoints_without_any_number_of_a_port_are_one_problem(ports: tuple[str, ...] | None) -> None:
    found = read(
        PAYMENTS,
        slice_("shop/b", "10.1.0.3", of="payments", ports=ports),
        slice_("shop/a", "10.1.0.1", "10.1.0.2", of="payments", ports=ports),
        slice_("shop/c", "10.1.0.4", of="payments"),
    )
    assert states(found) == {"10.1.0.4:8080": Health.HEALTHY}
    assert problem(found) == (
        "shop/payments: endpointslice a: there is no port with a number, which would mean any; its endpoints are left "
        "out: write one (3 times)"
    )


@pytest.mark.promise("law-9")
def test_one_address_that_is_none_costs_one_endpoint() -> None:
    found = read(
        PAYMENTS,
        slice_("shop/a", "10.1.0.1", "010.1.0.2", of="payments"),
        slice_("shop/n", "db.example", "-", of="payments", family="FQDN"),
    )
    assert states(found) == {"10.1.0.1:8080": Health.HEALTHY, "db.example:8080": Health.HEALTHY}
    assert [(one.kind, one.count) for one in found.problems] == [("address", 2)]
    assert "'010.1.0.2' is not an IP address" in problem(found)


def test_addresses_are_spelled_in_one_way() -> None:
    v6 = slice_("shop/a", "2001:DB8:0::1", "::ffff:10.0.0.1", of="payments", family="IPv6")
    mirrored = slice_("shop/b", "2001:db8::1", of="payments", family="IPv6")
    found = read({**PAYMENTS, "spec": {**PAYMENTS["spec"], "ipFamilies": ["IPv6"]}}, v6, mirrored)
    assert set(states(found)) == {"[2001:db8::1]:8080", "10.0.0.1:8080"}


def test_a_double_in_a_mirrored_slice_counts_once_with_the_better_health() -> None:
    mirrored = slice_(
        "shop/payments-mirror",
        row("10.1.0.1", conditions={"ready": False}),
        row("10.1.0.2", conditions={"ready": True}),
        of="payments",
        manager="endpointslicemirroring-controller.k8s.io",
    )
    by_hand = slice_("shop/payments-hand", "10.1.0.1", row("10.1.0.2", conditions={"ready": False}), of="payments")
    found = read(VMS, mirrored, by_hand)
    assert states(found) == {"10.1.0.1:8080": Health.HEALTHY, "10.1.0.2:8080": Health.HEALTHY}
    assert found.problems == ()


def test_what_is_native_beats_a_copy_of_it_whatever_their_health() -> None:
    native = slice_("shop/z", row("10.1.0.1", conditions={"ready": False}), of="payments")
    copy = bridged("shop/a", "10.1.0.1", of="payments", owner="east")
    found = read(PAYMENTS, copy, native)
    assert states(found) == {"10.1.0.1:8080": Health.UNHEALTHY}
    assert found.service is not None
    assert found.service.endpoints[0].via == ""


def test_pods_that_are_published_before_they_are_ready_are_ready() -> None:
    """So the controller writes them, where the Service says publishNotReadyAddresses."""
    headless = service("shop/payments", selector={"a": "b"}, clusterIP="None", publishNotReadyAddresses=True)
    said = row("10.1.0.1", conditions={"ready": True, "serving": False, "terminating": False})
    assert states(read(headless, slice_("shop/a", said, of="payments"))) == {"10.1.0.1:8080": Health.HEALTHY}


def test_a_service_on_its_way_out_counts_until_it_is_gone() -> None:
    leaving = service("shop/payments", selector={"a": "b"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert states(read(leaving, slice_("shop/a", "10.1.0.1", of="payments"))) == {"10.1.0.1:8080": Health.HEALTHY}


V4 = slice_("shop/v4", row("10.1.0.1", pod="a"), of="payments")
V6 = slice_("shop/v6", row("fd00::1", pod="a"), of="payments", family="IPv6")


@pytest.mark.parametrize(
    ("families", "of_service", "read_"),
    [
        ("primary", ["IPv4", "IPv6"], {"10.1.0.1:8080"}),
        ("primary", ["IPv6", "IPv4"], {"[fd00::1]:8080"}),
        ("primary", [], {"10.1.0.1:8080"}),
        ("IPv4", ["IPv6", "IPv4"], {"10.1.0.1:8080"}),
        ("IPv6", ["IPv4", "IPv6"], {"[fd00::1]:8080"}),
        ("all", ["IPv4", "IPv6"], {"10.1.0.1:8080", "[fd00::1]:8080"}),
    ],
)
def test_a_dual_stack_pod_counts_once_unless_all_are_wanted(families: Any, of_service: list[str], read_: Any) -> None:
    dual = service("shop/payments", selector={"a": "b"}, families=of_service)
    assert set(states(read(dual, V6, V4, scope=Scope(NOWHERE, "", families, "pod", frozenset())))) == read_


def test_without_a_selector_the_first_family_that_anybody_writes_is_the_primary_one() -> None:
    """A headless Service without a selector is given both families, whatever is ever written there."""
    headless = service("shop/payments", clusterIP="None", families=["IPv4", "IPv6"])
    assert set(states(read(headless, V6))) == {"[fd00::1]:8080"}
    assert set(states(read(headless, V6, V4))) == {"10.1.0.1:8080"}
    selecting = service("shop/payments", selector={"a": "b"}, families=["IPv4", "IPv6"])
    assert states(read(selecting, V6)) == {}, "the other family's slice comes later"


def test_everything_a_bridge_says_of_an_endpoint_arrives() -> None:
    extras = (
        '{"10.0.0.1":{"health":"degraded","metadata":{"rack":"7"},"network":"dc","region":"eu","sub_zone":"r1",'
        '"via":"north west","weight":5}}'
    )
    theirs = bridged("shop/a", row("10.0.0.1", zone="eu-1a"), "10.0.0.2", of="payments", owner="east", extras=extras)
    found = read(VMS, theirs, scope=Scope(Locality("far", "far-1", "x"), "pods", "primary", "pod", frozenset({"us"})))
    assert found.service is not None
    one, other = found.service.endpoints
    assert (one.health, one.locality, one.network) == (Health.DEGRADED, Locality("eu", "eu-1a", "r1"), "dc")
    assert (one.weight, one.via, one.metadata) == (5, "north west east", (("rack", "7"),))
    assert (other.health, other.locality, other.network) == (Health.HEALTHY, Locality("far", "far-1", "x"), "pods")
    assert (other.weight, other.via, other.metadata) == (1, "east", ())


def test_a_word_of_a_bridge_that_cannot_be_understood_costs_the_word() -> None:
    theirs = bridged("shop/a", "10.0.0.1", of="payments", owner="east", extras='{"10.0.0.1":{"weight":0}}')
    garbage = bridged("shop/b", "10.0.0.2", of="payments", owner="east", extras="{")
    found = read(VMS, garbage, theirs)
    assert states(found) == {"10.0.0.1:8080": Health.HEALTHY, "10.0.0.2:8080": Health.HEALTHY}
    assert problem(found) == (
        "shop/payments: endpointslice a: annotation: '10.0.0.1': weight 0 is not a whole number between 1 and 1000000; "
        "its endpoint is read without it (2 times)"
    )


@pytest.mark.promise("law-5")
def test_what_a_bridge_wrote_is_not_native_when_its_mark_is_gone() -> None:
    said = slice_("shop/a", "10.0.0.1", of="payments", manager="registry-bridge")
    found = read(VMS, said)
    assert found.service is None
    assert problem(found) == (
        "shop/payments: endpointslice a: a bridge wrote it, and its label registry-bridge.dev/owner is gone; it is "
        "left out: put the label back, or delete it"
    )


def test_a_mark_on_what_another_writes_is_no_mark() -> None:
    said = slice_("shop/a", "10.0.0.1", of="payments", labels={"registry-bridge.dev/owner": "us"})
    assert states(read(VMS, said)) == {"10.0.0.1:8080": Health.HEALTHY}


def test_slices_of_other_clusters_belong_to_no_service_here() -> None:
    """Multi-cluster services: a label of their own names the service, which a controller of theirs derives."""
    said = slice_("shop/imported", "10.9.0.1", of="payments")
    said["metadata"]["labels"] = {
        "multicluster.kubernetes.io/service-name": "payments",
        "multicluster.kubernetes.io/source-cluster": "us1",
    }
    assert slice_of(said).service == ""


def test_a_thousand_endpoints_of_a_slice_are_read() -> None:
    rows = [row(f"10.1.{number // 250}.{number % 250}", pod=f"p{number}") for number in range(1000)]
    found = read(PAYMENTS, slice_("shop/a", *rows, of="payments"))
    assert len(states(found)) == 1000


def test_slices_that_are_as_they_were_are_not_read_again() -> None:
    service_ = service_of(PAYMENTS)
    a, b = (slice_of(slice_(f"shop/{name}", f"10.1.0.{at}", of="payments")) for name, at in (("a", 1), ("b", 2)))
    before = translate(service_, [a, b], NO_NODES, SCOPE)
    changed = slice_of(slice_("shop/b", "10.1.0.3", of="payments"))
    after = translate(service_, [changed, a], NO_NODES, SCOPE, before)
    assert before.service is not None
    assert after.service is not None
    assert after.service.endpoints[0] is before.service.endpoints[0]
    assert [str(one.id) for one in after.service.endpoints] == ["10.1.0.1:8080", "10.1.0.3:8080"]
    assert translate(service_, [a, changed], NO_NODES, SCOPE, after).service is after.service


def test_a_service_with_other_ports_or_another_node_is_read_anew() -> None:
    one = slice_("shop/a", row("10.1.0.1", nodeName="n1"), of="payments", ports=("http:8080", "grpc:9090"))
    slices = [slice_of(one)]
    before = translate(service_of(PAYMENTS), slices, NO_NODES, SCOPE)
    other = service_of(service("shop/payments", "grpc:90", "http:80", selector={"app": "payments"}))
    assert set(states(translate(other, slices, NO_NODES, SCOPE, before))) == {"10.1.0.1:9090"}
    nodes = {"n1": node_of(kube.node("n1", "192.0.2.1", region="eu", zone="eu-1a"))}
    after = translate(service_of(PAYMENTS), slices, nodes, SCOPE, before).service
    assert after is not None
    assert after.endpoints[0].locality == Locality("eu", "eu-1a")


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_equal_rows_the_same_one_counts_whatever_their_order(first: int) -> None:
    rows = [row("10.1.0.1", nodeName="n1", pod="a"), row("10.1.0.1", nodeName="n2", pod="a")]
    found = read(PAYMENTS, slice_("shop/a", rows[first], rows[1 - first], of="payments")).service
    assert found is not None
    assert found.endpoints[0].metadata == (("node", "n1"), ("pod", "a"))
