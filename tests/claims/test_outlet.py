from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.adapter import Claim, Held, Holding, Observation, Problem, Put, Record, Target, Unread
from bridge.errors import Denied, Rejected, Unavailable
from bridge.kit.mark import Mark
from bridge.model import Health, Service, ServiceName
from bridge.runtime.claiming import VALID
from bridge.runtime.election import Term
from bridge.runtime.exported import State
from bridge.runtime.rate import Rate
from bridge.table import Table
from bridge.testing.clock import FakeClock
from bridge.testing.faults import Write
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import encode
from bridge.testing.store import ONLY, Store
from bridge.withhold import AGREEMENT
from tests.builders import eid, endpoint, hosts, name, service
from tests.outlets import OURS, OUT, Voted, export, exported, key, made, said, sink, writing

WEB = service("shop/web", *hosts(3))
API = service("shop/api", *hosts(2, net="10.1"))
WEB_0 = key("shop/web#0")


def several(number: int) -> list[Service]:
    return [service(f"shop/s{one:04}", f"10.8.{one // 250}.{one % 250}:80") for one in range(number)]


def puts(write: Write) -> bool:
    return isinstance(write, Put)


async def test_what_one_registry_knows_comes_to_stand_in_the_other() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}
        assert made(out) == ["put shop/api#0", "put shop/web#0"]
        now = exported(run)
        assert (now.state, now.complete, now.puts, now.removals, now.records) == (State.IN_STEP, True, 0, 0, 2)
        assert now.made == {"put": 2}
        vms.set(service("shop/web", *hosts(4)), API)
        await clock.advance(1)
        assert said(out.store)["shop/web"] == hosts(4)
        assert len(made(out)) == 3
        await clock.advance(3_600)
        assert len(made(out)) == 3
    assert said(out.store)["shop/web"] == hosts(4)  # a bridge that stops leaves everything in place


async def test_what_is_gone_for_good_goes_with_its_record() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms):
        await clock.advance(1)
        vms.set(service("shop/web", *hosts(2)), API)
        await clock.advance(10)
        assert said(out.store)["shop/web"] == hosts(2)
        vms.set(service("shop/web", *hosts(2)))
        await clock.advance(4_000)  # the last of a service is believed gone after half an hour
        assert said(out.store) == {"shop/web": hosts(2)}
        assert made(out) == ["put shop/api#0", "put shop/web#0", "put shop/web#0", "remove shop/api#0"]


async def test_a_hold_writes_nothing() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.set()
        await clock.advance(60)
        assert run.endpoints("shop/web") == [f"{one}?" for one in hosts(3)]
        vms.set(WEB, API)
        await clock.advance(60)
        assert made(out) == ["put shop/api#0", "put shop/web#0"]


@pytest.mark.promise("R-17")
async def test_a_record_of_ours_that_is_edited_or_deleted_by_hand_is_put_right_once_and_the_log_says_why() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.store.edit(ONLY, WEB_0, encode([endpoint("10.0.0.1:80", weight=7)]))
        await clock.advance(1)
        out.store.remove(ONLY, key("shop/api#0"))
        await clock.advance(30)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}
        assert made(out)[2:] == ["put shop/web#0", "put shop/api#0"]
        assert [(one["why"], one["first"]) for one in run.log if one["event"] == "put right"] == [
            ("a record of ours was edited", "shop/web"),
            ("a record of ours was deleted", "shop/api"),
        ]


@pytest.mark.promise("R-17")
async def test_an_endpoint_that_somebody_adds_to_a_record_of_ours_goes_again_once_and_the_log_says_why() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.store.edit(ONLY, WEB_0, encode([*WEB.endpoints, endpoint("10.9.9.9:80")]))
        await clock.advance(1)
        assert said(out.store)["shop/web"] == hosts(3)
        assert made(out)[2:] == ["put shop/web#0"]
        assert [(one["why"], one["first"]) for one in run.log if one["event"] == "put right"] == [
            ("a record of ours was edited", "shop/web")
        ]
        out.store.edit(ONLY, WEB_0, encode([*WEB.endpoints[:2], endpoint("10.0.0.3:81")]))
        await clock.advance(30)
        assert said(out.store)["shop/web"] == hosts(3)  # a port that somebody changed is taken back likewise


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


