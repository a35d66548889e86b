"""When the next round of what gathers changes is due: a throttle, not a debounce."""

import asyncio

from bridge.kit import Clock


class Settle:
    """At most one round an interval: a lone change at once, a storm gathered, nothing put off further."""

    __slots__ = ("_clock", "_last", "_touched", "interval", "since")

    def __init__(self, interval: float, clock: Clock) -> None:
        self.interval = interval
        self.since: float | None = None  # monotonic: the first change that waits for the next round
        self._clock = clock
        self._last = float("-inf")
        self._touched = asyncio.Event()

    def touch(self) -> None:
        """Something changed."""
        if self.since is None:
            self.since = self._clock.now()
            self._touched.set()

    async def due(self) -> float:
        """Return when a round is due: at once when the last one is `interval` ago, else at last + interval.

        The answer is the moment (monotonic seconds) of the first change that the round is for.
        """
        await self._touched.wait()
        if (rest := self._last + self.interval - self._clock.now()) > 0:
            await self._clock.sleep(rest)
        self._last = self._clock.now()
        since = self._last if self.since is None else self.since
        self.since = None
        self._touched.clear()
        return since
