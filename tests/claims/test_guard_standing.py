"""What operators, outages and restarts make of holds."""

import pytest

from bridge.adapter import Observation
from bridge.guard import Accepted, Elapsed, Frozen, Guard, Lost, Probed, Seen
from bridge.model import Health
from tests.builders import eid, endpoint, name, service, services
from tests.guards import BLIND, OTHER, OTHERS, RULES, TEN, S, Watched, coloured, open_at, watched

# --- an operator's word ---


def test_an_accepted_hold_ends_at_once_even_in_a_flood() -> None:
    world = watched(service(S, *TEN))
    world.see()
    world.accept({(S, TEN[0]): 1.0})

    assert world.served(S) == [f"{host}!" for host in TEN[1:]]
    assert world.reasons(S) == {TEN[0]: "accepted"}


def test_a_word_serves_one_absence() -> None:
    world = watched(service(S, *TEN))
    world.see()
    world.accept({(S, TEN[0]): 1.0})
    world.see(service(S, *TEN))
    world.see()
    assert f"{TEN[0]}!" in world.served(S)
    world.accept({(S, TEN[0]): 1.0})
    assert f"{TEN[0]}!" in world.served(S)
    world.accept({(S, TEN[0]): 2.0})

    assert f"{TEN[0]}!" not in world.served(S)


def test_a_word_about_an_endpoint_that_is_seen_is_used_up() -> None:
    world = watched(service(S, *TEN))
    world.accept({(S, TEN[0]): 1.0})
    world.see()

    assert world.held(S) == TEN


def test_a_word_about_an_endpoint_that_is_gone_is_used_up_when_it_comes_back() -> None:
    world = watched(service(S, *TEN[1:]))
    world.accept({(S, TEN[0]): 1.0})
    world.see(service(S, *TEN))
    world.see()

    assert world.held(S) == TEN


@pytest.mark.promise("law-3")
def test_a_word_outlives_a_restart() -> None:
    world = Watched(baseline=services(service(S, *TEN)))
    world.accept({(S, TEN[0]): 1.0})
    assert world.served(S) == TEN
    world.see()

    assert world.served(S) == [f"{host}!" for host in TEN[1:]]


@pytest.mark.promise("R-30")
def test_a_wall_clock_that_jumps_ends_nothing() -> None:
    """Words carry wall time; it is compared with words about the same endpoint, never with the guard's clock."""
    for stamp in (-3600.0, 0.0, 3600.0, 1e12):
        world = watched(service(S, *TEN), rules=BLIND)
        world.see()
        world.accept({(S, TEN[0]): stamp})
        assert world.held(S) == TEN[1:]
        assert not world.wait(60, reads=True).ended


@pytest.mark.promise("R-30")
def test_a_monotonic_clock_that_steps_back_counts_as_no_time() -> None:
    guard = Guard(BLIND, None)
    guard.step(Seen(Observation(services(service(S, *TEN), OTHER), 1)), 7200.0)
    guard.step(Seen(Observation(services(service(S, *TEN[5:]), OTHER), 2)), 7200.0)
    guard.step(Seen(Observation(services(service(S, *TEN[5:]), OTHER), 3)), 3600.0)
    verdict = guard.step(Seen(Observation(services(service(S, *TEN[5:]), OTHER), 4)), 7259.0)

    assert len(verdict.holds[name(S)]) == 5
    assert not guard.step(Seen(Observation(services(service(S, *TEN[5:]), OTHER), 5)), 7260.0).holds


# --- lost and frozen ---


def test_while_the_source_is_lost_no_hold_ages() -> None:
    world = watched(service(S, *TEN), OTHER, answers=open_at(OTHERS))
    world.see(service(S, *TEN[5:]), OTHER)
    world.wait(2)
    before = world.verdict.services
    verdict = world.lose()
    assert (verdict.wake_at, verdict.probe, verdict.services) == (None, (), before)
    world.now += 36_000
    assert world.tell(Elapsed()).services is before
    world.answers = None
    world.again()
    assert len(world.held(S)) == 5
    world.wait(57)
    world.again()
    assert len(world.held(S)) == 5
    world.wait(1)
    world.again()

    assert world.reasons(S) == dict.fromkeys(TEN[:5], "confirmed")


def test_what_a_round_finds_while_the_source_is_lost_counts_for_nothing() -> None:
    world = watched(service(S, *TEN), OTHER)
    world.see(service(S, *TEN[5:]), OTHER)
    asked = world.wait(1).probe
    world.lose()
    world.tell(Probed({one: one in {eid(host) for host in OTHERS} for one in asked}))

    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {0}


def test_an_operators_word_counts_while_the_source_is_lost() -> None:
    world = watched(service(S, *TEN))
    world.see()
    world.lose()
    world.accept({(S, TEN[0]): 1.0})

    assert world.held(S) == TEN[1:]


