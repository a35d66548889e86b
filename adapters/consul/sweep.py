"""The second way to follow services: what is hinted at is read at once, and all are read in turn where nobody knows."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, Final

from adapters.consul.answer import FROM_START, MOST, PACE
from adapters.consul.client import Api, Unreached
from adapters.consul.hints import Hint, Summary, Touched, checks_of, nodes_of
from adapters.consul.part import Part
from bridge.errors import BridgeError
from bridge.kit import Clock
from bridge.kit.backoff import pause

AT_ONCE: Final = 16
"""Questions that are under way at once."""

REST: Final = 1.0
"""Seconds between two sweeps at least, or four times as long as the last one took."""

LEISURE: Final = 10.0
"""Seconds between two sweeps, at least, that only look whether there was more than what was hinted at."""

RETRY: Final = 1.0
"""Seconds between two looks at what is due to be tried again."""


async def each(parts: Iterable[Part], api: Api, clock: Clock, news: Callable[[Part], None]) -> None:
    """Read all of these, some at once; what fails is its own failure. Unreached when there is no answer at all."""
    waiting = iter(parts)

    async def work() -> None:
        for part in waiting:
            try:
                differs = await part.read(api)
            except Unreached:
                raise
            except BridgeError as error:
                part.failed(error, clock.now())
                differs = True
            if differs:
                news(part)

    tasks = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        for done in asyncio.as_completed(tasks):
            await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


class Sweep:
    """Reads those parts of which something is known to have changed at once, and all when it is not known of which."""

    def __init__(self, api: Api, clock: Clock, parts: Mapping[str, Part], news: Callable[[Part], None]) -> None:
        self._api = api
        self._clock = clock
        self._parts = parts
        self._news = news
        self._known = {name for name, part in parts.items() if part.said is not None or part.failure is not None}
        self._touched: set[Touched] = set()
        self._marked = asyncio.Event()
        self.hints = (  # what is to be followed besides, where nobody waits for each part
            Hint(lambda index: api.checks_in("critical", index), checks_of, self.touch),
            Hint(lambda index: api.checks_in("warning", index), checks_of, self.touch),
            Hint(api.nodes, nodes_of, self.touch),
        )
        self._summary = Summary()
        self._newest = FROM_START  # the index of the last change of an instance that is known of
        self._covered = FROM_START  # up to which all has been looked at
        self._hinted = asyncio.Event()
        self._hinted.set()
        self._soon = self._later = False  # whether all is to be read, as soon as the last sweep has rested, or later
        self._wanted = asyncio.Event()
        self._rest_until = self._leisure_until = clock.now() + REST

    def hint(self, index: int) -> None:
        """An instance has changed; `index` is that of the change, or none when it is not known what has."""
        if index == FROM_START:
            self._newest = self._covered = FROM_START
            self.soon()
        elif index > self._covered:
            self._newest = index
            self._hinted.set()

    def touch(self, touched: Iterable[Touched]) -> None:
        """Something of these has changed."""
        self._touched.update(touched)
        if self._touched:
            self._marked.set()

    def adjust(self) -> None:
        """Read parts that are new."""
        new = self._parts.keys() - self._known
        self._known = set(self._parts)
        self.touch(Touched(name.lower()) for name in new)

    def soon(self) -> None:
        """Anything may have changed."""
        self._soon = True
        self._wanted.set()

    async def look(self) -> None:
        """Until cancelled: find out which instances have changed when all that is known is that some have."""
        while True:
            await self._hinted.wait()
            self._hinted.clear()
            begun, newest = self._clock.now(), self._newest
            try:
                seen = await self._summary.look(self._api)
            except BridgeError:
                self._covered = self._newest
                self.soon()
            else:
                self._covered = max(newest, seen.until) if self._newest >= newest else FROM_START
                self.touch(seen.touched or ())
                if seen.touched and seen.until >= newest:
                    self._later = True
                    self._wanted.set()
                else:
                    self.soon()
            if self._newest <= self._covered:
                self._hinted.clear()  # what was hinted at meanwhile has been looked at
            await self._clock.sleep(min(max(PACE, self._clock.now() - begun), MOST))

    async def read_touched(self) -> None:
        """Until cancelled: read what is known to have changed, in a sweep when it is much of all that there is."""
        while True:
            await self._marked.wait()
            self._marked.clear()
            begun, touched, self._touched = self._clock.now(), self._touched, set()
            parts = list(self._of(touched))
            try:
                if len(parts) > max(AT_ONCE, len(self._parts) // 4):
                    self.soon()
                else:
                    await each(parts, self._api, self._clock, self._news)
            except Unreached:
                self.soon()
            await self._clock.sleep(max(PACE, self._clock.now() - begun))

    async def read_all(self) -> None:
        """Until cancelled: read everything, whenever that is due."""
        tries = 0
        while True:
            await self._until_due()
            self._soon = self._later = False
            begun = self._clock.now()
            try:
                await each(list(self._parts.values()), self._api, self._clock, self._news)
            except Unreached:
                tries += 1
                self._rest_until = self._clock.now() + pause(tries, denied=False)
                self.soon()
            else:
                tries = 0
                now = self._clock.now()
                self._rest_until = now + max(REST, 4 * (now - begun))
                self._leisure_until = max(self._rest_until, now + LEISURE)

    def _of(self, touched: Iterable[Touched]) -> Iterator[Part]:
        services = {one.service for one in touched if one.service}
        nodes = {one.node for one in touched if not one.service}
        for part in self._parts.values():
            if part.name.lower() in services or (nodes and not nodes.isdisjoint(part.nodes)):
                yield part

    @property
    def _due(self) -> float:
        if not (self._summary.asked and all(one.asked for one in self.hints)):
            return inf  # each first answer leaves open what was before it: all is read once, after the last of them
        if self._soon:
            return self._rest_until
        return self._leisure_until if self._later else inf

    async def _until_due(self) -> None:
        while (rest := self._due - self._clock.now()) > 0:
            self._wanted.clear()
            waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wanted.wait())]
            if rest < inf:
                waits.append(asyncio.ensure_future(self._clock.sleep(rest)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()


async def mend(api: Api, clock: Clock, parts: Mapping[str, Part], news: Callable[[Part], None]) -> None:
    """Read again what failed, whenever it is due: a right that is given back sets off no answer to any question."""
    while True:
        await clock.sleep(RETRY)
        for part in list(parts.values()):
            if part.failure is not None and part.failure.due <= clock.now():
                try:
                    await part.read(api)
                except BridgeError as error:
                    part.failed(error, clock.now())
                news(part)
