"""What is not believed because too much of it happens at once."""

from dataclasses import replace

import pytest

from bridge.model import Health
from tests.builders import endpoint, hosts, name, service, services
from tests.guards import BLIND, OTHER, OTHERS, TEN, S, Watched, coloured, watched

# --- floods ---


@pytest.mark.promise("law-1")
def test_an_empty_source_is_a_flood_even_of_one_service() -> None:
    world = watched(service(S, *TEN[:1]))

    assert world.see().flood
    assert world.served(S) == [f"{TEN[0]}!"]
    assert world.why(S) == {"flood"}


def test_a_source_that_never_had_anything_is_no_flood() -> None:
    assert not watched().verdict.flood


@pytest.mark.parametrize(("services_hit", "lost", "flood"), [(1, 10, False), (2, 6, True), (2, 5, False)])
def test_a_flood_is_two_services_or_a_tenth_that_lost_more_than_half(services_hit: int, lost: int, flood: bool) -> None:
    them = [service(f"shop/{i:02}", *hosts(10, net=f"10.{i + 1}")) for i in range(20)]
    fewer = [replace(one, endpoints=one.endpoints[lost:]) for one in them[:services_hit]]
    world = watched(*them)

    assert world.see(*fewer, *them[services_hit:]).flood is flood


def test_two_services_of_many_are_no_flood() -> None:
    them = [service(f"shop/{i:02}", *hosts(4, net=f"10.{i + 1}")) for i in range(30)]

    assert not watched(*them).see(*them[2:]).flood
    assert watched(*them).see(*them[3:]).flood


@pytest.mark.promise("law-1")
def test_in_a_flood_readings_confirm_nothing_for_half_an_hour() -> None:
    world = watched(service(S, *TEN), rules=BLIND)
    world.see()
    world.wait(1799, reads=True)
    assert len(world.held(S)) == 10
    world.wait(1, reads=True)

    assert world.verdict.services == {}
    assert set(world.reasons(S).values()) == {"released"}
    assert not world.verdict.flood


def test_a_flood_is_released_by_a_new_reading_only() -> None:
    world = watched(service(S, *TEN), rules=BLIND)
    world.see()

    assert world.wait(4000).refresh is False
    assert len(world.held(S)) == 10
    world.again()
    assert world.held(S) == []


def test_when_a_flood_is_over_the_rest_is_judged_as_usual() -> None:
    them = [service(f"shop/{i}", *hosts(4, net=f"10.{i + 1}")) for i in range(5)]
    world = watched(*them, rules=BLIND)
    world.see()
    world.wait(600)
    back = [replace(one, endpoints=one.endpoints[: 3 if index else 4]) for index, one in enumerate(them)]
    verdict = world.see(*back)

    assert not verdict.flood
    assert not verdict.holds
    assert {why for _, _, why in verdict.ended} == {"small", "returned"}


# --- health floods ---


@pytest.mark.promise("R-37")
@pytest.mark.parametrize(("red", "flood"), [(5, False), (6, True), (10, True)])
def test_more_than_half_turning_unhealthy_is_not_believed(red: int, flood: bool) -> None:
    world = watched(coloured(Health.HEALTHY, *TEN))
    now = service(S, *(endpoint(h, health=Health.UNHEALTHY if i < red else Health.HEALTHY) for i, h in enumerate(TEN)))
    verdict = world.see(now)

    assert verdict.health_flood is flood
    assert verdict.services[name(S)] == (coloured(Health.HEALTHY, *TEN) if flood else now)


@pytest.mark.parametrize(("number", "flood"), [(4, False), (5, True)])
def test_fewer_than_five_are_no_health_flood(number: int, flood: bool) -> None:
    world = watched(coloured(None, *TEN[:number]))

    assert world.see(coloured(Health.UNHEALTHY, *TEN[:number])).health_flood is flood


