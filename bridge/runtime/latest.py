"""A cell that keeps only the newest value and wakes its readers.

No queue: a reader that was busy meanwhile sees the newest value, and never learns of those between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """The newest value of something; any number of readers, each at its own pace."""

    __slots__ = ("_value", "_version", "_waiters", "_watchers")

    def __init__(self, value: T) -> None:
        self._value = value
        self._version = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._watchers: list[Callable[[T], None]] = []

    @property
    def value(self) -> T:
        return self._value

    def set(self, value: T) -> None:
        """Put `value` in the place of the last one; calls the watchers now, wakes the readers in their turn."""
        self._value = value
        self._version += 1
        if self._waiters:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()
        for watcher in self._watchers:
            watcher(value)

    def watch(self, watcher: Callable[[T], None]) -> None:
        """Call `watcher` with every value from within `set`; it must be quick and must not raise."""
        self._watchers.append(watcher)

    async def changes(self) -> AsyncIterator[T]:
        """The value that is there now, then the newest whenever there is a newer one."""
        version = -1
        while True:
            if version == self._version:
                await self._newer()
            version = self._version
            yield self._value

    async def _newer(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
