"""What a sink promises of what it writes."""

import asyncio
from dataclasses import replace

import pytest

from bridge.adapter import Holding, Put, RecordKey, Remove
from bridge.errors import Conflict, Denied, Rejected, Unavailable
from bridge.model import Service, ServiceName
from bridge.plan import plan
from bridge.testing.conformance.bench import Bench, cannot, sink_of
from bridge.testing.conformance.samples import API, JOBS, OURS, RENAMED, THEIRS, WEB, service
from bridge.testing.conformance.watching import watching
from bridge.testing.conformance.wrote import Wrote, writing


@pytest.mark.asyncio
class Writing:
    """Promises of `Sink.apply`, and of what is then observed."""

    async def test_a_target_with_nothing_of_ours_stands_there_empty(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with writing(bench, term=0) as wrote:
            held = wrote.watched.held(wrote.target)
            assert held is not None
            assert not [one for one in held.holdings.values() if one.records]
            assert wrote.watched.service(WEB.name) == bench.read_as(WEB)

    async def test_without_a_mark_there_is_nothing_of_ours(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            await wrote.say(WEB)
            async with watching(bench, bench.open()) as watched:
                view = await watched.first()
                assert not any(one.holdings for one in view.held.values())

    async def test_what_is_put_is_observed_as_ours_and_not_as_a_service(self, bench: Bench) -> None:
        await bench.put(API)
        async with writing(bench) as wrote:
            fitted, problems = wrote.fit(WEB)
            assert problems == []
            holding = await wrote.say(WEB)
            made = {one.key: one.content for one in fitted}
            assert contents(holding) == made, "what was put is what is read"
            assert holding.endpoints == bench.written_as(WEB).endpoints
            assert dict(wrote.watched.now.services) == {API.name: bench.read_as(API)}

    async def test_what_changes_is_put_again(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            await wrote.say(WEB)
            for other in (service("web", "10.20.0.2", "10.20.0.9"), service("web", "10.20.0.2", port=9090), WEB):
                assert wrote.plan(other), f"{other} is other content"
                holding = await wrote.say(other)
                assert holding.endpoints == bench.written_as(other).endpoints

    async def test_what_is_removed_is_gone(self, bench: Bench) -> None:
        await bench.put(JOBS)
        async with writing(bench) as wrote:
            await wrote.say(API)
            await wrote.say(WEB)
            await remove(wrote, WEB.name)
            assert wrote.holding(API.name).endpoints == bench.written_as(API).endpoints
            assert dict(wrote.watched.now.services) == {JOBS.name: bench.read_as(JOBS)}
            await remove(wrote, API.name)
            assert dict(wrote.watched.now.services) == {JOBS.name: bench.read_as(JOBS)}
            await wrote.say(WEB)

    async def test_when_apply_returns_it_is_made_for_good(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            for change in wrote.plan(WEB):
                await wrote.apply(change)
            async with watching(bench, bench.open(OURS)) as watched:
                await watched.first()
                assert watched.holding(wrote.target, WEB.name).endpoints == bench.written_as(WEB).endpoints

    async def test_whoever_comes_after_knows_our_records_again(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            before = await wrote.say(WEB)
        async with writing(bench, term=0) as wrote:
            assert not wrote.plan(WEB), "what the process before has written is as good"
            assert wrote.holding(WEB.name).records == before.records
            await wrote.claim(2)
            await wrote.say(service("web", "10.20.0.5"))
            await remove(wrote, WEB.name)

    async def test_another_bridge_sees_it_with_our_name(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            await wrote.say(WEB)
            async with writing(bench, THEIRS, term=0) as theirs:
                held = theirs.watched.held(theirs.target)
                assert held is not None
                assert not [one for one in held.holdings.values() if one.records], "ours are not theirs"
                seen = theirs.watched.service(WEB.name)
                assert seen is not None, "what another bridge wrote is a service to everybody else"
                assert {one.via for one in seen.endpoints} == {OURS.owner}
                assert tuple(replace(one, via="") for one in seen.endpoints) == bench.written_as(WEB).endpoints

    async def test_the_bridges_before_us_are_not_forgotten(self, bench: Bench) -> None:
        relayed = Service.of(JOBS.name, [replace(one, via="first second") for one in JOBS.endpoints])
        async with writing(bench) as wrote:
            _, problems = wrote.fit(relayed)
            await wrote.say(relayed)
            async with watching(bench, bench.open(THEIRS)) as watched:
                seen = (await watched.first()).services.get(JOBS.name)
                if seen is None:
                    assert problems, "a registry without a place for `via` leaves such endpoints out, and says so"
                    return
                owners = [set(one.via.split()) for one in seen.endpoints]
                assert owners == [{"first", "second", OURS.owner}], "`via` grows: whoever is named never takes it again"

    async def test_what_a_former_owner_wrote_is_ours_and_gets_our_mark(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            before = await wrote.say(WEB)
        async with writing(bench, RENAMED, term=0) as renamed:
            there = renamed.holding(WEB.name)
            assert contents(there) == contents(before), "the records of `Mark.former` are ours"
            assert there.endpoints == before.endpoints
            assert not renamed.watched.service(WEB.name), "what is ours is no service"
            for record in there.records:
                await renamed.apply(Put(replace(record, revision=None), record))
            await renamed.watched.again()
            assert contents(renamed.holding(WEB.name)) == contents(before)
            async with watching(bench, bench.open(THEIRS)) as watched:
                seen = (await watched.first()).services.get(WEB.name)
                assert seen is not None
                assert {one.via for one in seen.endpoints} == {RENAMED.owner}, "what is written has the new mark"

    async def test_two_bridges_write_side_by_side(self, bench: Bench) -> None:
        async with writing(bench) as ours, writing(bench, THEIRS) as theirs:
            await ours.say(WEB)
            await theirs.say(API)
            await ours.say(service("web", "10.20.0.8"))
            await remove(theirs, API.name)
            await ours.watched.until(lambda: not ours.watched.service(API.name), "what the other bridge removed")
            assert ours.holding(WEB.name).endpoints == bench.written_as(service("web", "10.20.0.8")).endpoints

    async def test_a_record_that_stands_there_is_not_put_anew(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            (record, *_), _ = wrote.fit(WEB)
            await wrote.apply(Put(record, None))
            with pytest.raises(Conflict):
                await wrote.apply(Put(record, None))
            await wrote.watched.again()
            await wrote.say(WEB)

    async def test_a_put_names_what_it_replaces(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            before, first, then = WEB, service("web", "10.20.0.8"), service("web", "10.20.0.9")
            stale = changes_of(wrote, before, await wrote.say(before), then)
            await wrote.say(first)
            for change in stale:
                with pytest.raises(Conflict):
                    await wrote.apply(change)
            await wrote.watched.again()
            assert wrote.holding(WEB.name).endpoints == bench.written_as(first).endpoints

    async def test_a_remove_names_what_it_removes(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            stale = [Remove(record) for record in (await wrote.say(WEB)).records]
            now = service("web", "10.20.0.8")
            await wrote.say(now)
            for change in stale:
                with pytest.raises(Conflict):
                    await wrote.apply(change)
            await wrote.watched.again()
            assert wrote.holding(WEB.name).endpoints == bench.written_as(now).endpoints

    async def test_what_is_gone_is_not_removed_again(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            (record, *_) = (await wrote.say(WEB)).records
            await remove(wrote, WEB.name)
            with pytest.raises(Conflict):
                await wrote.apply(Remove(record))
            with pytest.raises(Conflict):
                await wrote.apply(Put(replace(record, content=wrote.fit(API)[0][0].content, revision=None), record))

    async def test_a_record_edited_by_hand_is_seen_and_not_overwritten_unseen(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            (old, *_) = (await wrote.say(WEB)).records
            changes = changes_of(wrote, WEB, wrote.holding(WEB.name), service("web", "10.20.0.8"))
            stale = [one for one in changes if (one.replaces if isinstance(one, Put) else one.record) == old]
            await bench.edit(OURS, old)
            for change in stale:
                with pytest.raises(Conflict):
                    await wrote.apply(change)
            await wrote.watched.until(lambda: bool(wrote.plan(WEB)), "that a record of ours was edited by hand")
            holding = await wrote.say(WEB)
            assert holding.endpoints == bench.written_as(WEB).endpoints

    async def test_a_record_erased_by_hand_is_seen_and_written_again(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            (old, *_) = (await wrote.say(WEB)).records
            await bench.erase(OURS, old)
            await wrote.watched.until(
                lambda: old.key not in [one.key for one in wrote.holding(WEB.name).records],
                "that a record of ours was removed by hand",
            )
            await wrote.say(WEB)

    async def test_a_name_that_somebody_else_has_is_taken(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            fitted, _ = wrote.fit(WEB)
            await bench.take(OURS, WEB)
            stood = bench.foreign()
            for record in fitted:
                with pytest.raises((Conflict, Denied, Rejected)):
                    await wrote.apply(Put(record, None))
            assert bench.foreign() == stood, "what is not ours was changed"

    async def test_a_name_that_somebody_else_has_is_told_with_who_has_it(self, bench: Bench) -> None:
        await bench.take(OURS, WEB)
        async with watching(bench, sink_of(bench.open(OURS))) as watched:
            target = bench.target(OURS)
            await watched.first()

            def known() -> bool:
                held = watched.held(target)
                if held is None:  # as a file that is not ours: nothing may be written, and somebody has to be told
                    return bool(watched.now.problems)
                return bool(held.holdings.get(WEB.name, Holding()).taken)

            await watched.until(known, "that somebody else has the name: `Holding.taken`, or no `held` and a Problem")

    async def test_what_others_wrote_is_never_touched(self, bench: Bench) -> None:
        await bench.put(API, JOBS)
        stood = bench.foreign()
        async with writing(bench) as wrote:
            await wrote.say(WEB)
            await wrote.say(API)
            await wrote.say(service("web", "10.20.0.8"))
            await remove(wrote, WEB.name)
            await remove(wrote, API.name)
            assert bench.foreign() == stood, "what is not ours was changed"
            assert wrote.watched.service(API.name) == bench.read_as(API)

    async def test_services_are_written_side_by_side(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            number = min(wrote.sink.concurrency, 64)
            assert number >= 1, "`concurrency` is how many changes may be under way at once"
            them = [service(f"s{one}", f"10.20.4.{one + 1}") for one in range(number)]
            await asyncio.gather(*(wrote.apply(change) for one in them for change in wrote.plan(one)))
            await wrote.watched.until(lambda: not any(map(wrote.plan, them)), "every record that was written at once")
            gone = [Remove(record) for one in them for record in wrote.holding(one.name).records]
            await asyncio.gather(*map(wrote.apply, gone))
            await wrote.watched.until(
                lambda: not any(wrote.holding(one.name).records for one in them), "that they are all gone"
            )

    async def test_of_two_who_put_at_once_one_succeeds(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            (old, *_) = (await wrote.say(WEB)).records
            puts = [
                change
                for address in ("10.20.0.8", "10.20.0.9")
                for change in changes_of(wrote, WEB, wrote.holding(WEB.name), service("web", address))
                if isinstance(change, Put) and change.replaces == old
            ]
            if len(puts) < 2:
                cannot("a change is never a Put over a record")
            results = await asyncio.gather(*map(wrote.apply, puts), return_exceptions=True)
            assert [type(one) for one in results if one is not None] == [Conflict], results
            winner = puts[results.index(None)].record.content
            await wrote.watched.until(
                lambda: winner in [one.content for one in wrote.holding(WEB.name).records], "what the first one put"
            )

    async def test_a_write_whose_answer_is_lost_is_found_and_not_doubled(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            change, *rest = wrote.plan(WEB)
            await bench.lose_answer()
            with pytest.raises(Unavailable):
                await wrote.apply(change)
            with pytest.raises(Conflict):
                await wrote.insist(change)
            for one in rest:
                await wrote.insist(one)
            await wrote.watched.again()
            holding = await wrote.say(WEB)
            assert holding.endpoints == bench.written_as(WEB).endpoints

    async def test_a_registry_out_of_reach_is_unavailable_to_who_writes(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            await wrote.say(API)
            changes = wrote.plan(WEB)
            await bench.lose()
            with pytest.raises(Unavailable):
                await wrote.apply(changes[0])
            await bench.heal()
            await wrote.watched.again()
            assert wrote.holding(API.name).endpoints == bench.written_as(API).endpoints
            await wrote.say(WEB)

    async def test_refused_credentials_are_denied_to_who_writes(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            changes = wrote.plan(WEB)
            await bench.deny()
            with pytest.raises(Denied):
                await wrote.apply(changes[0])
            await bench.heal()
            await wrote.watched.again()
            await wrote.say(WEB)

    async def test_refused_content_is_rejected_and_costs_nothing_else(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            await wrote.say(API)
            changes = wrote.plan(WEB)
            await bench.refuse()
            with pytest.raises(Rejected):
                await wrote.apply(changes[0])
            await wrote.say(JOBS)
            assert wrote.holding(API.name).endpoints == bench.written_as(API).endpoints


def contents(holding: Holding) -> dict[RecordKey, bytes]:
    """What the records say."""
    return {record.key: record.content for record in holding.records}


def changes_of(wrote: Wrote, was: Service, holding: Holding, then: Service) -> list[Put | Remove]:
    """The changes from what was seen to another service, those that replace or remove something."""
    assert holding.records, f"{was.name} has records"
    records, _ = wrote.sink.fit(wrote.target, then, holding)
    changes = plan(records, holding).changes
    return [one for one in changes if isinstance(one, Remove) or one.replaces is not None]


async def remove(wrote: Wrote, name: ServiceName) -> None:
    """Remove all of ours for a service, and wait until that is seen."""
    for record in wrote.holding(name).records:
        await wrote.apply(Remove(record))
    await wrote.gone(name)
