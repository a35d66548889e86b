from collections.abc import Iterable, Mapping
from itertools import pairwise

import pytest

from bridge.abandoned import SILENCE
from bridge.adapter import Claim, Problem, RecordKey, Unread
from bridge.errors import Denied, Unavailable
from bridge.kit.mark import Mark
from bridge.model import EndpointId, Health, SourceName
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import encode
from bridge.testing.store import ONLY, Store
from tests.builders import eid, endpoint, hosts, name, service
from tests.engines import Zone, policy, running

WEB = name("shop/web")
FOUR = service("shop/web", *hosts(4))


def first(number: int) -> list[str]:
    return hosts(number)


async def test_a_view_becomes_a_reading_and_a_catalog() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        assert run.reading("vms").state == "synced"
        assert run.endpoints("shop/web") == first(4)


@pytest.mark.promise("law-4")
@pytest.mark.parametrize(
    ("error", "state"), [(Unavailable("vms: the disk is gone"), "lost"), (Denied("vms: the token is bad"), "denied")]
)
async def test_the_last_good_view_stands_while_a_source_is_lost(error: Exception, state: str) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        lost = clock.now()
        vms.fail(error)
        await clock.advance(7_200)
        reading = run.reading("vms")
        assert (reading.state, reading.why, reading.lost) == (state, str(error), lost)
        assert run.endpoints("shop/web") == first(4)
        vms.heal()
        await clock.advance(70)
        assert run.reading("vms").state == "synced"
        assert run.endpoints("shop/web") == first(4)


@pytest.mark.promise("law-4", "law-1")
async def test_no_hold_ages_while_the_source_is_lost() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(10)))
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(1)
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(7_200)
        assert sum(one.endswith("?") for one in run.endpoints("shop/web")) == 5
        vms.heal()
        await clock.advance(130)
        assert run.endpoints("shop/web") == first(5)


@pytest.mark.promise("law-10")
@pytest.mark.parametrize("attempts", [200])
async def test_a_lost_source_is_tried_again_but_never_in_a_hot_loop(attempts: int) -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    vms.fail(Unavailable("vms: gone"))
    async with running(clock, vms=vms):
        await clock.advance(1)
        assert vms.opened <= 2
        await clock.advance(31 * attempts)
        assert attempts <= vms.opened <= attempts + 10


async def test_credentials_that_do_not_suffice_are_tried_slowly() -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    vms.fail(Denied("vms: the token is bad"))
    async with running(clock, vms=vms):
        await clock.advance(9)
        assert vms.opened == 1
        await clock.advance(3_600)
        assert 55 <= vms.opened <= 63


async def test_after_a_view_the_next_failure_is_a_first_one() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        for _ in range(20):
            vms.fail(Unavailable("vms: gone"))
            await clock.idle()
            vms.heal()
            await clock.advance(2)
            assert run.reading("vms").state == "synced"


@pytest.mark.promise("R-32")
async def test_an_adapter_that_fails_by_a_bug_is_opened_again_and_harms_nobody_else() -> None:
    clock, vms, others = FakeClock(), MemoryRegistry(FOUR), MemoryRegistry(service("shop/api", "10.1.0.1:80"))
    async with running(clock, vms=vms, others=others) as run:
        vms.fail(ZeroDivisionError("a bug"))
        await clock.advance(120)
        assert run.reading("vms").state == "lost"
        assert "its adapter failed with ZeroDivisionError('a bug')" in run.reading("vms").why
        others.set(service("shop/api", "10.1.0.1:80", "10.1.0.2:80"))
        await clock.advance(1)
        assert run.endpoints("shop/api") == ["10.1.0.1:80", "10.1.0.2:80"]
        assert run.endpoints("shop/web") == first(4)
        assert run.engine.alive()  # a registry never decides about the life of the process
        vms.heal()
        await clock.advance(40)
        assert run.reading("vms").state == "synced"


