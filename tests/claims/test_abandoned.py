"""What a bridge left that has stopped for good is nobody's word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.abandoned import NOBODY, SILENCE, Owners, told, without
from bridge.adapter import Claim
from bridge.table import Table
from tests.builders import endpoint, name, service, services

DAY = SILENCE
WALL = 1_750_000_000.0


def claim(beat: float, owner: str = "old", term: int = 1) -> tuple[str, Claim]:
    return "a file", Claim(owner, "one", term, beat)


def test_whose_claim_moves_is_there_whatever_its_clock_says() -> None:
    owners = Owners()
    for round_ in range(5):
        owners.see([claim(WALL - 2 * DAY + round_)], now=30.0 * round_, wall=WALL)
    assert owners.gone(120.0) == {}
    assert owners.wake_at(120.0) == 120.0 + DAY


def test_whose_claim_has_not_moved_for_a_day_is_gone() -> None:
    owners = Owners()
    owners.see([claim(WALL - 100)], 0.0, WALL)
    assert owners.wake_at(0.0) == DAY - 100
    assert owners.gone(DAY - 101) == {}
    assert owners.gone(DAY - 100) == {"old": DAY}


def test_a_claim_that_is_older_than_a_day_when_it_is_first_seen_is_one_of_who_is_gone_until_it_moves() -> None:
    owners = Owners()
    owners.see([claim(WALL - 3 * DAY)], 0.0, WALL)
    assert list(owners.gone(0.0)) == ["old"]
    owners.see([claim(WALL)], 10.0, WALL)
    assert owners.gone(10.0) == {}


@pytest.mark.promise("R-30")
def test_a_wall_clock_that_jumps_abandons_nobody() -> None:
    owners = Owners()
    owners.see([claim(WALL)], 0.0, WALL)
    owners.see([claim(WALL)], 10.0, WALL + 7 * DAY)
    assert owners.gone(10.0) == {}


def test_an_owner_that_renews_one_of_its_claims_is_there() -> None:
    owners = Owners()
    owners.see([("one", Claim("old", "a", 1, WALL - 2 * DAY)), ("other", Claim("old", "a", 1, WALL))], 0.0, WALL)
    assert owners.gone(0.0) == {}
    owners.see([("one", Claim("old", "a", 1, WALL - 2 * DAY))], 0.0, WALL)
    assert list(owners.gone(0.0)) == ["old"]


def test_what_it_wrote_is_left_out_and_told_and_what_only_came_through_it_stays() -> None:
    theirs = endpoint("10.0.0.2:80", via="old")
    through = endpoint("10.0.0.3:80", via="old new")
    web = service("shop/web", "10.0.0.1:80", theirs, through)
    left = without(services(web, service("shop/api", theirs)), frozenset({"old"}), NOBODY)
    assert left.services == services(service("shop/web", "10.0.0.1:80", through))
    (problem,) = told(left, {"old": DAY})
    assert "the bridge old: has not renewed its claim for 24 h, so the 2 endpoints" in str(problem)
    assert "withdraw --owner old" in str(problem)


endpoints = st.sampled_from([endpoint(f"10.0.0.{i}:80", via=via) for i, via in enumerate(["", "a", "b", "a b"], 1)])
views = st.dictionaries(st.sampled_from(["s/a", "s/b", "s/c"]), st.sets(endpoints))


@given(st.lists(st.tuples(views, st.frozensets(st.sampled_from("ab"))), max_size=6))
def test_step_by_step_is_as_from_nothing(steps: list[tuple[dict[str, set[object]], frozenset[str]]]) -> None:
    said, left = services(), NOBODY
    for view, owners in steps:
        anew = {name(key): service(key, *them) for key, them in view.items()}  # type: ignore[arg-type]
        said = said.with_({key: anew.get(key) for key in {*said, *anew} if anew.get(key) != said.get(key)})
        left = without(said, owners, left)
        fresh = without(Table(anew), owners, NOBODY)
        assert (left.services, told(left, {})) == (fresh.services, told(fresh, {}))
