"""Services of the catalog as EndpointSlices beside a Service, or as that Service too."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.kubernetes import services, slices
from adapters.kubernetes.fit import fit
from adapters.kubernetes.objects import BESIDE, EXTRAS, FORMAT, OWNER, SERVICE_NAME, SYNC, TARGET, Key
from bridge.adapter import Holding, Put
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName
from tests import kube
from tests.builders import endpoint, hosts, service
from tests.kube_world import World, form, shop

PAYMENTS = service("shop/payments", "10.20.0.1:8080", "10.20.0.2:8080")
V4 = slices.writer("prod", form().writing.target, "IPv4")
V6 = slices.writer("prod", form().writing.target, "IPv6")
Json = dict[str, Any]


def written(world: World, said: Service, **how: Any) -> list[Json]:
    """The slices that are there once the service was said, by name."""
    world.say(said, form(**how))
    return [one for _, one in sorted(world.slices.items())]


def problems(said: Service, *objects: Json, **how: Any) -> dict[str, str]:
    """What cannot be said, by kind."""
    world = World(*objects)
    world.say(said, form(**how))
    return {one.kind: one.what for one in world.problems}


# What an object says.


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


# What cannot be said.


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


# The Service that is there.


def test_without_a_service_nothing_is_written_and_the_way_out_is_told() -> None:
    world = World()
    assert written(world, PAYMENTS) == []
    (problem,) = world.problems
    assert problem.kind == "missing"
    assert "create_services: true" in problem.what


def test_a_service_that_is_away_takes_nothing_along() -> None:
    world = World(shop("http:80"))
    written(world, PAYMENTS)
    world.services.clear()
    assert world.plan(PAYMENTS, form()) == ()
    assert world.plan(service("shop/payments", "10.20.0.9:8080"), form()) == (), "nor is anything changed meanwhile"


def test_a_service_that_was_made_anew_gets_its_slices_anew_once() -> None:
    world = World(shop("http:80"))
    written(world, PAYMENTS)
    anew = shop("http:80")
    anew["metadata"]["uid"] = "another"
    world.put(anew)
    assert world.say(PAYMENTS, form()) == 1
    (one,) = world.slices.values()
    assert one["metadata"]["ownerReferences"][0]["uid"] == "another"


def test_beside_a_selector_nothing_is_written_unless_the_service_says_so() -> None:
    chosen = shop("http:80", selector={"app": "payments"})
    world = World(chosen)
    assert written(world, PAYMENTS) == []
    assert [problem.kind for problem in world.problems] == ["selector"]
    assert f'{BESIDE}: "true"' in world.problems[0].what
    world.put(shop("http:80", selector={"app": "payments"}, annotations={BESIDE: "true"}))
    assert len(written(world, PAYMENTS)) == 1
    world.put(chosen)
    assert world.say(PAYMENTS, form()) == 1, "and what is there goes when the annotation does"


def test_beside_a_selector_slices_tell_for_which_zone_they_are() -> None:
    there = shop("http:80", selector={"app": "payments"}, annotations={BESIDE: "true"})
    zoned = service("shop/payments", endpoint("10.20.0.1:8080", locality=Locality("eu", "dc1")), "10.20.0.2:8080")
    (one,) = written(World(there), zoned)
    assert [row.get("hints") for row in one["endpoints"]] == [{"forZones": [{"name": "dc1"}]}, None]
    routed = shop(
        "http:80",
        selector={"app": "payments"},
        annotations={BESIDE: "true", "service.kubernetes.io/topology-mode": "Auto"},
    )
    world = World(routed)
    (one,) = written(world, zoned)
    assert [row["addresses"] for row in one["endpoints"]] == [["10.20.0.1"]]
    assert [problem.kind for problem in world.problems] == ["locality"]


def test_a_service_has_the_last_word_on_whether_it_is_written() -> None:
    no, yes = shop("http:80", annotations={SYNC: "false"}), shop("http:80", annotations={SYNC: "true"})
    assert written(World(no), PAYMENTS) == []
    assert written(World(shop("http:80")), PAYMENTS, opt_in=True) == []
    assert len(written(World(yes), PAYMENTS, opt_in=True)) == 1
    assert problems(PAYMENTS, no) == {}, "what a Service wants is no problem"


def test_a_name_for_another_host_has_no_endpoints() -> None:
    assert "service" in problems(PAYMENTS, shop("http:80", type="ExternalName", externalName="x.example"))


def test_a_service_that_is_being_deleted_is_left_as_it_is() -> None:
    world = World(shop("http:80"))
    written(world, PAYMENTS)
    ends = shop("http:80")
    ends["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.put(ends)
    assert world.plan(service("shop/payments", "10.20.0.9:8080"), form()) == ()
    assert [problem.kind for problem in world.problems] == ["missing"]


# Services that we make.


def test_a_service_is_made_first_and_its_slices_follow_with_one_write_each() -> None:
    world, how = World(), form(create=True)
    (change,) = world.plan(PAYMENTS, how)
    assert change.record.key == "service/shop/payments"
    assert world.say(PAYMENTS, how) == 2
    made = world.services[Key("shop", "payments")]
    assert made["spec"] == {
        "type": "ClusterIP",
        "ipFamilyPolicy": "PreferDualStack",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    assert made["metadata"]["labels"] == {OWNER: "prod"}
    assert made["metadata"]["annotations"] == {FORMAT: "1"}
    assert world.gone("shop/payments", how) == 2
    assert not world.services
    assert not world.slices


def test_what_we_made_is_removed_after_its_slices() -> None:
    world, how = World(), form(create=True)
    world.say(PAYMENTS, how)
    assert [record.key for record in world.holding("shop/payments", how).records] == [
        f"endpointslice/shop/payments-{V4}-0",
        "service/shop/payments",
    ]


def test_a_service_that_others_made_is_never_written_or_removed() -> None:
    world, how = World(shop("http:80")), form(create=True)
    before = repr(world.services)
    world.say(service("shop/payments", endpoint("10.20.0.1:8080", more=[Port("admin", 9000)])), how)
    world.gone("shop/payments", how)
    assert repr(world.services) == before


def test_a_made_service_keeps_the_numbers_that_its_clients_know() -> None:
    world, how = World(), form(create=True)
    world.say(PAYMENTS, how)
    moved = service("shop/payments", endpoint("10.20.0.1:9090", more=[Port("admin", 8080)]))
    world.say(moved, how)
    ports = world.services[Key("shop", "payments")]["spec"]["ports"]
    assert {one["name"]: one["port"] for one in ports} == {"http": 8080}
    assert [problem.kind for problem in world.problems] == ["port", "port"], "8080 is another port's already"
    assert next(iter(world.slices.values()))["ports"][0]["port"] == 9090


def test_a_made_service_keeps_what_others_gave_it() -> None:
    world, how = World(), form(create=True)
    world.say(PAYMENTS, how)
    there = world.services[Key("shop", "payments")]
    there["spec"] |= {"clusterIP": "10.96.0.7", "type": "NodePort", "sessionAffinity": "ClientIP"}
    there["spec"]["ports"][0]["nodePort"] = 30080
    there["metadata"]["labels"]["team"] = "a"
    assert world.plan(PAYMENTS, how) == (), "what is not ours is no difference"
    more = service("shop/payments", endpoint("10.20.0.1:8080", more=[Port("Admin_Port", 9000)]))
    world.say(more, how)
    spec = world.services[Key("shop", "payments")]["spec"]
    assert (spec["clusterIP"], spec["type"], spec["sessionAffinity"]) == ("10.96.0.7", "NodePort", "ClientIP")
    assert spec["ports"] == [
        {"name": "http", "port": 8080, "protocol": "TCP", "nodePort": 30080},
        {"name": "admin-port", "port": 9000, "protocol": "TCP"},
    ]
    assert world.services[Key("shop", "payments")]["metadata"]["labels"]["team"] == "a"


def test_a_made_service_may_be_headless_and_stays_what_it_is() -> None:
    world, how = World(), form(create=True, headless=True)
    world.say(PAYMENTS, how)
    assert world.services[Key("shop", "payments")]["spec"]["clusterIP"] == "None"
    assert world.plan(PAYMENTS, form(create=True)) == ()
    assert [problem.kind for problem in world.problems] == ["service"]
    assert "delete it to have it made anew" in world.problems[0].what


def test_unnamed_ports_are_named_beside_others() -> None:
    world, how = World(), form(create=True)
    said = service("shop/payments", endpoint("10.20.0.1:8080", port="", more=[Port("admin", 9000, "UDP")]))
    world.say(said, how)
    assert [one["name"] for one in world.services[Key("shop", "payments")]["spec"]["ports"]] == ["default", "admin"]
    assert [one["name"] for one in next(iter(world.slices.values()))["ports"]] == ["default", "admin"]
    assert world.problems == ()


def test_a_service_that_we_made_and_that_got_a_selector_is_ours_no_more() -> None:
    world, how = World(), form(create=True)
    world.say(PAYMENTS, how)
    world.services[Key("shop", "payments")]["spec"]["selector"] = {"app": "payments"}
    world.say(PAYMENTS, how)
    assert [problem.kind for problem in world.problems] == ["selector"]
    assert world.gone("shop/payments", how) == 0
    assert world.services


def test_services_that_we_made_outlive_the_wish_to_make_them() -> None:
    world = World()
    world.say(PAYMENTS, form(create=True))
    assert world.plan(PAYMENTS, form()) == ()


# What is ours.


def test_a_slice_of_ours_whose_label_was_edited_is_put_right_under_its_name() -> None:
    world, how = World(shop("http:80")), form()
    (one,) = written(world, PAYMENTS)
    one["metadata"]["labels"][SERVICE_NAME] = "orders"
    (change,) = world.plan(PAYMENTS, how)
    assert isinstance(change, Put)
    assert change.replaces is not None
    assert world.say(PAYMENTS, how) == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda one: one["endpoints"][0].update(conditions={}),
        lambda one: one["endpoints"][0].update(zone="elsewhere"),
        lambda one: one["endpoints"][0].update(nodeName="node-1"),
        lambda one: one["endpoints"][0].update(hints={"forZones": [{"name": "a"}]}),
        lambda one: one["endpoints"].pop(),
        lambda one: one["endpoints"].append(dict(one["endpoints"][0])),
        lambda one: one.update(endpoints=None),
        lambda one: one["ports"][0].update(appProtocol="http"),
        lambda one: one["metadata"]["annotations"].update({EXTRAS: "garbage"}),
        lambda one: one["metadata"]["annotations"].update({EXTRAS: '{"10.99.0.1":{"weight":3}}'}),
        lambda one: one["metadata"]["annotations"].update({EXTRAS: '{"10.20.0.1":{"weight":3}}'}),
        lambda one: one["metadata"]["labels"].update({"service.kubernetes.io/headless": ""}),
        lambda one: one["metadata"].update(ownerReferences=[]),
    ],
)
def test_whatever_was_edited_by_hand_is_a_difference_and_is_put_right_with_one_write(edit: Any) -> None:
    world, how = World(shop("http:80")), form()
    (one,) = written(world, PAYMENTS)
    edit(one)
    assert world.say(PAYMENTS, how) == 1
    assert world.holding("shop/payments", how).endpoints == tuple(
        replace(it, health=Health.HEALTHY) for it in PAYMENTS.endpoints
    )


def test_what_others_add_to_our_slices_is_no_difference() -> None:
    world, how = World(shop("http:80")), form()
    (one,) = written(world, PAYMENTS)
    one["metadata"]["labels"]["team"] = "a"
    one["metadata"]["annotations"]["note"] = "b"
    one["endpoints"].reverse()
    assert world.plan(PAYMENTS, how) == ()


@pytest.mark.promise("R-18")
def test_a_slice_of_somebody_else_under_our_name_is_taken() -> None:
    name = f"payments-{V4}-0"
    for by, who in (
        (kube.slice_(f"shop/{name}", "10.1.0.1", of="payments", manager="somebody"), "somebody, without our mark"),
        (kube.slice_(f"shop/{name}", "10.1.0.1", of="orders", manager=""), "nobody's mark"),
        (kube.bridged(f"shop/{name}", "10.1.0.1", of="payments", owner="east"), "the bridge east (format 1)"),
    ):
        world = World(shop("http:80"), by)
        assert world.holding("shop/payments", form()).taken == ((f"endpointslice/shop/{name}", who),)
        before = repr(world.slices)
        assert world.plan(PAYMENTS, form()) == ()
        assert repr(world.slices) == before


def test_other_bridges_and_controllers_stand_beside_us() -> None:
    theirs = form(mark=Mark("east", "b"))
    world = World(shop("http:80"), kube.slice_("shop/payments-x7k2p", "10.1.0.1", of="payments"))
    written(world, PAYMENTS)
    world.say(service("shop/payments", "10.30.0.1:8080"), theirs)
    ours = world.holding("shop/payments", form())
    assert ours.taken == ()
    assert [one.address for one in ours.endpoints] == ["10.20.0.1", "10.20.0.2"]
    assert world.gone("shop/payments", theirs) == 1
    assert len(world.slices) == 2


def test_a_former_owners_slices_are_ours_and_stay_where_they_are() -> None:
    world, renamed = World(shop("http:80")), form(mark=Mark("new", "a", ("prod",)))
    (before,) = written(world, PAYMENTS)
    assert world.plan(PAYMENTS, renamed) == ()
    assert world.say(service("shop/payments", "10.20.0.1:8080"), renamed) == 1
    (after,) = world.slices.values()
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["metadata"]["labels"][OWNER] == "new"


def test_a_mark_of_a_format_that_we_do_not_know_is_not_ours() -> None:
    world = World(shop("http:80"))
    (one,) = written(world, PAYMENTS)
    one["metadata"]["annotations"][FORMAT] = "2"
    there = world.holding("shop/payments", form())
    assert there.records == ()
    assert there.taken[0][1] == "the bridge prod (format 2)"


def test_services_that_the_export_does_not_name_are_not_known() -> None:
    world = World(kube.service("other/payments", "http:80"))
    assert world.holding("other/payments", form()) == Holding()
    assert world.holding("other/payments", form(services="other/*")).facts is not None


def test_contents_read_back_as_they_were_made() -> None:
    world, how = World(), form(create=True)
    world.say(service("shop/payments", endpoint("10.20.0.1:8080", weight=2, more=[Port("dns", 53, "UDP", "x/y")])), how)
    for record in world.holding("shop/payments", how).records:
        room = slices if record.key.startswith("endpointslice") else services
        assert room.encode(room.decode(record.content)) == record.content
