"""A source that is observed as it runs, and what it said."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from bridge.adapter import Observation, Source
from bridge.model import Endpoint
from bridge.runtime.keep import meanwhile
from tests.builders import name

PATIENCE = 90.0
"""Seconds for what takes far less, on the slowest machine too."""


def as_written(path: Path) -> tuple[int, ...]:
    """What is another when a file was written, and the same when it was read."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode, stat.st_uid, stat.st_gid


class Observed:
    """`seen` is all that the source said, the newest last."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seen: list[Observation] = []
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Observe until cancelled, or until the source ends."""
        async with contextlib.aclosing(self.source.observe()) as observations:  # type: ignore[type-var]
            async for observation in observations:
                self.seen.append(observation)
                self._news.set()

    @property
    def now(self) -> Observation:
        return self.seen[-1]

    @property
    def problems(self) -> str:
        """A line each."""
        return "\n".join(map(str, self.now.problems))

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """Those of a service as it was said last; none while it is not there."""
        there = self.now.services.get(name(service))
        return there.endpoints if there is not None else ()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (self.seen and true()):
                self._news.clear()
                await self._news.wait()

    async def answered(self) -> None:
        """Until everything was read again."""
        before = self.now.read
        self.source.refresh()
        await self.until(lambda: self.now.read > before)


Seen = TypeVar("Seen", bound=Observed)


@contextlib.asynccontextmanager
async def observing(observed: Seen) -> AsyncIterator[Seen]:
    """From its first view on, until the block ends."""
    async with meanwhile(observed.run()):
        await observed.until(lambda: True)
        yield observed
