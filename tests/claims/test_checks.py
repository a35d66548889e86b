from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.checks import Checks, Failed, Found, Hindered, Judged, Passed, judged
from bridge.checks.checks import AT_ONCE, REMEMBERED
from bridge.model import Health, Port
from bridge.table import Table
from tests.builders import endpoint, hosts, name, service, services
from tests.checking import REFUSED, World, check

H, D, U = Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY
WEB = name("shop/web")
ONE = "10.0.0.1:80"


def world(number: int = 10, **how: int) -> World:
    made = World(Checks([check(**how)]))
    made.exist(service("shop/web", *hosts(number)))
    return made


def test_nothing_is_known_before_the_first_verdict() -> None:
    them = world(3)
    assert them.known() == dict.fromkeys(hosts(3))
    assert them.round.counts == (0, 0, 3)


def test_the_first_pass_makes_healthy() -> None:
    them = world(3)
    them.advance(10)
    assert them.known() == dict.fromkeys(hosts(3), H)
    assert len(them.asked) == 3


def test_an_endpoint_newly_seen_is_not_unhealthy_before_it_has_failed_often_enough() -> None:
    them = world(3)
    them.fall([ONE])
    them.advance(20)
    assert them.known()[ONE] is None
    them.advance(10)
    assert them.known() == {ONE: U, "10.0.0.2:80": H, "10.0.0.3:80": H}
    assert str(them.round.opinions[WEB][endpoint(ONE).id]) == "10.0.0.1:80 tcp: connection refused, 3 in a row"


def test_what_has_fallen_has_to_rise() -> None:
    them = world(3)
    them.fall([ONE])
    them.advance(30)
    them.heal()
    them.advance(10)
    assert them.known()[ONE] is U
    them.advance(10)
    assert them.known()[ONE] is H


def test_failures_that_are_not_in_a_row_are_no_verdict() -> None:
    them = world(3)
    them.advance(10)
    for _ in range(5):
        them.fall([ONE])
        them.advance(20)
        them.heal()
        them.advance(10)
    assert {one.counts.unhealthy for one in them.rounds} == {0}


def test_an_error_of_our_own_is_no_verdict_and_is_told() -> None:
    them = world(3)
    them.advance(10)
    them.fall(hosts(3), Hindered("cannot be reached from here: too many open files"))
    them.advance(1_000)
    assert them.known() == dict.fromkeys(hosts(3), H)
    (problem,) = them.round.problems
    assert (problem.kind, problem.count) == ("check", 3)
    assert problem.where.startswith("health[0]: shop/web 10.0.0.")
    assert "too many open files" in problem.what
    them.heal()
    them.advance(10)
    assert them.round.problems == ()


def test_an_error_of_our_own_between_failures_breaks_no_row() -> None:
    them = world(3)
    for result in (REFUSED, REFUSED, Hindered("no route"), REFUSED):
        them.fall([ONE], result)
        them.advance(10)
    assert them.known()[ONE] is U


def test_another_reason_is_told_of_what_is_unhealthy() -> None:
    them = world(3)
    them.fall([ONE])
    them.advance(30)
    since = them.round.opinions[WEB][endpoint(ONE).id].since
    them.fall([ONE], Failed("silent for 2 s"))
    them.advance(10)
    told = them.round.opinions[WEB][endpoint(ONE).id]
    assert (told.why, told.since) == ("silent for 2 s, 4 in a row", since)


def test_a_check_that_names_no_service_is_told_until_it_names_one() -> None:
    them = World(Checks([check("shop/web"), check("shop/aip-*", "shop/web", place="health[1]")]))
    them.exist()
    assert them.round.problems == ()
    them.exist(service("shop/web", ONE), service("shop/api-7", "10.0.0.2:80"))
    (problem,) = them.round.problems
    assert (problem.kind, problem.where) == ("check", "health[1]")
    assert "no service is called shop/aip-*, shop/web" in problem.what
    them.exist(service("shop/web", ONE), service("shop/aip-7", "10.0.0.2:80"))
    assert them.round.problems == ()