async def test_somebody_who_changes_our_record_again_and_again_is_fought_ever_more_slowly() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        for _ in range(600):
            out.store.edit(ONLY, WEB_0, b"[]")
            await clock.advance(1)
        assert 2 < made(out).count("put shop/web#0") < 12
        assert [(one.service, one.kind) for one in exported(run).waits] == [(name("shop/web"), "drift")]
        vms.set(WEB, service("shop/api", *hosts(3, net="10.1")))
        await clock.advance(1)
        assert said(out.store)["shop/api"] == hosts(3, net="10.1")  # its neighbours go on


@pytest.mark.promise("R-18", "law-5")
async def test_a_foreign_record_under_the_name_that_we_want_is_shown_and_not_touched() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    theirs = encode([endpoint("10.9.9.9:80")])
    out.store.foreign(ONLY, "", WEB_0, name("shop/web"), theirs)
    out.store.foreign(ONLY, "other", key("shop/api#0"), name("shop/api"), theirs)
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(600)
        assert out.store.stands() == {key("shop/api#0"): theirs, WEB_0: theirs}
        assert made(out) == []
        withheld = [one for name_, plan in sorted(exported(run).plans.items()) for one in plan.withheld]
        assert [(str(one.service), one.what, one.reason) for one in withheld] == [
            ("shop/api", "shop/api#0", "taken"),
            ("shop/web", "shop/web#0", "taken"),
        ]
        assert "other" in withheld[0].text
        out.store.remove(ONLY, WEB_0)
        await clock.advance(1)
        assert made(out) == ["put shop/web#0"]


@pytest.mark.promise("R-18")
async def test_nothing_of_a_service_is_removed_while_somebody_else_has_the_name_of_one_of_its_records() -> None:
    class Digests(MemoryRegistry):
        """Never puts a record again: what changes gets another name."""

        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
            content = encode(service.endpoints)
            return [Record(key(f"{service.name}#{len(service.endpoints)}"), service.name, content)], ()

    clock, vms, out = FakeClock(), MemoryRegistry(WEB), Digests(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms):
        await clock.advance(1)
        out.store.foreign(ONLY, "other", key("shop/web#4"), name("shop/web"), b"[]")
        vms.set(service("shop/web", *hosts(4)))
        await clock.advance(600)
        assert said(out.store)["shop/web"] == hosts(3)
        out.store.remove(ONLY, key("shop/web#4"))
        await clock.advance(1)
        assert made(out) == ["put shop/web#3", "put shop/web#4", "remove shop/web#3"]


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
        assert (out.writes, exported(run).state) == ([], State.CLAIMS)
        await clock.advance(3)
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


@pytest.mark.promise("law-3")
async def test_before_every_source_was_read_whole_nothing_is_removed() -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    out, vms, more = sink(store), MemoryRegistry(WEB), MemoryRegistry()
    async with writing(clock, out, what=export(sources=("vms", "more")), vms=vms, more=more) as run:
        await clock.advance(7_200)
        assert out.writes == []
        now = exported(run)
        assert (now.complete, now.unseen, dict(now.counts)) == (False, ("more",), {"waiting": 2})
        more.set(API)
        await clock.advance(1)
        assert (exported(run).complete, dict(exported(run).counts)) == (True, {})
        assert out.writes == []


@pytest.mark.promise("law-3")
async def test_while_a_part_of_a_source_was_never_read_what_was_read_is_written_and_nothing_is_removed() -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    new = service("shop/new", "10.7.0.1:80")
    out, vms = sink(store), MemoryRegistry()
    vms.set(WEB, new, parts=2, unread=[Unread("b", clock.now(), "b: 403", never=True)])
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(AGREEMENT)
        assert made(out) == ["put shop/new#0"]
        vms.set(service("shop/web", *hosts(2)), new, parts=2, unread=[Unread("b", clock.now(), "b: 403", never=True)])
        await clock.advance(AGREEMENT + 10)
        assert (len(out.writes), exported(run).unseen, dict(exported(run).counts)) == (1, ("vms",), {"waiting": 2})
        vms.set(service("shop/web", *hosts(2)), new, API)
        await clock.advance(200)
        assert said(store) == {"shop/api": hosts(2, net="10.1"), "shop/new": ["10.7.0.1:80"], "shop/web": hosts(2)}


