"""Each rule and definition of the guard, one claim at a time."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.adapter import Observation
from bridge.guard import Elapsed, Seen
from bridge.model import Health
from tests.builders import eid, endpoint, hosts, name, service
from tests.guards import BLIND, OTHER, OTHERS, TEN, S, coloured, open_at, watched

# --- what passes at once ---


@pytest.mark.promise("law-2")
def test_additions_and_changes_are_believed_at_once() -> None:
    world = watched(service(S, "10.0.0.1:80"))
    changed = service(S, endpoint("10.0.0.1:80", weight=7, health=Health.UNHEALTHY), "10.0.0.2:80")

    assert world.see(changed).services[name(S)] == changed


def test_a_service_listed_without_endpoints_is_believed_to_be_empty() -> None:
    world = watched(service(S), OTHER)

    assert world.verdict.services[name(S)] == service(S)


def test_a_service_of_which_nothing_is_left_disappears() -> None:
    world = watched(coloured(Health.DRAINING, *TEN), OTHER)
    world.see(OTHER)

    assert name(S) not in world.verdict.services
    assert not world.verdict.holds


def test_a_service_emptied_by_name_stays_as_an_empty_one() -> None:
    world = watched(coloured(Health.DRAINING, *TEN), OTHER)
    world.see(service(S, metadata=(("team", "x"),)), OTHER)

    assert world.verdict.services[name(S)] == service(S, metadata=(("team", "x"),))


@pytest.mark.promise("law-1", "law-2")
def test_what_is_missing_is_held_with_its_mark_and_its_last_health() -> None:
    world = watched(coloured(Health.DEGRADED, *TEN), OTHER)
    verdict = world.see(coloured(Health.DEGRADED, *TEN[1:]), OTHER)

    assert verdict.services[name(S)].endpoints[0] == endpoint(TEN[0], health=Health.DEGRADED, held=True)
    (hold,) = verdict.holds[name(S)]
    assert (hold.endpoint, hold.since, hold.why) == (verdict.services[name(S)].endpoints[0], world.now, "gathering")
    assert verdict.began == ((name(S), eid(TEN[0])),)


def test_a_held_service_keeps_its_metadata() -> None:
    world = watched(service(S, *TEN, metadata=(("team", "x"),)), OTHER)

    assert world.see(OTHER).services[name(S)].metadata == (("team", "x"),)


def test_an_endpoint_that_returns_is_normal_at_once() -> None:
    world = watched(service(S, *TEN), OTHER)
    world.see(service(S, *TEN[1:]), OTHER)
    back = service(S, *TEN)
    verdict = world.see(back, OTHER)

    assert verdict.services[name(S)] == back
    assert not verdict.holds
    assert verdict.ended == ((name(S), eid(TEN[0]), "returned"),)


def test_a_quiet_step_gives_the_very_same_services() -> None:
    world = watched(service(S, *TEN), OTHER)
    world.see(service(S, *TEN[5:]), OTHER)
    before = world.verdict.services
    world.now += 1

    assert world.tell(Elapsed()).services is before


# --- rule 1: at once ---


def test_a_draining_endpoint_goes_at_once() -> None:
    world = watched(coloured(Health.DRAINING, *TEN), OTHER)
    world.see(coloured(Health.DRAINING, *TEN[3:]), OTHER)

    assert world.served(S) == TEN[3:]
    assert set(world.reasons(S).values()) == {"draining"}


@pytest.mark.parametrize(("seconds", "gone"), [(29, False), (30, True), (300, True)])
def test_an_endpoint_goes_at_once_when_it_was_unhealthy_for_30_s(seconds: float, gone: bool) -> None:
    world = watched(service(S, *TEN), OTHER)
    world.see(service(S, endpoint(TEN[0], health=Health.UNHEALTHY), *TEN[1:]), OTHER)
    world.wait(seconds)
    world.see(service(S, *TEN[1:]), OTHER)

    assert world.served(S) == (TEN[1:] if gone else [f"{TEN[0]}!", *TEN[1:]])


# --- rule 2: replaced ---


def test_an_endpoint_is_replaced_when_there_are_as_many_as_before_for_a_second() -> None:
    world = watched(service(S, *TEN), rules=BLIND)
    world.see(service(S, *TEN[5:], *OTHERS[5:]))
    world.wait(0.9)
    assert len(world.held(S)) == 5
    world.wait(0.1)

    assert world.served(S) == [*TEN[5:], *OTHERS[5:]]
    assert set(world.reasons(S).values()) == {"replaced"}


def test_a_scale_out_that_is_taken_back_is_no_loss() -> None:
    world = watched(service(S, *TEN[:2]), rules=BLIND)
    world.wait(60)
    world.see(service(S, *TEN))
    world.wait(600)
    world.see(service(S, *TEN[:2]))
    world.wait(1)

    assert world.served(S) == TEN[:2]


def test_a_scale_out_counts_after_15_minutes() -> None:
    world = watched(service(S, *TEN[:2]), OTHER, rules=BLIND)
    world.see(service(S, *TEN), OTHER)
    world.wait(900)
    world.see(service(S, *TEN[:2]), OTHER)
    world.wait(59)

    assert len(world.held(S)) == 8


def test_nothing_is_replaced_by_nothing() -> None:
    """A young service has no base; a registry that is wiped takes it along all the same."""
    world = watched(OTHER)
    world.now += 60
    world.see(OTHER, service(S, *TEN))
    world.now += 60
    world.see()
    world.wait(1700, reads=True)

    assert world.served(S) == [f"{host}!" for host in TEN]


def test_a_service_that_died_and_came_back_is_guarded_as_before() -> None:
    world = watched(service(S, *TEN[:1]), OTHER, answers=open_at(OTHERS))
    world.see(OTHER)
    world.wait(4)
    assert world.reasons(S) == {TEN[0]: "closed"}
    world.see(service(S, TEN[1]), OTHER)
    world.answers = open_at([*OTHERS, TEN[1]])
    world.see(OTHER)
    world.wait(100, reads=True)

    assert world.served(S) == [f"{TEN[1]}!"]


# --- rule 3: small ---


@pytest.mark.parametrize(("missing", "held"), [(3, 0), (4, 4)])
def test_a_loss_is_small_up_to_15_percent_and_judged_all_or_nothing(missing: int, held: int) -> None:
    world = watched(service(S, *hosts(20)), *(service(f"shop/{i}", *hosts(10, net=f"10.{i + 1}")) for i in range(10)))
    others = [world.seen[name(f"shop/{i}")] for i in range(10)]
    world.see(service(S, *hosts(20)[missing:]), *others)
    world.wait(2.9)
    assert len(world.held(S)) == missing
    world.wait(0.1)

    assert len(world.held(S)) == held
    assert set(world.reasons(S).values()) == (set() if held else {"small"})


def test_what_goes_missing_meanwhile_is_judged_together() -> None:
    world = watched(service(S, *hosts(20)), *(service(f"shop/{i}", *hosts(10, net=f"10.{i + 1}")) for i in range(10)))
    others = [world.seen[name(f"shop/{i}")] for i in range(10)]
    world.see(service(S, *hosts(20)[3:]), *others)
    world.wait(2)
    world.see(service(S, *hosts(20)[4:]), *others)
    world.wait(10)

    assert len(world.held(S)) == 4
    assert world.why(S) == {"large"}


@pytest.mark.parametrize(("before", "after", "goes"), [(2, 1, True), (1, 0, False), (3, 1, False)])
def test_one_may_go_where_one_stays(before: int, after: int, goes: bool) -> None:
    world = watched(service(S, *TEN[:before]), OTHER, rules=BLIND)
    world.see(*([service(S, *TEN[:after])] if after else []), OTHER)
    world.wait(3)

    assert bool(world.held(S)) is not goes


def test_the_second_endpoint_of_a_small_service_within_15_minutes_waits_for_a_reading() -> None:
    world = watched(service(S, *TEN[:4]), OTHER, rules=BLIND)
    world.see(service(S, *TEN[:3]), OTHER)
    world.wait(600)
    world.see(service(S, *TEN[:2]), OTHER)
    world.wait(59, reads=True)
    assert world.held(S) == [TEN[2]]
    world.wait(1, reads=True)

    assert world.reasons(S) == {TEN[3]: "small", TEN[2]: "confirmed"}


def test_the_base_is_the_highest_of_15_minutes_also_when_it_rises_after_a_loss() -> None:
    world = watched(service(S, *TEN[:4]), OTHER, rules=BLIND)
    world.see(service(S, *TEN[:9]), OTHER)
    world.wait(800)
    world.see(service(S, *TEN[1:9]), OTHER)
    world.wait(110)  # eight of nine are settled now, four were before
    world.see(service(S, *TEN[1:5]), OTHER)
    world.wait(30)

    assert world.reasons(S) == {TEN[0]: "replaced"}
    assert world.held(S) == TEN[5:9]


def test_after_15_minutes_a_loss_is_forgotten() -> None:
    world = watched(service(S, *TEN[:4]), OTHER, rules=BLIND)
    world.see(service(S, *TEN[:3]), OTHER)
    world.wait(3)
    world.wait(900)
    world.see(service(S, *TEN[:2]), OTHER)
    world.wait(3)

    assert world.reasons(S) == {TEN[3]: "small", TEN[2]: "small"}


@pytest.mark.parametrize(("each", "goes"), [(5, True), (6, False)])
def test_the_source_may_lose_five_or_a_tenth(each: int, goes: bool) -> None:
    """One endpoint of each of `each` services, of 40 endpoints in all."""
    them = [service(f"shop/{i}", *hosts(4, net=f"10.{i + 1}")) for i in range(10)]
    world = watched(*them, rules=BLIND)
    world.see(*(replace(one, endpoints=one.endpoints[1:]) for one in them[:each]), *them[each:])
    world.wait(3)

    assert (not world.verdict.holds) is goes


def test_holds_that_were_too_many_are_small_when_the_others_return() -> None:
    them = [service(f"shop/{i}", *hosts(4, net=f"10.{i + 1}")) for i in range(10)]
    fewer = [replace(one, endpoints=one.endpoints[1:]) for one in them]
    world = watched(*them, rules=BLIND)
    world.see(*fewer[:6], *them[6:])
    world.wait(10)
    assert len(world.verdict.holds) == 6
    verdict = world.see(*fewer[:5], *them[5:])

    assert not verdict.holds
    assert [why for _, _, why in verdict.ended] == ["small"] * 5 + ["returned"]


# --- rule 5: confirmed ---


def test_a_later_complete_reading_confirms() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(service(S, *TEN[5:]), OTHER)
    world.wait(59)
    world.again()
    assert len(world.held(S)) == 5, "too early"
    world.wait(1)
    assert len(world.held(S)) == 5, "no reading since"
    world.again()

    assert world.served(S) == TEN[5:]
    assert set(world.reasons(S).values()) == {"confirmed"}


def test_a_quiet_watch_that_repeats_itself_confirms_nothing() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(service(S, *TEN[5:]), OTHER)
    for _ in range(10):
        world.wait(60)
        world.tell(Seen(Observation(world.seen, world.read)))

    assert len(world.held(S)) == 5


def test_a_refresh_is_asked_for_when_a_reading_is_due_and_not_at_every_step() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(service(S, *TEN[5:]), OTHER)
    asked = []
    for _ in range(700):
        world.now += 0.1
        if world.tell(Elapsed()).refresh:
            asked.append(round(world.now - 5000, 1))

    assert asked == [60.0, 65.0, 70.0]


def test_the_guard_wakes_when_a_reading_is_due() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(service(S, *TEN[5:]), OTHER)
    world.wait(59)

    assert world.verdict.wake_at == pytest.approx(5060)


def test_a_source_with_sessions_waits_for_twice_their_time_out() -> None:
    world = watched(service(S, *TEN), OTHER, rules=replace(BLIND, session_timeout=40))
    world.see(service(S, *TEN[5:]), OTHER)
    world.wait(79, reads=True)
    assert len(world.held(S)) == 5
    world.wait(1, reads=True)

    assert world.served(S) == TEN[5:]


def test_a_service_that_vanished_whole_is_confirmed_after_half_an_hour() -> None:
    others = [service(f"shop/{i}", *hosts(4, net=f"10.{i + 1}")) for i in range(5)]
    world = watched(service(S, *TEN), *others, rules=BLIND)
    assert not world.see(*others).flood
    world.wait(1799, reads=True)
    assert world.why(S) == {"last"}
    assert len(world.held(S)) == 10
    world.wait(1, reads=True)

    assert world.served(S) == []
    assert set(world.reasons(S).values()) == {"confirmed"}


# --- what a step costs ---


def test_one_change_touches_nothing_else() -> None:
    them = [service(f"shop/{i:03}", *hosts(3, net=f"10.{i}")) for i in range(200)]
    world = watched(*them)
    before = world.verdict.services
    verdict = world.see(replace(them[7], endpoints=them[7].endpoints[1:]), *them[:7], *them[8:])

    assert [one for one in before if verdict.services.get(one) is not before[one]] == [them[7].name]
    assert list(verdict.holds) == [them[7].name]


def test_a_steady_source_keeps_nothing_of_its_services() -> None:
    them = [service(f"shop/{i:03}", *hosts(3, net=f"10.{i}")) for i in range(50)]
    world = watched(*them)
    world.see(*them[1:])
    world.see(*them, service("shop/new", *TEN))
    assert world.verdict.wake_at is not None
    world.wait(900)

    assert world.verdict.wake_at is None
    assert world.guard._tracks == {}
    assert world.guard._timers == []


def test_a_flapping_endpoint_leaves_no_trail() -> None:
    world = watched(service(S, *TEN), OTHER)
    for _ in range(2000):
        world.now += 0.7
        world.see(service(S, *TEN[1:]), OTHER)
        world.now += 0.7
        world.see(service(S, *TEN), OTHER)

    assert len(world.guard._timers) <= 64
    assert world.guard._tracks == {}


def test_verdicts_do_not_depend_on_the_order_of_hashes() -> None:
    program = """
from tests.builders import hosts, service
from tests.guards import watched
them = [service(f"shop/{i}", host) for i, host in enumerate(hosts(1500))]
world = watched(*them)
world.see(*them[1400:])
print(world.wait(1).probe, world.verdict.began, sorted(world.verdict.holds.items()))
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1
