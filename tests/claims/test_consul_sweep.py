"""When all services of a Consul are read because nobody knows which have changed, and when they are not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.consul.answer import INDEX, Answer
from adapters.consul.part import Part
from adapters.consul.plan import Plan
from adapters.consul.sweep import LEISURE, REST
from bridge.errors import Unavailable
from bridge.testing.clock import FakeClock

MANY = tuple(f"many-{each}" for each in range(140))
FIRST = ("critical", "warning", "nodes", "summary")


class Server:
    """A question waits until `index` is beyond its own, and as long as it is in `silent`; in `broken` it fails."""

    where = "consul"

    def __init__(self) -> None:
        self.index = 7
        self.instances_of = dict.fromkeys(MANY, 2)
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.read: list[str] = []
        self.looks = 0
        self._moved = asyncio.Condition()

    async def checks_in(self, state: str, index: int) -> Answer:
        return await self._told(state, index)

    async def nodes(self, index: int) -> Answer:
        return await self._told("nodes", index)

    async def summary(self) -> Answer:
        self.looks += 1
        return await self._told("summary", 0)

    async def instances(self, name: str) -> Answer:
        self.read.append(name)
        return self._answer([])

    async def change(self, name: str) -> int:
        """One more instance of a service, which no check and no node tells; the index of that."""
        self.index += 1
        self.instances_of[name] += 1
        return self.index

    async def speak(self, what: str) -> None:
        """Answer what was silent."""
        self.silent.remove(what)
        async with self._moved:
            self._moved.notify_all()

    async def _told(self, what: str, index: int) -> Answer:
        async with self._moved:
            await self._moved.wait_for(lambda: what not in self.silent and index < self.index)
        if what in self.broken:
            raise Unavailable(f"{what}: has no answer")
        counts = self.instances_of.items() if what == "summary" else ()
        return self._answer([{"Name": name, "InstanceCount": count} for name, count in counts])

    def _answer(self, said: Any) -> Answer:
        body = json.dumps(said).encode()
        return Answer.of({INDEX: str(self.index)}, body, lambda: json.loads(body))


@asynccontextmanager
async def sweeping(server: Server, clock: FakeClock) -> AsyncIterator[Plan]:
    """Many services that were read once."""
    parts = {name: Part(name) for name in MANY}
    for part in parts.values():
        await part.read(server)
    server.read.clear()
    plan = Plan(server, clock, parts, news=lambda _: None, back=lambda: None, stir=lambda: None)
    plan.adjust()
    try:
        yield plan
    finally:
        await plan.close()


@pytest.mark.parametrize("late", FIRST)
async def test_however_late_the_last_of_the_first_answers_is_all_is_read_once_after_it(late: str) -> None:
    """None of them tells what has changed before it."""
    server, clock = Server(), FakeClock()
    server.silent.add(late)
    async with sweeping(server, clock):
        await clock.advance(30 * REST)
        assert server.read == []
        await server.speak(late)
        await clock.advance(30 * REST)
        assert sorted(server.read) == sorted(MANY)


@pytest.mark.parametrize("broken", FIRST)
async def test_a_question_that_is_not_answered_has_all_be_read_in_its_place(broken: str) -> None:
    server, clock = Server(), FakeClock()
    server.broken.add(broken)
    async with sweeping(server, clock):
        await clock.advance(2 * REST)
        assert set(server.read) == set(MANY)


async def test_what_was_hinted_at_during_a_look_that_shows_it_is_not_looked_for_again() -> None:
    server, clock = Server(), FakeClock()
    async with sweeping(server, clock) as plan:
        await clock.advance(2 * REST)
        server.read.clear()
        server.looks = 0
        server.silent.add("summary")
        plan.hint(await server.change("many-7"))
        await clock.advance(REST)
        plan.hint(await server.change("many-8"))
        await server.speak("summary")
        await clock.advance(LEISURE / 2)
        assert server.looks == 1
        assert sorted(server.read) == ["many-7", "many-8"]
