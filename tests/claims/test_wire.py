"""Requests, resources and responses as bytes."""

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import NOWHERE, Health, Locality
from bridge.traffic import Assignment, ClusterPolicy, Host, OutlierDetection, Place
from bridge.xds import wire
from bridge.xds.messages import CDS, EDS, ProtocolError, Request, Resource, Response

# Requests

text = st.text(max_size=20)
nodes = st.builds(
    lambda id_, cluster, region, names: base_pb2.Node(
        id=id_, cluster=cluster, locality=base_pb2.Locality(region=region), client_features=names
    ),
    text,
    text,
    text,
    st.lists(text, max_size=30),
)
errors = st.none() | text


def whole(request: Request, node: Any = None) -> bytes:
    message = discovery_pb2.DiscoveryRequest(
        version_info=request.version,
        resource_names=request.names,
        type_url=request.type_url,
        response_nonce=request.nonce,
        node=node,
    )
    if request.error is not None:
        message.error_detail.message = request.error
    return message.SerializeToString()


def delta(request: Request, node: Any = None) -> bytes:
    message = discovery_pb2.DeltaDiscoveryRequest(
        resource_names_subscribe=request.subscribe,
        resource_names_unsubscribe=request.unsubscribe,
        initial_resource_versions=request.initial,
        type_url=request.type_url,
        response_nonce=request.nonce,
        node=node,
    )
    if request.error is not None:
        message.error_detail.message = request.error
    return message.SerializeToString()


lists = st.lists(text, max_size=5).map(tuple)
whole_requests = st.builds(
    Request, type_url=st.sampled_from([EDS, CDS, ""]) | text, nonce=text, version=text, names=lists, error=errors
)
delta_requests = st.builds(
    Request,
    type_url=st.sampled_from([EDS, CDS]),
    nonce=text,
    subscribe=lists,
    unsubscribe=lists,
    initial=st.dictionaries(text, text, max_size=3),
    error=errors,
)


@given(whole_requests, st.none() | nodes)
def test_a_request_in_the_state_of_the_world_is_read_as_it_was_written(request_: Request, node: Any) -> None:
    assert wire.request(whole(request_, node), delta=False) == request_


@given(delta_requests, st.none() | nodes)
def test_a_delta_request_is_read_as_it_was_written(request_: Request, node: Any) -> None:
    assert wire.request(delta(request_, node), delta=True) == request_


@pytest.mark.promise("xDS-14")
@pytest.mark.parametrize("is_delta", [False, True])
def test_the_node_of_a_request_is_stepped_over_unread(is_delta: bool) -> None:
    request_ = Request(EDS, "7", subscribe=("a",)) if is_delta else Request(EDS, "7", "v", ("a",))
    readable = (delta if is_delta else whole)(request_, base_pb2.Node(id="x" * 60_000))
    spoilt = readable.replace(b"x" * 60_000, b"\xff" * 60_000)  # no text: whoever reads it fails
    assert wire.request(spoilt, is_delta) == wire.request(readable, is_delta) == request_
    with pytest.raises(ProtocolError):
        wire.node(spoilt, is_delta)


@pytest.mark.promise("xDS-14")
@pytest.mark.parametrize("is_delta", [False, True])
def test_the_node_says_who_asks(is_delta: bool) -> None:
    node = base_pb2.Node(
        id="sidecar-1",
        cluster="shop",
        locality=base_pb2.Locality(region="eu", zone="eu-1"),
        user_agent_name="envoy",
    )
    node.user_agent_build_version.version.major_number = 1
    node.user_agent_build_version.version.minor_number = 36
    data = (delta if is_delta else whole)(Request(EDS), node)
    assert wire.node(data, is_delta) == wire.Node("sidecar-1", "shop", Locality("eu", "eu-1"), "envoy", "1.36.0")
    assert wire.node(b"", is_delta) == wire.Node()


def test_what_clients_do_not_write_is_left_to_protobuf() -> None:
    twice = whole(Request(EDS, error="first")) + whole(Request("", error="second"))
    assert wire.request(twice, delta=False).error == "second"
    unknown = b"\xf8\x07\x01"  # a number under an unknown field
    assert wire.request(whole(Request(EDS, "1")) + unknown, delta=False) == Request(EDS, "1")
    strange = delta(Request(EDS, "1", initial={"a": "1"}))
    entry = strange.index(b"\x0a\x01a\x12\x011")
    renumbered = strange[:entry] + b"\x1a" + strange[entry + 1 :]  # a map entry with a field that it does not have
    assert wire.request(renumbered, delta=True) == Request(EDS, "1")
    locator = discovery_pb2.DiscoveryRequest(type_url=EDS)
    locator.resource_locators.add().name = "a"
    assert wire.request(locator.SerializeToString(), delta=False) == Request(EDS)


