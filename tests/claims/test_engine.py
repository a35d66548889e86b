import asyncio
import random
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.errors import ConfigError, Unavailable
from bridge.merge import Catalog, Inputs, merge
from bridge.model import Health, Service, Services, SourceName
from bridge.runtime.keep import HOPELESS, Keeper
from bridge.runtime.shelf import FILE
from bridge.runtime.snapshot_format import decode
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests.builders import eid, endpoint, hosts, name, service
from tests.engines import running, until

FOUR = service("shop/web", *hosts(4))


@pytest.mark.promise("law-3")
async def test_until_every_required_source_has_a_view_the_catalog_says_who_is_waited_for() -> None:
    clock, vms, zk, extra = FakeClock(), MemoryRegistry(FOUR), MemoryRegistry(), MemoryRegistry()
    async with running(clock, vms=vms, zk=zk, extra=extra, optional=["extra"]) as run:
        assert run.published[0].waiting == {"vms", "zk", "extra"}
        assert run.catalog.waiting == {"zk", "extra"}
        assert run.endpoints("shop/web") == hosts(4)
        assert not run.engine.ready()
        zk.set(service("shop/api", "10.1.0.1:80"))
        await clock.advance(1)
        assert run.catalog.waiting == {"extra"}
        assert run.engine.ready()


async def test_a_dead_source_keeps_nobody_waiting_longer_than_start_wait() -> None:
    clock, vms, zk = FakeClock(), MemoryRegistry(FOUR), MemoryRegistry()
    zk.fail(Unavailable("zk: nobody answers"))
    async with running(clock, vms=vms, zk=zk) as run:
        await clock.advance(9.9)
        assert not run.engine.ready()
        await clock.advance(0.2)
        assert run.engine.ready()
        assert run.catalog.waiting == {"zk"}  # and what only it could answer for stays unanswered
        assert run.engine.alive()


class Recalls(MemoryRegistry):
    """It names things by what was named before."""

    def __init__(self, *services: Service) -> None:
        self.recalled: list[tuple[Services, int]] = []  # each with how often it had been observed
        super().__init__(*services)

    def recall(self, services: Services) -> None:
        self.recalled.append((services, self.opened))


async def test_a_source_that_names_things_by_what_it_named_before_is_told_of_it_before_it_is_observed(
    tmp_path: Path,
) -> None:
    clock, vms = FakeClock(), Recalls(FOUR)
    async with running(clock, tmp_path, vms=vms):
        assert vms.recalled == []
    later = Recalls()
    async with running(clock, tmp_path, vms=later):
        assert [(dict(them), opened) for them, opened in later.recalled] == [({FOUR.name: FOUR}, 0)]


@pytest.mark.promise("law-4")
async def test_after_a_restart_the_snapshot_stands_in_for_a_source_that_does_not_answer(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, tmp_path, vms=vms):
        pass
    vms.fail(Unavailable("vms: gone"))
    clock.jump(1_800)
    async with running(clock, tmp_path, vms=vms) as run:
        assert run.catalog.waiting == {"vms"}
        await clock.advance(10)
        reading = run.reading("vms")
        assert (reading.state, reading.age) == ("stand-in", 1_800)
        assert run.endpoints("shop/web") == hosts(4)
        assert run.engine.ready()
        vms.heal()
        await clock.advance(70)
        assert run.reading("vms").state == "synced"


@pytest.mark.promise("law-3", "law-1")
async def test_after_a_restart_a_registry_that_lost_its_data_removes_nothing(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(4)), service("shop/api", *hosts(3, net="10.1")))
    async with running(clock, tmp_path, vms=vms):
        pass
    vms.set()
    async with running(clock, tmp_path, vms=vms) as run:
        await clock.advance(600)
        assert run.endpoints("shop/web") == [f"{one}?" for one in hosts(4)]
        assert run.endpoints("shop/api") == [f"{one}?" for one in hosts(3, net="10.1")]
        verdict = run.reading("vms").verdict
        assert verdict is not None
        assert verdict.flood