@pytest.mark.promise("R-32", "law-10")
async def test_a_source_that_ends_without_a_word_is_lost_and_opened_again() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        vms.end()
        await clock.idle()
        assert "ended without a word" in run.reading("vms").why
        vms.heal()
        await clock.advance(3)
        assert (run.reading("vms").state, vms.opened) == ("synced", 2)


async def test_whoever_stops_the_engine_closes_the_iterators_of_the_sources() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms):
        assert vms.observers == 1
    assert vms.observers == 0


@pytest.mark.promise("R-39")
async def test_a_fifth_of_the_parts_unread_is_shown_and_more_means_that_the_source_is_lost() -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    bad = [Unread(f"{number}.yaml", 0.0, "cannot be parsed") for number in range(3)]
    vms.set(FOUR, parts=10, unread=bad[:2])
    async with running(clock, vms=vms) as run:
        assert run.reading("vms").state == "synced"
        vms.set(service("shop/web", *hosts(5)), parts=10, unread=bad)
        await clock.advance(1)
        reading = run.reading("vms")
        assert reading.state == "lost"
        why = "3 of 10 parts cannot be read, first 0.yaml: cannot be parsed"
        assert reading.why == f"vms: {why}; what they said last stands"
        assert run.endpoints("shop/web") == first(5)  # what it does say is heard
        vms.set(FOUR, parts=10, unread=bad)
        await clock.advance(7_200)
        assert run.endpoints("shop/web") == [*first(4), "10.0.0.5:80?"]  # what it no longer says is not believed
        vms.set(FOUR, parts=10)
        await clock.advance(1)
        assert run.reading("vms").state == "synced"


@pytest.mark.promise("law-3")
async def test_while_a_part_was_never_read_the_source_is_lost_and_what_was_read_is_served() -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    never = [Unread("billing", clock.now(), "billing: 403", never=True)]
    vms.set(FOUR, parts=10, unread=never)
    async with running(clock, vms=vms) as run:
        await clock.advance(1)
        reading = run.reading("vms")
        assert reading.state == "lost"
        why = "1 of 10 parts were never read, first billing: 403"
        assert reading.why == f"vms: {why}; what the others say is served, and nothing is removed before"
        assert run.endpoints("shop/web") == first(4)
        assert run.catalog.waiting == {"vms"}  # a name that nobody knows may be in there
        assert not run.engine.ready()
        await clock.advance(10)
        assert run.engine.ready()  # one part must not keep every Envoy waiting
        vms.set(service("shop/web", *hosts(3)), parts=10, unread=never)
        await clock.advance(7_200)
        assert run.endpoints("shop/web") == [*first(3), "10.0.0.4:80?"]
        vms.set(service("shop/web", *hosts(3)), service("billing/api", "10.7.0.1:80"), parts=10)
        await clock.advance(200)
        assert (run.reading("vms").state, run.catalog.waiting) == ("synced", frozenset())
        assert run.endpoints("shop/web") == first(3)


async def test_problems_of_the_adapter_of_names_and_of_the_screen_stand_together() -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    vms.set(
        service("shop/web", "10.0.0.1:80", "127.0.0.1:80", endpoint("nowhere.dc1:80")),
        problems=[Problem("file", "vms.yaml:3", "makes no sense")],
    )
    async with running(clock, vms=vms) as run:
        assert run.endpoints("shop/web") == ["10.0.0.1:80"]
        assert [one.kind for one in run.reading("vms").problems] == ["file", "name", "address"]


@pytest.mark.promise("R-33", "law-3")
async def test_the_first_view_waits_for_the_names_in_it() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", "10.0.0.1:80", endpoint("vm7.dc1:80")))
    zone = Zone(clock, vm7_dc1="10.0.0.7")
    zone.slow = 2.0
    async with running(clock, vms=vms, lookup=zone) as run:
        await clock.advance(1)
        assert run.catalog.waiting == {"vms"}
        await clock.advance(1)
        assert run.endpoints("shop/web") == ["10.0.0.1:80", "10.0.0.7:80"]


