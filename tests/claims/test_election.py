import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.adapter import Claim
from bridge.errors import Unavailable
from bridge.kit.mark import Mark
from bridge.runtime.claiming import BEAT, CONFIRM, LAPSE, VALID, Claiming, Standing
from bridge.runtime.clock import SystemClock
from bridge.runtime.election import FILE, SOON, Alone, AloneSettings, Leadership, Term, deployment
from bridge.testing.clock import FakeClock
from tests.engines import until
from tests.outlets import Voted

MINE = Mark("prod", "one")
FOR_EVER = Term(1, inf)


def claim(deployment: str = "one", term: int = 1, beat: float = 0.0, **more: object) -> Claim:
    return replace(Claim("prod", deployment, term, beat), **more)  # type: ignore[arg-type]


def leading(*claims: Claim, now: float = 0.0, mark: Mark = MINE) -> Claiming:
    """Elected for ever, and having seen these."""
    claiming = Claiming(mark, end=False)
    claiming.lead(FOR_EVER)
    claiming.see(claims, 1, now)
    return claiming


def claimed(now: float = 0.0) -> Claiming:
    """One that wrote its claim and saw it."""
    claiming = leading(now=now)
    due = claiming.due(now, 7.0)
    assert due is not None
    claiming.sent(due, now)
    claiming.see([replace(due, revision=1)], 2, now)
    return claiming


# The election of one.


async def test_a_process_without_an_election_always_leads() -> None:
    clock = FakeClock()
    leadership = Leadership(Alone("one"), clock)
    assert not leadership.leads()
    terms = Alone("one").terms()
    assert await anext(terms) == FOR_EVER
    assert leadership.deployment == "one"


def test_a_deployment_keeps_its_name_over_restarts_and_shares_it_with_nobody(tmp_path: Path) -> None:
    first = deployment(tmp_path / "a")
    assert deployment(tmp_path / "a") == first
    assert deployment(tmp_path / "b") != first
    assert AloneSettings().open(SystemClock(), tmp_path / "a").deployment == first
    (tmp_path / "a" / FILE).write_text("garbage\n")
    second = deployment(tmp_path / "a")
    assert second not in (first, "garbage")
    assert deployment(tmp_path / "a") == second


def test_where_nothing_can_be_kept_each_process_has_a_name_of_its_own_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with capture_logs() as log:
        names = {deployment(tmp_path / "file"), deployment(tmp_path / "file")}
    assert len(names) == 2
    assert [one["event"] for one in log] == ["deployment has no lasting name"] * 2
    assert deployment(None) != deployment(None)


async def test_an_election_out_of_reach_is_entered_again_and_the_last_term_ends_when_it_said() -> None:
    clock = FakeClock()

    class Fails:
        deployment = "one"
        shelf = None
        entered = 0

        async def terms(self) -> AsyncIterator[Term]:
            self.entered += 1
            if self.entered == 1:
                yield Term(1, clock.now() + 15)
            raise Unavailable("lease: gone")

    elector = Fails()
    leadership = Leadership(elector, clock)
    task = asyncio.create_task(leadership.run())
    await clock.advance(0.5)
    assert leadership.leads()
    assert leadership.why == "lease: gone"
    await clock.advance(14)
    assert leadership.leads()
    await clock.advance(1)
    assert not leadership.leads()
    await clock.advance(105)
    assert 120 / SOON < elector.entered < 60
    task.cancel()
    await asyncio.wait([task])


async def test_the_lead_is_given_back_when_the_bridge_stops() -> None:
    given_back: list[str] = []

    class Gives(Voted):
        async def terms(self) -> AsyncIterator[Term]:
            try:
                async for term in super().terms():
                    yield term
            finally:
                given_back.append("lease")

    clock, elector = FakeClock(), Gives("one")
    elector.say(1, inf)
    leadership = Leadership(elector, clock)
    task = asyncio.create_task(leadership.run())
    await until(leadership.leads)
    assert given_back == []
    task.cancel()
    await asyncio.wait([task])
    assert given_back == ["lease"]


