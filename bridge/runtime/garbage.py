"""When Python looks for cycles: not over the catalog, and not in the middle of a change.

The values of the bridge are free of cycles, and there are millions of them: a full collection over them stops the
event loop for hundreds of milliseconds and finds nothing.
"""

import gc
import time

from bridge.kit import Clock

EVERY = 300.0
"""Seconds between two full collections of what is not frozen."""

LARGE = 1_000
"""Changed services after which the catalog is frozen anew."""

_NEVER = 1_000_000_000


class Garbage:
    """Freezes what is large and lasting, collects the rest on a timer, and knows what the pauses were."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grown = 0
        self._running = False
        self._frozen = False
        self._start = 0.0
        self.pauses = 0
        self.seconds = 0.0  # sum of all pauses, those of the young generations included
        self.longest = 0.0

    def grew(self, services: int) -> None:
        """So many services of the catalog are new objects; freeze when they are many, or the first."""
        self._grown += services
        if self._running and (not self._frozen or self._grown >= LARGE):
            gc.freeze()
            self._frozen, self._grown = True, 0

    async def run(self) -> None:
        """Take full collections into our hand until cancelled, then give everything back."""
        before = gc.get_threshold()
        gc.set_threshold(before[0], before[1], _NEVER)
        gc.callbacks.append(self._measure)
        self._running = True
        try:
            while True:
                await self._clock.sleep(EVERY)
                gc.collect()
        finally:
            self._running = False
            gc.callbacks.remove(self._measure)
            gc.set_threshold(*before)
            gc.unfreeze()

    def _measure(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._start = time.perf_counter()
            return
        took = time.perf_counter() - self._start
        self.pauses += 1
        self.seconds += took
        self.longest = max(self.longest, took)
