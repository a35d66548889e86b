"""When Python looks for cycles: not over the catalog, and not in the middle of a change.

The values of the bridge are free of cycles, and there are millions of them: a full collection over them stops the
event loop for hundreds of milliseconds and finds nothing.
"""

import asyncio
import gc
import time

from bridge.kit import Clock

EVERY = 300.0
"""Seconds between two full collections of what is not frozen."""

LARGE = 1_000
"""Changed services after which the catalog is frozen anew."""

YOUNG = 200
"""New objects after which a change is followed by a look for cycles among them."""

_LIMITS = (10 * YOUNG, 5, 1_000_000_000)
"""When Python looks by itself, for times without changes; never at everything."""


class Garbage:
    """Freezes what is large and lasting, collects the rest on a timer, and knows what the pauses were.

    New objects are looked at behind a change, when what it says is on its way: in the middle of one the same look
    doubled the time that one change in a hundred took.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grown = 0
        self._running = False
        self._frozen = False
        self._tidying = False
        self._start = 0.0
        self.pauses = 0
        self.seconds = 0.0  # sum of all pauses, those of the young generations included
        self.longest = 0.0

    def grew(self, services: int) -> None:
        """A catalog was told in which so many services are new objects; freeze when they are many, or the first."""
        self._grown += services
        if self._running and (not self._frozen or self._grown >= LARGE):
            gc.freeze()
            self._frozen, self._grown = True, 0
        elif self._running and not self._tidying and gc.get_count()[0] >= YOUNG:
            self._tidying = True
            asyncio.get_running_loop().call_soon(self._tidy)  # behind the streams that the change woke

    def _tidy(self) -> None:
        self._tidying = False
        gc.collect(1 if gc.get_count()[1] >= 10 else 0)

    async def run(self) -> None:
        """Take full collections into our hand until cancelled, then give everything back."""
        before = gc.get_threshold()
        gc.set_threshold(*_LIMITS)
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