@pytest.mark.promise("S-17")
@given(st.booleans(), st.binary(max_size=80) | whole_requests.map(whole) | delta_requests.map(delta), st.data())
def test_any_bytes_are_a_request_or_a_protocol_error(is_delta: bool, data: bytes, more: st.DataObject) -> None:
    if data and more.draw(st.booleans()):
        at = more.draw(st.integers(0, len(data) - 1))
        data = data[:at] + more.draw(st.binary(max_size=3)) + data[at + 1 :]
    kind = discovery_pb2.DeltaDiscoveryRequest if is_delta else discovery_pb2.DiscoveryRequest
    try:
        message = kind.FromString(data)
    except DecodeError:
        message = None
    for read in (wire.request, wire.node):
        try:
            found = read(data, is_delta)
        except ProtocolError:
            assert message is None
        else:
            if message is not None and isinstance(found, Request):
                assert (found.type_url, found.nonce) == (message.type_url, message.response_nonce)
                names = message.resource_names_subscribe if is_delta else message.resource_names
                assert (found.subscribe if is_delta else found.names) == tuple(names)


# Assignments

addresses = st.ip_addresses().map(str).filter(lambda address: "%" not in address)
hosts = st.builds(Host, addresses, st.integers(1, 65535), st.sampled_from(Health), st.integers(1, 2**20))
localities = st.builds(Locality, text, text, st.sampled_from(["", "x" * 200]))


@st.composite
def assignments(draw: st.DrawFn) -> Assignment:
    where = draw(st.lists(st.tuples(st.integers(0, 2), localities), max_size=4, unique=True))
    rank = {priority: number for number, priority in enumerate(sorted({priority for priority, _ in where}))}
    some = draw(st.lists(hosts, min_size=len(where), max_size=12, unique_by=lambda h: (h.address, h.port)))
    places = []
    for number, (priority, locality) in enumerate(sorted(where)):
        mine = tuple(sorted(some[number :: len(where)]))
        places.append(Place(rank[priority], locality, sum(host.weight for host in mine), mine))
    return Assignment(tuple(places))


STATUS = {Health.HEALTHY: 1, Health.UNHEALTHY: 2, Health.DRAINING: 3, Health.DEGRADED: 5}


def by_protobuf(name: str, told: Assignment) -> bytes:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for place in told.places:
        group = message.endpoints.add(priority=place.priority)
        group.locality.SetInParent()
        group.locality.region, group.locality.zone, group.locality.sub_zone = place.locality
        group.load_balancing_weight.value = place.weight
        for host in place.hosts:
            one = group.lb_endpoints.add(health_status=STATUS[host.health])
            one.load_balancing_weight.value = host.weight
            one.endpoint.address.socket_address.address = host.address
            one.endpoint.address.socket_address.port_value = host.port
    packed = AnyMessage(type_url=EDS, value=message.SerializeToString(deterministic=True))
    return packed.SerializeToString(deterministic=True)


@pytest.mark.promise("xDS-12", "xDS-13")
@given(st.text(min_size=1, max_size=300), assignments())
def test_an_assignment_written_by_hand_is_what_protobuf_writes(name: str, told: Assignment) -> None:
    assert wire.assignment(name, told) == by_protobuf(name, told)


def test_an_empty_assignment_has_its_name_and_nothing_else() -> None:
    packed = AnyMessage.FromString(wire.assignment("shop/payments", Assignment()))
    assert packed.type_url == EDS
    assert endpoint_pb2.ClusterLoadAssignment.FromString(packed.value) == endpoint_pb2.ClusterLoadAssignment(
        cluster_name="shop/payments"
    )


ONE = Host("10.0.0.1", 80, Health.HEALTHY, 1)


def place(*them: Host, weight: int | None = None, priority: int = 0, locality: Locality = NOWHERE) -> Place:
    return Place(priority, locality, sum(h.weight for h in them) if weight is None else weight, them)


@pytest.mark.promise("xDS-10", "xDS-12", "law-9")
@pytest.mark.parametrize(
    ("places", "why"),
    [
        ((place(ONE._replace(weight=0)),), "weight 0"),
        ((place(ONE._replace(port=0)),), "port 0"),
        ((place(ONE._replace(port=65536)),), "port 65536"),
        ((place(ONE._replace(address="vm7.example")),), "not an IP address"),
        ((place(ONE._replace(address="010.1.1.1")),), "not an IP address"),
        ((place(ONE._replace(address="127.1")),), "not an IP address"),
        ((place(ONE._replace(address="fe80::1%eth0")),), "not an IP address"),
        ((place(ONE._replace(address="10.0.0.1\0")),), "not an IP address"),
        ((place(ONE._replace(address="\ud800")),), "not an IP address"),
        ((place(),), "no hosts"),
        ((place(ONE, weight=2),), "does not weigh"),
        ((place(ONE, ONE),), "stands twice"),
        ((place(ONE._replace(port=81), ONE._replace(port=80)),), "not in its place"),
        ((place(ONE._replace(address="10.9.9.9"), ONE._replace(address="10.1.1.1")),), "not in its place"),
        ((place(ONE), place(ONE, locality=Locality("eu"))), "stands twice"),
        ((place(ONE), place(ONE._replace(port=81))), "a locality stands twice"),
        ((place(ONE, priority=1),), "gaps"),
        (
            (place(ONE._replace(weight=2**31)), place(ONE._replace(port=81, weight=2**31), locality=Locality("eu"))),
            "weigh",
        ),
    ],
)
def test_what_envoy_would_refuse_is_not_written(places: tuple[Place, ...], why: str) -> None:
    with pytest.raises(wire.WireError, match=why):
        wire.assignment("shop/payments", Assignment(places))


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_a_resource_has_a_name_that_is_text(name: str) -> None:
    with pytest.raises(wire.WireError):
        wire.assignment(name, Assignment())