@pytest.mark.promise("law-3")
async def test_what_only_a_snapshot_says_is_not_written(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(WEB, API)
    async with writing(clock, sink(), tmp_path, vms=vms):
        await clock.advance(10)
    vms.fail(Unavailable("vms: gone"))
    out = sink()
    out.store.put(ONLY, "prod", Record(WEB_0, name("shop/web"), encode(WEB.endpoints[:1])))
    async with writing(clock, out, tmp_path, vms=vms) as run:
        await clock.advance(3_000)
        assert run.endpoints("shop/web") == hosts(3)  # as Envoy is told
        assert said(out.store) == {"shop/web": hosts(1)}
        vms.heal()
        await clock.advance(40)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}


@pytest.mark.promise("law-3")
async def test_a_record_that_says_nothing_stays_too_until_every_source_was_read() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(), sink()
    out.store.put(ONLY, "prod", Record(WEB_0, name("shop/web"), encode(())))
    async with writing(clock, out, vms=vms):
        await clock.advance(600)
        assert list(out.store.stands()) == [WEB_0]
        vms.set(API)
        await clock.advance(10)
        assert made(out) == ["put shop/api#0", "remove shop/web#0"]


@pytest.mark.promise("law-3")
async def test_a_fresh_process_that_meets_a_wiped_registry_removes_nothing() -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    out, vms = sink(store), MemoryRegistry()
    vms.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(AGREEMENT - 5)
        assert out.writes == []
        assert dict(exported(run).counts) == {"orphan": 5}
        await clock.advance(10)
        assert said(store) == {}  # it has been so for half an hour, with everybody in sync


@pytest.mark.promise("law-3")
async def test_a_target_that_was_not_read_whole_is_not_written() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink(targets=())
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(600)
        assert (out.writes, out.claims, exported(run).state) == ([], [], State.WAITING)
        out.targets = (ONLY,)
        out.refresh()
        await clock.advance(1)
        assert made(out) == ["put shop/web#0"]


@pytest.mark.promise("law-4")
async def test_while_a_source_is_lost_its_records_stay_and_while_the_sink_is_lost_nothing_is_written() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(7_200)
        assert len(said(out.store)) == 2
        vms.heal()
        await clock.advance(60)
        out.fail(Unavailable("out: gone"))
        vms.set(WEB, API, service("shop/new", "10.7.0.1:80"))
        await clock.advance(600)
        assert (exported(run).state, exported(run).why, len(out.writes)) == (State.LOST, "out: gone", 2)
        out.heal()
        await clock.advance(40)
        assert made(out)[2:] == ["put shop/new#0"]


async def test_while_the_sink_is_frozen_nothing_is_written() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        await run.engine.decisions.freeze(OUT, clock.wall() + 3_600)
        await clock.advance(1)
        vms.set(WEB, API)
        claims = len(out.claims)
        await clock.advance(3_000)
        assert (exported(run).state, len(out.writes), len(out.claims)) == (State.FROZEN, 1, claims)
        await clock.advance(700)
        assert said(out.store)["shop/api"] == hosts(2, net="10.1")


async def test_a_conflict_waits_for_the_next_observation() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.show(False)
        out.store.edit(ONLY, WEB_0, b"[]")
        vms.set(service("shop/web", *hosts(4)))
        await clock.advance(60)
        conflicts = exported(run).made["conflict"]
        assert 1 <= conflicts <= 8
        assert [(one.service, one.kind) for one in exported(run).waits] == [(name("shop/web"), "conflict")]
        refreshes = out.refreshes
        assert refreshes >= conflicts
        out.show()
        await clock.advance(60)
        assert said(out.store) == {"shop/web": hosts(4)}
        assert (exported(run).made["conflict"], exported(run).waits) == (conflicts, ())


