"""Turns for the first answers of new streams, so that a crowd does not hold up those already served."""

import asyncio
from collections import deque

TURNS = 8
"""First answers begun in one round of the event loop; all else that is ready runs between two rounds."""


class Admission:
    """First come, first served; nobody waits while there is nobody before them.

    A turn is a start, not a place that is held: a client that reads nothing keeps nobody waiting.
    """

    def __init__(self, turns: int = TURNS) -> None:
        self._turns, self._left = turns, turns
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._round: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """How many streams wait for their first answer."""
        return len(self._waiting)

    async def turn(self) -> None:
        """Return when a first answer may be begun; at once while this round has turns left."""
        loop = asyncio.get_running_loop()
        if self._round is None:
            self._round = loop.call_soon(self._next_round)
        if self._left and not self._waiting:
            self._left -= 1
            return
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _next_round(self) -> None:
        self._left, self._round = self._turns, None
        while self._left and self._waiting:
            first = self._waiting.popleft()
            if not first.done():  # a stream that ended while it waited
                first.set_result(None)
                self._left -= 1
        if self._left < self._turns:
            self._round = asyncio.get_running_loop().call_soon(self._next_round)
