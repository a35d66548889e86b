"""What a source promises."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bridge.adapter import Observation
from bridge.errors import Denied, Unavailable
from bridge.model import Service
from bridge.testing.conformance.bench import Bench
from bridge.testing.conformance.samples import API, JOBS, WEB, service
from bridge.testing.conformance.views import told
from bridge.testing.conformance.watching import Watched, close, watching


@pytest.mark.asyncio
class Reading:
    """Promises of `Source`."""

    async def test_the_first_view_is_whole(self, bench: Bench) -> None:
        them = [service(f"s{number}", f"10.20.3.{number + 1}") for number in range(100)]
        await bench.put(*them)
        async with watching(bench, bench.open()) as watched:
            view = await watched.first()
            assert dict(view.services) == {one.name: bench.read_as(one) for one in them}

    async def test_a_registry_without_services_is_a_view_too(self, bench: Bench) -> None:
        async with watching(bench, bench.open()) as watched:
            assert len((await watched.first()).services) == 0

    async def test_every_change_follows(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with watching(bench, bench.open()) as watched:
            await until(watched, bench, WEB)
            await bench.put(API)
            await until(watched, bench, WEB, API)
            other = service("web", "10.20.0.2", "10.20.0.9", port=9090)
            await bench.put(other)
            await until(watched, bench, other, API)
            await bench.drop(WEB.name)
            await until(watched, bench, API)
            await bench.put(WEB)
            await until(watched, bench, WEB, API)

    async def test_the_last_service_goes_like_any_other(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with watching(bench, bench.open()) as watched:
            await until(watched, bench, WEB)
            await bench.drop(WEB.name)
            await until(watched, bench)

    async def test_a_view_never_changes_after_it_was_given(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with watching(bench, bench.open()) as watched:
            first = await watched.first()
            said = dict(first.services)
            await bench.put(service("web", "10.20.0.7"), API)
            await watched.until(lambda: API.name in watched.now.services, "a service that was put")
            assert watched.now is not first, "each view is a value of its own"
            assert dict(first.services) == said
            watched.unchanged()

    async def test_what_did_not_change_is_equal(self, bench: Bench) -> None:
        await bench.put(WEB, API)
        async with watching(bench, bench.open()) as watched:
            first = await watched.first()
            await bench.put(JOBS)
            await watched.until(lambda: JOBS.name in watched.now.services, "a service that was put")
            for view in (watched.now, await watched.again()):
                assert view.services[WEB.name] == first.services[WEB.name]
                assert view.services[API.name] == first.services[API.name]

    async def test_two_adapters_say_the_same(self, bench: Bench) -> None:
        await bench.put(WEB, API)
        async with watching(bench, bench.open()) as one, watching(bench, bench.open()) as other:
            assert (await one.first()).services == (await other.first()).services

    async def test_a_reading_that_was_asked_for_is_a_new_one(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with watching(bench, bench.open()) as watched:
            await watched.first()
            await watched.again()
            await watched.again()

    async def test_a_reading_that_was_asked_for_has_what_was_there_before_it(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with watching(bench, bench.open()) as watched:
            await watched.first()
            await watched.again()
            for port in (1001, 1002, 1003):
                other = service("web", "10.20.0.1", port=port)
                await bench.put(other)
                view = await watched.again()
                stale = f"what stood there before refresh() is missing: {other}"
                assert view.services.get(other.name) == bench.read_as(other), stale

    async def test_a_reading_may_be_asked_for_before_it_is_observed(self, bench: Bench) -> None:
        await bench.put(WEB)
        source = bench.open()
        source.refresh()
        async with watching(bench, source) as watched:
            await until(watched, bench, WEB)

    async def test_a_view_that_nobody_fetched_gives_way_to_the_newest(self, bench: Bench) -> None:
        await bench.put(WEB)
        views = bench.open().observe()
        try:
            await step(views, bench)
            for port in range(1000, 1040):
                last = service("web", "10.20.0.1", port=port)
                await bench.put(last)
                await asyncio.sleep(0.005)
            fetched = 0
            while True:
                view = await step(views, bench)
                fetched += 1
                assert fetched <= 20, "40 changes were made while nobody fetched a view: do not queue them"
                if view.services.get(last.name) == bench.read_as(last):
                    return
        finally:
            await close(views)

    async def test_a_poison_record_is_a_problem_and_its_neighbours_stay(self, bench: Bench) -> None:
        await bench.put(WEB, API)
        async with watching(bench, bench.open()) as watched:
            before = await watched.first()
            known = set(before.problems)
            await bench.garbage(JOBS.name)
            await watched.until(lambda: bool(set(watched.now.problems) - known), "a Problem about the record")
            for problem in set(watched.now.problems) - known:
                told(problem)
            assert watched.now.services.get(WEB.name) == before.services[WEB.name]
            assert watched.now.services.get(API.name) == before.services[API.name]
            await bench.put(service("api", "10.20.1.9"))
            await watched.until(
                lambda: watched.service(API.name) == bench.read_as(service("api", "10.20.1.9")),
                "a change of its neighbour",
            )
            assert not watched.lost, "a poison record costs one record, not the registry"

    async def test_a_poison_record_does_not_keep_a_first_view_away(self, bench: Bench) -> None:
        await bench.put(WEB)
        await bench.garbage(JOBS.name)
        async with watching(bench, bench.open()) as watched:
            view = await watched.first()
            assert view.services.get(WEB.name) == bench.read_as(WEB)
            assert view.problems, "a Problem about the record"

    async def test_opening_connects_to_nothing(self, bench: Bench) -> None:
        await bench.lose()
        before = resources()
        source = bench.open()
        await asyncio.sleep(0)
        assert not more(before), "nothing is begun before it is observed"
        await bench.heal()
        await bench.put(WEB)
        async with watching(bench, source) as watched:
            await until(watched, bench, WEB)

    async def test_a_registry_that_was_never_read_is_unavailable_and_not_empty(self, bench: Bench) -> None:
        await bench.put(WEB)
        await bench.lose()
        async with watching(bench, bench.open()) as watched:
            await watched.until_lost()
            assert isinstance(watched.lost[0], Unavailable)
            await bench.heal()
            await until(watched, bench, WEB)

    async def test_a_registry_that_is_lost_never_looks_empty(self, bench: Bench) -> None:
        await bench.put(WEB, API)
        async with watching(bench, bench.open()) as watched:
            first = await watched.first()
            await bench.lose()
            watched.source.refresh()
            await watched.until_lost(first)
            await bench.heal()
            await bench.put(JOBS)
            await until(watched, bench, WEB, API, JOBS)

    async def test_refused_credentials_are_denied_and_not_an_empty_registry(self, bench: Bench) -> None:
        await bench.put(WEB)
        await bench.deny()
        async with watching(bench, bench.open()) as watched:
            await watched.until_lost()
            assert isinstance(watched.lost[0], Denied), f"{watched.lost[0]!r} is not Denied"
            await bench.heal()
            await until(watched, bench, WEB)

    async def test_credentials_that_are_refused_later_remove_nothing(self, bench: Bench) -> None:
        await bench.put(WEB)
        async with watching(bench, bench.open()) as watched:
            first = await watched.first()
            await bench.deny()
            watched.source.refresh()
            await watched.until_lost(first)
            assert isinstance(watched.lost[-1], Denied), f"{watched.lost[-1]!r} is not Denied"

    async def test_closing_releases_everything(self, bench: Bench) -> None:
        await bench.put(WEB)
        source = bench.open()

        async def once() -> None:
            views = source.observe()
            await step(views, bench)
            await close(views)

        await released(once, bench)

    async def test_cancelling_releases_everything(self, bench: Bench) -> None:
        await bench.put(WEB)

        async def once() -> None:
            watched = Watched(bench.open(), bench.patience)
            watched.task = asyncio.create_task(watched.run())
            await watched.first()
            await bench.put(API)
            await watched.stop()
            assert watched.task.cancelled(), "a source does not swallow its cancellation"

        await released(once, bench)

    async def test_whoever_observes_again_has_a_first_view_again(self, bench: Bench) -> None:
        await bench.put(WEB)
        source = bench.open()
        for port in (1001, 1002):
            other = service("web", "10.20.0.1", port=port)
            await bench.put(other)
            async with watching(bench, source) as watched:
                await until(watched, bench, other)


async def until(watched: Watched, bench: Bench, *them: Service) -> None:
    """Wait until exactly these are said."""
    wanted = {one.name: bench.read_as(one) for one in them}
    names = ", ".join(sorted(map(str, wanted))) or "no service"
    await watched.until(lambda: dict(watched.now.services) == wanted, f"a view with exactly {names}, as they were put")


async def step(views: AsyncIterator[Observation], bench: Bench) -> Observation:
    """The next view."""
    try:
        async with asyncio.timeout(bench.patience):
            return await anext(views)
    except TimeoutError:
        raise AssertionError(f"no view within {bench.patience:g} s") from None


POOLS = ("asyncio_", "AnyIO worker thread")
"""What threads are called that wait for the next one who needs them, and end with the loop."""

ROUNDS = 4


def resources() -> dict[str, int]:
    """How many tasks, threads and file descriptors there are, without the threads of pools."""
    threads = sum(not thread.name.startswith(POOLS) for thread in threading.enumerate())
    folder = next((at for at in (Path("/proc/self/fd"), Path("/dev/fd")) if at.is_dir()), None)
    descriptors = len(os.listdir(folder)) if folder is not None else 0  # noqa: PTH208  # nothing is kept open
    return {"tasks": len(asyncio.all_tasks()), "threads": threads, "file descriptors": descriptors}


async def released(once: Callable[[], Awaitable[None]], bench: Bench) -> None:
    """AssertionError unless doing it again and again needs no more than doing it once."""
    await once()
    gc.collect()
    await asyncio.sleep(0.05)
    before = resources()
    for _ in range(ROUNDS):
        await once()
    try:
        async with asyncio.timeout(bench.patience):
            while left := more(before):  # noqa: ASYNC110  # nobody tells when the kernel has closed something
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"left over after it was closed {ROUNDS} times: {', '.join(left)}") from None


def more(before: dict[str, int]) -> list[str]:
    """What there is more of than before, as one would say it."""
    return [f"{now - before[what]} {what}" for what, now in resources().items() if now > before[what]]
