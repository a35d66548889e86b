"""Adapters that confuse what is ours with what is not."""

from dataclasses import replace

from bridge.adapter import Change, Claim, Holding, Observation, Put, Target
from bridge.errors import Conflict
from bridge.kit.mark import Mark
from bridge.model import ServiceName
from bridge.table import Table
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import ONLY
from tests.broken.telling import each, held, holding, telling

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
