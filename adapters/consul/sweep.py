"""The second way to follow services: three questions say that something has changed, and then all are read in turn."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Literal

from adapters.consul.answer import PACE, Answer, Cursor
from adapters.consul.client import Api, Unreached
from adapters.consul.part import Part
from bridge.errors import BridgeError
from bridge.kit import Clock
from bridge.kit.backoff import pause

AT_ONCE: Final = 16
"""Questions that are under way at once."""

GATHER: Final = 0.1
"""Seconds from a hint until all is read: what changes together hints several times."""

REST: Final = 1.0
"""Seconds between two sweeps at least, or four times as long as the last one took."""

RETRY: Final = 1.0
"""Seconds between two looks at what is due to be tried again."""


class Hint:
    """A question whose answer moves with what it does not say."""

    pace: Final = PACE
    hints: Final = True

    def __init__(self, ask: Callable[[int], Awaitable[Answer]]) -> None:
        self.cursor = Cursor()
        self._ask = ask

    async def poll(self, _: Api) -> tuple[bool, bool]:
        """An answer is a hint, whatever it says."""
        answer = await self._ask(self.cursor.index)
        self.heed(answer)
        return True, self.cursor.follow(answer.index)

    def heed(self, answer: Answer) -> None:
        """Nothing that it says is of use."""

    def failed(self, error: BridgeError, now: float) -> None:
        """Nobody knows what it would have hinted at: it counts as a hint, and no more."""


class Critical(Hint):
    """Which checks are critical says of which services something has changed: `mark` is told."""

    def __init__(self, ask: Callable[[int], Awaitable[Answer]], mark: Callable[[Iterable[str]], None]) -> None:
        super().__init__(ask)
        self._mark = mark
        self._said: frozenset[tuple[str, str, str]] | None = None

    def heed(self, answer: Answer) -> None:
        before, self._said = self._said, critical_of(answer.read())
        if before is not None:
            self._mark(sorted({service for _, _, service in before ^ self._said if service}))


def critical_of(said: Any) -> frozenset[tuple[str, str, str]]:
    """Nodes, checks and services; what cannot be understood hints at nothing."""
    checks = said if isinstance(said, list) else []
    return frozenset(
        (str(one.get("Node")), str(one.get("CheckID")), str(one.get("ServiceName") or ""))
        for one in checks
        if isinstance(one, dict)
    )


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
    """Reads all parts whenever it is hinted at, and those that are marked or new at once."""

    def __init__(self, api: Api, clock: Clock, parts: Mapping[str, Part], news: Callable[[Part], None]) -> None:
        self._api = api
        self._clock = clock
        self._parts = parts
        self._news = news
        self._wake = asyncio.Event()
        self._hinted = False
        self._marked: set[str] = set()
        self._rest_until = clock.now()

    def hint(self) -> None:
        """Something has changed."""
        self._hinted = True
        self._wake.set()

    def mark(self, names: Iterable[str]) -> None:
        """Something of these has changed."""
        self._marked.update(names)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        tries = 0
        while True:
            await self._wait()
            self._wake.clear()
            try:
                await self._read_marked()
                if self._hinted and self._clock.now() >= self._rest_until:
                    await self._clock.sleep(GATHER)
                    self._hinted = False
                    await self._read_all()
            except Unreached:
                tries += 1
                self._hinted = True
                self._rest_until = self._clock.now() + pause(tries, denied=False)
            else:
                tries = 0

    async def _read_marked(self) -> None:
        names, self._marked = self._marked, set()
        parts = list(self._parts.values())
        await each([one for one in parts if one.name in names or self._is_new(one)], self._api, self._clock, self._news)

    async def _read_all(self) -> None:
        begun = self._clock.now()
        await each(list(self._parts.values()), self._api, self._clock, self._news)
        now = self._clock.now()
        self._rest_until = now + max(REST, 4 * (now - begun))

    def _is_new(self, part: Part) -> bool:
        return part.said is None and part.failure is None

    async def _wait(self) -> None:
        """For a hint or a mark, or until a hint from before may be heeded."""
        wake = asyncio.ensure_future(self._wake.wait())
        waits = {wake}
        if self._hinted:
            rest = max(self._rest_until - self._clock.now(), 0.0)
            waits.add(asyncio.ensure_future(self._slept(rest)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _slept(self, seconds: float) -> Literal[True]:
        await self._clock.sleep(seconds)
        return True


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
