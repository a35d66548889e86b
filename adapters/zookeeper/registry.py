"""Trees of a ZooKeeper as a registry: read by levels, with watches as hints that something is to be read again."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from itertools import chain
from typing import Final

from adapters.zookeeper.access import Access
from adapters.zookeeper.line import Line
from adapters.zookeeper.mirror import Failure, Mirror, shown
from adapters.zookeeper.operations import NO_AUTH, NO_NODE, Sync
from adapters.zookeeper.whole import Whole
from bridge.adapter import Observation, Problem, Unread
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.problems import bounded

CONNECT: Final = 3.0
"""Seconds until it is told why there is no connection, where that is known; else two sessions."""

WHOLE: Final = 300.0
"""Seconds between two readings of everything, which need no watch; replicas do not do it together."""

JITTER: Final = 0.2

RETRY: Final = 5.0
"""Seconds after which is tried again what could not be read: a right that is given sets off no watch."""

GATHER: Final = 0.02
"""Seconds between two readings while changes go on; a lone one is read at once."""

LOOK: Final = 1.0
"""Seconds between two looks while there is no connection."""

AT_ONCE: Final = 500
"""Nodes in one request, and services in one turn of the loop."""

SHOWN: Final = 500
"""How many problems an observation tells one by one."""


class ZooKeeper:
    """A source: what others than us say in the trees."""

    def __init__(self, access: Access, mirrors: Sequence[Mirror], whole: Whole, clock: Clock) -> None:
        self._place = f"zookeeper {access.hosts}"
        self._access = access
        self._mirrors = mirrors
        self._whole = whole
        self._clock = clock
        self._changed = asyncio.Event()
        self._asked = False
        self._read = 0
        self._whole_at = 0.0  # when everything is to be read anew, whatever happens
        self._retry_at = 0.0
        self._looked_at = 0.0  # when the last reading ended
        self._zxid = 0
        self._restored: Problem | None = None
        self._said = ""

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked = True
        self._changed.set()

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        told: Observation | None = None
        seen: tuple[int, int] | None = None  # the connection over which everything was read
        line = Line(self._access, self._place, self._clock, self._changed)
        begun = self._clock.now()
        try:
            while True:
                self._changed.clear()
                await line.look()
                asked = False
                if line.connected:
                    asked, self._asked = self._asked, False
                    connection = line.connection
                    try:
                        if seen != connection:
                            await self._meet(line)
                            await self._read_all(line)
                            seen = connection
                        elif asked or self._clock.now() >= self._whole_at:
                            self._restored = self._restored if asked else None
                            await self._read_all(line)
                        else:
                            await self._read_changed(line)
                    except Unavailable:
                        self._asked, asked = self._asked or asked, False
                refused = self._refused()
                if seen is None:
                    self._give_up(line, begun)
                elif refused is not None and (told is None or isinstance(refused, Denied)):
                    self._raise(refused)
                else:
                    view = self._view(line)
                    if told is None or asked or not _same(view, told):
                        told, self._said = view, ""
                        yield view
                await self._wait(line)
        finally:
            await line.close()

    async def _meet(self, line: Line) -> None:
        """A new connection: the server is to catch up with its leader before it is read, whoever it is."""
        await line.ask(Sync("/"))
        if line.zxid < self._zxid:
            what = (
                f"answers with an older state than before (transaction {line.zxid:#x} after {self._zxid:#x}): it was "
                "restored, or wiped; what is missing is removed when that is proven or accepted"
            )
            self._restored = Problem("restored", self._place, what)

    async def _read_all(self, line: Line) -> None:
        for mirror in self._mirrors:
            mirror.again()
        line.fired()
        await self._follow(line)
        self._read += 1
        self._zxid = line.zxid
        self._retry_at = self._looked_at + RETRY
        self._whole_at = self._looked_at + WHOLE * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret

    async def _read_changed(self, line: Line) -> None:
        for path in line.fired():
            for mirror in self._mirrors:
                mirror.mark(path)
        if self._clock.now() >= self._retry_at:
            for mirror in self._mirrors:
                mirror.retry()
            self._retry_at = self._clock.now() + RETRY
        await self._follow(line)

    async def _follow(self, line: Line) -> None:
        """Ask until nothing is wanted any more, and take up what was answered: it is not told before that is whole."""
        for mirror in self._mirrors:
            while wanted := mirror.wants():
                for start in range(0, len(wanted), AT_ONCE):
                    operations = wanted[start : start + AT_ONCE]
                    now = self._clock.now()
                    for operation, answer in zip(operations, await line.ask(*operations), strict=True):
                        mirror.take(operation, answer, now)
        for count, _ in enumerate(self._whole.updates(), 1):
            if count % AT_ONCE == 0:
                await self._clock.sleep(0)
        self._looked_at = self._clock.now()

    def _refused(self) -> BridgeError | None:
        """Why nothing at all can be read over a connection that is there, which is no view."""
        unread = [one for mirror in self._mirrors for one in self._unread(mirror)]
        if len(unread) < sum(mirror.parts for mirror in self._mirrors):
            return None
        why = "; ".join(self._unread(mirror)[0].why for mirror in self._mirrors)
        failures = (failure for mirror in self._mirrors for failure in mirror.failures.values())
        denied = any(failure.word == NO_AUTH for failure in failures)
        return (Denied if denied else Unavailable)(f"{self._place}: {why}")

    def _give_up(self, line: Line, begun: float) -> None:
        """Before the first view: tell why there is none, once that is known or should be."""
        waited = self._clock.now() - begun
        if line.lost is not None and waited >= (CONNECT if line.known else 2 * self._access.session):
            self._raise(line.lost)

    def _raise(self, error: BridgeError) -> None:
        """Not twice with the same words: who observes again waits here, where the end of it is seen at once."""
        if str(error) != self._said:
            self._said = str(error)
            raise error

    def _view(self, line: Line) -> Observation:
        unread: tuple[Unread, ...]
        if (lost := line.lost) is not None:
            parts = len(self._mirrors)
            unread = tuple(Unread(mirror.tree.root, line.since, str(lost)) for mirror in self._mirrors)
        else:
            parts = sum(mirror.parts for mirror in self._mirrors)
            unread = tuple(one for mirror in self._mirrors for one in self._unread(mirror))
        problems = [self._restored] if self._restored is not None else []
        told = bounded(chain(problems, self._whole.problems()), SHOWN, self._place)
        return Observation(self._whole.services, self._read, told, parts, unread)

    def _unread(self, mirror: Mirror) -> list[Unread]:
        """What of a tree cannot be read, its root first: a level of it or a service, whatever of that it is."""
        by_part: dict[str, list[tuple[str, Failure]]] = {}
        for path, failure in sorted(mirror.failures.items()):
            by_part.setdefault(mirror.part(path), []).append((path, failure))
        return [
            Unread(
                shown(part),
                min(failure.since for _, failure in failures),
                f"{shown(failures[0][0])}: {self._remedy(failures[0][1])}",
                any(failure.never for _, failure in failures),
            )
            for part, failures in by_part.items()
        ]

    def _remedy(self, failure: Failure) -> str:
        if failure.word == NO_NODE:
            within = f" below the chroot {self._access.chroot}" if self._access.chroot else ""
            then = "what it said last stands; make it again, empty if there is nothing"
            return f"is not there{within}; {'correct the path of the tree' if failure.never else then}"
        if failure.word == NO_AUTH:
            return "may not be read by us; give us `r` there, or correct `auth`"
        return f"cannot be read: {failure.what}"

    async def _wait(self, line: Line) -> None:
        """Until a watch fires, or the connection is another, or somebody asks, or it is time."""
        now = self._clock.now()
        times = [line.due]
        if line.connected:
            times += [self._whole_at, *([self._retry_at] if any(one.failures for one in self._mirrors) else [])]
        else:
            times.append(now + LOOK)
        timer = asyncio.ensure_future(self._clock.sleep(max(min(times) - now, 0.0)))
        news = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            news.cancel()
        early = self._looked_at + GATHER - self._clock.now()
        if early > 0:
            await self._clock.sleep(early)


def _same(one: Observation, other: Observation) -> bool:
    """Whether two say the same, however often it was read."""
    return one.services is other.services and (one.problems, one.unread) == (other.problems, other.unread)