@pytest.mark.promise("law-9")
async def test_a_record_that_is_rejected_is_parked_until_its_content_changes() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()

    def poison(write: Write) -> bool:
        return isinstance(write, Put) and b"10.0.0.3" in write.record.content

    out.faults.refuse(Rejected("out: shop/web#0: no"), 1_000, meant=poison)
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(3_600)
        assert made(out) == ["put shop/api#0"]
        assert out.faults.tried - len(out.claims) == 2
        parked = exported(run).parked
        assert [(one.service, one.change.record.key, one.why) for one in parked] == [
            (name("shop/web"), WEB_0, "out: shop/web#0: no")
        ]
        assert exported(run).state is State.IN_STEP
        vms.set(service("shop/web", *hosts(2)), API)
        await clock.advance(10)
        assert said(out.store)["shop/web"] == hosts(2)
        assert exported(run).parked == ()


async def test_nothing_of_a_service_is_removed_while_one_of_its_records_is_not_put() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(service("shop/web", *hosts(6))), sink(chunk=2)
    async with writing(clock, out, vms=vms):
        await clock.advance(1)
        assert len(out.store.stands()) == 3
        out.faults.refuse(Rejected("out: no"), 1_000, meant=puts)
        # its first record is put again, its others go
        vms.set(service("shop/web", endpoint("10.0.0.1:80", weight=5)))
        await clock.advance(4_000)
        assert len(said(out.store)["shop/web"]) == 6
        out.faults.forgive()
        vms.set(service("shop/web", endpoint("10.0.0.1:80", weight=6)))
        await clock.advance(10)
        assert said(out.store)["shop/web"] == ["10.0.0.1:80"]
        assert made(out)[3:] == ["put shop/web#0", "remove shop/web#1", "remove shop/web#2"]


async def test_an_unreachable_registry_is_tried_ever_more_slowly_and_a_denied_one_more_slowly_still() -> None:
    tried: dict[str, int] = {}
    for error in (Unavailable("out: gone"), Denied("out: not you")):
        clock, vms, out = FakeClock(), MemoryRegistry(*several(50)), sink()
        out.faults.refuse(error, 100_000)
        async with writing(clock, out, vms=vms) as run:
            await clock.advance(600)
            kind = type(error).__name__.lower()
            tried[kind] = exported(run).made[kind]
            assert exported(run).state is State.FAILING
            assert exported(run).why == str(error)
            out.faults.forgive()
            await clock.advance(120)
            assert (len(said(out.store)), exported(run).state) == (50, State.IN_STEP)
    assert 15 < tried["unavailable"] < 120
    assert 0 < tried["denied"] < 80


async def test_a_right_that_is_missing_for_some_costs_those_and_nobody_else() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(*several(50)), sink()
    missing = Denied("out: not in that namespace; grant it", whole=False)
    out.faults.refuse(missing, 100_000, meant=lambda write: puts(write) and write.record.key.startswith("shop/s000"))
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        assert len(said(out.store)) == 40
        now = exported(run)
        assert {(one.kind, one.why) for one in now.waits} == {("denied", str(missing))}
        assert (len(now.waits), now.state, now.made["put"]) == (10, State.WRITES, 40)
        vms.change({WEB.name: WEB})
        await clock.advance(1)
        assert said(out.store)["shop/web"] == hosts(3)
        await clock.advance(600)
        assert exported(run).made["denied"] < 10 * 20
        out.faults.forgive()
        await clock.advance(70)
        assert (len(said(out.store)), exported(run).waits) == (51, ())


@pytest.mark.parametrize("error", [Unavailable("out: the answer is lost"), RuntimeError("a bug")])
async def test_a_write_whose_answer_is_lost_is_not_made_twice(error: Exception) -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    out.faults.refuse(error, 1, lost=True)
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(60)
        assert sorted(made(out)) == ["put shop/api#0", "put shop/web#0"]
        assert exported(run).state is State.IN_STEP


async def test_what_was_written_is_left_alone_until_it_is_seen() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.show(False)
        out.answers = False
        for number in range(4, 30):
            vms.set(service("shop/web", *hosts(number)))
            await clock.advance(1)
        assert len(made(out)) == 2
        out.show()
        await clock.advance(1)
        assert said(out.store) == {"shop/web": sorted(hosts(29))}
        assert (len(made(out)), exported(run).made.get("conflict")) == (3, None)


