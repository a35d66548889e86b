import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.runtime.latest import Latest


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.promise("law-7")
async def test_a_reader_that_was_busy_sees_the_newest_value_and_none_between() -> None:
    cell = Latest(0)
    seen: list[int] = []
    busy = asyncio.Event()

    async def read() -> None:
        async for value in cell.changes():
            seen.append(value)
            await busy.wait()

    reader = asyncio.create_task(read())
    await turns()
    for value in range(1, 100_001):
        cell.set(value)
    busy.set()
    await turns()
    reader.cancel()
    assert seen == [0, 100_000]


async def test_every_reader_goes_at_its_own_pace() -> None:
    cell = Latest("a")
    slow, quick = cell.changes(), cell.changes()
    assert [await anext(slow), await anext(quick)] == ["a", "a"]
    cell.set("b")
    assert await anext(quick) == "b"
    cell.set("c")
    assert [await anext(slow), await anext(quick)] == ["c", "c"]


async def test_a_reader_waits_for_a_newer_value_and_leaves_nothing_behind_when_it_goes() -> None:
    cell = Latest(1)
    values = cell.changes()
    await anext(values)
    waiting = asyncio.ensure_future(anext(values))
    await turns()
    assert not waiting.done()
    waiting.cancel()
    await turns()
    cell.set(2)
    assert [value async for value in _first(cell)] == [2]


async def _first(cell: Latest[int]) -> AsyncIterator[int]:
    async for value in cell.changes():
        yield value
        return


def test_a_watcher_is_called_with_every_value_at_once() -> None:
    cell = Latest(0)
    seen: list[int] = []
    cell.watch(seen.append)
    cell.set(1)
    cell.set(2)
    assert (seen, cell.value) == ([1, 2], 2)
