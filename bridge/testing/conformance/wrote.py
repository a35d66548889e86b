"""A sink as an outlet uses it: observed, claimed, written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from bridge.adapter import Change, Claim, Holding, Problem, Record, Sink, Target
from bridge.errors import Unavailable
from bridge.kit.mark import Mark
from bridge.model import Service, ServiceName
from bridge.plan import plan
from bridge.testing.conformance.bench import Bench, sink_of
from bridge.testing.conformance.samples import OURS
from bridge.testing.conformance.watching import PAUSE, Watched, watching

WALL = 1_750_000_000.0
"""Of the first heartbeat, in seconds since the epoch."""


class Wrote(NamedTuple):
    """A sink that is observed, and may be written."""

    bench: Bench
    sink: Sink
    watched: Watched
    target: Target
    mark: Mark

    def holding(self, name: ServiceName) -> Holding:
        """What it was last seen to have of ours."""
        return self.watched.holding(self.target, name)

    def claims(self) -> tuple[Claim, ...]:
        """All that were last seen there."""
        held = self.watched.held(self.target)
        return held.claims if held is not None else ()

    def fit(self, service: Service) -> tuple[list[Record], list[Problem]]:
        """The service as records, for what it was last seen to have."""
        records, problems = self.sink.fit(self.target, service, self.holding(service.name))
        return list(records), list(problems)

    def plan(self, service: Service) -> tuple[Change, ...]:
        """The changes that are left until it says the service."""
        return plan(self.fit(service)[0], self.holding(service.name)).changes

    async def apply(self, change: Change) -> None:
        await self.sink.apply(self.target, change)

    async def insist(self, change: Change) -> None:
        """Apply it, again and again as long as the registry is out of reach; AssertionError says that it stays so."""
        try:
            async with asyncio.timeout(self.bench.patience):
                while True:
                    try:
                        return await self.apply(change)
                    except Unavailable:
                        await asyncio.sleep(PAUSE)
        except TimeoutError:
            raise AssertionError(f"not within {self.bench.patience:g} s: that the registry is in reach again") from None

    async def say(self, service: Service) -> Holding:
        """Write it, and wait until nothing is left to do."""
        for change in self.plan(service):
            await self.apply(change)
        await self.watched.until(
            lambda: not self.plan(service), f"what was written for {service.name}, so that nothing is left to do"
        )
        return self.holding(service.name)

    async def gone(self, name: ServiceName) -> None:
        """Wait until nothing of ours stands there for a service."""
        await self.watched.until(lambda: not self.holding(name).records, f"that no record of {name} is left")

    async def claim(self, term: int = 1) -> None:
        """Take the claim over, as a leader of this term."""
        standing = next((one for one in self.claims() if one.owner == self.mark.owner), None)
        revision = standing.revision if standing is not None else None
        claim = Claim(self.mark.owner, self.mark.deployment, term, WALL + term, False, revision)
        await self.sink.claim(self.target, claim)
        await self.watched.until(
            lambda: any((one.owner, one.term) == (self.mark.owner, term) for one in self.claims()),
            "the claim that was written",
        )


@asynccontextmanager
async def writing(bench: Bench, mark: Mark = OURS, *, term: int = 1) -> AsyncIterator[Wrote]:
    """A sink whose target was read, and whose claim we have for that term; 0: without a claim."""
    sink = sink_of(bench.open(mark))
    target = bench.target(mark)
    async with watching(bench, sink) as watched:
        await watched.until(lambda: target in watched.now.held, f"target {target!r} in `held`, with or without records")
        wrote = Wrote(bench, sink, watched, target, mark)
        if term:
            await wrote.claim(term)
        yield wrote
