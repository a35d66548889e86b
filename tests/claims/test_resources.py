"""What is told under which name, and who must look again."""

import pytest
from envoy.config.endpoint.v3 import endpoint_pb2

from bridge.merge import Catalog, Input, Inputs, merge
from bridge.model import Health, Port, Service, ServiceName, SourceName
from bridge.traffic import ANY, ClusterPolicy, Policy
from bridge.xds.messages import CDS, EDS, Request
from bridge.xds.names import Names
from bridge.xds.resources import WILDCARD, Resources
from bridge.xds.session import Session
from tests.builders import endpoint, name, service, services
from tests.resourcing import BOTH, PLAIN, VMS, World, cluster_names, pay, readable, session, unpacked

# Names


def test_a_service_is_told_under_its_name_by_port_name_and_by_number() -> None:
    world = World()
    world.publish(pay(BOTH))
    assert world.hosts("shop/payments") == ["10.0.0.1:80"]
    assert world.hosts("shop/payments:grpc") == ["10.0.0.1:9000"]
    assert world.hosts("shop/payments:9000") == ["10.0.0.1:9000"]
    assert world.hosts("shop/payments:unheard-of") == []


@pytest.mark.promise("xDS-8")
@pytest.mark.parametrize("unknown", ["shop/cart", "nonsense", "", "*", "a/b/c:d:e", "\0"])
def test_a_name_that_nobody_knows_has_no_answer(unknown: str) -> None:
    world = World()
    world.publish(pay(BOTH))
    world.subscribe("envoy", unknown)
    assert world.get(unknown) is None


def test_the_default_port_that_was_told_stays_when_a_better_one_appears() -> None:
    world = World()
    world.publish(pay(endpoint("10.0.0.1:9000", port="grpc")))
    world.subscribe("envoy", "shop/payments")
    world.publish(pay(endpoint("10.0.0.1:9000", port="grpc", more=[Port("http", 80)])))
    assert world.hosts("shop/payments") == ["10.0.0.1:9000"]
    world.publish(pay(endpoint("10.0.0.1:80")))
    assert world.hosts("shop/payments") == ["10.0.0.1:80"]


# Who must look again


def test_a_change_is_told_to_its_subscribers_and_to_nobody_else() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"), service("shop/cart", "10.0.1.1:80"))
    world.subscribe("payer", "shop/payments")
    world.subscribe("shopper", "shop/cart")
    world.subscribe("both", "shop/cart", "shop/payments")
    assert world.publish(pay("10.0.0.2:80"), service("shop/cart", "10.0.1.1:80")) == {
        "payer": {EDS: ["shop/payments"]},
        "both": {EDS: ["shop/payments"]},
    }
    assert world.publish(pay("10.0.0.2:80"), service("shop/cart", "10.0.1.1:80")) == {}


def test_every_spelling_of_a_service_is_looked_at_again_where_its_bytes_changed() -> None:
    world = World()
    world.publish(pay(BOTH))
    world.subscribe("envoy", "shop/payments", "shop/payments:http", "shop/payments:80", "shop/payments:grpc")
    changes = world.publish(pay(BOTH, endpoint("10.0.0.2:80")))
    assert changes == {"envoy": {EDS: ["shop/payments", "shop/payments:http", "shop/payments:80"]}}


def test_a_change_that_envoy_cannot_see_is_told_to_nobody() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.subscribe("envoy", "shop/payments")
    assert world.publish(pay(endpoint("10.0.0.1:80", metadata=(("rack", "7"),)))) == {}
    assert world.publish(pay(endpoint("10.0.0.1:80", health=Health.HEALTHY))) == {}
    assert world.publish(pay(endpoint("10.0.0.1:80", health=Health.UNHEALTHY))) == {"envoy": {EDS: ["shop/payments"]}}


