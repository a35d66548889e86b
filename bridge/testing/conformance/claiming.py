"""What a sink promises about the record that says who writes."""

from dataclasses import replace

import pytest

from bridge.adapter import Claim
from bridge.errors import Conflict
from bridge.testing.conformance.bench import Bench, cannot
from bridge.testing.conformance.samples import OURS, OURS_TOO, RENAMED, THEIRS, WEB, service
from bridge.testing.conformance.writing import remove
from bridge.testing.conformance.wrote import WALL, Wrote, writing


@pytest.mark.asyncio
class Claiming:
    """Promises of `Sink.claim`."""

    async def test_a_target_that_nobody_writes_has_no_claim(self, bench: Bench) -> None:
        async with writing(bench, term=0) as wrote:
            assert wrote.claims() == ()

    async def test_a_claim_reads_back_as_it_was_written(self, bench: Bench) -> None:
        async with writing(bench, term=0) as wrote:
            for term, tombstone in ((7, False), (8, True), (9, False)):
                before = ours(wrote)
                revision = before.revision if before is not None else None
                claim = Claim(OURS.owner, OURS.deployment, term, WALL + 30.25 * term, tombstone, revision)
                await wrote.sink.claim(wrote.target, claim)
                await has_term(wrote, term)
                seen = ours(wrote)
                assert seen is not None
                assert (seen.owner, seen.deployment, seen.tombstone) == (OURS.owner, OURS.deployment, tombstone)
                assert abs(seen.beat - claim.beat) <= 1.0
                assert seen.revision != revision, "each claim that is written has a revision of its own"

    async def test_a_claim_is_no_service_and_no_holding(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            view = await wrote.watched.again()
            assert not view.services, "the claim is read as a service"
            holdings = [one for held in view.held.values() for one in held.holdings.values()]
            assert not any(one.records or one.endpoints for one in holdings), "the claim is read as a record"

    async def test_a_heartbeat_renews_it(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            for beat in (30.0, 60.0):
                before = ours(wrote)
                assert before is not None
                await wrote.sink.claim(wrote.target, replace(before, beat=WALL + beat))
                await has_beat(wrote, WALL + beat)

    async def test_a_claim_is_not_written_over_one_that_was_not_seen(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            with pytest.raises(Conflict):
                await wrote.sink.claim(wrote.target, Claim(OURS.owner, OURS.deployment, 2, WALL))
            await wrote.watched.again()
            assert _term(wrote) == 1

    async def test_a_claim_replaces_the_one_that_it_names_and_no_other(self, bench: Bench) -> None:
        async with writing(bench) as one, writing(bench, OURS_TOO, term=0) as two:
            stale = ours(one)
            assert stale is not None
            seen = ours(two)
            assert seen is not None, "the claim of another deployment of this owner is seen"
            assert seen.deployment == OURS.deployment
            await two.claim(2)
            with pytest.raises(Conflict):
                await one.sink.claim(one.target, replace(stale, beat=WALL + 60))
            await one.watched.until(lambda: _term(one) == 2, "that another deployment has taken over")
            taken = ours(one)
            assert taken is not None
            assert taken.deployment == OURS_TOO.deployment

    async def test_a_claim_that_is_gone_is_not_renewed(self, bench: Bench) -> None:
        async with writing(bench, term=0) as wrote:
            with pytest.raises(Conflict):
                await wrote.sink.claim(wrote.target, Claim(OURS.owner, OURS.deployment, 2, WALL, False, "never seen"))
            await wrote.watched.again()
            assert wrote.claims() == ()

    async def test_a_claim_outlives_its_records_and_its_process(self, bench: Bench) -> None:
        async with writing(bench, term=4) as wrote:
            await wrote.say(WEB)
            await remove(wrote, WEB.name)
            await wrote.watched.again()
            assert _term(wrote) == 4
        async with writing(bench, term=0) as wrote:
            assert _term(wrote) == 4

    async def test_another_owners_claim_is_no_obstacle(self, bench: Bench) -> None:
        async with writing(bench, term=3) as ours_is, writing(bench, THEIRS, term=5) as theirs:
            assert _term(ours_is) == 3
            claims = [one.term for one in theirs.claims() if one.owner == THEIRS.owner]
            assert claims == [5]

    async def test_the_claim_of_a_former_owner_can_be_closed(self, bench: Bench) -> None:
        async with writing(bench, term=3) as wrote:
            await wrote.say(WEB)
        async with writing(bench, RENAMED, term=1) as renamed:
            (theirs,) = [one for one in renamed.claims() if one.owner == OURS.owner]
            await renamed.sink.claim(renamed.target, replace(theirs, term=4, beat=WALL + 60, tombstone=True))
            await renamed.watched.until(
                lambda: (OURS.owner, 4, True) in [(one.owner, one.term, one.tombstone) for one in renamed.claims()],
                "the tombstone of the former owner",
            )
            with pytest.raises(Conflict):
                await renamed.sink.claim(renamed.target, theirs)
            await renamed.say(service("web", "10.20.0.8"))

    async def test_a_leader_of_before_writes_no_more(self, bench: Bench) -> None:
        if not bench.fences:
            cannot("writes to this registry are not fenced by the claim: `fences` of the bench")
        async with writing(bench) as one:
            await one.say(WEB)
            async with writing(bench, OURS_TOO, term=2) as two:
                for change in one.plan(service("web", "10.20.0.8")):
                    with pytest.raises(Conflict):
                        await one.apply(change)
                await two.say(service("web", "10.20.0.9"))


def ours(wrote: Wrote) -> Claim | None:
    """The claim of our owner, as it was last seen."""
    found = [one for one in wrote.claims() if one.owner == wrote.mark.owner]
    assert len(found) <= 1, "an owner has one claim"
    return found[0] if found else None


async def has_term(wrote: Wrote, term: int) -> None:
    """Wait for a claim of this term."""
    await wrote.watched.until(lambda: _term(wrote) == term, f"the claim of term {term}")


async def has_beat(wrote: Wrote, beat: float) -> None:
    """Wait for a heartbeat; a registry may keep whole seconds."""

    def renewed() -> bool:
        claim = ours(wrote)
        return claim is not None and abs(claim.beat - beat) <= 1.0

    await wrote.watched.until(renewed, "the heartbeat")


def _term(wrote: Wrote) -> int | None:
    claim = ours(wrote)
    return claim.term if claim is not None else None
