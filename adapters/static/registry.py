"""Files as a registry: observed by hints of the kernel, with a poll behind them, believed by their content.

Beside them stand feeds, which are asked from time to time: URLs, and inventories that a tool is to read. What we write
is read as well, and apart: such a file is a target, and never one of the inventories.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from adapters.static import ansible_tool, paths
from adapters.static.feed import Feed
from adapters.static.gather import Gather
from adapters.static.inventory import How
from adapters.static.neighbours import Neighbours
from adapters.static.part import Part
from adapters.static.standing import Standing
from adapters.static.target import TargetFile
from adapters.static.watch import Watch
from adapters.static.whole import Whole
from bridge.adapter import Change, Claim, Held, Holding, Observation, Problem, Record, Target, Unread
from bridge.errors import ConfigError, Unavailable
from bridge.kit import Clock, files
from bridge.kit.problems import bounded
from bridge.model import Service
from bridge.table import Table, share

POLL = 5.0
"""Seconds between two readings of everything, which need no hint."""

AFTER_FOLLOWING = 0.1
"""Seconds after which is looked again when other folders are followed: what happened meanwhile gave no hint."""

SHOWN = 500
"""How many problems an observation tells one by one."""


class Static:
    """A source: the services that the operator's files name, and feeds; and a sink: the files that are `written`.

    With a `tool` (a command of Ansible's) it is not the bridge that reads the files.
    """

    concurrency: Final = 1000
    """So many changes of one file wait for one write."""

    def __init__(
        self,
        patterns: Sequence[Path],
        how: How,
        clock: Clock,
        feeds: Sequence[Feed] = (),
        tool: Sequence[str] = (),
        *,
        written: Sequence[TargetFile] = (),
    ) -> None:
        self._patterns = patterns
        self._how = how
        self._clock = clock
        self._feeds = feeds
        self._tool = tool
        self._targets = {one.target: Gather(one) for one in written}
        self._tools: dict[Path, Feed] = {}
        self._asking: dict[Feed, asyncio.Task[None]] = {}
        self._parts: dict[Path, Part] = {}
        self._whole = Whole()
        self._held: Table[Target, Held] = Table()
        self._neighbours = Neighbours()
        self._others: tuple[tuple[str, Claim], ...] = ()
        self._reading = threading.Lock()  # a reading whose awaiter was cancelled may still run in its thread
        self._changed = asyncio.Event()
        self._asked = False
        self._read = 0

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked = True
        self._changed.set()

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return self._targets[target].file.fit(service)

    async def apply(self, target: Target, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        try:
            await self._targets[target].apply(change)
        finally:
            self._changed.set()

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        try:
            await self._targets[target].claim(claim)
        finally:
            self._changed.set()

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        watch = Watch(self._changed)
        told: Observation | None = None
        begun = float("-inf")  # when all files were last begun to be read anew
        started = begun  # when the reading was begun that is under way; feeds take longer than files
        reading = asked = False
        try:
            while True:
                self._changed.clear()
                now = self._clock.now()
                due = self._asked or now - begun >= POLL
                anew, self._asked = self._asked, False
                if due:
                    started = now if anew or not reading else started
                    asked, reading, begun = asked or anew, True, now
                folders, stale = await asyncio.to_thread(self._look, begun)
                self._ask(self._all_feeds() if anew else stale)
                answered = False
                if reading and self._read_since(started):
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
            await self._stop_asking()
            await watch.stop()

    def _look(self, since: float) -> tuple[dict[Path, tuple[int, int]], list[Feed]]:
        """Read what was not `since`, what may have changed, and what was to be read again.

        The folders to watch, and the feeds whose file is another.
        """
        with self._reading:
            stale = []
            written = [one.file for one in self._targets.values()]
            for path in paths.expand(self._patterns, [one.path for one in written]):
                if self._tool:
                    feed = self._tools.get(path) or self._tools.setdefault(path, self._listed(path))
                    if (stamp := files.stamp(path)) != feed.stamp:
                        feed.stamp = stamp
                        stale.append(feed)
                elif path not in self._parts:
                    self._parts[path] = Part(path, self._how.reader(str(path)))
            for part in self._parts.values():
                now = self._clock.now()
                due = part.looked < since or (part.again is not None and now >= part.again)
                if due or files.stamp(part.path) != part.stamp:
                    part.look(now, self._clock.wall())
            good = {part.where: part.good for part in self._in_order() if part.good is not None}
            self._whole.take(good)
            self._others = self._neighbours.look(sorted(self._parts))
            for one in written:
                one.look(since, self._clock.now())
            return paths.folders(self._patterns, [*self._parts, *self._tools, *(one.path for one in written)]), stale

    def _listed(self, path: Path) -> Feed:
        where = f"{path} (listed)"  # lines are those of what the tool says
        reader = self._how.reader(where)
        return Feed(where, "file", reader, partial(ansible_tool.listed, self._tool, path, where), ansible_tool.EACH)

    def _ask(self, stale: Sequence[Feed]) -> None:
        """Have each feed asked from time to time, and the stale ones now; a feed's bug is ours."""
        for feed in self._all_feeds():
            if feed not in self._asking:
                name = f"static inventory {feed.where}"
                self._asking[feed] = asyncio.create_task(feed.run(self._clock, self._changed), name=name)
                self._asking[feed].add_done_callback(lambda _: self._changed.set())
            elif feed in stale:
                feed.wake()
            if self._asking[feed].done():
                self._asking[feed].result()

    async def _stop_asking(self) -> None:
        asking, self._asking = list(self._asking.values()), {}
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    def _read_since(self, started: float) -> bool:
        """Whether all that is read, or cannot be, was looked at since then."""
        return all(part.settled for part in self._parts.values()) and all(
            feed.looked >= started for feed in self._all_feeds()
        )

    def _all_feeds(self) -> list[Feed]:
        return [*(self._tools[path] for path in sorted(self._tools)), *self._feeds]

    def _refuse_half(self) -> None:
        """Before the first whole view there is nothing that could stand in for a file that is not read."""
        why = [str(part.error) for part in self._in_order() if part.good is None]
        why += _unmatched(self._patterns, [one.file.path for one in self._targets.values()])
        if why:
            raise Unavailable("; ".join(why))

    def _observation(self, watch_error: str) -> Observation:
        problems = [part.problem for part in self._in_order() if part.problem is not None] + self._whole.problems
        for one in self._targets.values():
            problems += one.file.problems
        if watch_error:
            what = f"folders cannot be watched, changes are seen within {POLL:g} s: {watch_error}"
            problems.insert(0, Problem("watch", "inventory files", what))
        told = bounded(problems, SHOWN, "inventory files")
        unread = tuple(part.unread for part in self._in_order() if part.unread is not None)
        held = {one.file.target: one.file.held for one in self._targets.values() if one.file.held is not None}
        self._held = share(self._held, held)
        parts = max(len(self._in_order()), 1)
        return Observation(self._whole.services, self._read, told, parts, unread, self._held, self._others)

    def _in_order(self) -> list[Standing]:
        return [*(self._parts[path] for path in sorted(self._parts)), *self._all_feeds()]

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
    same = one.services is other.services and one.held is other.held
    return same and _beside(one) == _beside(other)


def _beside(one: Observation) -> tuple[object, ...]:
    return one.problems, one.parts, one.unread, one.others


def _unmatched(patterns: Sequence[Path], written: Sequence[Path] = ()) -> list[str]:
    """What names no file, though those that we write need not be there."""
    what = "matches no file; put one there, or correct the pattern"
    return [f"{pattern}: {what}" for pattern in patterns if pattern not in written and not paths.expand([pattern])]


def read_once(patterns: Sequence[Path], how: How, unread: Sequence[Unread] = ()) -> Observation:
    """Every file as it is now, offline; ConfigError tells all that will not do, one a line.

    `unread` names what cannot be read so.
    """
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
    told = bounded(whole.problems, SHOWN, "inventory files")
    return Observation(whole.services, 1, told, len(good) + len(unread), tuple(unread))
