"""The turns that new streams wait for."""

import asyncio

import pytest

from bridge.xds.admission import Admission


async def rounds(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.promise("law-8")
async def test_a_crowd_is_admitted_a_few_a_round_in_the_order_it_came():
    admission, admitted = Admission(turns=3), []

    async def come(number: int) -> None:
        await admission.turn()
        admitted.append(number)

    crowd = [asyncio.create_task(come(number)) for number in range(10)]
    seen = []
    while len(admitted) < 10:
        await rounds(1)
        seen.append(len(admitted))
    assert admitted == list(range(10))
    assert max(b - a for a, b in zip([0, *seen], seen, strict=False)) <= 3
    await asyncio.gather(*crowd)


@pytest.mark.promise("law-8")
async def test_those_already_served_are_told_between_two_rounds_of_a_crowd():
    admission = Admission(turns=2)
    crowd = [asyncio.create_task(admission.turn()) for _ in range(40)]
    await rounds(1)
    event, order = asyncio.Event(), []

    async def served() -> None:
        await event.wait()
        order.append(admission.waiting)

    task = asyncio.create_task(served())
    await rounds(1)
    event.set()
    await rounds(2)
    assert order
    assert order[0] > 25, "the update waited for the crowd"
    await asyncio.gather(task, *crowd)


async def test_nobody_waits_where_there_is_no_crowd():
    admission = Admission(turns=1)
    for _ in range(3):
        turn = admission.turn()
        with pytest.raises(StopIteration):
            turn.send(None)
        await rounds(2)


@pytest.mark.promise("law-8")
async def test_a_stream_that_ends_while_it_waits_takes_no_turn():
    admission = Admission(turns=1)
    first, second, third = (asyncio.create_task(admission.turn()) for _ in range(3))
    await rounds(1)
    second.cancel()
    await asyncio.gather(first, third)
    assert admission.waiting == 0
