"""What is ours in a cluster, by its mark and by its name, and what a hand did to it."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.kubernetes import services, slices
from adapters.kubernetes.objects import EXTRAS, FORMAT, OWNER, SERVICE_NAME
from bridge.adapter import Holding, Put
from bridge.kit.mark import Mark
from bridge.model import Health, Port
from tests import kube
from tests.builders import endpoint, service
from tests.kube_world import PAYMENTS, World, form, shop, written

V4 = slices.writer("prod", form().writing.target, "IPv4")


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