def test_of_those_that_cannot_be_checked_the_first_is_named_for_as_long_as_it_is_one() -> None:
    them = World(Checks([check(port="admin")]))
    admin = endpoint(ONE, more=[Port("admin", 9)])
    them.exist(service("shop/web", admin), service("shop/api", "10.0.0.2:80"), service("shop/old", "10.0.0.3:80"))
    assert [(one.where, one.count) for one in them.round.problems] == [("health[0]: shop/api 10.0.0.2:80", 2)]
    them.exist(service("shop/web", admin), service("shop/old", "10.0.0.3:80"))
    assert [(one.where, one.count) for one in them.round.problems] == [("health[0]: shop/old 10.0.0.3:80", 1)]
    them.exist(service("shop/web", admin))
    assert them.round.problems == ()


# Which, where, when


def test_the_first_check_that_names_a_service_is_its_own_and_what_none_names_is_not_checked() -> None:
    them = World(Checks([check("shop/web", port="admin"), check("shop/*", place="health[1]")]))
    admin = endpoint(ONE, more=[Port("admin", 9)])
    them.exist(service("shop/web", admin), service("shop/api", ONE), service("data/db", ONE))
    them.advance(10)
    assert sorted(str(ask.at) for _, ask in them.asked) == ["10.0.0.1:80", "10.0.0.1:9"]
    assert set(them.round.opinions) == {WEB, name("shop/api")}


def test_a_port_that_is_a_number_need_not_be_one_of_the_endpoint() -> None:
    them = World(Checks([check(port=9000)]))
    them.exist(service("shop/web", ONE))
    them.advance(10)
    assert [str(ask.at) for _, ask in them.asked] == ["10.0.0.1:9000"]


def test_an_endpoint_without_the_port_is_not_checked_and_told() -> None:
    them = World(Checks([check(port="admin")]))
    them.exist(service("shop/web", *hosts(2)))
    assert (them.round.wake_at, them.round.opinions) == (None, {})
    assert [(one.what.partition(";")[0], one.count) for one in them.round.problems] == [("no port is named 'admin'", 2)]
    them.exist(service("shop/web", endpoint(ONE, more=[Port("admin", 9)])))
    them.advance(10)
    assert them.round.problems == ()


def test_a_udp_port_is_not_checked_and_told() -> None:
    them = World(Checks([check(port="dns")]))
    them.exist(service("shop/web", endpoint(ONE, more=[Port("dns", 53, "UDP")])))
    assert "UDP" in them.round.problems[0].what


def test_what_another_bridge_wrote_is_its_own_to_check() -> None:
    them = World(Checks([check()]))
    them.exist(service("shop/web", endpoint(ONE, via="other")))
    assert them.round.wake_at is None


def test_checks_are_spread_over_the_interval_and_each_keeps_its_moment() -> None:
    them = world(100)
    them.advance(60)
    moments = Counter(int(now) % 10 for now, _ in them.asked)
    assert set(moments) == set(range(10))
    assert len(them.asked) == 600
    mine = [now for now, ask in them.asked if str(ask.at) == ONE]
    assert [round(later - now, 6) for now, later in pairwise(mine)] == [10.0] * 5


@given(st.integers(0, 10**9), st.sampled_from([0.1, 0.7, 3.0, 10.0, 61.3]), st.integers(0, 10**6))
def test_the_next_moment_is_never_this_one(number: int, interval: float, beats: int) -> None:
    """Whatever rounding makes of it: or what is checked once would be checked again and again in one moment."""
    them = World(Checks([check(interval=interval)]), now=beats * interval)
    them.exist(service("shop/web", f"10.0.0.1:{number % 65_535 + 1}"))
    them.advance(10 * interval)
    assert 9 <= len(them.asked) <= 11
    assert all(later - now > 0.9 * interval for (now, _), (later, _) in pairwise(them.asked))


