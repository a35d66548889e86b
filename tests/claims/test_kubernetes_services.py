"""What the Service asks of its slices: one that is there, and one that the bridge makes."""

import pytest

from adapters.kubernetes import slices
from adapters.kubernetes.objects import BESIDE, FORMAT, OWNER, SYNC, Key
from bridge.model import Locality, Port
from tests.builders import endpoint, service
from tests.kube_world import PAYMENTS, World, form, problems, shop, written

V4 = slices.writer("prod", form().writing.target, "IPv4")


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


def test_slices_follow_when_the_service_calls_its_port_otherwise_in_place() -> None:
    world = World(shop("http:80"))
    (before,) = written(world, PAYMENTS)
    world.put(shop("web:80"))
    assert world.say(PAYMENTS, form()) == 1
    (after,) = world.slices.values()
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["ports"] == [{"name": "web", "port": 8080, "protocol": "TCP"}]


def test_endpoints_that_all_listen_at_another_port_stay_in_their_slice() -> None:
    world = World(shop("http:80"))
    written(world, PAYMENTS)
    assert world.say(service("shop/payments", "10.20.0.1:9090", "10.20.0.2:9090"), form()) == 1
    assert len(world.slices) == 1


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


def test_a_service_that_we_made_and_that_was_deleted_is_made_anew_and_takes_nothing_along() -> None:
    world, how = World(), form(create=True)
    world.say(PAYMENTS, how)
    world.services.clear()
    (change,) = world.plan(PAYMENTS, how)
    assert change.record.key == "service/shop/payments"
    assert world.say(PAYMENTS, how) == 2, "the Service is made, and its slice follows in place"
    (one,) = world.slices.values()
    assert one["metadata"]["ownerReferences"][0]["uid"] == world.services[Key("shop", "payments")]["metadata"]["uid"]


def test_what_we_made_is_removed_after_its_slices() -> None:
    world, how = World(), form(create=True)
    world.say(PAYMENTS, how)
    assert [record.key for record in world.holding("shop/payments", how).records] == [
        f"endpointslice/shop/payments-{V4}-0",
        "service/shop/payments",
    ]


@pytest.mark.promise("R-18", "law-5")
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
