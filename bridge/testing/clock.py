"""A clock that tests move."""

import asyncio
import heapq

TURNS = 100  # of the event loop, after which tasks that only wait for each other have done what they can


class FakeClock:
    """Time stands still until `advance`; sleepers wake in order, each with the time it asked for."""

    def __init__(self, now: float = 1_000.0, wall: float = 1_750_000_000.0) -> None:
        self._now = now
        self._wall = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP does; monotonic time does not notice."""
        self._wall += seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, self._count, sleeper))
        await sleeper

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: wake whoever is due, in order, and let tasks run after each."""
        await self.idle()
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, sleeper = heapq.heappop(self._sleepers)
            if sleeper.done():
                continue
            self._move(when)
            sleeper.set_result(None)
            await self.idle()
        self._move(end)
        await self.idle()

    async def idle(self) -> None:
        """Let tasks run as far as they come without time passing."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)  # asyncio's own loop tells when nobody is left
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return

    def _move(self, when: float) -> None:
        self._wall += max(0.0, when - self._now)
        self._now = max(self._now, when)
