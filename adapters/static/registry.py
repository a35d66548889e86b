"""Files as a registry: observed by hints of the kernel, with a poll behind them, believed by their content."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from adapters.static import paths
from adapters.static.inventory import How
from adapters.static.part import Part
from adapters.static.watch import Watch
from adapters.static.whole import Whole
from bridge.adapter import Observation, Problem
from bridge.errors import ConfigError, Unavailable
from bridge.kit import Clock, files
from bridge.kit.problems import bounded

POLL = 5.0
"""Seconds between two readings of everything, which need no hint."""

AFTER_FOLLOWING = 0.1
"""Seconds after which is looked again when other folders are followed: what happened meanwhile gave no hint."""

SHOWN = 500
"""How many problems an observation tells one by one."""


class Static:
    """A source: the services that the operator's files name."""

    def __init__(self, patterns: Sequence[Path], how: How, clock: Clock) -> None:
        self._patterns = patterns
        self._how = how
        self._clock = clock
        self._parts: dict[Path, Part] = {}
        self._whole = Whole()
        self._reading = threading.Lock()  # a reading whose awaiter was cancelled may still run in its thread
        self._changed = asyncio.Event()
        self._asked = False
        self._read = 0

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked = True
        self._changed.set()

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        watch = Watch(self._changed)
        told: Observation | None = None
        begun = float("-inf")  # when all files were last begun to be read anew
        reading = asked = False
        try:
            while True:
                self._changed.clear()
                now = self._clock.now()
                due = self._asked or now - begun >= POLL
                if due:
                    asked, self._asked = asked or self._asked, False
                    reading, begun = True, now
                folders = await asyncio.to_thread(self._look, begun)
                answered = False
                if reading and all(part.settled for part in self._parts.values()):
                    self._read += 1
                    reading, asked, answered = False, False, asked
                if told is None and not reading:
                    self._refuse_half()
                    told = self._observation(watch.error)
                    yield told
                elif told is not None:
                    observation = self._observation(watch.error)
                    if answered or not _same(observation, told):
                        told = observation
                        yield told
                moved = await watch.follow(folders, retry=due)
                await self._wait(begun, moved)
        finally:
            await watch.stop()

    def _look(self, since: float) -> dict[Path, tuple[int, int]]:
        """Read what was not `since`, what may have changed, and what was to be read again; the folders to watch."""
        with self._reading:
            for path in paths.expand(self._patterns):
                if path not in self._parts:
                    self._parts[path] = Part(path, self._how.reader(str(path)))
            for part in self._parts.values():
                now = self._clock.now()
                due = part.looked < since or (part.again is not None and now >= part.again)
                if due or files.stamp(part.path) != part.stamp:
                    part.look(now, self._clock.wall())
            good = {part.where: part.good for part in self._in_order() if part.good is not None}
            self._whole.take(good)
            return paths.folders(self._patterns, self._parts)

    def _refuse_half(self) -> None:
        """Before the first whole view there is nothing that could stand in for a file that is not read."""
        why = [str(part.error) for part in self._in_order() if part.good is None]
        why += _unmatched(self._patterns)
        if why:
            raise Unavailable("; ".join(why))

    def _observation(self, watch_error: str) -> Observation:
        problems = [part.problem for part in self._in_order() if part.problem is not None] + self._whole.problems
        if watch_error:
            what = f"folders cannot be watched, changes are seen within {POLL:g} s: {watch_error}"
            problems.insert(0, Problem("watch", "inventory files", what))
        told = bounded(problems, SHOWN, "inventory files")
        unread = tuple(part.unread for part in self._in_order() if part.unread is not None)
        return Observation(self._whole.services, self._read, told, max(len(self._parts), 1), unread)

    def _in_order(self) -> list[Part]:
        return [self._parts[path] for path in sorted(self._parts)]

    async def _wait(self, begun: float, moved: bool) -> None:
        """Until a hint comes, or somebody asks, or a file is to be read again."""
        now = self._clock.now()
        times = [begun + POLL, *(part.again for part in self._parts.values() if part.again is not None)]
        if moved:
            times.append(now + AFTER_FOLLOWING)
        timer = asyncio.ensure_future(self._clock.sleep(max(min(times) - now, 0.0)))
        hint = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({timer, hint}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            hint.cancel()


def _same(one: Observation, other: Observation) -> bool:
    """Whether two say the same, however often it was read."""
    return one.services is other.services and (one.problems, one.parts, one.unread) == (
        other.problems,
        other.parts,
        other.unread,
    )


def _unmatched(patterns: Sequence[Path]) -> list[str]:
    what = "matches no file; put one there, or correct the pattern"
    return [f"{pattern}: {what}" for pattern in patterns if not paths.expand([pattern])]


def read_once(patterns: Sequence[Path], how: How) -> Observation:
    """Every file as it is now, offline; ConfigError tells all that will not do, one a line."""
    whole, good = Whole(), {}
    wrong = _unmatched(patterns)
    for path in paths.expand(patterns):
        where = str(path)
        try:
            content = files.read(path, where) or files.read(path, where)
            if content is None:
                raise ConfigError(f"{where}: changes while it is read; try again")
            good[where] = how.reader(where).read(files.text(content.data, where))
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
    whole.take(good)
    return Observation(whole.services, 1, bounded(whole.problems, SHOWN, "inventory files"), len(good))
