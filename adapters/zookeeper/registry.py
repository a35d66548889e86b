"""Trees of a ZooKeeper as a registry: read by levels, with watches as hints that something is to be read again."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Final

from adapters.zookeeper.access import Access
from adapters.zookeeper.line import Line
from adapters.zookeeper.operations import Sync
from adapters.zookeeper.sink import Sink
from adapters.zookeeper.telling import Telling
from bridge.adapter import Change, Claim, Holding, Observation, Problem, Record, Target
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock
from bridge.model import Service

CONNECT: Final = 3.0
"""Seconds until it is told why there is no connection, where that is known."""

UNKNOWN: Final = 6.0
"""The same, where it is not: what accepts connections and does not answer is known for it after a whole session."""

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
"""Nodes in one request."""

TURN: Final = 20
"""Services that are put together in one turn of the loop: ten milliseconds for ten instances each."""


class ZooKeeper:
    """A source: what others than us say in the trees that are read; and a sink: the trees that are written."""

    concurrency: Final = 64

    def __init__(self, place: str, access: Access, telling: Telling, clock: Clock) -> None:
        self._place = place
        self._access = access
        self._telling = telling
        self._sink = Sink(place, telling.targets, access.acl, telling.retired)
        self._clock = clock
        self._changed = asyncio.Event()
        self._asked = False
        self._read = 0
        self._whole_at = 0.0  # when everything is to be read anew, whatever happens
        self._retry_at = 0.0
        self._looked_at = 0.0  # when the last reading ended
        self._zxid = 0
        self._said = ""

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked = True
        self._changed.set()

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return self._sink.fit(target, service, holding)

    async def apply(self, target: Target, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        await self._sink.apply(target, change)

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        await self._sink.claim(target, claim)

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        told: Observation | None = None
        seen: tuple[int, int] | None = None  # the connection over which everything was read
        line = self._sink.line = Line(self._access, self._place, self._clock, self._changed)
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
                            if not asked:
                                self._telling.restored = None
                            await self._read_all(line)
                        else:
                            await self._read_changed(line)
                    except Unavailable:
                        self._asked, asked = self._asked or asked, False
                refused = self._telling.refused()
                if seen is None:
                    self._give_up(line, begun)
                elif refused is not None and (told is None or isinstance(refused, Denied)):
                    self._raise(refused)
                else:
                    lost = line.lost
                    view = self._telling.view(self._read, "" if lost is None else str(lost), line.since)
                    if told is None or asked or not _same(view, told):
                        told, self._said = view, ""
                        yield view
                await self._wait(line)
        finally:
            self._sink.line = None
            await line.close()

    async def _meet(self, line: Line) -> None:
        """A new connection: the server is to catch up with its leader before it is read, whoever it is."""
        await line.ask(Sync("/"))
        if line.zxid < self._zxid:
            what = (
                f"answers with an older state than before (transaction {line.zxid:#x} after {self._zxid:#x}): it was "
                "restored, or wiped; what is missing is removed when that is proven or accepted"
            )
            self._telling.restored = Problem("restored", self._place, what)

    async def _read_all(self, line: Line) -> None:
        for mirror in self._telling.mirrors:
            mirror.again()
        line.fired()
        await self._follow(line)
        if not self._asked or not self._read:  # who asked meanwhile wants one that was begun after that
            self._read += 1
        self._zxid = line.zxid
        self._retry_at = self._looked_at + RETRY
        self._whole_at = self._looked_at + WHOLE * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret

    async def _read_changed(self, line: Line) -> None:
        for path in line.fired():
            for mirror in self._telling.mirrors:
                mirror.mark(path)
        if self._clock.now() >= self._retry_at:
            for mirror in self._telling.mirrors:
                mirror.retry()
            self._retry_at = self._clock.now() + RETRY
        await self._follow(line)

    async def _follow(self, line: Line) -> None:
        """Ask until nothing is wanted any more, and take up what was answered: it is not told before that is whole."""
        mirrors = self._telling.mirrors
        while wanted := list(dict.fromkeys(one for mirror in mirrors for one in mirror.wants())):
            for start in range(0, len(wanted), AT_ONCE):
                operations = wanted[start : start + AT_ONCE]
                now = self._clock.now()
                for operation, answer in zip(operations, await line.ask(*operations), strict=True):
                    for mirror in mirrors:
                        mirror.take(operation, answer, now)
        self._telling.whole.renew(line.session)
        for count, _ in enumerate(self._telling.whole.updates(), 1):
            if count % TURN == 0:
                await self._clock.sleep(0)
        for target, holdings in self._telling.whole.holdings.items():
            self._sink.seen(target, holdings)
        self._looked_at = self._clock.now()

    def _give_up(self, line: Line, begun: float) -> None:
        """Before the first view: tell why there is none, once there should be one, and again when more is known."""
        if line.lost is not None and self._clock.now() - begun >= (CONNECT if line.known else UNKNOWN):
            self._raise(line.lost)

    def _raise(self, error: BridgeError) -> None:
        """Not twice with the same words: who observes again waits here, where the end of it is seen at once."""
        if str(error) != self._said:
            self._said = str(error)
            raise error

    async def _wait(self, line: Line) -> None:
        """Until a watch fires, or the connection is another, or somebody asks, or it is time."""
        now = self._clock.now()
        times = [line.due]
        if line.connected:
            failing = any(mirror.failures for mirror in self._telling.mirrors)
            times += [self._whole_at, *([self._retry_at] if failing else [])]
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
    same = one.services is other.services and one.held is other.held
    return same and (one.problems, one.unread, one.others) == (other.problems, other.unread, other.others)
