"""A leader that is paused past its lease in the midst of its writes, again and again, and what becomes of those.

`make paused` does it a hundred times in each registry.
"""

import asyncio
import os
import random
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bridge.testing.proxy import FaultProxy
from tests.chaos.test_app import Process, until, until_async
from tests.servers.replicas import Inventory, written

RUNS = int(os.environ.get("RUNS", "4"))
NAMESPACE = "shop"
SERVICES = tuple(f"s{number}" for number in range(4))
TIMING = {"lease": "2s", "renew": "1500ms", "retry": "200ms"}
MOST = 200
"""A weight that is said as it is everywhere."""

HELD = 0.3
"""Seconds for which what it writes is held up, at most, before it is paused; it leads for longer without an answer."""


class Write(NamedTuple):
    """A write that a registry took or refused; `order` is its place among all."""

    order: int
    who: str
    verb: str
    name: str
    leads: bool | None = None
    """Whether by it `who` leads, or leads no more; None: it is one of a record."""
    refused: bool = False


class Late(NamedTuple):
    """A write by somebody who led no more, after whoever leads had begun.

    `undoes`: it was taken, and whoever leads had written that record.
    """

    write: Write
    undoes: bool


def late(writes: Sequence[Write], *, fenced: bool) -> list[Late]:
    """`fenced`: who leads begins with the write by which it does, else with its first record."""
    leader, begun, found = "", set[str](), list[Late]()
    for one in writes:
        if one.leads is not None:
            if one.leads and not one.refused and one.who != leader:
                leader, begun = one.who, {one.name} if fenced else set()
        elif one.who == leader:
            begun |= set() if one.refused else {one.name}
        elif begun:
            found.append(Late(one, not one.refused and one.name in begun))
    return found


class Churn:
    """Gives every endpoint another weight again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._weight = 1
        self.now = {name: {f"10.0.{number}.{last}": 1 for last in (1, 2)} for number, name in enumerate(SERVICES)}
        self.write()

    def write(self) -> None:
        fresh = self._folder / ".vms.yaml.new"
        fresh.write_text(written(NAMESPACE, self.now))
        fresh.replace(self._folder / "vms.yaml")

    async def run(self) -> None:
        while True:
            self._weight = self._weight % MOST + 1
            for name in random.sample(SERVICES, 2):
                self.now[name] = dict.fromkeys(self.now[name], self._weight)
            self.write()
            await asyncio.sleep(0.03)


class Pauses(ABC):
    """Two replicas that write one registry, each over a line of its own, and who wrote what there.

    `fenced`: the registry itself refuses whatever somebody writes who leads no more.
    """

    fenced = True

    def __init__(self, folder: Path) -> None:
        self.churn = Churn(folder)
        self.replicas: dict[str, Process] = {}
        self.lines: dict[str, FaultProxy] = {}

    @abstractmethod
    def writes(self) -> Sequence[Write]:
        """All so far, in the order in which the registry took or refused them."""

    @abstractmethod
    async def says(self, services: Inventory) -> bool:
        """Whether what is ours there says exactly this, each endpoint once."""

    async def run(self) -> None:
        """Every other time what was on its way is held up as long as its writer; none may undo what another wrote."""
        found: list[Late] = []
        seen = pauses = 0
        for number in range(RUNS):
            before = len(self.writes())
            await self._pause(before, hold=number % 2 == 1)
            writes = self.writes()
            found = late(writes, fenced=self.fenced)
            made = Counter(one.who for one in writes[before:] if one.leads is None and not one.refused)
            came = Counter(map(_outcome, found[seen:]))
            pauses += bool(came)
            print(f"{number + 1} of {RUNS}: made {dict(made)}, late {dict(came)}", flush=True)
            assert not [one for one in found if one.undoes], found[seen:]
            assert not self.fenced or came.keys() <= {"refused"}, found[seen:]
            seen = len(found)
        print(f"{pauses} of {RUNS} pauses let writes come late: {dict(Counter(map(_outcome, found)))}")

    async def _pause(self, before: int, *, hold: bool) -> None:
        """One pause past the lease, under churn; `before` counts the writes so far."""

        def wrote(who: str, since: int) -> bool:
            return any(one.who == who and one.leads is None and not one.refused for one in self.writes()[since:])

        changing = asyncio.create_task(self.churn.run())
        try:
            first = await self._leader(lambda who: wrote(who, before))
            (second,) = self.replicas.keys() - {first}
            self.lines[first].set(hole=hold)
            await asyncio.sleep(random.uniform(0, HELD))
            self.replicas[first].send(signal.SIGSTOP)
            paused = len(self.writes())
            await until(lambda: wrote(second, paused), f"{second} writes")
            await asyncio.sleep(random.uniform(0, 0.5))
            self.replicas[first].send(signal.SIGCONT)
            self.lines[first].set()
            await asyncio.sleep(random.uniform(0.3, 1))
        finally:
            for who, one in self.replicas.items():
                one.send(signal.SIGCONT)
                self.lines[who].set()
            changing.cancel()
            with suppress(asyncio.CancelledError):
                await changing
        wanted = self.churn.now
        await until_async(lambda: self.says(wanted), f"what stands there says {wanted}")

    async def _leader(self, writes: Callable[[str], bool]) -> str:
        """Who leads, and writes; on a busy machine it may be another one a moment later."""
        found: list[str] = []

        async def one_leads() -> bool:
            found[:] = [who for who, one in self.replicas.items() if await leads(one)]
            return len(found) == 1 and writes(found[0])

        await until_async(one_leads, "one leads, and writes")
        return found[0]


def _outcome(one: Late) -> str:
    if one.write.refused:
        return "refused"
    return "undid" if one.undoes else "put right"


async def leads(one: Process) -> bool:
    """Whether it answers that it does."""
    status, body = await one.get("/api/v1/exports")
    return status == 200 and bool(body["exports"][0]["leading"])