# Clusters


def cluster(policy: ClusterPolicy) -> Any:
    packed = AnyMessage.FromString(wire.cluster("shop/payments:grpc", policy))
    assert packed.type_url == CDS
    message = cluster_pb2.Cluster.FromString(packed.value)
    assert message.SerializeToString(deterministic=True) == packed.value
    return message


def test_a_cluster_has_its_endpoints_by_eds_over_ads_under_its_own_name() -> None:
    told = cluster(ClusterPolicy(1.5, "round_robin", None))
    assert told.name == told.eds_cluster_config.service_name == "shop/payments:grpc"
    assert told.type == cluster_pb2.Cluster.EDS
    assert told.eds_cluster_config.eds_config.WhichOneof("config_source_specifier") == "ads"
    assert told.eds_cluster_config.eds_config.resource_api_version == 2
    assert told.connect_timeout.ToMilliseconds() == 1500
    assert not told.HasField("outlier_detection")


def test_a_cluster_may_try_again_as_much_as_it_may_ask() -> None:
    (limits,) = cluster(ClusterPolicy(1.0, "random", None)).circuit_breakers.thresholds
    assert limits.max_retries.value == 1024
    assert not limits.HasField("max_requests"), "what nobody asked for is as Envoy has it"


@pytest.mark.parametrize("lb", ["round_robin", "least_request", "random", "ring_hash", "maglev"])
def test_a_cluster_balances_as_its_policy_says(lb: str) -> None:
    told = cluster(ClusterPolicy(0.25, lb, OutlierDetection(5, 10.0, 30.0, 10)))
    assert cluster_pb2.Cluster.LbPolicy.Name(told.lb_policy) == lb.upper()
    outliers = told.outlier_detection
    assert (outliers.consecutive_5xx.value, outliers.max_ejection_percent.value) == (5, 10)
    assert (outliers.interval.seconds, outliers.base_ejection_time.seconds) == (10, 30)
    assert outliers.always_eject_one_host.value


def test_who_wants_no_host_ejected_gets_none_ejected() -> None:
    told = cluster(ClusterPolicy(1.0, "random", OutlierDetection(5, 10.0, 30.0, 0)))
    assert not told.outlier_detection.always_eject_one_host.value


# Responses


made = st.builds(
    lambda name, version, told: Resource(name, version, wire.assignment(name, told)),
    st.text(min_size=1, max_size=200),
    text,
    assignments(),
)
responses = st.builds(
    Response,
    type_url=st.sampled_from([EDS, CDS]),
    version=text,
    nonce=text,
    resources=st.lists(made, max_size=4).map(tuple),
    removed=lists,
)


@pytest.mark.promise("xDS-11", "xDS-14")
@given(responses)
def test_a_response_in_the_state_of_the_world_is_what_protobuf_writes(response: Response) -> None:
    message = discovery_pb2.DiscoveryResponse(
        version_info=response.version,
        resources=[AnyMessage.FromString(one.body) for one in response.resources],
        type_url=response.type_url,
        nonce=response.nonce,
        control_plane=base_pb2.ControlPlane(identifier="registry-bridge/1 a"),
    )
    assert wire.frame(response, False, "registry-bridge/1 a") == message.SerializeToString(deterministic=True)


@pytest.mark.promise("xDS-11", "xDS-14")
@given(responses)
def test_a_delta_response_is_what_protobuf_writes_and_has_no_time_to_live(response: Response) -> None:
    message = discovery_pb2.DeltaDiscoveryResponse(
        system_version_info=response.version,
        resources=[
            discovery_pb2.Resource(name=one.name, version=one.version, resource=AnyMessage.FromString(one.body))
            for one in response.resources
        ],
        type_url=response.type_url,
        nonce=response.nonce,
        removed_resources=[name for name in response.removed if name],
        control_plane=base_pb2.ControlPlane(identifier="registry-bridge/1 a"),
    )
    data = wire.frame(response, True, "registry-bridge/1 a")
    assert data == message.SerializeToString(deterministic=True)
    assert not any(one.HasField("ttl") for one in discovery_pb2.DeltaDiscoveryResponse.FromString(data).resources)
