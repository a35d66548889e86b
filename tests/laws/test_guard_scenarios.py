"""What the guard is for: bad days of a registry, and ordinary ones, played on the guard itself a step a second.

Three figures of each: live hosts missing from what is served (0, always), dead-seconds (share of requests to dead
hosts, summed over seconds), and seconds until what is served is right.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest

from bridge.adapter import Observation
from bridge.guard import Guard, Probed, Seen, Verdict
from bridge.model import EndpointId, Health, Service, Services
from bridge.table import share
from tests.builders import eid, endpoint, hosts, name, service, services
from tests.guards import BLIND, RULES, watched

AT = 1000  # when it happens

S = "shop/under-test"
ALL = hosts(250)
GREEN = hosts(100, net="10.9")

Hosts = Callable[[int], list[str]]


@dataclass(frozen=True)
class Scenario:
    """`seen` and `others` say what the registry lists at second t: of the service under test, and how many others."""

    title: str
    seen: Hosts
    dead: float  # dead-seconds at most
    right: int | None  # seconds after AT from which all is right; None: it was never wrong
    alive: Hosts | None = None  # what is really there; as seen, where not given
    others: Callable[[int], int] = lambda t: 1000
    in_services: int = 1
    others_die: bool = False
    reachable: bool = True
    end: int = 1300
    at: int = AT

    def __str__(self) -> str:
        return f"{self.title}{'' if self.reachable else ' without controls'}"


@lru_cache
def background(number: int, split: int) -> tuple[Service, ...]:
    each = number // split
    return tuple(service(f"other/{index:02}", *hosts(each, net=f"10.{100 + index}")) for index in range(split) if each)


@lru_cache(maxsize=8)
def background_ids(number: int, split: int) -> frozenset[EndpointId]:
    return frozenset(one.id for each in background(number, split) for one in each.endpoints)


def shares(seen: int, held: int) -> tuple[float, float]:
    """The shares of requests that Envoy sends to observed and to held hosts."""
    if not held or not seen:
        return (1.0 if seen else 0.0), (1.0 if held else 0.0)
    if held >= seen:  # told with their last health
        return seen / (seen + held), held / (seen + held)
    first = min(1.0, 1.4 * seen / (seen + held))
    return first, 1 - first


def play(scenario: Scenario) -> tuple[int, float, int | None]:
    """Live hosts missing, dead-seconds, and the second after `at` from which all was right."""
    guard = Guard(RULES, None)
    missing, dead_seconds, wrong = 0, 0.0, None
    listed: tuple[list[str], int] | None = None
    view: Services = services()
    verdict: Verdict | None = None
    for t in range(scenario.end):
        now = (scenario.seen(t), scenario.others(t))
        quiet = now == listed and verdict is not None and not verdict.holds
        if not (quiet and verdict is not None and (verdict.wake_at is None or verdict.wake_at > t)):
            if now != listed:
                under_test = [service(S, *now[0])] if now[0] else []
                them = (*under_test, *background(now[1], scenario.in_services))
                view = share(view, {one.name: one for one in them})
                listed = now
            verdict = guard.step(Seen(Observation(view, t)), t)
            if verdict.probe:
                verdict = guard.step(Probed(probe(scenario, t, verdict.probe)), t)
        assert verdict is not None
        if t < scenario.at:
            continue
        served = verdict.services.get(name(S))
        observed = {one.id for one in served.endpoints if not one.held} if served else set()
        held = {one.id for one in served.endpoints if one.held} if served else set()
        alive = {eid(host) for host in (scenario.alive or scenario.seen)(t)}
        to_observed, to_held = shares(len(observed), len(held))
        if observed:
            dead_seconds += to_observed * len(observed - alive) / len(observed)
        if held:
            dead_seconds += to_held * len(held - alive) / len(held)
        missing = max(missing, len(alive - observed - held))
        if observed | held != alive:
            wrong = t + 1 - scenario.at
    return missing, round(dead_seconds, 6), wrong


def probe(scenario: Scenario, t: int, asked: Iterable[EndpointId]) -> dict[EndpointId, bool | None]:
    if not scenario.reachable:
        return dict.fromkeys(asked, False)
    alive = {eid(host) for host in (scenario.alive or scenario.seen)(t)}
    full = max(scenario.others(t), 0 if scenario.others_die else scenario.others(0))
    others = background_ids(full, scenario.in_services)
    return {one: one in alive or one in others for one in asked}


def rolling(number: int, *, down: int, moved: bool = False) -> Hosts:
    """By thirds, one every 20 s, each `down` seconds away; `moved` ones come back under other addresses."""
    third = max(1, number // 3)

    def seen(t: int) -> list[str]:
        them = []
        for index in range(number):
            starts = AT + 20 * (index // third)
            if not starts <= t < starts + down:
                them.append(GREEN[index] if moved and t >= starts else ALL[index])
        return them

    return seen


def then(before: int, after: int, at: int = AT) -> Hosts:
    return lambda t: ALL[: before if t < at else after]


def blue_green(overlap: int) -> Hosts:
    def seen(t: int) -> list[str]:
        return [*(ALL[:100] if t < AT + overlap else []), *(GREEN if t >= AT else [])]

    return seen


def wiped(number: int, at: int) -> Callable[[int], int]:
    return lambda t: number if t < at else 0


def moved(gap: int) -> Hosts:
    return lambda t: ALL[:1] if t < AT else ([] if t < AT + gap else GREEN[:1])


NONE = wiped(0, 0)


def either(dead: float, right: int | None, blind_dead: float, blind_right: int | None, one: Scenario) -> list[Scenario]:
    """A scenario with controls and without."""
    return [
        replace(one, dead=dead, right=right),
        replace(one, dead=blind_dead, right=blind_right, reachable=False),
    ]


def some(title: str, seen: Hosts, **more: object) -> Scenario:
    return replace(Scenario(title, seen, 0, None), **more)  # type: ignore[arg-type]


def never_wrong(title: str, seen: Hosts, **more: object) -> list[Scenario]:
    """A registry that is wrong, while the hosts of its first second (or `alive`) go on."""
    of_the_first = len(seen(0))
    return either(0, None, 0, None, some(title, seen, **{"alive": then(of_the_first, of_the_first), **more}))


def steps(t: int) -> int:
    return max(0, min(10, t - AT + 1))


SCENARIOS = [
    *either(0.6, 43, 0.6, 43, some("rolling restart of 3 alone", rolling(3, down=20), others=NONE)),
    *either(0.6, 43, 0.6, 43, some("rolling restart of 3", rolling(3, down=20))),
    *either(0.24, 63, 1.2, 63, some("rolling restart of 10", rolling(10, down=20))),
    *either(0.74, 63, 3.72, 63, some("rolling restart of 100", rolling(100, down=20))),
    some("rolling move of 3 alone", rolling(3, down=10, moved=True), others=NONE, dead=0.6, right=43),
    some("rolling move of 3", rolling(3, down=10, moved=True), dead=0.6, right=43),
    some("rolling move of 10", rolling(10, down=10, moved=True), dead=0.24, right=63),
    some("rolling move of 100", rolling(100, down=10, moved=True), dead=0.74, right=63),
    *either(3.2, 4, 48.0, 60, some("autoscale 100 to 20 alone", then(100, 20), others=NONE)),
    *either(3.2, 4, 48.0, 60, some("autoscale 100 to 20", then(100, 20), in_services=50)),
    *either(0.5, 11, 0.5, 11, some("blue and green overlap for 10 s", blue_green(10))),
    *either(2.0, 2004, 30.0, 2060, some("blue and green overlap for 33 min", blue_green(2000), others=NONE, end=3200)),
    *never_wrong("one service wiped 5 min after the start", then(100, 0, 300), others=NONE, at=200, end=1500),
    *never_wrong(
        "wiped 5 min after the start", then(100, 0, 300), others=wiped(500, 300), in_services=25, at=200, end=1500
    ),
    *never_wrong(
        "wiped 10 min after a scale-out",
        lambda t: ALL[: 20 if t < AT else 100] if t < AT + 600 else [],
        alive=then(20, 100),
        others=wiped(500, AT + 600),
        in_services=25,
        end=2500,
    ),
    *never_wrong(
        "a token sees a quarter of the services for ever",
        then(100, 0),
        others=lambda t: 400 if t < AT else 100,
        end=1700,
    ),
    *never_wrong(
        "30 % of the records vanish for 15 s", lambda t: ALL[: 70 if AT <= t < AT + 15 else 100], in_services=50
    ),
    *never_wrong(
        "60 % of the records vanish for 15 s",
        lambda t: ALL[: 40 if AT <= t < AT + 15 else 100],
        others=lambda t: 400 if AT <= t < AT + 15 else 1000,
        in_services=50,
    ),
    *never_wrong(
        "wiped in steps of 10 % a second",
        lambda t: ALL[: 100 - 10 * steps(t)],
        others=lambda t: 900 - 90 * steps(t),
        in_services=45,
        end=1500,
    ),
    *either(4.0, 4, 20.0, 20, some("a single instance moves with a gap of 20 s", moved(20))),
    *either(1.5, 3, 1.5, 3, some("2 to 1 alone", then(2, 1), others=NONE)),
    *either(0, 3, 0, 3, some("6 to 5 alone", then(6, 5), others=NONE)),
    *either(
        4.0,
        4,
        1800,
        1800,
        some(
            "registry empty and the service dead while other hosts answer",
            then(50, 0),
            others=wiped(500, AT),
            in_services=25,
            end=3000,
        ),
    ),
    some(
        "data centre loses power, registry and hosts",
        then(50, 0),
        others=wiped(500, AT),
        in_services=25,
        others_die=True,
        end=3000,
        dead=1800,
        right=1800,
    ),
]


@pytest.mark.promise("law-1", "law-2")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_no_live_host_is_lost_and_dead_ones_cost_what_the_documentation_says(scenario: Scenario) -> None:
    missing, dead, right = play(scenario)

    assert missing == 0
    assert dead == pytest.approx(scenario.dead, abs=0.01)
    assert right == scenario.right


@pytest.mark.promise("R-24")
@pytest.mark.parametrize("settled", [True, False])
def test_an_endpoint_that_flaps_ten_times_a_second_is_never_deleted_and_its_neighbours_are_left_alone(
    settled: bool,
) -> None:
    steady, flapping = ALL[:9], ALL[9]
    neighbour = service("shop/neighbour", *hosts(5, net="10.5"))
    world = watched(service(S, *(ALL[:10] if settled else steady)), neighbour, answers=lambda one: False)
    untouched = world.verdict.services[neighbour.name]

    for tick in range(1, 601):
        world.now += 0.1
        verdict = world.see(service(S, *steady, *([flapping] if tick % 2 else [])), neighbour)

        assert flapping in world.served(S) or f"{flapping}!" in world.served(S)
        assert set(steady) <= set(world.served(S))
        assert verdict.services[neighbour.name] is untouched
    assert {why for _, _, why, _ in world.ended} == {"returned"}


def test_a_namespace_deleted_in_kubernetes_goes_at_once_where_its_pods_were_seen_terminating() -> None:
    kept = [service(f"kept/{index}", *hosts(3, net=f"10.{index}")) for index in range(20)]
    gone = [service(f"gone/{index}", *hosts(3, net=f"10.{100 + index}")) for index in range(5)]
    draining = [
        replace(one, endpoints=tuple(replace(e, health=Health.DRAINING) for e in one.endpoints)) for one in gone
    ]
    world = watched(*kept, *gone, rules=BLIND)
    world.see(*kept, *draining)
    world.now += 10
    verdict = world.see(*kept)

    assert set(verdict.services) == {one.name for one in kept}
    assert not verdict.holds
    assert not verdict.flood


def test_a_namespace_that_vanishes_from_kubernetes_is_held_for_half_an_hour_and_harms_nobody_else() -> None:
    kept = [service(f"kept/{index}", *hosts(3, net=f"10.{index}")) for index in range(20)]
    gone = [service(f"gone/{index}", *hosts(3, net=f"10.{100 + index}")) for index in range(5)]
    world = watched(*kept, *gone, rules=BLIND)
    before = world.verdict.services
    world.now += 10
    vanished = world.now
    assert world.see(*kept).flood

    while world.verdict.holds:
        assert all(world.verdict.services[one.name] is before[one.name] for one in kept)
        assert all(len(world.verdict.services[one.name].endpoints) == 3 for one in gone)
        world.wait(60, reads=True)

    assert set(world.verdict.services) == {one.name for one in kept}
    assert {(why, at - vanished) for _, _, why, at in world.ended} == {("released", 1800.0)}
    assert not world.verdict.flood


@pytest.mark.promise("R-37")
def test_all_health_checks_red_for_a_minute_are_not_believed() -> None:
    def coloured(health: Health) -> list[Service]:
        return [
            service(f"shop/{index}", *(endpoint(host, health=health) for host in hosts(4, net=f"10.{index}")))
            for index in range(10)
        ]

    world = watched(*coloured(Health.HEALTHY))
    right = world.verdict.services
    for _ in range(60):
        world.now += 1
        verdict = world.see(*coloured(Health.UNHEALTHY))
        assert verdict.services == right
        assert verdict.health_flood
    world.now += 1
    verdict = world.see(*coloured(Health.HEALTHY))

    assert verdict.services == right
    assert not verdict.health_flood