def test_who_gave_a_name_up_is_not_told_and_nothing_of_it_is_kept() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    empty = size(world.resources)
    world.subscribe("envoy", "shop/payments", "shop/cart", "nonsense")
    world.subscribe("envoy", "shop/payments", WILDCARD, type_url=CDS)
    assert size(world.resources) > empty
    world.unsubscribe("envoy", "shop/payments", "shop/cart", "nonsense")
    world.unsubscribe("envoy", "shop/payments", WILDCARD, type_url=CDS)
    assert size(world.resources) == empty
    assert world.publish(pay("10.0.0.2:80")) == {}


def test_giving_up_what_one_never_asked_for_changes_nothing() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.subscribe("envoy", "shop/payments")
    world.unsubscribe("other", "shop/payments", "shop/cart")
    world.unsubscribe("other", WILDCARD, type_url=CDS)
    assert world.publish(pay("10.0.0.2:80")) == {"envoy": {EDS: ["shop/payments"]}}


def size(resources: Resources) -> int:
    return sum(len(held) for held in (resources._known, resources._topics, resources._everything)) + len(
        resources._clusters or ()
    )


def test_a_resource_is_the_same_object_while_its_bytes_are_the_same() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.subscribe("envoy", "shop/payments")
    first = world.get("shop/payments")
    world.publish(pay(endpoint("10.0.0.1:80", metadata=(("rack", "7"),))))
    assert world.get("shop/payments") is first


@pytest.mark.promise("xDS-13")
def test_two_replicas_give_the_same_content_the_same_version_whatever_came_before() -> None:
    one, other = World(), World()
    one.publish(pay("10.0.0.9:80"))
    one.subscribe("envoy", "shop/payments")
    one.publish(pay("10.0.0.1:80", "10.0.0.2:80"))
    other.publish(pay("10.0.0.2:80", "10.0.0.1:80"))
    assert one.get("shop/payments") == other.get("shop/payments")


def test_sessions_of_one_class_share_one_store_and_one_resource() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    store = world.resources.store(ANY)
    assert store is world.resources.store(ANY)
    world.subscribe("envoy", "shop/payments")
    assert store.get(EDS, "shop/payments") is store.get(EDS, "shop/payments")


# Gone


@pytest.mark.promise("xDS-7")
def test_a_service_that_is_gone_is_told_as_empty_to_those_who_had_it_and_those_who_ask_meanwhile() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.subscribe("envoy", "shop/payments")
    assert world.publish() == {"envoy": {EDS: ["shop/payments"]}}
    assert world.hosts("shop/payments") == []
    world.subscribe("another", "shop/payments")
    assert world.hosts("shop/payments") == []
    assert world.publish(pay("10.0.0.3:80")) == {
        "envoy": {EDS: ["shop/payments"]},
        "another": {EDS: ["shop/payments"]},
    }
    assert world.hosts("shop/payments") == ["10.0.0.3:80"]


@pytest.mark.promise("xDS-7", "xDS-8")
def test_a_service_that_nobody_looked_at_is_forgotten_when_it_is_gone() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.publish()
    assert world.hosts("shop/payments") is None


def test_only_assignments_can_be_empty() -> None:
    store = World().resources.store(ANY)
    assert unpacked(store.empty(EDS, "shop/cart")) == endpoint_pb2.ClusterLoadAssignment(cluster_name="shop/cart")
    with pytest.raises(ValueError, match="only assignments"):
        store.empty(CDS, "shop/cart")


# Waiting


def world_waiting() -> World:
    return World(required={VMS: lambda namespace: namespace == "shop"})


@pytest.mark.promise("law-3", "xDS-8")
def test_a_required_source_is_waited_for_from_the_start_until_it_is_seen() -> None:
    world = world_waiting()
    assert world.resources.waiting()
    world.publish(seen=False)
    assert world.resources.waiting()
    world.publish(pay("10.0.0.1:80"))
    assert not world.resources.waiting()
    assert not World().resources.waiting()


