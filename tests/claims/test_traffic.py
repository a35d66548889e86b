"""What a class of nodes sees of a service."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.merge import Input, Inputs, Merged, merge
from bridge.model import Endpoint, Health, Locality, Port, Service, SourceName
from bridge.traffic import (
    ANY,
    WEIGHTS,
    Assignment,
    ClusterPolicy,
    Host,
    Label,
    Place,
    Policy,
    default_port,
    ports,
    view,
)
from tests.builders import endpoint, name, service, services

PAY = name("shop/payments")
NO_OPINION = Policy(None, ClusterPolicy(1.0, "round_robin", None))
H, D, U = Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY


def merged(*endpoints: str | Endpoint) -> Merged:
    return groups(endpoints)


def groups(*them: tuple[str | Endpoint, ...]) -> Merged:
    sources = tuple(
        Input(SourceName(f"source-{i}"), services(service("shop/payments", *some))) for i, some in enumerate(them)
    )
    found = merge(Inputs(sources), None).services[PAY]
    assert isinstance(found, Merged)
    return found


def seen(service: Merged, port: Label = "http", default: Label = "http", *, grpc: bool = False) -> list[Host]:
    return [host for place in view(service, port, ANY._replace(grpc=grpc), default).places for host in place.hosts]


def health_of(service: Merged, *, grpc: bool = False) -> dict[str, Health]:
    return {host.address: host.health for host in seen(service, grpc=grpc)}


# Hosts


def test_hosts_are_told_with_the_port_that_was_asked_for() -> None:
    both = merged(endpoint("10.0.0.1:80", more=[Port("grpc", 9000)]))
    assert seen(both) == [Host("10.0.0.1", 80, H, 1)]
    assert seen(both, "grpc") == [Host("10.0.0.1", 9000, H, 1)]
    assert seen(both, 9000) == [Host("10.0.0.1", 9000, H, 1)]


def test_an_endpoint_that_lacks_the_port_is_left_out() -> None:
    some = merged("10.0.0.1:80", endpoint("10.0.0.2:80", more=[Port("grpc", 9000)]))
    assert [host.address for host in seen(some, "grpc")] == ["10.0.0.2"]
    assert [host.address for host in seen(some, 81)] == []
    assert view(some, "unheard-of", ANY, "http") == Assignment()


def test_no_opinion_is_told_as_healthy_and_unhealthy_hosts_are_told_too() -> None:
    assert health_of(merged("10.0.0.1:80", endpoint("10.0.0.2:80", health=U))) == {"10.0.0.1": H, "10.0.0.2": U}


@pytest.mark.promise("xDS-12")
def test_localities_are_sorted_and_each_weighs_what_its_hosts_weigh() -> None:
    east, west = Locality("eu", "east"), Locality("eu", "west")
    told = view(
        groups(
            (endpoint("10.0.0.9:80", locality=west, weight=5), endpoint("10.0.0.1:80", locality=east)),
            (endpoint("10.0.0.3:80", locality=west, weight=2),),
        ),
        "http",
        ANY,
        "http",
    )
    assert told.places == (
        Place(0, east, 1, (Host("10.0.0.1", 80, H, 1),)),
        Place(0, west, 7, (Host("10.0.0.3", 80, H, 2), Host("10.0.0.9", 80, H, 5))),
    )


@pytest.mark.promise("xDS-12")
def test_weights_that_envoy_cannot_add_up_are_scaled_down_in_proportion() -> None:
    heavy = merged(
        endpoint("10.0.0.1:80", weight=2**40), endpoint("10.0.0.2:80", weight=2**39), endpoint("10.0.0.3:80")
    )
    first, second, third = (host.weight for host in seen(heavy))
    assert first + second + third <= WEIGHTS
    assert first / second == pytest.approx(2)
    assert third == 1


# Held


@pytest.mark.promise("law-2")
def test_a_held_endpoint_is_turned_away_from_while_the_held_are_few() -> None:
    some = merged("10.0.0.1:80", "10.0.0.2:80", endpoint("10.0.0.3:80", health=H, held=True))
    assert health_of(some) == {"10.0.0.1": H, "10.0.0.2": H, "10.0.0.3": D}


def test_a_held_endpoint_keeps_its_last_health_when_the_held_are_as_many_as_the_healthy() -> None:
    some = merged(
        "10.0.0.1:80",
        "10.0.0.2:80",
        endpoint("10.0.0.3:80", held=True),
        endpoint("10.0.0.4:80", health=U, held=True),
    )
    assert health_of(some) == {"10.0.0.1": H, "10.0.0.2": H, "10.0.0.3": H, "10.0.0.4": U}


def test_endpoints_that_are_seen_but_not_healthy_do_not_count_against_the_held() -> None:
    some = merged(
        endpoint("10.0.0.1:80", health=U), endpoint("10.0.0.2:80", health=D), endpoint("10.0.0.3:80", held=True)
    )
    assert health_of(some)["10.0.0.3"] is H


def test_a_hold_makes_no_endpoint_look_better_than_it_was() -> None:
    some = merged("10.0.0.1:80", "10.0.0.2:80", endpoint("10.0.0.3:80", health=U, held=True))
    assert health_of(some)["10.0.0.3"] is U


def test_the_held_are_counted_in_their_own_group() -> None:
    some = groups(("10.0.0.1:80", "10.0.0.2:80"), (endpoint("10.0.0.3:80", held=True),))
    assert health_of(some)["10.0.0.3"] is H


def test_to_grpc_clients_a_held_endpoint_keeps_its_last_health() -> None:
    some = merged("10.0.0.1:80", "10.0.0.2:80", endpoint("10.0.0.3:80", held=True))
    assert health_of(some, grpc=True)["10.0.0.3"] is H


# Which port is meant


def both_ports(*names: str) -> Merged:
    return merged(Endpoint("10.0.0.1", tuple(Port(n, 9000 - i) for i, n in enumerate(names))))


@pytest.mark.parametrize(
    ("some", "port"),
    [
        (both_ports("grpc"), "grpc"),
        (both_ports("grpc", "http"), "http"),
        (both_ports("grpc", "admin"), "admin"),  # the lowest number
        (both_ports(""), ""),
        (merged(endpoint("10.0.0.1:8080", port=""), endpoint("10.0.0.2:31000", port="")), ""),
        (both_ports("admin", ""), 8999),  # a further port without a name goes by its number
        (merged(endpoint("10.0.0.1:8080", port=""), endpoint("10.0.0.2:80", port="http")), "http"),
        (Merged(PAY), ""),
    ],
)
def test_the_default_port_is_the_only_one_else_http_else_the_lowest_number(some: Merged, port: Label) -> None:
    assert default_port(some, NO_OPINION, None) == port


def test_the_default_port_that_was_served_stays_while_any_endpoint_has_it() -> None:
    assert default_port(both_ports("grpc", "http"), NO_OPINION, "grpc") == "grpc"
    assert default_port(both_ports("http"), NO_OPINION, "grpc") == "http"
    assert default_port(Merged(PAY), NO_OPINION, "grpc") == "grpc"


def test_the_default_port_of_the_policy_comes_first() -> None:
    policy = Policy(9000, NO_OPINION.cluster)
    assert default_port(both_ports("grpc", "http"), policy, "http") == 9000


def test_a_primary_port_without_a_name_stands_in_for_the_default_port_only() -> None:
    some = merged(endpoint("10.0.0.1:8080", port=""), endpoint("10.0.0.2:80", port="http", more=[Port("grpc", 9000)]))
    assert [(h.address, h.port) for h in seen(some, "http", "http")] == [("10.0.0.1", 8080), ("10.0.0.2", 80)]
    assert [(h.address, h.port) for h in seen(some, "grpc", "http")] == [("10.0.0.2", 9000)]
    assert [(h.address, h.port) for h in seen(some, "", "")] == [("10.0.0.1", 8080), ("10.0.0.2", 80)]


def test_the_ports_of_a_service_are_named_once_the_default_first() -> None:
    some = merged(
        endpoint("10.0.0.1:80", more=[Port("grpc", 9000), Port("", 9100)]), endpoint("10.0.0.2:81", port="admin")
    )
    assert ports(some, "http") == ("http", "admin", "grpc", 9100)
    assert ports(some, 9000) == (9000, "admin", "grpc", "http", 9100)
    assert ports(merged(endpoint("10.0.0.1:80", port="")), "") == ("",)
    assert ports(Merged(PAY), "http") == ("http",)


# The strict form


hosts = st.builds(
    lambda address, some, health, locality, weight, held: Endpoint(
        str(address), tuple(Port(n, 8000 + i) for i, n in some), health, Locality(*locality), "", weight, "", held
    ),
    st.integers(1, 6).map(lambda n: ip_address(0x0A000000 + n))
    | st.integers(1, 3).map(lambda n: ip_address(2**125 + n)),
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["", "http", "grpc"])),
        min_size=1,
        max_size=3,
        unique_by=lambda p: p[0],
    ),
    st.sampled_from([None, *Health]),
    st.tuples(st.sampled_from(["", "eu"]), st.sampled_from(["", "a", "b"]), st.just("")),
    st.integers(1, 3) | st.integers(2**31, 2**40),
    st.booleans(),
)
some_hosts = st.lists(hosts, max_size=6, unique_by=lambda e: e.id)


@pytest.mark.promise("xDS-12")
@given(st.lists(some_hosts, min_size=1, max_size=3), st.sampled_from(["", "http", "grpc", 8001]))
def test_every_assignment_has_the_strict_form(sources: list[list[Endpoint]], port: Label) -> None:
    found = merge(
        Inputs(tuple(Input(SourceName(str(i)), services(Service.of(PAY, some))) for i, some in enumerate(sources))),
        None,
    ).services[PAY]
    default = default_port(found, NO_OPINION, None)
    told = view(found, port or default, ANY, default)
    keys = [(place.priority, place.locality) for place in told.places]
    assert keys == sorted(set(keys))
    assert {place.priority for place in told.places} <= {0}
    everywhere = [(host.address, host.port) for place in told.places for host in place.hosts]
    assert len(everywhere) == len(set(everywhere))
    for place in told.places:
        assert place.hosts
        assert list(place.hosts) == sorted(place.hosts)
        assert all(host.weight >= 1 for host in place.hosts)
        assert place.weight == sum(host.weight for host in place.hosts)
    assert sum(place.weight for place in told.places) <= WEIGHTS


@given(some_hosts, some_hosts)
def test_what_is_told_does_not_depend_on_the_order_of_sources_that_share_nothing(
    one: list[Endpoint], other: list[Endpoint]
) -> None:
    mine = Input(SourceName("mine"), services(Service.of(PAY, one)))
    theirs = [e for e in other if all(e.address != known.address for known in one)]
    its = Input(SourceName("its"), services(Service.of(PAY, theirs)))
    told = [view(merge(Inputs(order), None).services[PAY], "http", ANY, "http") for order in ((mine, its), (its, mine))]
    assert told[0] == told[1]


@given(some_hosts)
def test_every_port_of_a_service_has_hosts(some: list[Endpoint]) -> None:
    found = merge(Inputs((Input(SourceName("s"), services(Service.of(PAY, some))),)), None).services[PAY]
    default = default_port(found, NO_OPINION, None)
    for port in ports(found, default):
        assert view(found, port, ANY, default).places or not some
