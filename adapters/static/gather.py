"""Changes of one file that wait while it is written, or that come in one turn of the loop, are made together."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from adapters.static.target import TargetFile
from bridge.adapter import Change, Claim


class _Waiting:
    __slots__ = ("change", "done", "result")

    def __init__(self, change: Change) -> None:
        self.change = change
        self.done = False
        self.result: Exception | None = None


class Gather:
    """Writes one file, one thing after the other."""

    def __init__(self, file: TargetFile) -> None:
        self.file = file
        self._turn = asyncio.Lock()
        self._waiting: list[_Waiting] = []

    async def apply(self, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        mine = _Waiting(change)
        self._waiting.append(mine)
        try:
            async with self._turn:
                if not mine.done:
                    await asyncio.sleep(0)  # for those who come with us
                    await self._write()
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
        if mine.result is not None:
            raise mine.result

    async def claim(self, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        async with self._turn:
            await _ended(asyncio.to_thread(self.file.claim, claim))

    async def _write(self) -> None:
        """Make all that waits; who is cancelled meanwhile leaves when it is made."""
        batch, self._waiting = self._waiting, []

        def write() -> None:
            results = self.file.write([one.change for one in batch])
            for one, result in zip(batch, results, strict=True):
                one.result = result
                one.done = True

        try:
            await _ended(asyncio.to_thread(write))
        except Exception as error:  # ours, and everybody's in the batch
            for one in batch:
                one.result, one.done = error, True


async def _ended(work: Coroutine[Any, Any, None]) -> None:
    """Wait until what was begun is at its end, cancelled or not: a thread cannot be stopped half way."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()