@pytest.mark.promise("law-3")
def test_while_a_source_is_waited_for_the_services_that_it_may_fill_are_partial() -> None:
    world = world_waiting()
    assert world.resources.partial("shop/payments:grpc")
    assert not world.resources.partial("data/db")
    assert not world.resources.partial("nonsense")
    world.publish()
    assert not world.resources.partial("shop/payments")


def test_who_waited_looks_again_when_the_last_required_source_is_seen() -> None:
    world = world_waiting()
    world.publish(seen=False)
    world.subscribe("envoy", "shop/payments", "shop/cart")
    world.subscribe("cds", WILDCARD, type_url=CDS)
    assert world.publish() == {"envoy": {EDS: ["shop/payments", "shop/cart"]}, "cds": {CDS: []}}
    assert world.publish() == {}


class Stream:
    """A session over the resources, as the server runs it."""

    def __init__(self, world: World, *, delta: bool) -> None:
        self.world = world
        self.session = Session(delta, world.resources.store(ANY), frozenset((EDS,)), max_names=10, max_bytes=10**6)

    def send(self, request: Request) -> dict[str, int] | None:
        for one in self.session.receive(request).wanted:
            self.world.resources.subscribe(EDS, one, ANY, self.session)
        return self.take()

    def take(self) -> dict[str, int] | None:
        """The next response: how many hosts it tells under each name, -1 for a removed one."""
        response = self.session.take()
        if response is None:
            return None
        told = {one.name: sum(len(g.lb_endpoints) for g in unpacked(one).endpoints) for one in response.resources}
        return told | dict.fromkeys(response.removed, -1)


SAID = service("shop/payments", "10.0.0.1:80"), service("data/db", "10.0.9.1:80")
MORE = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80"), SAID[1]


def half_seen() -> World:
    """Two sources may fill `shop`; one of them has not been seen yet."""
    world = World(required={VMS: lambda _: True, SourceName("zk"): lambda namespace: namespace == "shop"})
    world.resources.publish(both(SAID, seen=False))
    return world


def both(vms: tuple[Service, ...], zk: tuple[Service, ...] = (), *, seen: bool = True) -> Catalog:
    return merge(Inputs((Input(VMS, services(*vms)), Input(SourceName("zk"), services(*zk), seen))), None)


@pytest.mark.promise("law-3")
@pytest.mark.parametrize("delta", [False, True])
def test_while_a_source_is_waited_for_a_fresh_envoy_is_told_what_is_known(delta: bool) -> None:
    both_names = ("data/db", "shop/payments")
    asked = Request(EDS, subscribe=both_names) if delta else Request(EDS, names=both_names)
    assert Stream(half_seen(), delta=delta).send(asked) == {"data/db": 1, "shop/payments": 1}


@pytest.mark.promise("law-3", "xDS-8")
@pytest.mark.parametrize("delta", [False, True])
def test_while_a_source_is_waited_for_an_envoy_that_has_hosts_is_not_told_fewer(delta: bool) -> None:
    world = half_seen()
    stream = Stream(world, delta=delta)
    names = ("data/db", "shop/payments")
    if delta:
        asked = Request(EDS, subscribe=names, initial=dict.fromkeys(names, "of another bridge"))
    else:
        asked = Request(EDS, version="of another bridge", names=names)
    first = stream.send(asked)
    assert first == ({"data/db": 1, "shop/payments": -1} if delta else {"data/db": 1})  # -1 leaves its hosts alone
    stream.session.receive(Request(EDS, nonce="1", names=() if delta else names))
    for one, types in world.resources.publish(both(SAID, MORE)).items():
        one.touch(EDS, types[EDS])
    assert stream.take() == {"shop/payments": 2}


# What operators ask


