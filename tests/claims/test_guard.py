"""Each rule and definition of the guard, one claim at a time."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.adapter import Observation
from bridge.guard import Accepted, Elapsed, Frozen, Guard, Lost, Probed, Seen
from bridge.model import Endpoint, Health, Port, Service
from tests.builders import eid, endpoint, hosts, name, service, services
from tests.guards import BLIND, RULES, Watched, open_at, watched

S = "shop/a"
TEN = hosts(20)[10:]  # in order as text, too
OTHERS = hosts(20, net="10.7")[10:]
OTHER = service("shop/other", *OTHERS)


def coloured(health: Health | None, *them: str, of: str = S) -> Service:
    return service(of, *(endpoint(host, health=health) for host in them))


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


# --- rule 4: proven closed ---


def gone_with_controls(answers: set[str]) -> Watched:
    """Ten endpoints of S vanish (no small loss); the probes find just `answers` open."""
    world = watched(service(S, *hosts(20)), OTHER, answers=open_at(answers))
    world.see(service(S, *hosts(20)[10:]), OTHER)
    return world


def test_closed_needs_four_rounds_a_second_apart() -> None:
    world = gone_with_controls({*OTHERS, *hosts(20)[10:]})
    counts = []
    for _ in range(4):
        counts.append({hold.closed for hold in world.verdict.holds[name(S)]})
        world.wait(1)

    assert counts == [{0}, {1}, {2}, {3}]
    assert world.served(S) == hosts(20)[10:]
    assert set(world.reasons(S).values()) == {"closed"}


def test_rounds_are_asked_for_once_a_second_however_often_the_guard_is_stepped() -> None:
    world = gone_with_controls(set())
    world.answers = None
    alive = open_at({*OTHERS, *hosts(20)[10:]})
    rounds = 0
    for _ in range(35):
        world.now += 0.1
        asked = world.tell(Elapsed()).probe
        if asked:
            rounds += 1
            assert world.tell(Elapsed()).probe == asked, "the round stays until it is done"
            for _ in range(2):  # nobody asked for the second one
                world.tell(Probed({one: alive(one) for one in asked}))

    assert rounds == 3
    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {3}


def test_a_round_names_the_missing_and_ten_controls_spread_over_the_services() -> None:
    them = [service(f"shop/{i:02}", *hosts(4, net=f"10.{i + 1}")) for i in range(20)]
    world = watched(service(S, *TEN), *them)
    world.see(*them)
    asked = world.wait(1).probe

    missing = {eid(host) for host in TEN}
    controls = set(asked) - missing
    assert missing < set(asked)
    assert list(asked) == sorted(asked)
    assert controls == {them[i].endpoints[0].id for i in range(0, 20, 2)}


def test_controls_are_seen_healthy_in_the_same_network_and_tcp() -> None:
    def of(network: str, *them: str, health: Health | None = None, protocol: str = "TCP") -> list[Endpoint]:
        made = [endpoint(host, health=health, network=network) for host in them]
        return [replace(one, ports=(Port("p", one.ports[0].number, protocol),)) for one in made]

    others = service(
        "shop/other",
        *of("dc1", "10.7.0.1:80", health=Health.HEALTHY),
        *of("dc1", "10.7.0.2:80", health=Health.UNHEALTHY),
        *of("dc1", "10.7.0.3:80", health=Health.DEGRADED),
        *of("dc1", "10.7.0.4:80", protocol="UDP"),
        *of("dc2", "10.7.0.5:80"),
        *of("dc1", "10.7.0.6:80"),
    )
    world = watched(service(S, *of("dc1", *TEN[:2])), others)
    world.see(others)

    assert world.wait(1).probe == (eid(TEN[0]), eid(TEN[1]), eid("10.7.0.1:80"), eid("10.7.0.6:80"))


@pytest.mark.parametrize(("opening", "proof"), [(9, True), (8, False), (0, False)])
def test_nine_controls_of_ten_must_open(opening: int, proof: bool) -> None:
    world = watched(service(S, *TEN), OTHER, answers=open_at(OTHERS[:opening]))
    world.see(OTHER)
    world.wait(10)

    assert (not world.held(S)) is proof


def test_without_controls_there_is_no_verdict() -> None:
    world = watched(service(S, *TEN), answers=lambda one: False)
    world.see()
    world.wait(1700, reads=True)

    assert len(world.held(S)) == 10
    assert world.ended == []


def test_held_ones_that_answer_are_controls_and_prove_the_dead_in_a_flood() -> None:
    world = watched(service(S, *TEN), OTHER, answers=open_at(OTHERS))
    assert world.see().flood
    world.wait(4)

    assert world.served(S) == []
    assert set(world.reasons(S).values()) == {"closed"}
    assert world.held("shop/other") == OTHERS


def test_an_open_port_is_no_proof_and_starts_the_count_anew() -> None:
    world = gone_with_controls({*OTHERS, *hosts(20)[10:]})
    world.wait(3)
    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {3}
    world.answers = lambda one: True
    world.wait(1)

    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {0}
    assert len(world.held(S)) == 10


def test_our_own_errors_are_no_evidence() -> None:
    controls = open_at([*OTHERS, *hosts(20)[10:]])
    world = gone_with_controls(set())
    world.answers = lambda one: True if controls(one) else None
    world.wait(30)
    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {0}

    world.answers = lambda one: None if controls(one) else False  # no control could be tried
    world.wait(30)
    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {0}


def test_an_endpoint_that_came_back_during_a_round_is_not_counted() -> None:
    world = watched(service(S, *TEN), OTHER)
    world.see(OTHER)
    asked = world.wait(1).probe
    world.see(service(S, *TEN[1:]), OTHER)
    world.see(service(S, TEN[0]), OTHER)
    world.tell(Probed({one: one in {eid(host) for host in OTHERS} for one in asked}))

    assert {hold.closed for hold in world.verdict.holds[name(S)]} == {0}


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_only_tcp_is_probed(protocol: str) -> None:
    them = [Endpoint(eid(host).address, (Port("dns", 53, protocol),)) for host in TEN]
    world = watched(service(S, *them), OTHER)
    world.see(OTHER)

    assert world.wait(10).probe == ()


def test_a_source_whose_endpoints_cannot_be_probed_is_not_probed() -> None:
    world = watched(service(S, *TEN), OTHER, rules=BLIND)
    world.see(OTHER)

    assert world.wait(10).probe == ()
    assert "probes" not in world.verdict.holds[name(S)][0].wait


def test_a_round_is_bounded_and_the_others_have_their_turn() -> None:
    many = hosts(2400)
    world = watched(service(S, *many), OTHER, answers=open_at(OTHERS))
    world.see(OTHER)
    world.answers = None
    asked = world.wait(1).probe
    assert len(asked) == 1000 + 10
    world.answers = open_at(OTHERS)
    world.wait(20)

    assert world.served(S) == []


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
