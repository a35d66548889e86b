"""Adapters with one fault each, for the tests of the conformance suite."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import count
from typing import ClassVar, Literal

from pydantic import ConfigDict

from bridge.adapter import Change, Claim, Held, Holding, Observation, Put, Record, RecordKey, Remove, Source, Target
from bridge.errors import Conflict, Denied, Unavailable
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.kit.settings import RegistrySettings
from bridge.model import Service, ServiceName
from bridge.table import Table
from bridge.testing import records
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import ONLY

Tell = Callable[[Observation], Observation]


def telling(change: Callable[[MemoryRegistry, Observation], Observation]) -> type[MemoryRegistry]:
    """A registry whose views are changed before anybody sees them."""

    class Telling(MemoryRegistry):
        def _say(self, observation: Observation) -> None:
            super()._say(change(self, observation))

    return Telling


def services(change: Callable[[dict[ServiceName, Service]], dict[ServiceName, Service]]) -> type[MemoryRegistry]:
    return telling(lambda registry, view: replace(view, services=Table(change(dict(view.services)))))


def each(change: Callable[[Service], Service]) -> type[MemoryRegistry]:
    return services(lambda them: {name: change(one) for name, one in them.items()})


def held(change: Callable[[MemoryRegistry, Held], Held | None]) -> type[MemoryRegistry]:
    def changed(registry: MemoryRegistry, view: Observation) -> Observation:
        made = {target: change(registry, one) for target, one in view.held.items()}
        return replace(view, held=Table({target: one for target, one in made.items() if one is not None}))

    return telling(changed)


def holding(change: Callable[[Holding], Holding]) -> type[MemoryRegistry]:
    return held(
        lambda registry, of: replace(of, holdings=Table({name: change(one) for name, one in of.holdings.items()}))
    )


# Views.

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


# What is ours.

no_empty_target = held(lambda registry, of: of if of.holdings else None)
no_revision = holding(lambda one: replace(one, records=tuple(replace(each, revision=None) for each in one.records)))
nobody_took = holding(lambda one: replace(one, taken=()))
ours_too = telling(lambda registry, view: replace(view, services=registry.store.seen_by(())))
nobodys = each(lambda one: replace(one, endpoints=tuple(replace(each, via="") for each in one.endpoints)))
shortened = each(
    lambda one: replace(one, endpoints=tuple(replace(each, via=each.via.rpartition(" ")[2]) for each in one.endpoints))
)
hidden = each(lambda one: replace(one, endpoints=tuple(each for each in one.endpoints if not each.via)))


class Everybodys(MemoryRegistry):
    """Takes every mark for its own."""

    def _say(self, observation: Observation) -> None:
        if ONLY in observation.held:
            owners = {stored.owner for stored in self.store.records.get(ONLY, {}).values() if stored.owner}
            them: dict[ServiceName, Holding] = {}
            for owner in sorted(owners):
                them |= self.store.held_by(owner, [ONLY])[ONLY].holdings
            ours = replace(observation.held[ONLY], holdings=Table(them))
            observation = replace(observation, held=Table({ONLY: ours}))
        super()._say(observation)


class Private(MemoryRegistry):
    """Knows its own writes, and never sees what hands did to them."""

    def __init__(self, **more: object) -> None:
        self.writing = False
        super().__init__(**more)

    async def apply(self, target: Target, change: Change) -> None:
        self.writing = True
        try:
            await super().apply(target, change)
        finally:
            self.writing = False

    async def claim(self, target: Target, claim: Claim) -> None:
        self.writing = True
        try:
            await super().claim(target, claim)
        finally:
            self.writing = False

    def _look(self) -> None:
        if self._observation is None or self.writing:
            super()._look()


# What is fitted.


def fitting(change: Callable[[MemoryRegistry, Service, Holding], list[Record]]) -> type[MemoryRegistry]:
    class Fits(MemoryRegistry):
        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], tuple[()]]:
            return change(self, service, holding), ()

    return Fits


def fitted(service: Service, holding: Holding) -> list[Record]:
    return records.fit(service, holding, 20)


def spelled(name: ServiceName) -> RecordKey:
    return RecordKey(f"{name.namespace}-{name.name}#0")


def only(service: Service, wanted: Callable[[str], bool]) -> Service:
    return Service(service.name, tuple(each for each in service.endpoints if wanted(each.address)))


_blanks = count()

impure = fitting(
    lambda self, one, of: [replace(each, content=each.content + b" " * next(_blanks)) for each in fitted(one, of)]
)
numbered = fitting(lambda self, one, of: [replace(each, revision=1) for each in fitted(one, of)])
confusing = fitting(lambda self, one, of: [replace(each, key=spelled(one.name)) for each in fitted(one, of)])
raising = fitting(lambda self, one, of: fitted(one, of) if one.name.namespace.isalnum() else 1 / 0)
truncating = fitting(lambda self, one, of: records.fit(Service(one.name, one.endpoints[:20]), of, 20))
only_v4 = fitting(lambda self, one, of: fitted(only(one, lambda address: ":" not in address), of))
repacking = fitting(lambda self, one, of: fitted(one, Holding()))


class Opened(MemoryRegistry):
    """Fits otherwise in every process."""

    number = count(1)

    def __init__(self, **more: object) -> None:
        self.blanks = b" " * next(self.number)
        super().__init__(**more)

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], tuple[()]]:
        return [replace(each, content=each.content + self.blanks) for each in fitted(service, holding)], ()


# What is written.


def applying(change: Callable[[MemoryRegistry, Change], bool]) -> type[MemoryRegistry]:
    """A registry that writes without comparing whatever `change` is true of."""

    class Applies(MemoryRegistry):
        async def apply(self, target: Target, it: Change) -> None:
            if not change(self, it):
                await super().apply(target, it)
                return
            assert self.mark is not None
            if isinstance(it, Put):
                self.store.put(target, self.mark.owner, it.record)
            elif it.record.key in self.store.records[target]:
                self.store.remove(target, it.record.key)

    return Applies


overwriting = applying(lambda self, it: isinstance(it, Put) and it.replaces is None)
putting = applying(lambda self, it: isinstance(it, Put) and it.replaces is not None)
removing = applying(lambda self, it: isinstance(it, Remove))


class AddsOnly(MemoryRegistry):
    """Never changes what stands there."""

    async def apply(self, target: Target, change: Change) -> None:
        if isinstance(change, Remove) or change.replaces is None:
            await super().apply(target, change)


class KeepsAll(MemoryRegistry):
    """Never removes anything."""

    async def apply(self, target: Target, change: Change) -> None:
        if isinstance(change, Put):
            await super().apply(target, change)


class Behind(MemoryRegistry):
    """Says that it is done, and does it later."""

    later: ClassVar[list[asyncio.Task[None]]] = []

    async def apply(self, target: Target, change: Change) -> None:
        async def apply() -> None:
            await asyncio.sleep(0.1)
            await MemoryRegistry.apply(self, target, change)

        self.later.append(asyncio.create_task(apply()))


class Sweeping(MemoryRegistry):
    """Removes what others said of a service that it writes."""

    async def apply(self, target: Target, change: Change) -> None:
        await super().apply(target, change)
        if self.store.services is not None:
            self.store.say(self.store.services.with_({change.record.service: None}))


class Rewriting(MemoryRegistry):
    """Reads the whole, and writes the whole, and forgets that others do so meanwhile."""

    async def apply(self, target: Target, change: Change) -> None:
        before = set(self.store.records.get(target, {}))
        await super().apply(target, change)
        for key in set(self.store.records.get(target, {})) - before - {change.record.key}:
            self.store.remove(target, key)


class Looking(MemoryRegistry):
    """Compares first, and writes a moment later."""

    async def apply(self, target: Target, change: Change) -> None:
        assert self.mark is not None
        expected = change.replaces if isinstance(change, Put) else change.record
        self.store.compare(target, change.record.key, self.mark.owner, expected)
        await asyncio.sleep(0.01)
        if isinstance(change, Put):
            self.store.put(target, self.mark.owner, change.record)
        else:
            self.store.remove(target, change.record.key)


class Insistent(MemoryRegistry):
    """Tries again by itself."""

    async def apply(self, target: Target, change: Change) -> None:
        try:
            await super().apply(target, change)
        except Unavailable:
            await super().apply(target, change)


def raises(error: type[Exception]) -> type[MemoryRegistry]:
    """A registry whose writes fail with an error that asks for another reaction."""

    class Raises(MemoryRegistry):
        async def apply(self, target: Target, change: Change) -> None:
            try:
                await super().apply(target, change)
            except Conflict:
                raise
            except Exception as wrong:
                raise error(str(wrong)) from wrong

    return Raises


# The claim.

premature = held(
    lambda registry, of: of if of.claims else replace(of, claims=(Claim("conformance", "one", 1, 0.0, False, 0),))
)


class Mortal(MemoryRegistry):
    """Forgets that an owner was withdrawn."""

    async def claim(self, target: Target, claim: Claim) -> None:
        await super().claim(target, replace(claim, tombstone=False))


class Visible(MemoryRegistry):
    """Reads its own claim as a record."""

    async def claim(self, target: Target, claim: Claim) -> None:
        await super().claim(target, claim)
        assert self.mark is not None
        self.store.put(target, self.mark.owner, Record(RecordKey("claim"), ServiceName("bridge", "claim"), b"[]"))


class Still(MemoryRegistry):
    """A claim whose heart does not beat."""

    async def claim(self, target: Target, claim: Claim) -> None:
        standing = self._stands(target, claim.owner)
        beat = claim.beat if standing is None or standing.term != claim.term else standing.beat
        await super().claim(target, replace(claim, beat=beat))


def claiming(blind: Callable[[Claim, Claim | None], bool]) -> type[MemoryRegistry]:
    """A registry that writes claims over others where `blind` says so, given the new and the standing one."""

    class Claims(MemoryRegistry):
        async def claim(self, target: Target, claim: Claim) -> None:
            standing = self._stands(target, claim.owner)
            if blind(claim, standing):
                claim = replace(claim, revision=standing.revision if standing is not None else None)
            await super().claim(target, claim)

    return Claims


unseen = claiming(lambda claim, standing: claim.revision is None)
usurping = claiming(lambda claim, standing: standing is not None)
reviving = claiming(lambda claim, standing: standing is None)


class Homeless(MemoryRegistry):
    """Keeps its claim with its records, and loses it with the last one."""

    async def apply(self, target: Target, change: Change) -> None:
        await super().apply(target, change)
        if isinstance(change, Remove):
            self.store.claims.clear()
            self._look()


class Alone(MemoryRegistry):
    """Has room for one claim."""

    def _stands(self, target: Target, owner: str) -> Claim | None:
        return next(iter(self.store.claims.get(target, {}).values()), None)


class Unfenced(MemoryRegistry):
    """Writes on when another has taken over."""

    async def apply(self, target: Target, change: Change) -> None:
        self._written.clear()
        await super().apply(target, change)


# Settings.


class Nowhere(RegistrySettings):
    """Of a kind that no entry point names."""

    kind: Literal["nowhere"]

    def open(self, kit: Kit) -> Source:
        return MemoryRegistry()


class Lax(RegistrySettings):
    """Takes keys that mean nothing."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["lax"]

    def open(self, kit: Kit) -> Source:
        return MemoryRegistry()


class Unmarked(MemoryRegistry):
    """Takes another's records for its own when it has no mark."""

    def _look(self) -> None:
        unmarked, self.mark = self.mark is None, self.mark or Mark("conformance", "one")
        super()._look()
        if unmarked:
            self.mark = None


def forgetting(keep: bool) -> type[MemoryRegistry]:
    """Knows nothing of owners before; or, with `keep`, leaves their mark on what it writes."""

    class Forgets(MemoryRegistry):
        async def apply(self, target: Target, change: Change) -> None:
            await super().apply(target, change)
            if keep and isinstance(change, Put) and self.mark is not None and self.mark.former:
                self.store.put(target, self.mark.former[0], change.record)

        def _look(self) -> None:
            mark = self.mark
            if not keep and mark is not None:
                self.mark = Mark(mark.owner, mark.deployment)
            super()._look()
            self.mark = mark

    return Forgets


class OwnOnly(MemoryRegistry):
    """Refuses to close the claim of an owner before."""

    async def claim(self, target: Target, claim: Claim) -> None:
        if self.mark is not None and claim.owner != self.mark.owner:
            raise Conflict(f"memory: {claim.owner} is somebody else")
        await super().claim(target, claim)