def test_operators_see_the_default_port_and_who_asks_for_a_service_under_which_names() -> None:
    world = World()
    world.publish(pay(BOTH))
    payments = name("shop/payments")
    assert world.resources.served(payments) is None
    world.subscribe("envoy", "shop/payments", "shop/payments:grpc", "shop/cart")
    world.subscribe("another", "shop/payments")
    assert world.resources.served(payments) == "http"
    assert world.resources.served(name("shop/cart")) is None
    told = {one: world.get(one) for one in ("shop/payments", "shop/payments:grpc")}
    assert world.resources.asked(payments) == {
        one: (2 - one.endswith("grpc"), resource.version) for one, resource in told.items() if resource
    }
    assert world.resources.asked(name("shop/cart")) == {"shop/cart": (1, "")}
    assert world.resources.asked(name("data/db")) == {}


# Policies


def test_a_new_policy_touches_what_it_changes_and_nothing_else() -> None:
    world = World()
    world.publish(pay(BOTH), service("shop/cart", BOTH))
    world.subscribe("envoy", "shop/payments", "shop/payments:grpc", "shop/cart")
    world.subscribe("cds", WILDCARD, "shop/payments", type_url=CDS)
    for one in cluster_names(world):
        world.get(one, CDS)
    world.policies[name("shop/payments")] = Policy("grpc", PLAIN.cluster)
    assert readable(world.resources.reload(world.policy)) == {
        "envoy": {EDS: ["shop/payments"]},
        "cds": {CDS: ["shop/payments:grpc", "shop/payments:http"]},
    }
    assert world.hosts("shop/payments") == ["10.0.0.1:9000"]
    world.policies[name("shop/payments")] = Policy("grpc", ClusterPolicy(2.0, "random", None))
    changes = readable(world.resources.reload(world.policy))
    assert {who: {kind: set(names) for kind, names in them.items()} for who, them in changes.items()} == {
        "cds": {CDS: {"shop/payments"}}
    }
    assert readable(world.resources.reload(world.policy)) == {}


def test_a_policy_is_asked_for_once_a_service() -> None:
    asked: list[ServiceName] = []

    def policy(service: ServiceName) -> Policy:
        asked.append(service)
        return PLAIN

    world = World()
    world.resources = Resources(Names(), policy)
    world.publish(pay("10.0.0.1:80"))
    world.subscribe("envoy", "shop/payments", "shop/payments:http")
    world.publish(pay("10.0.0.2:80"))
    assert asked == [name("shop/payments")]


# What cannot be written


@pytest.mark.promise("law-9", "xDS-10")
def test_what_cannot_be_written_leaves_the_last_good_one_and_says_why() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"), service("shop/cart", "10.0.1.1:80"))
    world.subscribe("envoy", "shop/payments", "shop/cart")
    assert world.publish(pay("vm7.example:80"), service("shop/cart", "10.0.1.2:80")) == {"envoy": {EDS: ["shop/cart"]}}
    assert world.hosts("shop/payments") == ["10.0.0.1:80"]
    assert world.resources.refused == {(EDS, "shop/payments"): "'vm7.example' is not an IP address"}
    assert world.publish(pay("10.0.0.2:80"), service("shop/cart", "10.0.1.2:80")) == {"envoy": {EDS: ["shop/payments"]}}
    assert world.resources.refused == {}


# Clusters


def test_there_is_one_cluster_a_port_and_the_default_ports_has_the_services_name() -> None:
    world = World()
    world.publish(pay(endpoint("10.0.0.1:80", more=[Port("grpc", 9000), Port("", 9100)])), service("data/db"))
    assert cluster_names(world) == ["data/db", "shop/payments", "shop/payments:9100", "shop/payments:grpc"]
    for one in cluster_names(world):
        resource = world.get(one, CDS)
        assert resource is not None
        assert unpacked(resource).name == unpacked(resource).eds_cluster_config.service_name == one
    assert world.get("shop/payments:http", CDS) is None  # other spellings are answered by EDS only
    assert world.hosts("shop/payments:http") == ["10.0.0.1:80"]


