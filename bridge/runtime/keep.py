"""Tasks: one that runs for the length of a block; those that are restarted when a bug ends them, and seen when that
does not help.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from bridge.kit import Clock
from bridge.runtime.backoff import again

STEADY = 60.0
"""Seconds after which a task that runs has recovered."""

HOPELESS = 5
"""Deaths in a row after which restarting has not helped."""

_log = structlog.get_logger("bridge.tasks")


class EndedError(Exception):
    """A task that should run for ever returned, or was cancelled by nobody."""


class Keeper:
    """Keeps the loops of the program running, and knows those that it cannot keep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._deaths: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self.restarts = 0

    def start(self, group: asyncio.TaskGroup, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run` in `group` for ever: when it ends or raises, log it and run it again after a while."""
        self._tasks[name] = group.create_task(self._keep(name, run), name=name)

    def alive(self) -> bool:
        """Whether all tasks run, or have a fair chance to."""
        return not self.hopeless()

    def hopeless(self) -> list[str]:
        """The tasks that died again and again and have not recovered, or are gone; sorted."""
        return sorted(name for name, task in self._tasks.items() if task.done() or self._dying(name))

    def _dying(self, name: str) -> bool:
        return self._deaths.get(name, 0) >= HOPELESS and self._clock.now() - self._started[name] < STEADY

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        async for attempt in again(self._clock):
            with attempt:
                started = self._started[name] = self._clock.now()
                try:
                    await unless_cancelled(run())
                    raise EndedError(f"{name}: ended without an error")
                except Exception:
                    steady = self._clock.now() - started >= STEADY
                    if steady:
                        attempt.retry_state.attempt_number = 1
                    self._deaths[name] = 1 if steady else self._deaths.get(name, 0) + 1
                    self.restarts += 1
                    _log.exception("task died", task=name, deaths=self._deaths[name])
                    raise


async def unless_cancelled(run: Awaitable[None]) -> None:
    """Await `run`; a cancellation that nobody asked of this task is a bug of its own, raised as EndedError."""
    try:
        await run
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise EndedError("cancelled itself") from error


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, object]) -> AsyncIterator[asyncio.Task[object]]:
    """It goes on until the block ends; what it died of is raised then."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
