"""What a sink should say."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import Target
from bridge.exports import UNTOLD, Export, Limits, tell, wanted, wants
from bridge.kit.names import Pattern
from bridge.merge import Input, Inputs, Merged, merge
from bridge.model import Endpoint, Health, Port, Service, ServiceName, SourceName
from bridge.table import Table
from tests.builders import endpoint, holdings, hosts, name, service, services

SINK = SourceName("consul")
EXPORT = Export(
    target=Target(""),
    services=(Pattern("shop/*"),),
    sources=(SourceName("zk"), SourceName("vms")),
    mode="sync",
    limits=Limits(0.1, 20, 600.0),
    relay=False,
    owner="us",
)
RELAY = replace(EXPORT, relay=True)


def merged(order: tuple[str, ...] = ("consul", "zk", "vms", "k8s"), **said: Service | list[Service]) -> Inputs:
    """What each registry says, in the order of the configuration."""
    them = {called: one if isinstance(one, list) else [one] for called, one in said.items()}
    return Inputs(tuple(Input(SourceName(called), services(*them.get(called, []))) for called in order))


def told(inputs: Inputs, export: Export = EXPORT) -> dict[str, list[str]]:
    found = wants(merge(inputs, None).services, export, SINK, None)
    return {str(n): [str(e.id) for e in one.endpoints] for n, one in sorted(found.items())}


def pay(*endpoints: str | Endpoint) -> Service:
    return service("shop/payments", *endpoints)


def copy(text: str, via: str = "other") -> Endpoint:
    return endpoint(text, via=via)


def test_what_a_source_of_the_export_knows_is_wanted_and_nothing_else() -> None:
    inputs = merged(zk=pay("10.0.0.1:80"), vms=pay("10.0.0.2:80"), k8s=pay("10.0.0.3:80"))
    assert told(inputs) == {"shop/payments": ["10.0.0.1:80", "10.0.0.2:80"]}


def test_only_services_that_a_pattern_names_are_wanted() -> None:
    zk = [pay("10.0.0.1:80"), service("data/db", "10.0.0.2:80"), service("shop/cart", "10.0.0.3:80")]
    assert list(told(merged(zk=zk))) == ["shop/cart", "shop/payments"]
    assert list(told(merged(zk=zk), replace(EXPORT, services=(Pattern("data/db"),)))) == ["data/db"]
    assert told(merged(zk=zk), replace(EXPORT, services=())) == {}


def test_a_service_of_which_nothing_is_wanted_is_left_out() -> None:
    assert told(merged(zk=pay(), k8s=pay("10.0.0.3:80"))) == {}


@pytest.mark.parametrize("order", list(permutations(["consul", "zk", "vms"])))
def test_an_endpoint_that_the_sink_knows_natively_is_not_wanted_whoever_won_the_merge(order: tuple[str, ...]) -> None:
    inputs = merged(order, zk=pay("10.0.0.1:80", "10.0.0.2:80"), consul=pay("10.0.0.1:80"), vms=pay("10.0.0.1:80"))
    assert told(inputs) == {"shop/payments": ["10.0.0.2:80"]}


def test_the_sink_knows_an_endpoint_too_when_they_share_no_more_than_a_port() -> None:
    theirs = endpoint("10.0.0.1:9000", more=[Port("http", 80)])
    assert told(merged(zk=pay("10.0.0.1:80"), consul=pay(theirs))) == {}


@pytest.mark.parametrize("order", list(permutations(["consul", "zk", "k8s"])))
def test_an_endpoint_counts_as_from_each_source_that_knows_it_whoever_won_the_merge(order: tuple[str, ...]) -> None:
    assert told(merged(order, k8s=pay("10.0.0.1:80"), zk=pay("10.0.0.1:80"))) == {"shop/payments": ["10.0.0.1:80"]}


@pytest.mark.parametrize("order", list(permutations(["consul", "zk", "k8s"])))
def test_two_bridges_that_write_the_same_into_one_sink_do_not_drive_each_other_out(order: tuple[str, ...]) -> None:
    inputs = merged(order, zk=pay("10.0.0.1:80"), consul=pay(copy("10.0.0.1:80")))
    assert told(inputs) == {"shop/payments": ["10.0.0.1:80"]}


@pytest.mark.parametrize("order", list(permutations(["consul", "zk", "k8s"])))
def test_what_another_bridge_wrote_is_passed_on_only_by_a_relay(order: tuple[str, ...]) -> None:
    inputs = merged(order, zk=pay(copy("10.0.0.1:80")))
    assert told(inputs) == {}
    assert told(inputs, RELAY) == {"shop/payments": ["10.0.0.1:80"]}
    known = merged(order, zk=pay(copy("10.0.0.1:80")), k8s=pay("10.0.0.1:80"))
    assert told(known) == {}  # natively only where the export does not read
    assert told(known, RELAY) == {"shop/payments": ["10.0.0.1:80"]}


@pytest.mark.parametrize("via", ["us", "us other", "other us"])
def test_a_relay_never_passes_on_what_came_through_it(via: str) -> None:
    assert told(merged(zk=pay(copy("10.0.0.1:80", via))), RELAY) == {}


def test_an_owner_whose_name_only_contains_ours_is_another() -> None:
    assert told(merged(zk=pay(copy("10.0.0.1:80", "us-too"))), RELAY) == {"shop/payments": ["10.0.0.1:80"]}


def held(text: str) -> Endpoint:
    return endpoint(text, held=True)


@pytest.mark.promise("law-4")
def test_a_hold_writes_nothing_what_is_held_stays_as_it_was_where_it_stands() -> None:
    seen = endpoint("10.0.0.1:80", health=Health.DEGRADED, weight=3)
    there = holdings(pay(seen, "10.0.0.2:80"))
    before = merge(merged(zk=pay(seen, "10.0.0.2:80")), None)
    first = tell(wants(before.services, EXPORT, SINK, None), there, UNTOLD)
    after = merge(merged(zk=pay(replace(seen, held=True), "10.0.0.2:80")), None)
    assert after.services != before.services
    assert tell(wants(after.services, EXPORT, SINK, None), there, first).services is first.services
    assert dict(first.services) == {name("shop/payments"): pay(seen, "10.0.0.2:80")}


@pytest.mark.promise("law-4")
def test_what_is_held_is_not_told_to_a_sink_that_has_it_not() -> None:
    want = services(pay("10.0.0.1:80", held("10.0.0.2:80")), service("shop/cart", held("10.0.0.3:80")))
    found = tell(want, holdings(pay("10.0.0.1:80")), UNTOLD)
    assert dict(found.services) == {name("shop/payments"): pay("10.0.0.1:80")}
    back = tell(services(pay(*hosts(2)), service("shop/cart", "10.0.0.3:80")), found.holdings, found)
    assert back.services == back.wants


def test_what_is_held_stands_there_too_under_no_more_than_a_port_that_it_shares() -> None:
    both = endpoint("10.0.0.1:80", more=[Port("admin", 81)])
    found = tell(services(pay(replace(both, held=True))), holdings(pay("10.0.0.1:81")), UNTOLD)
    assert dict(found.services) == {name("shop/payments"): pay(both)}


def test_while_its_service_is_rewritten_what_is_held_counts_as_there_between_two_places() -> None:
    want = services(pay("10.0.0.1:80", held("10.0.0.2:80"), held("10.0.0.3:80")))
    there, between = holdings(pay(*hosts(2))), holdings(pay("10.0.0.1:80"))
    told_first = tell(want, there, UNTOLD, {name("shop/payments")})
    moving = tell(want, between, told_first, {name("shop/payments")})
    assert dict(moving.services) == {name("shop/payments"): pay(*hosts(2))}
    assert dict(tell(want, there, moving).services) == {name("shop/payments"): pay(*hosts(2))}
    assert dict(tell(want, between, told_first).services) == {name("shop/payments"): pay("10.0.0.1:80")}


def test_a_health_that_nobody_told_is_not_made_up() -> None:
    inputs = merged(zk=pay("10.0.0.1:80"))
    found = wants(merge(inputs, None).services, EXPORT, SINK, None)
    assert found[name("shop/payments")].endpoints[0].health is None


# The laws

sides = st.dictionaries(
    st.sampled_from(["shop/a", "shop/b", "data/c"]),
    st.lists(
        st.builds(
            lambda host, via, held_: endpoint(f"10.0.0.{host}:80", via=via, held=held_),
            st.integers(1, 4),
            st.sampled_from(["", "", "other", "us other"]),
            st.booleans(),
        ),
        max_size=4,
        unique_by=lambda e: e.id,
    ),
    max_size=3,
)
registries = st.fixed_dictionaries(dict.fromkeys(("consul", "zk", "k8s"), sides))


def catalog(said: dict[str, dict[str, list[Endpoint]]]) -> Table[ServiceName, Merged]:
    them = {called: [service(text, *es) for text, es in side.items()] for called, side in said.items()}
    return merge(merged(("consul", "zk", "k8s"), **them), None).services  # type: ignore[arg-type]


@given(st.lists(registries, min_size=1, max_size=4), st.booleans())
def test_wants_from_those_before_equal_wants_from_nothing(
    steps: list[dict[str, dict[str, list[Endpoint]]]], relay: bool
) -> None:
    export = replace(EXPORT, relay=relay)
    previous = None
    for step in steps:
        seen = catalog(step)
        found = wants(seen, export, SINK, previous)
        assert found == wants(seen, export, SINK, None)
        if previous is not None:
            same = [n for n in found if n in previous[1] and previous[1][n] == found[n]]
            assert all(found[n] is previous[1][n] for n in same)
        previous = seen, found


@given(registries, st.booleans())
def test_what_is_wanted_is_from_a_source_and_unknown_to_the_sink(
    step: dict[str, dict[str, list[Endpoint]]], relay: bool
) -> None:
    export = replace(EXPORT, relay=relay)
    for one in catalog(step).values():
        found = wanted(one, export, SINK)
        if found is None:
            continue
        text = str(one.name)
        assert found.endpoints
        assert text.startswith("shop/")
        for told_one in found.endpoints:
            assert all(e.id != told_one.id or e.via for e in step["consul"].get(text, []))
            origins = [e for e in step["zk"].get(text, []) if e.id == told_one.id]
            assert origins
            assert relay or not origins[0].via
            assert "us" not in told_one.via.split()


def test_one_change_leaves_all_other_wants_the_same_objects() -> None:
    many = Inputs((Input(SourceName("zk"), services(*(service(f"shop/s{i}", *hosts(3)) for i in range(60)))),))
    before = merge(many, None)
    first = wants(before.services, EXPORT, SINK, None)
    moved = service("shop/s7", "10.9.9.9:80")
    after = Inputs((Input(SourceName("zk"), many.sources[0].services.with_({moved.name: moved})),))
    second = wants(merge(after, (many, before)).services, EXPORT, SINK, (before.services, first))
    assert [str(n) for n in first if second[n] is not first[n]] == ["shop/s7"]
