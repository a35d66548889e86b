"""Where time comes from, and one moment to be woken at."""

import asyncio
import time
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from bridge.kit import Clock
from bridge.kit.deadline import DEADLINE

T = TypeVar("T")


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Seconds, monotonic, from an unknown start."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait; at least one turn of the event loop."""
        await asyncio.sleep(max(0.0, seconds))


async def within(clock: Clock, seconds: float, what: Coroutine[Any, Any, T]) -> T:
    """What `what` comes to; TimeoutError, and it is cancelled, when that takes longer. It knows its DEADLINE."""
    context = copy_context()
    context.run(DEADLINE.set, min(DEADLINE.get(), clock.now() + seconds))
    task = asyncio.get_running_loop().create_task(what, context=context)
    sleeper = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((task, sleeper), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        sleeper.cancel()
        task.cancel()


class Alarm:
    """One moment to wait for, which may be moved while one waits."""

    __slots__ = ("_armed", "_clock", "_moved", "_when")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._when: float | None = None
        self._armed: float | None = None  # what a sleeper sleeps for, no later than `_when`
        self._moved = asyncio.Event()

    def set(self, when: float | None) -> None:
        """Ring at `when` (monotonic seconds) instead of the moment set before; None: not at all."""
        self._when = when
        if when is not None and (self._armed is None or when < self._armed):
            self._moved.set()

    async def ring(self) -> None:
        """Return when the moment has come; it is then forgotten. The loop has at least one turn meanwhile."""
        while True:
            self._moved.clear()
            when = self._armed = self._when
            if when is None:
                await self._moved.wait()
            elif (rest := when - self._clock.now()) > 0:
                await self._sleep(rest)
            else:
                self._when = self._armed = None
                await self._clock.sleep(0)
                return

    async def _sleep(self, seconds: float) -> None:
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        mover = asyncio.ensure_future(self._moved.wait())
        try:
            await asyncio.wait((sleeper, mover), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            mover.cancel()