@pytest.mark.promise("R-33")
async def test_a_name_that_moves_while_its_source_is_lost_is_followed_and_leaves_it_lost() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", endpoint("vm7.dc1:80")))
    zone = Zone(clock, ttl=5, vm7_dc1="10.0.0.7")
    async with running(clock, vms=vms, lookup=zone) as run:
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(1)
        zone.names["vm7.dc1"] = ["10.0.0.8"]
        await clock.advance(10)
        assert run.reading("vms").state == "lost"
        assert run.endpoints("shop/web") == ["10.0.0.7:80?", "10.0.0.8:80"]


@pytest.mark.promise("S-01")
async def test_a_name_that_resolves_to_the_metadata_address_is_refused() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", "10.0.0.1:80", endpoint("evil.dc1:80")))
    async with running(clock, vms=vms, lookup=Zone(clock, evil_dc1="169.254.169.254 fd00:ec2::254")) as run:
        assert run.endpoints("shop/web") == ["10.0.0.1:80"]
        assert len(run.problems("vms")) == 2


@pytest.mark.promise("S-02", "S-03")
async def test_what_the_policy_refuses_never_reaches_the_guard() -> None:
    clock = FakeClock()
    vms = MemoryRegistry(FOUR, service("kube-system/dns", "10.0.0.9:53"), service("shop/bad", "0.0.0.0:80"))
    async with running(clock, vms=vms, screen=policy(namespaces=["shop"])) as run:
        assert sorted(map(str, run.catalog.services)) == ["shop/bad", "shop/web"]
        assert run.endpoints("shop/bad") == []


async def test_what_a_bridge_left_that_was_silent_for_a_day_is_imported_no_more_and_told() -> None:
    clock, store = FakeClock(), Store()
    out = MemoryRegistry(service("shop/web", *hosts(9)), mark=Mark("prod", "one"), store=store)
    store.foreign(ONLY, "old", RecordKey("k"), name("shop/web"), encode([endpoint("10.9.9.9:80")]))
    store.claim(ONLY, Claim("old", "its", 3, clock.wall() - SILENCE + 60))
    async with running(clock, out=out) as run:
        await clock.advance(59)
        assert "10.9.9.9:80" in run.endpoints("shop/web")
        await clock.advance(100)
        assert run.endpoints("shop/web") == hosts(9)
        assert [one.kind for one in run.reading("out").problems] == ["abandoned"]
        store.claim(ONLY, Claim("old", "its", 3, clock.wall()))
        await clock.advance(1)
        assert ("10.9.9.9:80" in run.endpoints("shop/web"), run.reading("out").problems) == (True, ())


async def test_the_guard_is_woken_when_it_asked_for_it() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(20)))
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(19)))
        await clock.advance(2.9)
        assert run.endpoints("shop/web")[-1].endswith("?") or any("?" in one for one in run.endpoints("shop/web"))
        await clock.advance(0.3)
        assert run.endpoints("shop/web") == sorted(first(19))


@pytest.mark.promise("law-2")
async def test_a_large_removal_needs_a_reading_made_anew_and_the_source_is_asked_for_one() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(10)))
    vms.answers = False
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(59)
        assert vms.refreshes == 0
        await clock.advance(60)
        assert 1 <= vms.refreshes <= 13  # again every five seconds, not at every step
        assert len(run.endpoints("shop/web")) == 10
        vms.answers = True
        await clock.advance(10)
        assert run.endpoints("shop/web") == first(5)


@pytest.mark.promise("R-32")
async def test_a_refresh_that_fails_by_a_bug_of_the_adapter_is_no_death_of_a_task() -> None:
    class Broken(MemoryRegistry):
        def refresh(self) -> None:
            super().refresh()
            raise RuntimeError("planted")

    clock, vms = FakeClock(), Broken(service("shop/web", *hosts(10)))
    vms.answers = False
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(600)
        assert vms.refreshes > 10
        assert run.engine.alive()
        assert run.engine.restarts() == 0


