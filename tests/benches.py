"""Benches of the registries that are tested here, for the conformance suite."""

from collections.abc import Callable, Hashable

from bridge.adapter import Claim, Holding, Put, Record, RecordKey, Remove
from bridge.errors import Denied, Rejected, Unavailable
from bridge.kit.mark import Mark
from bridge.model import Service, ServiceName
from bridge.testing.conformance import Bench
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import ONLY, Store

Make = Callable[..., MemoryRegistry]


class MemoryBench(Bench):
    """One store, and every registry that was opened over it; `make` is the class under test."""

    fences = True

    def __init__(self, make: Make = MemoryRegistry, patience: float = Bench.patience) -> None:
        self.patience = patience
        self.store = Store()
        self.opened: list[MemoryRegistry] = []
        self._make = make
        self._error: Exception | None = None
        self._hand = MemoryRegistry(store=self.store)
        self._hand.set()

    def open(self, mark: Mark | None = None) -> MemoryRegistry:
        made = self._make(mark=mark, store=self.store, chunk=20)
        self.opened.append(made)
        if self._error is not None:
            self._fail(made, self._error)
        return made

    async def put(self, *services: Service) -> None:
        self._hand.change({one.name: one for one in services})

    async def drop(self, *names: ServiceName) -> None:
        self._hand.change(dict.fromkeys(names))

    async def garbage(self, name: ServiceName) -> None:
        self.store.foreign(ONLY, "", RecordKey(f"{name}#9"), name, b'[{"address": 7}]')

    async def lose(self) -> None:
        self._lose(Unavailable("memory: out of reach; it is tried again"))

    async def deny(self) -> None:
        self._lose(Denied("memory: the token is refused; give it the right to read"))

    async def heal(self) -> None:
        self._error = None
        for one in self.opened:
            one.heal()
            one.faults.forgive()

    def written_as(self, service: Service) -> Service:
        return service

    async def take(self, mark: Mark, service: Service) -> None:
        for record in self.open(mark).fit(self.target(mark), service, Holding())[0]:
            self.store.foreign(ONLY, "", record.key, record.service, b"[]")

    async def edit(self, mark: Mark, record: Record) -> None:
        self.store.edit(ONLY, record.key, b"[]")

    async def erase(self, mark: Mark, record: Record) -> None:
        self.store.remove(ONLY, record.key)

    def foreign(self) -> Hashable:
        unmarked = [stored.record for _, stored in sorted(self.store.records.get(ONLY, {}).items()) if not stored.owner]
        return tuple(sorted((self.store.services or {}).items())), tuple(unmarked)

    async def lose_answer(self) -> None:
        self.opened[-1].faults.refuse(Unavailable("memory: no answer came"), lost=True)

    async def refuse(self) -> None:
        self.opened[-1].faults.refuse(Rejected("memory: the content will not do"))

    def _lose(self, error: Exception) -> None:
        self._error = error
        for one in self.opened:
            self._fail(one, error)

    def _fail(self, one: MemoryRegistry, error: Exception) -> None:
        one.fail(error)
        one.faults.refuse(error, 1_000_000, meant=lambda write: isinstance(write, Put | Remove | Claim))
