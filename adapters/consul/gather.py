"""Changes that come while others are under way are made together, and each has an answer of its own.

A transaction is done whole or not at all. One that is not names those at fault: they have their errors, and the others,
of which nothing was done, go into another one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.consul.transaction import LARGEST, MOST, Operation, Outcome, encoded
from bridge.errors import Rejected

AT_ONCE: Final = 4
"""Transactions that are under way at once: while one is on its way another is made."""

Send = Callable[[Sequence[bytes], str], Awaitable[Outcome]]
"""Sends operations, by the numbers of which it tells refusals, and raises what concerns all of them."""


@dataclass(eq=False, slots=True)
class _Change:
    operations: Sequence[bytes]
    where: str
    made: asyncio.Future[None]
    batch: "_Batch | None" = None  # in which it is sent

    def succeeds(self) -> None:
        if not self.made.done():
            self.made.set_result(None)

    def fails(self, error: Exception) -> None:
        if not self.made.done():
            self.made.set_exception(error)


@dataclass(eq=False, slots=True)
class _Batch:
    changes: Sequence[_Change]
    task: asyncio.Task[None]


class Gather:
    """Makes the changes of one node. `place` is what messages begin with."""

    def __init__(self, place: str, send: Send) -> None:
        self._place = place
        self._send = send
        self._waiting: deque[_Change] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def make(self, operations: Sequence[Operation], where: str) -> None:
        """Do all of these or none, in whose company ever; raises what stands in the way of these.

        Nothing is sent any more for who is cancelled.
        """
        mine = _Change([*map(encoded, operations)], where, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._begin()
        try:
            await mine.made
        finally:
            if mine.batch is not None and all(one.made.done() for one in mine.batch.changes):
                mine.batch.task.cancel()

    def _begin(self) -> None:
        if self._waiting and len(self._under_way) < AT_ONCE:
            task = asyncio.create_task(self._run(), name="transaction")
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._begin()

    async def _run(self) -> None:
        """Make those that have waited longest, as many as go into a transaction."""
        changes, task = self._taken(), asyncio.current_task()
        assert task is not None
        batch = _Batch(changes, task)
        for one in changes:
            one.batch = batch
        try:
            await self._make(changes)
        except Exception as error:
            for one in changes:
                one.fails(error)

    def _taken(self) -> list[_Change]:
        taken: list[_Change] = []
        room, size = MOST - 1, LARGEST  # what fences them is one operation
        while self._waiting:
            one = self._waiting.popleft()
            if one.made.done():
                continue
            room, size = room - len(one.operations), size - sum(map(len, one.operations))
            if taken and (room < 0 or size < 0):
                self._waiting.appendleft(one)
                break
            taken.append(one)
        return taken

    async def _make(self, changes: Sequence[_Change]) -> None:
        """Until each has its answer. What none is to blame for is found by halves."""
        while left := [one for one in changes if not one.made.done()]:
            where = left[0].where if len(left) == 1 else f"{len(left)} changes, the first of {left[0].where}"
            try:
                outcome = await self._send([each for one in left for each in one.operations], where)
            except Rejected as error:
                if len(left) == 1:
                    left[0].fails(error)
                    return
                await self._make(left[: len(left) // 2])
                await self._make(left[len(left) // 2 :])
                return
            if not outcome.refused:
                for one in left:
                    one.succeeds()
                return
            self._blame(left, outcome)

    def _blame(self, changes: Sequence[_Change], outcome: Outcome) -> None:
        """Tell those at fault, each by the first of its operations that was refused."""
        of = [one for one in changes for _ in one.operations]
        for refusal in outcome.refused:
            one = of[refusal.at]
            one.fails(refusal.error(f"{self._place}: {one.where}"))
