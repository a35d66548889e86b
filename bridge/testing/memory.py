"""A registry that is a value in memory: what the tests of the core, and of the command line, read and write."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import ClassVar

from bridge.adapter import Change, Claim, Holding, Observation, Problem, Put, Record, Sink, Target, Unread
from bridge.errors import Conflict
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.kit.settings import RegistrySettings
from bridge.model import Service, ServiceName, Services
from bridge.table import Table
from bridge.testing import records
from bridge.testing.faults import Faults
from bridge.testing.store import ONLY, Store


class MemoryRegistry:
    """A source and sink that says what a test sets, and fails as a test tells it to.

    It behaves as a real one: before the first `set` it has no whole view, an observer that was busy meanwhile sees the
    newest one, and `refresh` makes a new reading of the same. `store` is the registry itself, which several may
    share: each of them sees what carries its own mark as holdings, and what carries another's as services. `faults`
    are for what this one writes.
    """

    def __init__(
        self,
        *services: Service,
        mark: Mark | None = None,
        targets: Iterable[Target] = (ONLY,),
        store: Store | None = None,
        chunk: int = 1_000,
        concurrency: int = 4,
    ) -> None:
        """`chunk` is how many endpoints fit into one record."""
        self.refreshes = 0
        self.opened = 0  # how often it was observed
        self.observers = 0  # who observe it now
        self.answers = True  # whether `refresh` leads to a new reading
        self.shows = True  # whether what is written comes to be observed
        self.mark = mark
        self.targets = tuple(targets)
        self.concurrency = concurrency
        self.store = store or Store()
        self.faults = Faults()
        self.writes: list[Change] = []  # what was made, in order
        self.claims: list[Claim] = []
        self._chunk = chunk
        self._read = 1
        self._written: dict[Target, Claim] = {}
        self.servers: frozenset[str] = frozenset()  # that it says it is read from
        self._problems: tuple[Problem, ...] = ()
        self._parts = 1
        self._unread: tuple[Unread, ...] = ()
        self._observation: Observation | None = None
        self._error: BaseException | None = None
        self._end = False
        self._version = 0
        self._changed = asyncio.Event()
        self.store.watch(self._look)
        if services:
            self.set(*services)
        else:
            self._look()

    @property
    def services(self) -> Services:
        """What others than bridges say."""
        return self.store.services if self.store.services is not None else Table()

    def set(
        self,
        *services: Service,
        problems: Iterable[Problem] = (),
        parts: int = 1,
        unread: Iterable[Unread] = (),
    ) -> None:
        """Say exactly these."""
        self._problems, self._parts, self._unread = tuple(problems), parts, tuple(unread)
        self._read += 1
        self.store.say(Table({one.name: one for one in services}))

    def change(self, changes: Mapping[ServiceName, Service | None]) -> None:
        """Say what was said before, with `changes`; None removes."""
        self._problems, self._parts, self._unread = (), 1, ()
        self._read += 1
        self.store.say(self.services.with_(changes))

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

    def show(self, shows: bool = True) -> None:
        """Let what is written be observed from now on, or not: a view that lags behind."""
        self.shows = shows
        self._look()

    async def observe(self) -> AsyncIterator[Observation]:
        """Yield what is set and written, and what is from then on."""
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
            self._read += 1
            self._look()

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
        """As many records as the service needs; what stands in one of them stays there."""
        return records.fit(service, holding, self._chunk), ()

    async def apply(self, target: Target, change: Change) -> None:
        """Make one change if the store still has what it replaces."""
        key = change.record.key
        async with self.faults.around(change):
            claim = self._written.get(target)
            if claim is not None and self._stands(target, claim.owner) != claim:
                raise Conflict(f"memory {target}: another claim stands there than the one that was written here")
            replaced = change.replaces if isinstance(change, Put) else change.record
            self.store.compare(target, key, self._owner(), replaced, self.mark.former if self.mark else ())
            self.writes.append(change)
            if isinstance(change, Put):
                self.store.put(target, self._owner(), change.record)
            else:
                self.store.remove(target, key)

    async def claim(self, target: Target, claim: Claim) -> None:
        """Write the claim if the one that is replaced still stands there."""
        async with self.faults.around(claim):
            standing = self._stands(target, claim.owner)
            if (standing.revision if standing else None) != claim.revision:
                raise Conflict(f"memory {target}: another claim stands there than the one that was seen")
            self.claims.append(claim)
            written = self.store.claim(target, claim)
            if claim.owner == self._owner():
                self._written[target] = written

    def _owner(self) -> str:
        assert self.mark is not None, "a registry without a mark writes nothing"
        return self.mark.owner

    def _stands(self, target: Target, owner: str) -> Claim | None:
        return self.store.claims.get(target, {}).get(owner)

    def _look(self) -> None:
        """A new view of what is in the store now."""
        if self.store.services is None:
            return
        old = self._observation
        if self.shows or old is None:
            mark = self.mark
            services = self.store.seen_by((mark.owner, *mark.former) if mark else ())
            held = self.store.held_by(mark.owner, self.targets, mark.former) if mark else Table()
        else:
            services, held = old.services, old.held
        problems = (*self._problems, *(self.store.garbage[place] for place in sorted(self.store.garbage)))
        self._say(Observation(services, self._read, problems, self._parts, self._unread, held, servers=self.servers))

    def _say(self, observation: Observation) -> None:
        self._observation = observation
        self._version += 1
        self._wake()

    def _wake(self) -> None:
        self._changed.set()


class MemorySettings(RegistrySettings):
    """The settings of `kind: memory`: a test puts the registry that it means into `registries` under its name."""

    registries: ClassVar[dict[str, MemoryRegistry]] = {}

    def open(self, kit: Kit) -> Sink:
        """The registry that was put there, else an empty one that is put there; with the mark of the kit."""
        registry = self.registries.setdefault(kit.registry, MemoryRegistry())
        registry.mark = registry.mark or kit.mark
        return registry
