"""Hints that something changed in a folder; a poll stands behind them, and the content decides."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from watchfiles import awatch

STEP = 5
"""Milliseconds between two looks at what the kernel told; half of it is what a hint waits for on average."""

GATHER = 25
"""Milliseconds after which a hint is given even when changes go on."""


class Watch:
    """Sets `changed` when something happens in the folders followed; `error` says why some cannot be followed."""

    def __init__(self, changed: asyncio.Event) -> None:
        self.error = ""
        self._changed = changed
        self._folders: Mapping[Path, tuple[int, int]] = {}
        self._task: asyncio.Task[None] | None = None

    async def follow(self, folders: Mapping[Path, tuple[int, int]], *, retry: bool) -> bool:
        """Follow these folders from now on; whether that was begun just now, and something may have been missed.

        What could not be followed is only tried again when `retry` says that it is time.
        """
        ended = self._task is None or self._task.done()
        if folders == self._folders and not (ended and retry):
            return False
        await self.stop()
        self._folders = dict(folders)
        self.error = ""
        if folders:
            self._task = asyncio.create_task(self._run(list(folders)), name="static inventory watch")
        return True

    async def stop(self) -> None:
        """Release what the kernel was asked for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self, folders: list[Path]) -> None:
        try:
            # told to ignore missing permissions, watchfiles would keep missing folders to itself too
            hints = awatch(
                *folders, watch_filter=None, debounce=GATHER, step=STEP, recursive=False, ignore_permission_denied=False
            )
            async for _ in hints:
                self._changed.set()
            self.error = "the watch ended by itself"
        except FileNotFoundError:
            pass  # it was there a moment ago: what else is gone is seen by looking again, which comes next
        except (OSError, RuntimeError) as error:
            self.error = str(error)
        self._changed.set()
