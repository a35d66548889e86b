"""What probes prove (rule 4 of the guard), and whom they ask."""

from dataclasses import replace

import pytest

from bridge.guard import Elapsed, Probed
from bridge.model import Endpoint, Health, Port
from tests.builders import eid, endpoint, hosts, name, service
from tests.guards import BLIND, OTHER, OTHERS, TEN, S, Watched, open_at, watched


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