def test_not_all_are_checked_at_once() -> None:
    checks = Checks([check()])
    them = World(checks)
    them.exist(service("shop/web", *hosts(AT_ONCE + 50)))
    late = checks.step(Found({}), them.now + 100)  # as after a pause of the process: all are due
    assert len(late.asks) == AT_ONCE
    assert late.wake_at is None  # the others wait for an answer
    some = dict.fromkeys([ask.key for ask in late.asks[:20]], Passed())
    assert len(checks.step(Found(some), them.now + 101).asks) == 20


def test_what_is_gone_is_forgotten_and_what_returns_begins_anew() -> None:
    them = world(3)
    them.fall([ONE])
    them.advance(30)
    them.exist(service("shop/web", *hosts(3)[1:]))
    assert them.round.counts == (2, 0, 0)
    them.exist(service("shop/web", *hosts(3)))
    assert them.known()[ONE] is None


def test_an_answer_that_comes_when_the_endpoint_is_checked_otherwise_counts_for_nothing() -> None:
    checks = Checks([check(port="admin")])
    them = World(checks)

    def admin(port: int) -> None:
        them.exist(service("shop/web", endpoint(ONE, more=[Port("admin", port)])))

    admin(9)
    assert them.round.wake_at is not None
    asked = checks.step(Found({}), them.round.wake_at).asks
    them.now = them.round.wake_at
    admin(10)
    them.round = checks.step(Found({asked[0].key: Passed()}), them.now + 1)
    assert them.known() == {ONE: None}
    them.advance(11)
    assert them.known() == {ONE: H}
    assert str(them.asked[-1][1].at) == "10.0.0.1:10"


def test_what_was_unhealthy_when_the_bridge_ended_is_so_until_its_first_pass() -> None:
    was = services(service("shop/web", endpoint(ONE, health=U), endpoint("10.0.0.2:80", health=H)))
    them = World(Checks([check()], was))
    them.exist(service("shop/web", *hosts(2)))
    assert them.known() == {ONE: U, "10.0.0.2:80": None}
    assert them.round.opinions[WEB][endpoint(ONE).id].why == REMEMBERED
    them.advance(10)
    assert them.known() == {ONE: H, "10.0.0.2:80": H}


def test_how_often_what_was_unhealthy_has_failed_since_is_told_when_it_would_have_sufficed() -> None:
    them = World(Checks([check()], services(service("shop/web", endpoint(ONE, health=U)))))
    them.exist(service("shop/web", ONE))
    them.fall([ONE])
    them.advance(100)
    assert them.known() == {ONE: U}
    assert them.round.opinions[WEB][endpoint(ONE).id].why == "connection refused, 3 in a row"


# Many at a time


def falls(them: World) -> list[int]:
    """How many were told to have fallen by each step that told of any."""
    bad = [one.counts.unhealthy for one in them.rounds]
    return [now - was for was, now in pairwise(bad) if now > was]


@pytest.mark.promise("R-37")
@pytest.mark.parametrize("number", [6, 100, 1_000])
def test_when_all_fail_they_are_told_at_once(number: int) -> None:
    them = world(number)
    them.advance(10)
    them.fall(hosts(number))
    them.advance(60)
    assert falls(them) == [number]


def test_a_few_that_fail_are_told_one_by_one() -> None:
    them = world(10)
    them.advance(10)
    them.fall(hosts(4))
    them.advance(30)
    assert falls(them) == [1, 1, 1, 1]


def test_one_that_fails_now_and_then_keeps_nobody_waiting_for_ever() -> None:
    them = world(3)
    them.advance(10)
    them.fall([ONE])
    for _ in range(10):  # the second passes every other time
        them.fall(["10.0.0.2:80"])
        them.advance(10)
        them.heal("10.0.0.2:80")
        them.advance(10)
    assert them.known() == {ONE: U, "10.0.0.2:80": H, "10.0.0.3:80": H}


# Laws