def test_a_port_whose_name_would_be_taken_for_a_number_has_no_cluster() -> None:
    world = World()
    world.publish(pay(endpoint("10.0.0.1:80", more=[Port("9999", 9000), Port("²", 9001)])))
    assert cluster_names(world) == ["shop/payments", "shop/payments:²"]


def test_without_a_port_in_the_template_there_is_one_cluster_a_service() -> None:
    world = World()
    world.resources = Resources(Names("{name}.{namespace}"), world.policy)
    world.publish(pay(BOTH))
    assert cluster_names(world) == ["payments.shop"]


@pytest.mark.parametrize("asked_for", [WILDCARD, "shop/payments"])
def test_a_cluster_asked_for_by_name_is_the_one_of_the_wildcard(asked_for: str) -> None:
    world = World()
    world.publish(pay(BOTH))
    expected = world.get("shop/payments", CDS)
    world.subscribe("envoy", asked_for, type_url=CDS)
    assert world.get("shop/payments", CDS) == expected
    assert world.get("shop/cart", CDS) is None


def test_who_looks_at_all_clusters_is_told_which_came_and_went() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"), service("shop/cart", "10.0.1.1:80"))
    world.subscribe("envoy", WILDCARD, type_url=CDS)
    assert world.publish(pay(BOTH), service("data/db", "10.0.2.1:80")) == {
        "envoy": {CDS: ["data/db", "shop/cart", "shop/payments:grpc"]}
    }
    assert cluster_names(world) == ["data/db", "shop/payments", "shop/payments:grpc"]
    assert world.publish(pay(BOTH, "10.0.0.2:80"), service("data/db", "10.0.2.1:80")) == {}


def test_who_looks_at_one_cluster_is_told_of_that_one_only() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.subscribe("envoy", "shop/payments:grpc", type_url=CDS)
    assert world.publish(pay("10.0.0.1:80"), service("shop/cart")) == {}
    assert world.publish(pay(BOTH), service("shop/cart")) == {"envoy": {CDS: ["shop/payments:grpc"]}}
    assert world.publish() == {"envoy": {CDS: ["shop/payments:grpc"]}}
    assert world.get("shop/payments:grpc", CDS) is None


@pytest.mark.promise("xDS-7")
def test_a_service_without_endpoints_keeps_its_clusters_and_loses_them_when_it_is_gone() -> None:
    world = World()
    world.publish(pay(BOTH))
    world.subscribe("envoy", WILDCARD, type_url=CDS)
    world.subscribe("envoy", "shop/payments:grpc")
    assert world.publish(pay()) == {"envoy": {EDS: ["shop/payments:grpc"]}}
    assert cluster_names(world) == ["shop/payments", "shop/payments:grpc"]
    assert world.publish() == {"envoy": {CDS: ["shop/payments", "shop/payments:grpc"]}}
    assert cluster_names(world) == []
    assert world.hosts("shop/payments:grpc") == []


def test_a_service_that_went_while_nobody_looked_at_all_clusters_is_listed_when_it_is_back() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    world.resources.subscribe(CDS, "shop/payments", ANY, session("envoy"))
    world.get("shop/payments", CDS)
    world.publish()
    world.subscribe("another", WILDCARD, type_url=CDS)
    assert cluster_names(world) == []
    assert world.publish(pay("10.0.0.1:80"))["another"] == {CDS: ["shop/payments"]}
    assert cluster_names(world) == ["shop/payments"]


def test_clusters_asked_for_by_somebody_who_does_not_look_on_are_forgotten() -> None:
    world = World()
    world.publish(pay("10.0.0.1:80"))
    empty = size(world.resources)
    assert cluster_names(world) == ["shop/payments"]
    world.publish(pay("10.0.0.2:80"))
    assert size(world.resources) == empty
    assert cluster_names(world) == ["shop/payments"]
