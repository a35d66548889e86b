"""Who writes passes a gate that is closed while the claim changes: nothing is under way with the one of before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets many pass at once, or one who closes it: no change is under way while the claim changes."""

    def __init__(self) -> None:
        self._inside = 0
        self._closed = False
        self._moved = asyncio.Condition()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """One of many."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            await self._tell()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Alone."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self._closed)
            self._closed = True
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: not self._inside)
            yield
        finally:
            self._closed = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()