async def test_whoever_gives_the_lead_back_does_not_lead_meanwhile() -> None:
    led: list[bool] = []

    class Gives(Voted):
        async def terms(self) -> AsyncIterator[Term]:
            try:
                async for term in super().terms():
                    yield term
            finally:
                led.append(leadership.leads())

    clock, elector = FakeClock(), Gives("one")
    elector.say(1, inf)
    leadership = Leadership(elector, clock)
    task = asyncio.create_task(leadership.run())
    await until(leadership.leads)
    task.cancel()
    await asyncio.wait([task])
    assert led == [False]


async def test_whoever_is_ended_once_more_while_it_gives_the_lead_back_ends_without_that() -> None:
    giving, clock = asyncio.Event(), FakeClock()

    class Gives(Voted):
        async def terms(self) -> AsyncIterator[Term]:
            try:
                async for term in super().terms():
                    yield term
            finally:
                giving.set()
                await clock.sleep(60)

    elector = Gives("one")
    elector.say(1, inf)
    leadership = Leadership(elector, clock)
    task = asyncio.create_task(leadership.run())
    await until(leadership.leads)
    task.cancel()
    await until(giving.is_set)
    task.cancel()
    await until(task.done)
    assert task.cancelled()


# What a claim means.


def test_nothing_is_written_before_the_claim_is_there_and_seen() -> None:
    claiming = Claiming(MINE, end=False)
    claiming.lead(FOR_EVER)
    assert claiming.due(0.0, 7.0) is None  # nobody looked yet
    claiming.see((), 1, 0.0)
    due = claiming.due(0.0, 7.0)
    assert due == Claim("prod", "one", 1, 7.0, False, None)
    claiming.sent(due, 0.0)
    assert claiming.opinion(0.0).standing is Standing.CLAIMS
    assert claiming.due(1.0, 8.0) is None
    claiming.see([replace(due, revision=5)], 2, 0.0)
    assert claiming.opinion(0.0).standing is Standing.WRITES


def test_a_claim_is_renewed_and_without_that_it_entitles_nobody() -> None:
    claiming = claimed(0.0)
    assert claiming.due(BEAT - 1, 8.0) is None
    due = claiming.due(BEAT, 9.0)
    assert due is not None
    assert (due.term, due.beat, due.revision) == (1, 9.0, 1)
    assert claiming.opinion(VALID - 1).standing is Standing.WRITES
    assert claiming.opinion(VALID).standing is Standing.CLAIMS
    late = claiming.due(VALID, 10.0)
    assert late is not None
    assert late.term == 1  # nobody came between
    assert VALID < LAPSE


def test_another_deployments_claim_is_alive_while_it_is_seen_to_move() -> None:
    claiming = leading(claim("two", 4, beat=1e12))
    for now in range(0, 600, 30):
        claiming.see([claim("two", 4, beat=float(now))], now, float(now))
        assert claiming.opinion(float(now)).standing is Standing.ANOTHER
        assert claiming.due(float(now), 0.0) is None
    assert claiming.opinion(570 + LAPSE - 1).standing is Standing.ANOTHER
    due = claiming.due(570 + LAPSE, 0.0)
    assert due is not None
    assert (due.deployment, due.term) == ("one", 5)


def test_a_claim_of_ours_that_another_deployment_replaced_ends_our_writing_at_once() -> None:
    claiming = claimed(0.0)
    claiming.see([claim("two", 2)], 3, 1.0)
    assert claiming.opinion(1.0).standing is Standing.ANOTHER
    assert claiming.due(1.0, 0.0) is None


def test_a_restart_raises_the_term_at_once_and_its_predecessor_stops() -> None:
    before = claimed(0.0)
    after = leading(claim(term=1, revision=1), now=1.0)
    due = after.due(1.0, 0.0)
    assert due is not None
    assert due.term == 2
    before.see([replace(due, revision=2)], 3, 2.0)
    opinion = before.opinion(2.0)
    assert (opinion.standing, "another process" in opinion.why) == (Standing.ANOTHER, True)