async def test_probes_go_to_what_is_held_and_its_controls_a_second_apart_until_it_is_proven_closed() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(10)))
    rounds: list[tuple[float, list[EndpointId]]] = []

    async def probe(endpoints: Iterable[EndpointId]) -> Mapping[EndpointId, bool | None]:
        asked = list(endpoints)
        rounds.append((clock.now(), asked))
        return {one: one != eid("10.0.0.10:80") and one != eid("10.0.0.9:80") for one in asked}

    async with running(clock, vms=vms, probe=probe) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(8)))
        await clock.advance(5.5)
        assert run.endpoints("shop/web") == first(8)
        asked = len(rounds)
        times = [when for when, _ in rounds]
        assert asked == 4
        assert all(later - earlier >= 1 for earlier, later in pairwise(times))
        assert {eid("10.0.0.9:80"), eid("10.0.0.10:80"), eid("10.0.0.1:80")} <= set(rounds[0][1])
        await clock.advance(60)
        assert len(rounds) == asked


async def test_an_operators_word_ends_a_hold_and_a_freeze_lets_the_view_stand() -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(10)))
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(10)
        gone = [(WEB, eid(one)) for one in hosts(10)[5:]]
        await run.engine.decisions.accept(SourceName("vms"), gone, clock.wall())
        await clock.advance(0.2)
        assert run.endpoints("shop/web") == first(5)
        await run.engine.decisions.freeze(SourceName("vms"), clock.wall() + 600)
        await clock.idle()
        vms.set(service("shop/web", *hosts(7)))
        await clock.advance(590)
        verdict = run.reading("vms").verdict
        assert verdict is not None
        assert verdict.frozen
        assert run.endpoints("shop/web") == first(5)
        await clock.advance(11)
        assert run.endpoints("shop/web") == first(7)


@pytest.mark.promise("R-37")
async def test_a_flood_of_bad_health_is_believed_when_an_operator_says_so() -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    vms.set(service("shop/web", *(endpoint(one, health=Health.HEALTHY) for one in hosts(10))))
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *(endpoint(one, health=Health.UNHEALTHY) for one in hosts(10))))
        await clock.advance(1)
        verdict = run.reading("vms").verdict
        assert verdict is not None
        assert verdict.health_flood
        assert {one.health for one in verdict.services[WEB].endpoints} == {Health.HEALTHY}
        await run.engine.decisions.accept_health(SourceName("vms"), clock.wall())
        await clock.advance(1)
        verdict = run.reading("vms").verdict
        assert verdict is not None
        assert {one.health for one in verdict.services[WEB].endpoints} == {Health.UNHEALTHY}


@pytest.mark.promise("R-30")
@pytest.mark.parametrize("jump", [3_600.0, -3_600.0])
async def test_a_wall_clock_that_jumps_removes_and_keeps_nothing(jump: float) -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(10)))
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(20)
        clock.jump(jump)
        await clock.advance(30)
        assert sum(one.endswith("?") for one in run.endpoints("shop/web")) == 5
        await clock.advance(30)
        assert run.endpoints("shop/web") == first(5)


@pytest.mark.promise("R-32")
async def test_a_bug_of_the_core_over_a_view_is_seen_and_fails_liveness_when_it_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:

        def broken(*_: object) -> None:
            raise RuntimeError("planted")

        with monkeypatch.context() as patch:
            patch.setattr("bridge.runtime.intake.screen", broken)
            vms.set(service("shop/web", *hosts(5)))
            await clock.advance(1)
            assert run.reading("vms").state == "lost"
            assert "planted" in run.reading("vms").why
            assert run.endpoints("shop/web") == first(4)
            assert run.engine.alive()
            await clock.advance(120)
            assert not run.engine.alive()
            assert run.engine.ailing() == ["vms: source"]
        await clock.advance(120)
        assert run.engine.alive()
        assert run.endpoints("shop/web") == first(5)
