"""What the merge of all sources comes to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.merge import Catalog, Group, Input, Inputs, Merged, merge
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName, SourceName
from bridge.table import Table
from tests.builders import eid, endpoint, hosts, name, service, services

PAY = name("shop/payments")
CART = name("shop/cart")


def source(called: str, *them: Service, seen: bool = True, stale: bool = False) -> Input:
    return Input(SourceName(called), services(*them), seen, stale)


def catalog(*sources: Input) -> Catalog:
    return merge(Inputs(sources), None)


def payments(*sources: Input) -> Merged:
    merged = catalog(*sources).services[PAY]
    assert isinstance(merged, Merged)
    return merged


def only(merged: Merged) -> Endpoint:
    (one,) = merged.endpoints()
    return one


def pay(*endpoints: str | Endpoint) -> Service:
    return service("shop/payments", *endpoints)


# Who counts


def test_each_source_keeps_its_endpoints_in_a_group_in_the_order_of_the_configuration() -> None:
    merged = payments(source("zk", pay("10.0.0.9:80")), source("k8s", pay("10.0.0.1:80", "10.0.0.2:80")))
    assert [(group.source, [str(e.id) for e in group.endpoints]) for group in merged.groups] == [
        ("zk", ["10.0.0.9:80"]),
        ("k8s", ["10.0.0.1:80", "10.0.0.2:80"]),
    ]
    assert merged.also == ()


@pytest.mark.promise("R-25")
def test_of_two_sources_that_say_different_things_the_one_listed_first_wins_and_the_other_is_named() -> None:
    vms = source("vms", pay(endpoint("10.0.0.1:80", weight=3, locality=Locality("eu", "dc1"))))
    zk = source("zk", pay(endpoint("10.0.0.1:80", weight=7, locality=Locality("us", "dc9"))))
    first = payments(vms, zk)
    assert only(first).weight == 3
    assert first.groups[0].source == "vms"
    assert first.also == ((eid("10.0.0.1:80"), ("zk",)),)
    second = payments(zk, vms)
    assert only(second).locality == Locality("us", "dc9")
    assert second.also == ((eid("10.0.0.1:80"), ("vms",)),)


@pytest.mark.parametrize("native_first", [True, False])
def test_a_native_record_beats_that_of_another_bridge_whatever_the_order(native_first: bool) -> None:
    native = source("zk", pay(endpoint("10.0.0.1:80", weight=3)))
    relayed = source("consul", pay(endpoint("10.0.0.1:80", weight=7, via="other-bridge")))
    merged = payments(*((native, relayed) if native_first else (relayed, native)))
    assert only(merged).weight == 3
    assert only(merged).via == ""
    assert merged.groups[0].source == "zk"
    assert merged.also == ((eid("10.0.0.1:80"), ("consul",)),)


def test_who_knows_an_endpoint_from_another_bridge_only_is_told_apart() -> None:
    copy = endpoint("10.0.0.1:80", via="other-bridge")
    assert payments(
        source("a", pay(copy)), source("b", pay("10.0.0.1:80")), source("c", pay("10.0.0.1:80"))
    ).copies == ((eid("10.0.0.1:80"), ("a",)),)
    assert payments(source("a", pay(copy)), source("b", pay(copy))).copies == ()
    both = source("b", pay(endpoint("10.0.0.1:80", via="other-bridge"), endpoint("10.0.0.1:81", more=[Port("", 80)])))
    assert payments(source("a", pay("10.0.0.1:80")), both).copies == ()


def test_two_bridges_do_not_keep_each_others_last_word_alive() -> None:
    native = endpoint("10.0.0.1:80", health=H)
    echo = endpoint("10.0.0.1:80", health=U, via="other-bridge", more=[Port("admin", 9000)])
    assert only(payments(source("zk", pay(native)), source("consul", pay(echo)))) == native
    assert only(payments(source("zk", pay(replace(native, held=True))), source("consul", pay(echo)))).held


def test_endpoints_that_share_a_port_number_are_one_and_their_ports_are_united() -> None:
    merged = payments(
        source("a", pay(endpoint("10.0.0.1:80", more=[Port("admin", 9000)]))),
        source("b", pay(endpoint("10.0.0.1:9000", port="ops", more=[Port("grpc", 8081)]))),
    )
    assert only(merged).ports == (Port("http", 80), Port("admin", 9000), Port("grpc", 8081))


def test_an_endpoint_joins_two_that_share_nothing_with_each_other() -> None:
    merged = payments(
        source("a", pay("10.0.0.1:80")),
        source("b", pay("10.0.0.1:90")),
        source("c", pay(endpoint("10.0.0.1:90", more=[Port("http", 80)]))),
    )
    assert [port.number for port in only(merged).ports] == [80, 90]
    assert merged.also == ((eid("10.0.0.1:80"), ("b", "c")),)


def test_two_endpoints_of_one_source_that_share_a_port_are_one() -> None:
    merged = payments(
        source(
            "a",
            pay(
                endpoint("10.0.0.1:80", more=[Port("admin", 9000)]), endpoint("10.0.0.1:81", more=[Port("admin", 9000)])
            ),
        )
    )
    assert [port.number for port in only(merged).ports] == [80, 9000, 81]
    assert merged.also == ()


def test_the_same_port_on_another_address_is_another_endpoint() -> None:
    assert len(list(payments(source("a", pay("10.0.0.1:80")), source("b", pay("10.0.0.2:80"))).endpoints())) == 2


def test_a_service_that_a_source_says_without_endpoints_stays_in_the_catalog() -> None:
    assert payments(source("a", pay())) == Merged(PAY)


# Health


H, D, U = Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY


@pytest.mark.parametrize(
    ("one", "other", "expected"), [(None, None, None), (H, None, H), (H, U, U), (D, H, D), (None, U, U)]
)
def test_health_is_the_worst_that_a_source_with_an_opinion_reports(
    one: Health | None, other: Health | None, expected: Health | None
) -> None:
    merged = payments(
        source("a", pay(endpoint("10.0.0.1:80", health=one))), source("b", pay(endpoint("10.0.0.1:80", health=other)))
    )
    assert only(merged).health is expected


def test_a_stale_source_has_no_opinion_where_a_live_one_has() -> None:
    red = source("a", pay(endpoint("10.0.0.1:80", health=U)), stale=True)
    assert only(payments(red, source("b", pay(endpoint("10.0.0.1:80", health=H))))).health is H
    assert only(payments(red, source("b", pay(endpoint("10.0.0.1:80"))))).health is U
    assert only(payments(red)).health is U


# Holds


def test_a_source_that_holds_an_endpoint_has_no_opinion_while_another_sees_it() -> None:
    merged = payments(
        source("a", pay(endpoint("10.0.0.1:80", health=U, held=True))),
        source("b", pay(endpoint("10.0.0.1:80", health=H))),
    )
    assert not only(merged).held
    assert only(merged).health is H


def test_what_every_source_holds_is_held() -> None:
    merged = payments(
        source("a", pay(endpoint("10.0.0.1:80", held=True))),
        source("b", pay(endpoint("10.0.0.1:80", health=D, held=True))),
    )
    assert only(merged).held
    assert only(merged).health is D


def follow(*steps: tuple[Input, ...]) -> list[Catalog]:
    """The catalogs of views that follow each other."""
    results: list[Catalog] = []
    previous: tuple[Inputs, Catalog] | None = None
    for sources in steps:
        inputs = Inputs(sources)
        results.append(merge(inputs, previous))
        previous = inputs, results[-1]
    return results


def ids(result: Catalog, called: ServiceName = PAY) -> list[str]:
    return [str(e.id) for e in result.services[called].endpoints()]


@pytest.mark.promise("R-38")
def test_a_held_endpoint_whose_address_and_port_another_service_comes_to_use_is_left_out() -> None:
    held = source("a", pay(endpoint("10.0.0.1:80", held=True), "10.0.0.2:80"))
    cart = source("b", service("shop/cart", "10.0.0.1:80"))
    before, after = follow((held, source("b")), (held, cart))
    assert ids(before) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert ids(after) == ["10.0.0.2:80"]
    assert after.services[PAY].reused == (eid("10.0.0.1:80"),)
    assert ids(after, CART) == ["10.0.0.1:80"]


@pytest.mark.promise("R-38")
def test_a_service_that_is_renamed_in_one_step_leaves_nothing_behind() -> None:
    first, renamed = follow(
        (source("a", pay("10.0.0.1:80"), service("shop/cart")),),
        (source("a", pay(endpoint("10.0.0.1:80", held=True)), service("shop/cart", "10.0.0.1:80")),),
    )
    assert ids(first) == ["10.0.0.1:80"]
    assert ids(renamed) == []


@pytest.mark.promise("law-1")
def test_an_alias_that_vanishes_while_the_other_name_stays_is_held_as_any_service() -> None:
    cart = service("shop/cart", "10.0.0.1:80")
    both, one, still = follow(
        (source("a", pay("10.0.0.1:80"), cart),),
        (source("a", pay(endpoint("10.0.0.1:80", held=True)), cart),),
        (source("a", pay(endpoint("10.0.0.1:80", held=True)), cart, service("shop/else", "10.0.0.9:80")),),
    )
    assert ids(both) == ids(one) == ids(still) == ["10.0.0.1:80"]
    assert one.services[PAY].reused == ()


def test_an_alias_whose_other_name_went_away_is_reused_by_who_comes_then() -> None:
    held = pay(endpoint("10.0.0.1:80", held=True))
    cart, orders = service("shop/cart", "10.0.0.1:80"), service("shop/orders", "10.0.0.1:80")
    *_, alone, used = follow(
        (source("a", pay("10.0.0.1:80"), cart),),
        (source("a", held, cart),),
        (source("a", held),),
        (source("a", held, orders),),
    )
    assert ids(alone) == ["10.0.0.1:80"]
    assert ids(used) == []


def test_a_merge_from_nothing_takes_a_shared_address_for_an_alias() -> None:
    sources = (source("a", pay(endpoint("10.0.0.1:80", held=True))), source("b", service("shop/cart", "10.0.0.1:80")))
    assert ids(catalog(*sources)) == ["10.0.0.1:80"]


@pytest.mark.promise("R-38")
def test_a_held_endpoint_stays_while_the_other_service_holds_it_too_or_uses_another_port() -> None:
    other = service("shop/cart", endpoint("10.0.0.1:80", held=True), "10.0.0.1:81")
    *_, result = follow((source("a"),), (source("a", pay(endpoint("10.0.0.1:80", held=True)), other),))
    assert only(result.services[PAY]).held


@pytest.mark.promise("R-38")
def test_a_held_endpoint_is_left_out_and_comes_back_as_its_address_is_used_and_freed() -> None:
    held = source("a", pay(endpoint("10.0.0.1:80", held=True)))
    using = source("b", service("shop/cart", endpoint("10.0.0.1:9", more=[Port("x", 80)])))
    at_first, then, at_last = follow((held, source("b")), (held, using), (held, source("b")))
    assert [ids(one) for one in (at_first, then, at_last)] == [["10.0.0.1:80"], [], ["10.0.0.1:80"]]
    assert at_last == at_first


@pytest.mark.promise("R-38")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_a_service_that_changes_in_one_place_the_other_addresses_stay_in_use(place: int) -> None:
    many = [endpoint(host) for host in hosts(3)]
    held = source("a", Service.of(PAY, [endpoint(host, held=True) for host in hosts(3)]))
    fewer = [one for at, one in enumerate(many) if at != place]
    *_, result = follow(
        (held, source("b")), (held, source("b", Service.of(CART, many))), (held, source("b", Service.of(CART, fewer)))
    )
    assert [e.id for e in result.services[PAY].endpoints()] == [many[place].id]


# Waiting


def test_sources_not_yet_seen_are_waited_for() -> None:
    assert catalog(source("a", seen=False), source("b")).waiting == {"a"}


# The law


NAMES = [name(text) for text in ("shop/a", "shop/b", "data/c")]
numbers = st.sampled_from([80, 81, 9000])
endpoints = st.builds(
    lambda host, ports, health, weight, via, held: Endpoint(
        f"10.0.0.{host}",
        tuple(Port(f"p{n}", n) for n in ports),
        health=health,
        weight=weight,
        via=via,
        held=held,
    ),
    st.integers(1, 3),
    st.lists(numbers, min_size=1, max_size=2, unique=True),
    st.sampled_from([None, *Health]),
    st.integers(1, 2),
    st.sampled_from(["", "", "other"]),
    st.booleans(),
)
one_service = st.lists(endpoints, max_size=3, unique_by=lambda e: e.id)
views = st.dictionaries(st.sampled_from(NAMES), one_service, max_size=3)
states = st.lists(st.tuples(views, st.booleans(), st.booleans()), min_size=3, max_size=3)
orders = st.permutations(["a", "b", "c"])


def inputs(order: list[str], state: list[tuple[dict[ServiceName, list[Endpoint]], bool, bool]]) -> Inputs:
    return Inputs(
        tuple(
            Input(SourceName(called), Table({n: Service.of(n, them) for n, them in view.items()}), seen, stale)
            for called, (view, seen, stale) in zip(order, state, strict=True)
        )
    )


several = st.builds(inputs, orders, states)


@given(st.lists(several, min_size=2, max_size=4))
def test_a_merge_from_the_one_before_equals_a_merge_from_nothing_but_for_what_came_to_be_reused(
    steps: list[Inputs],
) -> None:
    before, result = steps[0], merge(steps[0], None)
    for step in steps[1:]:
        # Half of the sources stay as they were, so that there is something to be shared.
        mixed = (
            step
            if [s.source for s in step.sources] != [s.source for s in before.sources]
            else Inputs((before.sources[0], *step.sources[1:]))
        )
        after = merge(mixed, (before, result))
        anew = merge(mixed, None)
        assert (after.waiting, after.services.keys()) == (anew.waiting, anew.services.keys())
        assert (after.uses.observed, after.uses.held) == (anew.uses.observed, anew.uses.held)
        for called, told in anew.services.items():
            reused = after.services[called].reused
            assert set(after.services[called].endpoints()) == {e for e in told.endpoints() if e.id not in reused}
            assert all(e.held for e in told.endpoints() if e.id in reused)
            assert reused or after.services[called] == told
            assert told.reused == ()
        for untouched in set(after.services) & set(result.services):
            if after.services[untouched] == result.services[untouched]:
                assert after.services[untouched] is result.services[untouched]
        before, result = mixed, after


@given(several)
def test_every_endpoint_is_told_once_and_every_told_one_was_said(step: Inputs) -> None:
    result = merge(step, None)
    for told in result.services.values():
        at = [(e.address, port.number) for e in told.endpoints() for port in e.ports]
        assert len(at) == len(set(at))
        every = [e for one in step.sources if told.name in one.services for e in one.services[told.name].endpoints]
        said = {(e.address, port.number) for e in every for port in e.ports}
        native = {(e.address, port.number) for e in every if not e.via for port in e.ports}
        assert set(at) <= said
        if not told.reused:
            assert native <= set(at)
            assert native or set(at) == said
        assert [group.source for group in told.groups] == [
            one.source for one in step.sources if one.source in {group.source for group in told.groups}
        ]
        for group in told.groups:
            assert group.endpoints
            assert list(group.endpoints) == sorted(group.endpoints, key=lambda e: e.id)


def test_what_nothing_touched_is_the_same_object() -> None:
    many = Table({name(f"shop/s{i}"): service(f"shop/s{i}", *hosts(3)) for i in range(50)})
    before = Inputs((Input(SourceName("a"), many),))
    first = merge(before, None)
    changed = service("shop/s7", "10.9.9.9:80")
    after = Inputs((Input(SourceName("a"), many.with_({changed.name: changed})),))
    second = merge(after, (before, first))
    assert [str(n) for n in many if second.services[n] is not first.services[n]] == ["shop/s7"]
    assert second.services[changed.name].groups == (Group(SourceName("a"), changed.endpoints),)