async def test_writes_keep_to_the_rate_and_services_go_side_by_side() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(*several(1_000)), sink(concurrency=8)
    out.faults.clock, out.faults.delay = clock, 0.01
    async with writing(clock, out, rate=Rate(50, 200), vms=vms):
        await clock.advance(1)
        assert 200 <= len(out.writes) <= 251
        await clock.advance(5)
        assert 445 <= len(out.writes) <= 501
        await clock.advance(12)
        assert len(out.writes) == 1_000
        assert out.faults.most == 8


async def test_a_dry_run_plans_and_writes_nothing_not_even_its_claim() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, what=export("shop/web", mode="dry-run"), vms=vms) as run:
        await clock.advance(600)
        now = exported(run)
        assert (now.state, now.complete, now.puts, list(now.plans)) == (State.DRY_RUN, True, 1, [name("shop/web")])
        assert (out.writes, out.claims, out.store.stands()) == ([], [], {})


async def test_upsert_only_never_removes() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, what=export(mode="upsert-only"), vms=vms) as run:
        await clock.advance(1)
        vms.set(service("shop/web", *hosts(2), "10.0.9.9:80"))
        await clock.advance(8_000)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": [*hosts(3), "10.0.9.9:80"]}
        assert exported(run).counts == {"upsert-only": 3}


async def test_what_an_operator_accepts_goes_and_survives_a_restart(tmp_path: Path) -> None:
    clock, store = FakeClock(), Store()
    async with writing(clock, sink(store), vms=MemoryRegistry(WEB, API)):
        await clock.advance(1)
    out = sink(store)
    async with writing(clock, out, tmp_path, vms=MemoryRegistry(WEB)) as run:
        await clock.advance(60)
        withheld = [(one.service, one.what) for one in exported(run).withheld[name("shop/api")]]
        assert withheld == [(name("shop/api"), eid(one)) for one in hosts(2, net="10.1")]
        await run.engine.decisions.accept_removals(OUT, ONLY, withheld[:1], clock.wall())  # type: ignore[arg-type]
        await clock.advance(1)
        assert said(store)["shop/api"] == [str(withheld[1][1])]
        await run.engine.decisions.accept_removals(OUT, ONLY, withheld[1:], clock.wall())  # type: ignore[arg-type]
    async with writing(clock, out, tmp_path, vms=MemoryRegistry(WEB)):
        await clock.advance(1)
        assert said(store) == {"shop/web": hosts(3)}


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


async def test_a_bridge_that_is_stopped_ends_the_write_that_it_is_in_and_begins_no_other() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(*several(20)), sink(concurrency=1)
    async with writing(clock, out, vms=vms) as run:
        out.faults.stop()
        vms.change({one.name: service(str(one.name), "10.9.0.1:80") for one in several(20)})
        await clock.advance(1)
        assert out.faults.under_way == 1
        run.task.cancel()
        await clock.idle()
        assert not run.task.done()
        before = len(out.writes)
        out.faults.go()
        await clock.idle()
        assert run.task.done()
        assert len(out.writes) == before + 1


@pytest.mark.promise("law-10")
async def test_a_write_that_is_never_answered_does_not_stop_the_others_for_ever() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(*several(20)), sink(concurrency=2)
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.faults.stop()
        vms.set(WEB, *several(20))
        await clock.advance(VALID - 2)
        assert exported(run).made == {"put": 20}
        await clock.advance(2)
        assert exported(run).made == {"put": 20, "unavailable": 1}
        assert [one.why for one in exported(run).waits] == ["out: has not answered for 44 s"]
        out.faults.go()
        await clock.advance(60)
        assert said(out.store)["shop/web"] == hosts(3)
        assert made(out).count("put shop/web#0") == 1


async def test_a_bridge_that_is_stopped_does_not_wait_for_ever() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.faults.stop()
        vms.set(WEB, API)
        await clock.advance(1)
        run.task.cancel()
        await clock.advance(6)
        assert run.task.done()