def test_while_frozen_the_last_view_stands() -> None:
    world = watched(service(S, *TEN), OTHER)
    before = world.verdict.services
    verdict = world.freeze(world.now + 3600)
    assert (verdict.frozen, verdict.wake_at) == (True, world.now + 3600)
    world.now += 10
    assert world.see(service(S, *TEN[5:], "10.0.9.9:80")).services is before
    world.wait(3580)
    assert world.verdict.services is before
    assert world.verdict.holds == {}
    verdict = world.wait(10)

    assert not verdict.frozen
    assert world.served(S) == [*(f"{host}!" for host in TEN[:5]), *TEN[5:], "10.0.9.9:80"]


def test_a_freeze_can_be_ended_early_and_holds_do_not_age_in_it() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(service(S, *TEN[5:]), OTHER)
    world.freeze(world.now + 3600)
    world.wait(600)
    world.again()
    verdict = world.freeze(None)
    assert not verdict.frozen
    assert len(world.held(S)) == 5
    world.wait(60, reads=True)

    assert world.served(S) == TEN[5:]


@pytest.mark.promise("law-3")
def test_a_freeze_before_the_first_view_lets_that_view_through() -> None:
    world = Watched()
    world.freeze(world.now + 3600)
    world.see(service(S, *TEN))
    assert world.served(S) == TEN
    world.see()

    assert world.served(S) == TEN


def test_a_source_lost_during_a_freeze_shows_what_it_said_last_when_that_is_over() -> None:
    world = watched(service(S, *TEN), OTHER)
    world.freeze(world.now + 60)
    world.see(service(S, *TEN, "10.0.9.9:80"), OTHER)
    world.lose()
    world.wait(60)

    assert world.served(S) == [*TEN, "10.0.9.9:80"]


# --- restarts ---


@pytest.mark.promise("law-3")
def test_before_the_first_view_the_baseline_is_served_and_nothing_is_removed() -> None:
    baseline = services(service(S, *TEN), OTHER)
    guard = Guard(RULES, baseline)

    for event in (Lost(), Elapsed(), Accepted({(name(S), eid(TEN[0])): 1.0}), Frozen(1.0), Frozen(None)):
        verdict = guard.step(event, 0.0)
        assert verdict.services == baseline
        assert not verdict.ended


@pytest.mark.promise("law-3", "law-1")
def test_a_baseline_counts_as_settled_and_is_held_when_the_first_view_lacks_it() -> None:
    world = Watched(BLIND, baseline=services(service(S, *TEN), OTHER))
    verdict = world.see()

    assert verdict.flood
    assert world.served(S) == [f"{host}!" for host in TEN]
    assert [hold.since for hold in verdict.holds[name(S)]] == [world.now] * 10


def test_what_was_held_before_a_restart_is_held_anew() -> None:
    held = service(S, endpoint(TEN[0], held=True), *TEN[1:])
    world = Watched(BLIND, baseline=services(held, OTHER))
    world.see(service(S, *TEN[1:]), OTHER)
    assert world.held(S) == TEN[:1]
    world.wait(3)

    assert world.served(S) == TEN[1:]


def test_the_first_view_is_settled() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(service(S, *TEN[5:]), OTHER)
    world.wait(30)

    assert len(world.held(S)) == 5


def test_how_long_a_baseline_was_unhealthy_is_not_known() -> None:
    world = Watched(baseline=services(coloured(Health.UNHEALTHY, *TEN), OTHER))
    world.see(coloured(Health.UNHEALTHY, *TEN[1:]), OTHER)

    assert world.held(S) == TEN[:1]


# --- what becomes ours ---

YIELDING = [endpoint(one, via="by-hand") for one in TEN]


@pytest.mark.promise("law-2")
def test_what_others_had_and_stands_there_as_ours_was_taken_over_and_is_not_missing() -> None:
    world = watched(service(S, *YIELDING))
    world.has_ours(service(S, *TEN))
    verdict = world.see()

    assert world.served(S) == []
    assert set(world.reasons(S).values()) == {"ours"}
    assert not verdict.flood


def test_nor_is_it_when_that_is_seen_a_moment_later() -> None:
    world = watched(service(S, *YIELDING))
    world.see()
    assert world.held(S) == TEN
    world.has_ours(service(S, *TEN[:9]))
    world.see()

    assert world.held(S) == TEN[9:]
    assert {world.reasons(S)[one] for one in TEN[:9]} == {"ours"}


def test_nor_is_what_was_taken_over_since_the_snapshot_was_written() -> None:
    world = Watched(baseline=services(service(S, *TEN), OTHER))
    world.has_ours(service(S, *TEN))
    verdict = world.see(OTHER)

    assert world.served(S) == []
    assert not verdict.flood


@pytest.mark.promise("law-2")
def test_of_what_is_native_a_record_of_ours_beside_it_is_no_proof() -> None:
    world = watched(service(S, *TEN))
    world.has_ours(service(S, *TEN))
    world.see()

    assert world.held(S) == TEN
