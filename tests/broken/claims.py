"""Adapters that claim wrong."""

from collections.abc import Callable
from dataclasses import replace

from bridge.adapter import Change, Claim, Record, RecordKey, Remove, Target
from bridge.model import ServiceName
from bridge.testing.memory import MemoryRegistry
from tests.broken.telling import held

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
