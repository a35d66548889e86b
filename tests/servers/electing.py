"""Replicas in this process that take part in an election, whatever registry keeps its lease."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bridge.kit import Clock
from bridge.kit.election import Elector, Shelf, Term
from bridge.runtime.clock import SystemClock
from bridge.runtime.election import Leadership

SHORT = {"lease": "2s", "renew": "1500ms", "retry": "200ms"}
STEADY = {"lease": "30s", "renew": "20s", "retry": "200ms"}
"""It is not lost while a busy machine has no time for its holder."""

CLOCK = SystemClock()


class Wild(SystemClock):
    """A machine whose calendar is wrong by hours, and by others each time that one looks."""

    def wall(self) -> float:
        return super().wall() + random.uniform(-7_200, 7_200)


def shelf(one: Elector) -> Shelf:
    assert one.shelf is not None
    return one.shelf


@dataclass
class Replica:
    """A replica that runs until it is ended; `terms` are the numbers of the terms in which it led."""

    leadership: Leadership
    task: asyncio.Task[None]
    terms: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leadership.term.watch(self._hear)

    def _hear(self, term: Term | None) -> None:
        if term is not None and self.leads and term.number not in self.terms:
            self.terms.append(term.number)

    @property
    def leads(self) -> bool:
        return self.leadership.leads()

    @property
    def leader(self) -> str:
        """Who leads in its place, as it knows."""
        term = self.leadership.term.value
        return term.leader if term is not None else ""

    async def end(self) -> None:
        """As at SIGTERM."""
        self.task.cancel()
        await asyncio.wait([self.task])


def enter(elector: Elector, clock: Clock = CLOCK) -> Replica:
    leadership = Leadership(elector, clock)
    return Replica(leadership, asyncio.create_task(leadership.run()))


@asynccontextmanager
async def watched(*replicas: Replica) -> AsyncIterator[Callable[[], Sequence[Replica]]]:
    """Look all the while that no two lead; the value gives those that lead now. All are ended at the end."""

    def leaders() -> list[Replica]:
        found = [one for one in replicas if one.leads]
        assert len(found) <= 1, "two lead"
        return found

    async def look() -> None:
        while True:
            leaders()
            await asyncio.sleep(0.005)

    task = asyncio.create_task(look())
    try:
        yield leaders
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        for one in replicas:
            await one.end()


async def until(holds: Callable[[], Any], what: str, patience: float = 90.0) -> None:
    """Wait until something holds."""
    deadline = asyncio.get_running_loop().time() + patience
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"waited for: {what}"
        await asyncio.sleep(0.01)
