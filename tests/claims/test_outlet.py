"""What a target comes to say, by which writes, and what becomes of those that fail."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.adapter import Held, Holding, Observation, Problem, Put, Record, Target
from bridge.errors import Denied, Rejected, Unavailable
from bridge.model import Health, Service, ServiceName
from bridge.runtime.claiming import VALID
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
from tests.outlets import (
    API,
    OURS,
    OUT,
    WEB,
    WEB_0,
    export,
    exported,
    key,
    made,
    puts,
    said,
    several,
    sink,
    writing,
)


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


@pytest.mark.promise("law-4")
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


@pytest.mark.promise("law-4")
async def test_what_is_held_comes_to_stand_in_no_sink_before_it_is_back(tmp_path: Path) -> None:
    """A bridge that was away holds what its snapshot knows; of the sink somebody removed a part of that meanwhile."""
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, tmp_path, vms=vms):
        await clock.advance(10)
    vms.set(service("shop/web", *hosts(1)))
    out.store.edit(ONLY, WEB_0, encode(WEB.endpoints[:2]))
    out.store.remove(ONLY, key("shop/api#0"))
    out = sink(out.store)
    async with writing(clock, out, tmp_path, vms=vms) as run:
        await clock.advance(60)
        assert run.endpoints("shop/web") == [hosts(1)[0], *(f"{one}?" for one in hosts(3)[1:])]
        assert run.endpoints("shop/api") == [f"{one}?" for one in hosts(2, net="10.1")]
        assert (out.writes, exported(run).state) == ([], State.IN_STEP)
        vms.set(service("shop/web", endpoint("10.0.0.1:80", weight=3)))  # its record is rewritten
        await clock.advance(1)
        assert (made(out), said(out.store)) == (["put shop/web#0"], {"shop/web": hosts(2)})
        vms.set(WEB, API)
        await clock.advance(1)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}


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


@pytest.mark.promise("law-9")
async def test_an_adapter_that_says_of_ours_what_cannot_be_costs_its_target_and_nothing_else() -> None:
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
        await clock.advance(1)
        out.garbles = True
        out.refresh()
        vms.set(WEB, service("shop/x", "10.4.0.1:80"))
        await clock.advance(4_000)
        assert (run.engine.alive(), run.engine.restarts(), exported(run).state) == (True, 0, State.WAITING)
        assert "what cannot be (shop/web: " in exported(run).why
        assert run.endpoints("shop/x") == ["10.4.0.1:80"]
        assert len(out.writes) == 2
        out.garbles = False
        out.refresh()
        await clock.advance(100)
        assert said(out.store)["shop/x"] == ["10.4.0.1:80"]
        assert exported(run).state is State.IN_STEP


@pytest.mark.promise("law-10")
async def test_an_outlet_that_dies_begins_anew_and_fails_liveness_only_if_that_does_not_help() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.concurrency = "four"  # type: ignore[assignment]
        vms.set(WEB, service("shop/x", "10.4.0.1:80"))
        await clock.advance(1)
        assert run.engine.restarts() > 0
        await clock.advance(4_000)
        assert not run.engine.alive()
        assert run.endpoints("shop/x") == ["10.4.0.1:80"]
        out.concurrency = 4
        await clock.advance(100)
        assert said(out.store)["shop/x"] == ["10.4.0.1:80"]
        assert (run.engine.alive(), exported(run).state) == (True, State.IN_STEP)


async def test_endpoints_that_an_adapter_cannot_say_any_more_leave_within_the_limit() -> None:
    class Speechless(MemoryRegistry):
        """Forgets how to say the port 80, as a Service does whose port was renamed."""

        forgot = False

        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], list[Problem]]:
            kept = [one for one in service.endpoints if not self.forgot or one.id.port != 80]
            records, _ = super().fit(target, Service.of(service.name, kept), holding)
            told = [Problem("port", "out", "the Service has no port 80", service.name)]
            return list(records) if kept else [], told if len(kept) < len(service.endpoints) else []

    more = "10.9.0.1:81"
    clock, vms, out = FakeClock(), MemoryRegistry(service("shop/web", *hosts(30)), API), Speechless(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.forgot = True
        vms.set(service("shop/web", *hosts(30), more), service("shop/api", *hosts(2, net="10.1"), more))
        await clock.advance(1)
        assert said(out.store) == {"shop/api": [more], "shop/web": sorted(hosts(30))}
        told = [str(one) for them in exported(run).problems.values() for one in them]
        assert any("30 endpoints that stand there cannot be said any more" in one for one in told)
        await clock.advance(AGREEMENT - 10)
        assert said(out.store)["shop/web"] == sorted(hosts(30))
        await clock.advance(20)
        assert said(out.store)["shop/web"] == [more]
