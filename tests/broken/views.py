"""Adapters that see and tell wrong what others wrote."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from typing import ClassVar

from bridge.adapter import Observation
from bridge.errors import Denied, Unavailable
from bridge.model import Service, ServiceName
from bridge.table import Table
from bridge.testing.memory import MemoryRegistry
from tests.broken.telling import each, services, telling

half = services(lambda them: dict(sorted(them.items())[: len(them) // 2]))
unsorted = each(lambda one: replace(one, endpoints=one.endpoints[::-1]))
guarding = each(lambda one: replace(one, endpoints=tuple(replace(each, held=True) for each in one.endpoints)))


class NeverEmpty(MemoryRegistry):
    """Takes an empty list for an error of the registry."""

    def _say(self, observation: Observation) -> None:
        if observation.services:
            super()._say(observation)


class FirstWord(MemoryRegistry):
    """Sees services come and go, and not how they change."""

    def _say(self, observation: Observation) -> None:
        before = self._observation.services if self._observation else {}
        them = {name: before.get(name, one) for name, one in observation.services.items()}
        super()._say(replace(observation, services=Table(them)))


class OneTable(MemoryRegistry):
    """Writes each view over the one before."""

    _table: Table[ServiceName, Service] | None = None

    def _say(self, observation: Observation) -> None:
        if self._table is None:
            self._table = Table(dict(observation.services))
        self._table._groups, self._table._len = observation.services._groups, observation.services._len
        super()._say(replace(observation, services=self._table))


class Stamping(MemoryRegistry):
    """Writes the number of the view into every service."""

    def _say(self, observation: Observation) -> None:
        number = str(self._version)
        them = {name: replace(one, metadata=(("seen", number),)) for name, one in observation.services.items()}
        super()._say(replace(observation, services=Table(them)))


class Counted(MemoryRegistry):
    """Says what depends on how often the program has opened one."""

    opened_before = count()

    def __init__(self, **more: object) -> None:
        self.number = str(next(self.opened_before))
        super().__init__(**more)

    def _say(self, observation: Observation) -> None:
        them = {name: replace(one, metadata=(("by", self.number),)) for name, one in observation.services.items()}
        super()._say(replace(observation, services=Table(them)))


class Deaf(MemoryRegistry):
    """Never reads anew."""

    def refresh(self) -> None:
        return


class Stale(MemoryRegistry):
    """Answers a refresh from its cache, and fills that afterwards."""

    def refresh(self) -> None:
        if self._observation is not None:
            self._read += 1
            self._say(replace(self._observation, read=self._read))

    def _look(self) -> None:
        if self._observation is None:
            super()._look()
        else:
            asyncio.get_running_loop().call_later(0.05, super()._look)


class Eager(MemoryRegistry):
    """Cannot be asked before it is observed."""

    def refresh(self) -> None:
        if not self.opened:
            raise RuntimeError("there is no connection yet")
        super().refresh()


class Queueing(MemoryRegistry):
    """Keeps every view until somebody fetches it."""

    def _say(self, observation: Observation) -> None:
        super()._say(observation)
        self.__dict__.setdefault("queue", []).append(observation)

    async def observe(self) -> AsyncIterator[Observation]:
        while True:
            queue = self.__dict__.setdefault("queue", [])
            if queue:
                yield queue.pop(0)
            else:
                await asyncio.sleep(0.005)


silent = telling(lambda registry, view: replace(view, problems=()))
multiline = telling(
    lambda registry, view: replace(view, problems=tuple(replace(one, what="is\nbad") for one in view.problems))
)


class Fragile(MemoryRegistry):
    """One record that cannot be read costs the view."""

    def _look(self) -> None:
        if self.store.garbage:
            self.fail(Unavailable(f"memory: {next(iter(self.store.garbage.values()))}"))
        else:
            super()._look()


class Connecting(MemoryRegistry):
    """Begins before anybody asks for a view."""

    running: ClassVar[list[asyncio.Task[None]]] = []

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.running.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))


class Flattening(MemoryRegistry):
    """Shows a registry that cannot be read as an empty one."""

    async def observe(self) -> AsyncIterator[Observation]:
        while True:
            try:
                async for view in super().observe():
                    yield view
            except (Unavailable, Denied):
                yield Observation(Table(), self._read)
                await asyncio.sleep(0.01)


class CountingOn(MemoryRegistry):
    """Counts a reading that failed."""

    async def observe(self) -> AsyncIterator[Observation]:
        while True:
            try:
                async for view in super().observe():
                    yield view
            except Unavailable:
                if self._observation is None:
                    raise
                self._read += 1
                yield replace(self._observation, read=self._read)
                await asyncio.sleep(0.01)


class Vague(MemoryRegistry):
    """Says that it cannot be reached when it was turned away."""

    def fail(self, error: BaseException) -> None:
        super().fail(Unavailable(str(error)))


class Ending(MemoryRegistry):
    """Ends where it should raise."""

    async def observe(self) -> AsyncIterator[Observation]:
        async for view in super().observe():
            yield view
            return


class Leaking(MemoryRegistry):
    """Leaves something behind of every observer."""

    left: ClassVar[list[int]] = []

    async def observe(self) -> AsyncIterator[Observation]:
        self.left += os.pipe()
        async for view in super().observe():
            yield view


class Lingering(MemoryRegistry):
    """Leaves a task behind of every observer."""

    left: ClassVar[list[asyncio.Task[None]]] = []

    async def observe(self) -> AsyncIterator[Observation]:
        self.left.append(asyncio.create_task(asyncio.sleep(60)))
        async for view in super().observe():
            yield view


class Stubborn(MemoryRegistry):
    """Takes the first cancellation for a hint."""

    hints = 0

    async def observe(self) -> AsyncIterator[Observation]:
        while True:
            try:
                async for view in super().observe():
                    yield view
            except asyncio.CancelledError:
                self.hints += 1
                if self.hints > 1:
                    raise


class OnceOnly(MemoryRegistry):
    """Gives no view to whoever comes again."""

    async def observe(self) -> AsyncIterator[Observation]:
        if self.opened:
            await asyncio.get_running_loop().create_future()
        async for view in super().observe():
            yield view
