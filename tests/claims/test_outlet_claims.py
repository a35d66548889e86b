"""Who writes a target: claims, terms, tombstones, and those who come before and after."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.adapter import Claim
from bridge.errors import Unavailable
from bridge.kit.mark import Mark
from bridge.runtime.election import AloneSettings, Term
from bridge.runtime.exported import State
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import encode
from bridge.testing.store import ONLY, Store
from tests.builders import endpoint, hosts, name, service
from tests.outlets import API, WEB, WEB_0, Voted, exported, key, made, said, several, sink, writing


@pytest.mark.promise("law-3")
async def test_what_a_leader_wrote_before_it_lost_the_lead_is_nobodys_edit_to_the_next() -> None:
    """The one that leads now may be later to see the source that the other wrote for."""
    clock, vms, out, vote = FakeClock(), MemoryRegistry(WEB, API), sink(), Voted("one")
    async with writing(clock, out, elector=vote, vms=vms) as run:
        await clock.advance(1)
        out.store.foreign(ONLY, "prod", WEB_0, WEB.name, encode(WEB.endpoints))  # the leader
        await clock.advance(1)
        out.store.edit(ONLY, WEB_0, encode([*WEB.endpoints, endpoint("10.7.7.7:80")]))
        vote.say(2, clock.now() + 10_000)
        await clock.advance(60)
        assert exported(run).counts == {"orphan": 1}
        assert said(out.store)["shop/web"] == [*hosts(3), "10.7.7.7:80"]
        vms.set(service("shop/web", *hosts(3), "10.7.7.7:80"), API)
        await clock.advance(60)
        assert (exported(run).counts, made(out)) == ({}, ["put shop/api#0"])


@pytest.mark.promise("R-19")
async def test_of_two_bridges_with_one_owner_the_second_stops_writing_and_says_so() -> None:
    clock, store = FakeClock(), Store()
    first, second = sink(store), sink(store, Mark("prod", "two"))
    vms, others = MemoryRegistry(WEB), MemoryRegistry(API)
    async with writing(clock, first, vms=vms) as one:
        await clock.advance(1)
        async with writing(clock, second, vms=others) as two:
            for _ in range(20):
                await clock.advance(30)
                second.refresh()
            now = exported(two)
            assert (now.state, now.puts) == (State.ANOTHER, 1)
            assert "another deployment (one, term 1) writes as owner prod" in now.why
            assert [(log["log_level"], log["state"]) for log in two.log if log["event"] == "export stopped"] == [
                ("error", "another")
            ]
            assert (second.writes, second.claims) == ([], [])
            assert exported(one).state is State.IN_STEP
            assert said(store) == {"shop/web": hosts(3)}


@pytest.mark.promise("R-19", "R-31")
async def test_a_bridge_whose_state_folder_was_deleted_while_it_ran_is_known_again_after_a_restart(
    tmp_path: Path,
) -> None:
    clock, store, vms, folder = FakeClock(), Store(), MemoryRegistry(WEB), tmp_path / "state"
    first = AloneSettings().open(clock, folder)
    async with writing(clock, sink(store, Mark("prod", first.deployment)), folder, elector=first, vms=vms):
        await clock.advance(10)
        folder.rename(tmp_path / "gone")
    second = AloneSettings().open(clock, folder)
    assert second.deployment == first.deployment
    vms.set(WEB, API)
    out = sink(store, Mark("prod", second.deployment))
    async with writing(clock, out, folder, elector=second, vms=vms):
        await clock.advance(1)  # and not a minute
        assert made(out) == ["put shop/api#0"]


@pytest.mark.promise("R-19")
async def test_a_deployment_takes_over_when_the_claim_of_the_one_before_has_not_moved_for_a_minute() -> None:
    clock, store = FakeClock(), Store()
    first, second = sink(store), sink(store, Mark("prod", "two"))
    async with writing(clock, first, vms=MemoryRegistry(WEB)):
        await clock.advance(1)
    clock.jump(-7_200)  # what another machine's clock says is nothing to go by
    async with writing(clock, second, vms=MemoryRegistry(WEB, API)) as two:
        await clock.advance(59)
        assert exported(two).state is State.ANOTHER
        assert second.writes == []
        await clock.advance(3)
        assert exported(two).state is State.IN_STEP
        assert (second.claims[0].deployment, second.claims[0].term) == ("two", 2)
        assert made(second) == ["put shop/api#0"]


async def test_where_the_election_is_out_of_reach_it_is_said_why_and_not_that_another_one_leads() -> None:
    class Away(Voted):
        async def terms(self) -> AsyncIterator[Term]:
            raise Unavailable("lease bridges/registry-bridge: 403; grant it")
            yield Term(0, 0.0)

    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, elector=Away("one"), vms=vms) as run:
        await clock.advance(60)
        why = "nobody here knows who leads: lease bridges/registry-bridge: 403; grant it"
        assert (exported(run).state, exported(run).why, out.writes) == (State.FOLLOWS, why, [])
        assert run.events("election out of reach") == ["election out of reach"]
        (problem,) = run.engine.problems()
        assert (problem.kind, "403; grant it" in problem.what) == ("leader", True)


async def test_two_processes_of_one_deployment_and_no_election_do_not_write_both() -> None:
    clock, store = FakeClock(), Store()
    first, second = sink(store), sink(store)
    vms, others = MemoryRegistry(WEB), MemoryRegistry(WEB, API)
    async with writing(clock, first, vms=vms) as one, writing(clock, second, vms=others) as two:
        for _ in range(20):
            await clock.advance(20)
        states = sorted(exported(run).state.value for run in (one, two))
        assert states == ["another", "in step"]
        assert "another process" in (exported(one).why or exported(two).why)


async def test_the_claim_is_written_before_anything_else_and_kept_alive() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    out.faults.refuse(Unavailable("out: not now"), 1, meant=lambda write: isinstance(write, Claim))
    async with writing(clock, out, vms=vms) as run:
        assert (out.writes, exported(run).state, exported(run).why) == ([], State.CLAIMS, "out: not now")
        await clock.advance(3)
        assert exported(run).why == ""
        assert made(out) == ["put shop/web#0"]
        start = clock.wall()
        await clock.advance(300)
        beats = [claim.beat - start for claim in out.claims if claim.beat > start]
        assert len(beats) == 10
        assert {claim.term for claim in out.claims} == {1}
    async with writing(clock, out, vms=vms):
        await clock.advance(1)
        assert out.claims[-1].term == 2  # whoever comes raises it


async def test_a_tombstone_stops_a_bridge_until_an_operator_clears_it() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.store.claim(ONLY, Claim("prod", "one", 9, clock.wall(), True))
        vms.set(WEB, API)
        await clock.advance(600)
        assert (exported(run).state, exported(run).puts) == (State.WITHDRAWN, 1)
        assert "adopt" in exported(run).why
        out.store.claim(ONLY, Claim("prod", "one", 9, clock.wall(), False))
        await clock.advance(70)
        assert exported(run).state is State.IN_STEP
        assert said(out.store)["shop/api"] == hosts(2, net="10.1")


async def test_a_withdrawal_removes_all_of_the_owner_and_leaves_a_tombstone_that_a_running_leader_heeds() -> None:
    clock, store = FakeClock(), Store()
    running_one, leaving = sink(store), sink(store)
    store.say(MemoryRegistry(WEB).services.with_({}))
    foreign = encode([endpoint("10.9.9.9:80")])
    store.foreign(ONLY, "other", key("shop/x#0"), name("shop/x"), foreign)
    vms = MemoryRegistry(API, *several(200))
    async with writing(clock, running_one, vms=vms) as run:
        await clock.advance(1)
        assert len(said(store)) == 202
        async with writing(clock, leaving, end=True) as end:
            await clock.advance(5)
            assert exported(end).state is State.IN_STEP
            assert store.stands() == {key("shop/x#0"): foreign}
            assert store.claims[ONLY]["prod"].tombstone
        await clock.advance(600)
        assert exported(run).state is State.WITHDRAWN
        assert store.stands() == {key("shop/x#0"): foreign}


async def test_a_replica_that_does_not_lead_plans_and_finishes_what_the_leader_left() -> None:
    clock, store = FakeClock(), Store()
    first, second = sink(store), sink(store)
    vms, lead, follow = MemoryRegistry(*several(40)), Voted("one"), Voted("one")
    lead.say(1, clock.now() + 1e6)
    first.faults.die(10)
    async with (
        writing(clock, first, elector=lead, vms=vms) as one,
        writing(clock, second, elector=follow, vms=vms) as two,
    ):
        await clock.advance(20)
        assert len(said(store)) < 40
        assert (second.writes, second.claims, exported(two).state) == ([], [], State.FOLLOWS)
        assert exported(two).puts == exported(one).puts > 0
        follow.say(2, clock.now() + 1e6)
        await clock.advance(5)
        assert len(said(store)) == 40
        assert [claim.term for claim in second.claims] == [2]
        assert len(first.writes) + len(second.writes) == 40


@pytest.mark.promise("law-6")
async def test_a_leader_that_was_paused_cannot_undo_its_successor() -> None:
    clock, store = FakeClock(), Store()
    paused, next_one = sink(store), sink(store)
    old, new = MemoryRegistry(service("shop/web", *hosts(3))), MemoryRegistry(service("shop/web", *hosts(5)))
    lead, follow = Voted("one"), Voted("one")
    lead.say(1, clock.now() + 1e6)  # so it believes: it was stopped before it could hear of its end
    async with (
        writing(clock, paused, elector=lead, vms=old) as one,
        writing(clock, next_one, elector=follow, vms=new),
    ):
        await clock.advance(1)
        paused.show(False)
        paused.faults.stop()
        old.set(service("shop/web", *hosts(2, net="10.9")), service("shop/late", *hosts(2)))
        await clock.advance(1)
        assert paused.faults.under_way == 2  # writes are on their way while it is paused
        follow.say(2, clock.now() + 1e6)
        await clock.advance(1)
        assert said(store) == {"shop/web": hosts(5)}
        paused.faults.go()
        await clock.advance(10)
        paused.show()
        await clock.advance(300)
        assert said(store) == {"shop/web": hosts(5)}
        assert len(paused.writes) == 1
        assert exported(one).state is State.ANOTHER


async def test_a_term_that_ends_ends_the_writing() -> None:
    clock, vms, out, vote = FakeClock(), MemoryRegistry(WEB), sink(), Voted("one")
    vote.say(1, clock.now() + 10)
    async with writing(clock, out, elector=vote, vms=vms) as run:
        await clock.advance(9)
        assert made(out) == ["put shop/web#0"]
        await clock.advance(2)
        vms.set(WEB, API)
        await clock.advance(60)
        assert (exported(run).state, exported(run).leading, len(out.writes)) == (State.FOLLOWS, False, 1)
        vote.say(1, clock.now() + 100)
        await clock.advance(1)
        assert len(out.writes) == 2


@pytest.mark.promise("R-20")
async def test_no_request_outlives_the_term_in_which_it_was_sent() -> None:
    clock, vms, out, vote = FakeClock(), MemoryRegistry(WEB), sink(), Voted("one")
    vote.say(1, clock.now() + 10)
    async with writing(clock, out, elector=vote, vms=vms) as run:
        await clock.advance(1)
        out.faults.stop()
        vms.set(WEB, API)
        await clock.advance(8.5)
        assert out.faults.under_way == 1
        await clock.advance(0.5)
        assert (out.faults.under_way, exported(run).state) == (0, State.FOLLOWS)
        vote.say(2, clock.now() + 5)
        await clock.advance(4)
        assert out.faults.under_way == 1  # the claim of the new term
        await clock.advance(1)
        assert out.faults.under_way == 0
        await clock.advance(30)
        assert exported(run).state is State.FOLLOWS
        assert len(out.writes) == 1