async def test_a_snapshot_that_is_too_old_stands_in_for_nobody_but_is_what_removals_are_judged_by(
    tmp_path: Path,
) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, tmp_path, vms=vms):
        pass
    vms.fail(Unavailable("vms: gone"))
    clock.jump(3_601)
    async with running(clock, tmp_path, vms=vms) as run:
        await clock.advance(20)
        assert run.reading("vms").state == "waiting"
        assert run.catalog.waiting == {"vms"}
        vms.set(service("shop/web", "10.0.0.1:80"))
        vms.heal()
        await clock.advance(60)
        assert run.endpoints("shop/web") == ["10.0.0.1:80", "10.0.0.2:80?", "10.0.0.3:80?", "10.0.0.4:80?"]


async def test_a_snapshot_never_speaks_over_a_source_that_has_spoken(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, tmp_path, vms=vms):
        pass
    async with running(clock, tmp_path, vms=vms) as run:
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(20)
        assert run.reading("vms").state == "lost"
        assert run.reading("vms").stand_in is None


async def test_the_snapshot_is_written_while_running_and_says_when_it_was_last_the_truth(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    file = tmp_path / "vms.snapshot"
    async with running(clock, tmp_path, vms=vms):
        await clock.advance(5)
        await until(file.exists)
        await clock.advance(3)
        vms.fail(Unavailable("vms: gone"))
        await clock.idle()
        lost = clock.wall()
        async with asyncio.timeout(90):
            while decode(file.read_bytes())[0].wall < lost - 0.001:  # a thread writes, in its own time
                await clock.advance(60)
                await asyncio.sleep(0.002)
        await clock.advance(1_200)
    assert decode(file.read_bytes())[0].wall == pytest.approx(lost, abs=0.001)


async def test_a_second_engine_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(clock, tmp_path, vms=MemoryRegistry(FOUR)):
        with pytest.raises(ConfigError, match="is used by another bridge"):
            async with running(clock, tmp_path, vms=MemoryRegistry()):
                pass
    async with running(clock, tmp_path, vms=MemoryRegistry(FOUR)) as run:
        assert run.engine.ready()


@pytest.mark.promise("R-31")
async def test_a_folder_that_cannot_be_used_is_said_and_everything_else_goes_on(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    (tmp_path / "file").write_text("in the way")
    async with running(clock, tmp_path / "file" / "state", vms=vms) as run:
        await clock.advance(20)
        await until(lambda: len(run.engine.problems()) > 1)
        assert all("snapshot.path: " in str(one) for one in run.engine.problems() if one.kind == "snapshot")
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(1)
        assert run.endpoints("shop/web") == hosts(5)
        assert run.engine.alive()
        (tmp_path / "file").unlink()
        async with asyncio.timeout(90):
            while run.engine.problems():
                await clock.advance(5)
                await asyncio.sleep(0.002)


async def test_a_restart_forgets_no_decision(tmp_path: Path) -> None:
    clock, vms = FakeClock(), MemoryRegistry(service("shop/web", *hosts(10)))
    async with running(clock, tmp_path, vms=vms) as run:
        await run.engine.decisions.freeze(SourceName("vms"), clock.wall() + 600)
        await run.engine.decisions.accept(SourceName("vms"), [(name("shop/web"), eid("10.0.0.10:80"))], clock.wall())
    assert (tmp_path / FILE).exists()
    async with running(clock, tmp_path, vms=vms) as run:
        vms.set(service("shop/web", *hosts(5)))
        await clock.advance(300)
        assert run.endpoints("shop/web") == sorted(hosts(10))
        verdict = run.reading("vms").verdict
        assert verdict is not None
        assert verdict.frozen


async def test_a_lone_change_is_published_at_once_and_a_storm_ten_times_a_second() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        await clock.advance(5)
        before = len(run.published)
        vms.set(service("shop/web", *hosts(5)))
        await clock.idle()
        assert run.endpoints("shop/web") == hosts(5)
        await clock.advance(1)
        for number in range(1_000):
            vms.set(service("shop/web", *hosts(6 + number % 2)))
            await clock.advance(0.001)
        assert len(run.published) - before <= 12


@pytest.mark.promise("R-24")
async def test_an_endpoint_that_flaps_ten_times_a_second_is_never_deleted_and_harms_no_neighbour() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    three = service("shop/web", *hosts(3))
    async with running(clock, vms=vms) as run:
        await clock.advance(5)
        before = len(run.published)
        for _ in range(300):
            vms.set(three)
            await clock.advance(0.05)
            vms.set(FOUR)
            await clock.advance(0.05)
        assert len(run.published) - before <= 301
        for catalog in run.published[before:]:
            merged = catalog.services[name("shop/web")]
            assert {str(one.id) for one in merged.endpoints()} == set(hosts(4))
            assert not any(one.held for one in merged.endpoints() if one.id != eid("10.0.0.4:80"))


@pytest.mark.promise("R-29", "law-7")
async def test_a_hundred_thousand_changes_are_coalesced_and_the_last_state_is_right() -> None:
    clock, vms = FakeClock(), MemoryRegistry(*(service(f"shop/s{n}", *hosts(2, net=f"10.{n}")) for n in range(5)))
    rand = random.Random(29)
    async with running(clock, vms=vms) as run:
        await clock.advance(5)
        before, views = len(run.published), run.engine.catalog.value
        some = [service(f"shop/s{n % 5}", *hosts(2 + n // 5, net=f"10.{n % 5}")) for n in range(15)]
        for _ in range(600):  # a minute of them, in bursts
            for _ in range(167):
                one = rand.choice(some)
                vms.change({one.name: one})
            await clock.advance(0.1)
        assert len(run.published) - before <= 602
        assert run.engine.catalog.value is not views
        for key, said in vms.services.items():
            merged = run.catalog.services[key]
            assert {one.id for one in merged.endpoints() if not one.held} == {one.id for one in said.endpoints}


async def test_what_was_made_step_by_step_is_what_is_made_from_nothing() -> None:
    clock = FakeClock()
    vms, zk = MemoryRegistry(), MemoryRegistry()
    rand = random.Random(7)
    async with running(clock, vms=vms, zk=zk) as run:
        for _ in range(150):
            registry = rand.choice([vms, zk])
            some = [service(f"shop/s{n}", *hosts(rand.randrange(1, 5))) for n in range(5) if rand.random() < 0.8]
            match rand.randrange(5):
                case 0:
                    registry.fail(Unavailable("planted"))
                case 1:
                    registry.heal()
                case _:
                    registry.set(*some)
            await clock.advance(rand.choice([0.01, 0.2, 5, 70]))
        assert run.catalog == merge(run.engine._inputs(), None)


async def test_a_source_that_is_lost_for_a_minute_has_no_say_in_health_from_that_moment() -> None:
    clock, vms, zk = FakeClock(), MemoryRegistry(), MemoryRegistry()
    vms.set(service("shop/web", endpoint("10.0.0.1:80", health=Health.UNHEALTHY)))
    zk.set(service("shop/web", endpoint("10.0.0.1:80", health=Health.HEALTHY)))
    async with running(clock, vms=vms, zk=zk) as run:

        def health() -> Health | None:
            return next(run.catalog.services[name("shop/web")].endpoints()).health

        await clock.advance(5)
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(59.5)
        assert health() is Health.UNHEALTHY
        await clock.advance(1)
        assert health() is Health.HEALTHY
        vms.heal()
        await clock.advance(40)
        assert health() is Health.UNHEALTHY


@pytest.mark.promise("R-32", "law-10")
async def test_a_merge_that_fails_is_tried_from_nothing_and_fails_liveness_when_that_does_not_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        with monkeypatch.context() as patch:

            def incremental_only(inputs: Inputs, previous: tuple[Inputs, Catalog] | None) -> Catalog:
                if previous is not None:
                    raise RuntimeError("planted")
                return merge(inputs, None)

            patch.setattr("bridge.runtime.engine.merge", incremental_only)
            vms.set(service("shop/web", *hosts(5)))
            await clock.advance(3)
            assert run.endpoints("shop/web") == hosts(5)
            assert run.engine.alive()
            assert "task died" in run.events()

            def broken(*_: object) -> None:
                raise RuntimeError("planted")

            patch.setattr("bridge.runtime.engine.merge", broken)
            vms.set(service("shop/web", *hosts(6)))
            await clock.advance(120)
            assert not run.engine.alive()
            assert run.engine.ailing() == ["merge"]
        await clock.advance(120)
        assert run.endpoints("shop/web") == hosts(6)
        assert run.engine.alive()


@pytest.mark.promise("R-32")
async def test_a_publisher_that_fails_once_gets_the_catalog_again() -> None:
    clock, vms = FakeClock(), MemoryRegistry()
    failures = [RuntimeError("planted")]

    def publish(catalog: Catalog) -> None:
        if failures and catalog.services:
            raise failures.pop()

    async with running(clock, vms=vms, publish=publish) as run:
        vms.set(FOUR)
        await clock.advance(5)
        assert not failures
        assert run.endpoints("shop/web") == hosts(4)


@pytest.mark.promise("law-10", "R-32")
async def test_a_task_that_returns_or_cancels_itself_is_run_again_and_noticed() -> None:
    clock = FakeClock()
    keeper = Keeper(clock)
    runs: list[str] = []

    async def returns() -> None:
        runs.append("returns")

    async def cancels() -> None:
        runs.append("cancels")
        raise asyncio.CancelledError

    async def steady() -> None:
        await clock.sleep(1e9)

    with capture_logs() as log:
        async with asyncio.TaskGroup() as group:
            keeper.start(group, "returns", returns)
            keeper.start(group, "cancels", cancels)
            keeper.start(group, "steady", steady)
            await clock.advance(0.5)
            assert keeper.alive()
            await clock.advance(200)
            assert keeper.hopeless() == ["cancels", "returns"]
            assert min(runs.count("returns"), runs.count("cancels")) >= HOPELESS
            for task in [one for one in asyncio.all_tasks() if one.get_name() in ("returns", "cancels", "steady")]:
                task.cancel()
    assert {one["task"] for one in log} == {"cancels", "returns"}
    assert keeper.hopeless() == ["cancels", "returns", "steady"]  # what is gone is not alive


async def test_the_log_has_one_line_for_each_turn_of_a_source_and_its_holds() -> None:
    three = [service(f"shop/s{number}", *hosts(40, net=f"10.{number}")) for number in range(3)]
    clock, vms = FakeClock(), MemoryRegistry(*three)
    async with running(clock, vms=vms) as run:
        await clock.advance(10)
        vms.set(*(service(f"shop/s{number}", *hosts(4, net=f"10.{number}")) for number in range(3)))
        await clock.advance(10)
        vms.fail(Unavailable("vms: gone"))
        await clock.advance(30)
        vms.set(*three)
        vms.heal()
        await clock.advance(40)
    assert [(one["event"], one.get("count"), one.get("reason")) for one in run.log] == [
        ("source synced", None, None),
        ("flood began", None, None),
        ("endpoints held", 108, None),
        ("source lost", None, None),
        ("flood ended", None, None),
        ("holds ended", 108, "returned"),
        ("source synced", None, None),
    ]
    assert (run.log[2]["services"], run.log[2]["why"]) == (3, "flood")
    assert run.log[3]["why"] == "vms: gone"


async def test_a_new_catalog_is_told_only_when_it_is_another() -> None:
    clock, vms = FakeClock(), MemoryRegistry(FOUR)
    async with running(clock, vms=vms) as run:
        await clock.advance(5)
        published, merges = len(run.published), run.engine.counts.merges
        for _ in range(20):
            vms.refresh()
            await clock.advance(1)
        assert (len(run.published), run.engine.counts.merges) == (published, merges)
        assert run.reading("vms").observation is not None