def test_a_new_term_of_the_election_takes_over_at_once() -> None:
    claiming = claimed(0.0)
    claiming.lead(Term(1, 10.0))
    claiming.see([claim(term=2, revision=2)], 3, 11.0)
    assert claiming.opinion(11.0) == (Standing.FOLLOWS, "nobody is known to lead")
    assert claiming.due(11.0, 0.0) is None
    claiming.lead(Term(2, 99.0))
    due = claiming.due(12.0, 0.0)
    assert due is not None
    assert (due.term, due.revision) == (3, 2)


def test_a_refused_claim_waits_until_something_else_is_seen_or_read_anew() -> None:
    claiming = leading(claim("old", 3, revision=3), now=0.0)
    due = claiming.due(LAPSE, 0.0)
    assert due is not None
    claiming.refused(due, LAPSE)
    claiming.see([claim("old", 3, revision=3)], 2, LAPSE)  # may have been read before
    assert claiming.due(LAPSE, 0.0) is None
    assert not claiming.unseen(LAPSE + CONFIRM - 1)
    assert claiming.unseen(LAPSE + CONFIRM)
    claiming.see([claim("old", 3, revision=3)], 3, LAPSE + CONFIRM)
    assert claiming.due(LAPSE + CONFIRM, 0.0) is not None


def test_a_tombstone_ends_all_writing_and_a_wiped_claim_is_made_again_higher() -> None:
    claiming = claimed(0.0)
    claiming.see([claim(term=1, tombstone=True)], 3, 1.0)
    assert claiming.opinion(1.0).standing is Standing.WITHDRAWN
    assert claiming.due(1e6, 0.0) is None
    claiming.see((), 4, 2.0)
    assert claiming.opinion(2.0).standing is Standing.CLAIMS
    due = claiming.due(2.0, 0.0)
    assert due is not None
    assert (due.term, due.revision) == (2, None)


def test_other_owners_claims_are_nobodys_business() -> None:
    claiming = leading(replace(claim("two", 9), owner="other"))
    due = claiming.due(0.0, 0.0)
    assert due is not None
    assert due.term == 1


class _Registry:
    """One claim, compared and set."""

    def __init__(self) -> None:
        self.claim: Claim | None = None
        self.revision = 0

    def write(self, claim: Claim) -> bool:
        standing = self.claim.revision if self.claim else None
        if claim.revision != standing:
            return False
        self.revision += 1
        self.claim = replace(claim, revision=self.revision)
        return True


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["look", "write", "lost"]), st.sampled_from([0.0, 1.0, 20.0, 45.0])),
    max_size=60,
)


@pytest.mark.promise("R-19", "law-6")
@given(STEPS, st.booleans())
def test_whatever_the_order_never_do_two_write(steps: list[tuple[int, str, float]], same: bool) -> None:
    """Three processes, each knowing only what it looks at, with answers that get lost.

    Of one deployment, one may believe in vain that it may write, since it has not looked: the registry knows by the
    claim's revision. Of several deployments, at most one believes it at all.
    """
    registry, now = _Registry(), 0.0
    them = [Claiming(Mark("prod", "one" if same else f"d{number}"), end=False) for number in range(3)]
    wrote = [0, 0, 0]
    reads = 0
    for one in them:
        one.lead(FOR_EVER)
    for who, what, passes in steps:
        now += passes
        one = them[who]
        if what == "look":
            reads += 2
            one.see([registry.claim] if registry.claim else [], reads, now)
        elif what in ("write", "lost"):
            due = one.due(now, now)
            if due is not None and registry.write(due):
                wrote[who] = registry.revision
                if what == "write":
                    one.sent(due, now)
            elif due is not None:
                one.refused(due, now)
        fenced = [
            number
            for number, each in enumerate(them)
            if each.opinion(now).standing is Standing.WRITES and wrote[number] == registry.revision
        ]
        assert len(fenced) <= 1
        if not same:  # a stranger waits for longer than a claim entitles
            assert len([each for each in them if each.opinion(now).standing is Standing.WRITES]) <= 1
