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