results = st.sampled_from([Passed(), REFUSED, Failed("silent for 2 s"), Hindered("no route")])
rounds = st.lists(st.lists(results, min_size=4, max_size=4), min_size=1, max_size=25)


@given(rounds, st.integers(1, 3), st.integers(2, 4))
def test_a_verdict_turns_after_so_many_results_in_a_row_and_never_otherwise(
    story: list[list[Passed | Failed | Hindered]], rise: int, fall: int
) -> None:
    them = world(4, rise=rise, fall=fall)
    heard: dict[str, list[bool]] = {host: [] for host in hosts(4)}
    for answers in story:
        before = them.known()
        for host, answer in zip(hosts(4), answers, strict=True):
            them.fall([host], answer)
            if not isinstance(answer, Hindered):
                heard[host].append(isinstance(answer, Passed))
        them.advance(10)
        for host, health in them.known().items():
            if health is U and before[host] is not U:  # perhaps before this round came to it: others had passed again
                assert [False] * fall in (heard[host][-fall:], heard[host][-fall - 1 : -1])
            if health is H and before[host] is not H:
                row = 1 if before[host] is None else rise
                assert heard[host][-row:] == [True] * row
            if health is not U and len(heard[host]) >= 2 * fall:
                assert any(heard[host][-2 * fall :])
    assert sum(them.round.counts) == 4


@given(rounds)
def test_equal_events_give_equal_rounds(story: list[list[Passed | Failed | Hindered]]) -> None:
    ours, theirs = world(4), world(4)
    for answers in story:
        for them in (ours, theirs):
            for host, answer in zip(hosts(4), answers, strict=True):
                them.fall([host], answer)
            them.advance(10)
    assert ours.rounds == theirs.rounds
    assert ours.asked == theirs.asked


@given(st.lists(st.sets(st.integers(0, 9)), max_size=30))
def test_what_is_kept_is_bounded_by_what_exists(views: list[set[int]]) -> None:
    them = World(Checks([check()]))
    every = hosts(10)
    for view in views:
        them.fall(every[:5])
        them.exist(service("shop/web", *(every[one] for one in sorted(view))))
        them.advance(7)
        assert set(them.known()) == {every[one] for one in view}
        assert sum(them.round.counts) == len(view)
        kept = them.checks
        assert len(kept._timers) <= 64 + 2 * len(view) + 1
        assert kept._failing | kept._fallen <= {(WEB, endpoint(every[one]).id) for one in view}


# What it comes to


@pytest.mark.parametrize(
    ("own", "found", "both"),
    [(None, H, H), (None, None, None), (H, U, U), (U, H, U), (D, H, D), (Health.DRAINING, U, U), (D, None, D)],
)
def test_the_worse_of_what_the_registry_says_and_what_is_found_counts(
    own: Health | None, found: Health | None, both: Health | None
) -> None:
    said = services(service("shop/web", endpoint(ONE, health=own)))
    them = World(Checks([check()]))
    them.exist(service("shop/web", ONE))
    opinion = them.round.opinions[WEB][endpoint(ONE).id]._replace(health=found)
    result = judged(said, Table({WEB: {endpoint(ONE).id: opinion}}), Judged())
    assert [one.health for one in result.services[WEB].endpoints] == [both]


def test_what_is_the_same_as_before_is_the_same_object() -> None:
    them = World(Checks([check()]))
    said = services(service("shop/web", *hosts(3)), service("shop/api", "10.1.0.1:80"))
    them.exist(*said.values())
    first = judged(said, them.round.opinions, Judged())
    assert first.services[WEB] is said[WEB]
    them.advance(10)
    second = judged(said, them.round.opinions, first)
    them.fall([ONE])
    them.advance(30)
    third = judged(said, them.round.opinions, second)
    assert third.services[name("shop/api")] is second.services[name("shop/api")]
    assert third.services[WEB].endpoints[0].health is U
    assert third.services[WEB].endpoints[1] is second.services[WEB].endpoints[1]