async def test_a_service_that_its_adapter_cannot_fit_costs_one_service() -> None:
    class Fails(MemoryRegistry):
        def fit(self, target, service, holding):  # type: ignore[no-untyped-def]
            if service.name == name("shop/web"):
                raise ZeroDivisionError
            return super().fit(target, service, holding)

    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), Fails(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(60)
        assert made(out) == ["put shop/api#0"]
        assert [one.kind for one in exported(run).problems[name("shop/web")]] == ["fit"]
        assert run.engine.alive()


async def test_a_removal_comes_after_the_puts_of_the_plan_that_was_made_meanwhile() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(service("shop/web", *hosts(4))), sink(chunk=2, concurrency=1)
    async with writing(clock, out, vms=vms):
        await clock.advance(1)
        drains = [endpoint(one, health=Health.DRAINING) for one in hosts(4)[2:]]
        vms.set(service("shop/web", *hosts(2), *drains))
        await clock.advance(1)
        out.faults.clock, out.faults.delay = clock, 5.0
        begin = len(out.writes)
        vms.set(service("shop/web", endpoint("10.0.0.1:80", weight=3), "10.0.0.2:80"))
        await clock.advance(1)
        assert out.faults.under_way == 1
        vms.set(service("shop/web", endpoint("10.0.0.1:80", weight=3), "10.0.0.2:80", *hosts(3, net="10.7")))
        await clock.advance(60)
        assert made(out)[begin:] == ["put shop/web#0", "put shop/web#1", "put shop/web#2"]
        assert said(out.store) == {"shop/web": sorted([*hosts(2), *hosts(3, net="10.7")])}


async def test_only_who_writes_says_that_something_is_put_right() -> None:
    clock, store = FakeClock(), Store()
    lead, follow = Voted("one", Term(1, 1e9)), Voted("one")
    vms = MemoryRegistry(WEB)
    async with (
        writing(clock, sink(store), elector=lead, vms=vms),
        writing(clock, sink(store), elector=follow, vms=vms) as two,
    ):
        await clock.advance(1)
        store.edit(ONLY, WEB_0, b"[]")
        await clock.advance(1)
        assert said(store) == {"shop/web": hosts(3)}
        assert two.events("put right") == ["put right"]  # the log is that of both


async def test_an_outlet_that_dies_of_what_it_is_given_begins_anew_and_the_rest_goes_on() -> None:
    class Garbles(MemoryRegistry):
        garbles = False

        def _say(self, observation: Observation) -> None:
            if self.garbles:
                garbage: Table[ServiceName, Holding] = Table({name("shop/web"): "garbage"})  # type: ignore[dict-item]
                observation = replace(observation, held=Table({ONLY: Held(garbage)}))
            super()._say(observation)

    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), Garbles(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms) as run:
        out.faults.stop()
        await clock.advance(1)
        out.garbles = True
        out.refresh()
        await clock.advance(1)
        assert run.engine.restarts() > 0
        vms.set(WEB, service("shop/x", "10.4.0.1:80"))
        await clock.advance(4_000)
        assert not run.engine.alive()
        assert run.endpoints("shop/x") == ["10.4.0.1:80"]
        out.garbles = False
        out.refresh()
        out.faults.go()
        await clock.advance(100)
        assert said(out.store)["shop/web"] == hosts(3)
        assert (run.engine.alive(), exported(run).state) == (True, State.IN_STEP)


async def test_two_services_whose_names_come_to_one_key_do_not_overwrite_each_other() -> None:
    class Narrow(MemoryRegistry):
        """Knows no hyphens."""

        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
            records, problems = super().fit(target, service, holding)
            return [replace(one, key=key(one.key.replace("-", ""))) for one in records], problems

    clock, vms = FakeClock(), MemoryRegistry(service("shop/we-b", "10.1.0.9:80"), API)
    out = Narrow(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.set(service("shop/we-b", "10.1.0.9:80"), WEB, API)
        await clock.advance(600)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/we-b": ["10.1.0.9:80"]}
        assert [str(one) for one in exported(run).plans[name("shop/web")].withheld] == [
            "shop/web: shop/web#0: is the record of shop/we-b; export one of them under another name"
        ]
        assert len(out.writes) == 2
    fresh = Narrow(mark=OURS, store=out.store)
    async with writing(clock, fresh, vms=MemoryRegistry(WEB, API)) as run:
        await clock.advance(60)
        assert fresh.writes == []  # whose record stands there has the key, for as long as it stands
        await clock.advance(AGREEMENT)
        assert said(out.store)["shop/web"] == hosts(3)
        assert exported(run).state is State.IN_STEP
