"""A registry that is a value in memory: what the tests of the core, and of the command line, read."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import ClassVar

from bridge.adapter import Observation, Problem, Source, Unread
from bridge.kit import Kit
from bridge.kit.settings import RegistrySettings
from bridge.model import Service, ServiceName, Services
from bridge.table import Table


class MemoryRegistry:
    """A source that says what a test sets, and fails as a test tells it to.

    It behaves as a real one: before the first `set` it has no whole view, an observer that was busy meanwhile sees the
    newest one, and `refresh` makes a new reading of the same.
    """

    def __init__(self, *services: Service) -> None:
        self.refreshes = 0
        self.opened = 0  # how often it was observed
        self.observers = 0  # who observe it now
        self.answers = True  # whether `refresh` leads to a new reading
        self._observation: Observation | None = None
        self._error: BaseException | None = None
        self._end = False
        self._version = 0
        self._changed = asyncio.Event()
        if services:
            self.set(*services)

    @property
    def services(self) -> Services:
        return self._observation.services if self._observation else Table()

    def set(
        self,
        *services: Service,
        problems: Iterable[Problem] = (),
        parts: int = 1,
        unread: Iterable[Unread] = (),
    ) -> None:
        """Say exactly these."""
        whole = Table({one.name: one for one in services})
        self._say(Observation(whole, self._next(), tuple(problems), parts, tuple(unread)))

    def change(self, changes: Mapping[ServiceName, Service | None]) -> None:
        """Say what was said before, with `changes`; None removes."""
        self._say(Observation(self.services.with_(changes), self._next()))

    def fail(self, error: BaseException) -> None:
        """Raise `error` in whoever observes, now and from now on, until `heal`."""
        self._error = error
        self._wake()

    def heal(self) -> None:
        """Let observers have the last view again."""
        self._error, self._end = None, False
        self._wake()

    def end(self) -> None:
        """End the iteration of whoever observes without an error, as a broken adapter does; until `heal`."""
        self._end = True
        self._wake()

    async def observe(self) -> AsyncIterator[Observation]:
        """Yield what is set, and what is set from then on."""
        self.opened += 1
        self.observers += 1
        seen = -1
        try:
            while True:
                if self._error is not None:
                    raise self._error
                if self._end:
                    return
                if self._observation is not None and seen != self._version:
                    seen = self._version
                    yield self._observation
                else:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            self.observers -= 1

    def refresh(self) -> None:
        """Read the same again."""
        self.refreshes += 1
        if self._observation is not None and self.answers:
            old = self._observation
            self._say(Observation(old.services, self._next(), old.problems, old.parts, old.unread))

    def _next(self) -> int:
        return self._observation.read + 1 if self._observation else 1

    def _say(self, observation: Observation) -> None:
        self._observation = observation
        self._version += 1
        self._wake()

    def _wake(self) -> None:
        self._changed.set()


class MemorySettings(RegistrySettings):
    """The settings of `kind: memory`: a test puts the registry that it means into `registries` under its name."""

    registries: ClassVar[dict[str, MemoryRegistry]] = {}

    def open(self, kit: Kit) -> Source:
        """The registry that was put there, else an empty one that is put there."""
        return self.registries.setdefault(kit.registry, MemoryRegistry())