def red_one_by_one(pause: float) -> Watched:
    world = watched(coloured(Health.HEALTHY, *TEN))
    for red in range(1, 11):
        world.see(
            service(
                S, *(endpoint(h, health=Health.UNHEALTHY if i < red else Health.HEALTHY) for i, h in enumerate(TEN))
            )
        )
        world.wait(pause)
    return world


def test_turns_within_a_minute_are_a_health_flood_and_those_believed_are_taken_back() -> None:
    assert red_one_by_one(5).verdict.services[name(S)] == coloured(Health.HEALTHY, *TEN)


def test_slow_turns_are_believed() -> None:
    assert red_one_by_one(20).verdict.services[name(S)] == coloured(Health.UNHEALTHY, *TEN)


def test_those_unhealthy_from_the_first_are_no_health_flood() -> None:
    assert not watched(coloured(Health.UNHEALTHY, *TEN)).verdict.health_flood


def test_draining_is_meant() -> None:
    world = watched(coloured(Health.HEALTHY, *TEN))

    assert world.see(coloured(Health.DRAINING, *TEN)).services[name(S)] == coloured(Health.DRAINING, *TEN)


def test_in_a_health_flood_other_fields_follow_and_who_turns_back_is_normal() -> None:
    world = watched(coloured(Health.HEALTHY, *TEN))
    world.see(coloured(Health.UNHEALTHY, *TEN))
    red = [endpoint(host, health=Health.UNHEALTHY, weight=3) for host in TEN[1:]]
    world.see(service(S, endpoint(TEN[0], health=Health.DEGRADED), *red))

    assert world.verdict.services[name(S)] == service(
        S, endpoint(TEN[0], health=Health.DEGRADED), *(replace(one, health=Health.HEALTHY) for one in red)
    )
    assert world.see(coloured(Health.HEALTHY, *TEN)).health_flood is False


def test_a_health_flood_is_believed_after_half_an_hour() -> None:
    world = watched(coloured(Health.HEALTHY, *TEN))
    world.see(coloured(Health.UNHEALTHY, *TEN))
    assert world.wait(1799).health_flood
    assert world.verdict.wake_at == pytest.approx(world.now + 1)
    verdict = world.wait(1)

    assert not verdict.health_flood
    assert verdict.services[name(S)] == coloured(Health.UNHEALTHY, *TEN)


def test_an_operator_accepts_one_health_flood_at_a_time() -> None:
    world = watched(coloured(Health.HEALTHY, *TEN))
    world.see(coloured(Health.UNHEALTHY, *TEN))
    assert not world.accept({}, health=1.0).health_flood
    assert world.verdict.services[name(S)] == coloured(Health.UNHEALTHY, *TEN)
    world.see(coloured(Health.HEALTHY, *TEN))
    assert world.see(coloured(Health.UNHEALTHY, *TEN)).health_flood

    assert not world.accept({}, health=2.0).health_flood


def test_a_health_flood_survives_a_restart() -> None:
    world = Watched(baseline=services(coloured(Health.HEALTHY, *TEN)))

    assert world.see(coloured(Health.UNHEALTHY, *TEN)).health_flood
    assert world.verdict.services[name(S)] == coloured(Health.HEALTHY, *TEN)


def test_who_vanishes_in_a_health_flood_is_held_with_the_health_that_was_believed() -> None:
    world = watched(coloured(Health.HEALTHY, *TEN), OTHER)
    world.see(coloured(Health.UNHEALTHY, *TEN), service("shop/other", OTHERS[0]))
    world.see(coloured(Health.UNHEALTHY, *TEN), OTHER)
    world.see(coloured(Health.HEALTHY, *TEN), service("shop/other", *OTHERS[:5]))
    world.see(coloured(Health.UNHEALTHY, *TEN), service("shop/other", *OTHERS[:5]))
    assert world.verdict.health_flood
    world.wait(120)
    world.see(coloured(Health.UNHEALTHY, *TEN[1:]), service("shop/other", *OTHERS[:5]))

    assert world.verdict.services[name(S)].endpoints[0] == endpoint(TEN[0], health=Health.HEALTHY, held=True)
