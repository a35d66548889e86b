"""How fast a target is written to: a token bucket."""

from typing import NamedTuple

from bridge.kit import Clock

TICK = 0.1
"""Seconds between two refills of an empty bucket: writes go in small heaps, which a sink can write together."""


class Rate(NamedTuple):
    """Changes a second, and how many may go at once after a quiet time; both at least 1."""

    per_second: float
    burst: int


class Bucket:
    """Starts full. One taker at a time."""

    __slots__ = ("_clock", "_filled", "_left", "_rate")

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._left = float(rate.burst)
        self._filled = clock.now()

    async def take(self) -> None:
        """Return when one more change may be made."""
        while not self._fill() >= 1:
            await self._clock.sleep(max(TICK, (1 - self._left) / self._rate.per_second))
        self._left -= 1

    def give_back(self) -> None:
        """The change was not made after all."""
        self._left = min(self._left + 1, self._rate.burst)

    def _fill(self) -> float:
        now = self._clock.now()
        self._left = min(self._left + (now - self._filled) * self._rate.per_second, self._rate.burst)
        self._filled = now
        return self._left
