"""A Consul that two bridges share, each with a registry of its own, and hands that register something there too."""

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import aiohttp

from adapters.consul.spread import number
from tests.servers.consul.beside import POOL, PORT, SERVICES, STEADY, Beside, Says, Shown
from tests.servers.consul.door import Door
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand, entry
from tests.servers.deaths import Zygote, zygote

LOOK, BURST = 25, 125
"""Steps from one look to the next, and until everybody has to agree."""

PATIENCE = 120.0
"""Seconds until everybody agrees."""

Standing = dict[str, dict[tuple[str, str], Shown]]
"""What stands on each node."""


class Side:
    """One bridge, what is registered beside it, and the door by which it reaches Consul."""

    def __init__(self, bridge: Exporter, door: Door, beside: Beside, started: Zygote) -> None:
        self.bridge = bridge
        self.beside = beside
        self.said: Says = {(STEADY, f"10.61.0.{number}"): 1 for number in range(1, 4)}
        self.ever: set[tuple[str, str]] = set(self.said)
        self.starts = 0
        self._door = door
        self._zygote = started
        self._pid = 0

    async def begin(self) -> None:
        self._pid = await self._zygote.start()
        self.starts += 1

    async def kill(self) -> None:
        """At once, if it runs."""
        if pid := self._pid:
            self._pid = 0
            await self._zygote.kill(pid)

    async def end(self) -> None:
        """As an operator does who will not wait."""
        os.kill(self._pid, signal.SIGTERM)
        while (await self.bridge.get("/readyz"))[0] == 200:
            await asyncio.sleep(0.01)
        with suppress(ProcessLookupError):  # it may not have come so far as to take its time
            os.kill(self._pid, signal.SIGTERM)
        await self._zygote.ended()
        self._pid = 0

    async def tell(self, name: str) -> None:
        self.ever |= self.said.keys()
        await self.beside.tell(self.said, name)

    async def accept(self) -> None:
        """Let go what an earlier process left."""
        where = f"http://{self.bridge.admin}/api/v1/plan/accept"
        async with aiohttp.ClientSession() as http, http.post(where, json={"all": True}) as answer:
            await answer.read()

    async def withheld(self) -> bool:
        status, body = await self.bridge.get("/api/v1/withheld")
        return bool(status == 200 and body["withheld"])

    async def knows(self) -> set[tuple[str, str]]:
        """What it tells Envoy of."""
        status, body = await self.bridge.get("/api/v1/endpoints")
        rows = body["endpoints"] if status == 200 else []
        return {(one["service"].removeprefix("shop/"), one["endpoint"].removesuffix(f":{PORT}")) for one in rows}

    def wanted(self, natives: set[tuple[str, str]]) -> dict[tuple[str, str], Shown]:
        """What is to stand on its node: what Consul has from hands it does not get once more."""
        return {one: self.beside.shown(one[1], mark) for one, mark in self.said.items() if one not in natives}

    def owns(self, where: str) -> bool:
        """Whether a node or a key is its own."""
        node = where.removeprefix(f"registry-bridge/claims/{self.bridge.owner}/")
        return number(self.bridge.node, node) is not None

    def of(self, stands: Standing) -> dict[tuple[str, str], Shown]:
        """What stands on its nodes, all of it once."""
        found: dict[tuple[str, str], Shown] = {}
        for there in (stands[node] for node in sorted(stands) if self.owns(node)):
            assert not there.keys() & found.keys(), f"{there.keys() & found.keys()} stand on two nodes"
            found |= there
        return found

    def touched(self) -> set[str]:
        """The nodes and keys that it ever wrote, or tried to."""
        return {where for path, body in self._door.writes for where in _touched(path, body)}


@asynccontextmanager
async def side(bridge: Exporter, door: Door, beside: Beside) -> AsyncIterator[Side]:
    """It runs."""
    bridge.configure("")
    async with zygote(bridge.config, bridge.folder / "log") as started:
        made = Side(bridge, door, beside, started)
        for name in (*SERVICES, STEADY):
            await made.tell(name)
        await made.begin()
        try:
            yield made
        finally:
            await made.kill()


class World:
    """Both sides and the hands; `natives` is what these have registered, on nodes of their own."""

    def __init__(self, hand: Hand, sides: Iterable[Side]) -> None:
        self.sides = list(sides)
        self.natives: set[tuple[str, str]] = set()
        self.agreed = False  # whether all has stood there once
        self._hand = hand

    async def steps(self, number: int, rng: random.Random) -> None:
        """So many steps; whoever looks in between must find it sound, and after a burst everybody agrees."""
        await self._native(STEADY, "10.61.1.1")
        await self.agree()
        for done in range(1, number + 1):
            await self.step(rng)
            await asyncio.sleep(rng.choice((0.0, 0.0, 0.01, 0.04)))
            if done % LOOK == 0:
                await self.look()
            if done % BURST == 0 or done == number:
                await self.agree()

    async def step(self, rng: random.Random) -> None:
        one, name, address = rng.choice(self.sides), rng.choice(SERVICES), rng.choice(POOL)
        match rng.choices(("put", "drop", "whole", "native", "restart", "kill"), (50, 25, 5, 18, 0.8, 1.2))[0]:
            case "put":
                one.said[name, address] = rng.randrange(1, 4)
                await one.tell(name)
            case "drop":
                one.said.pop((name, address), None)
                await one.tell(name)
            case "whole":
                for each in POOL:
                    one.said.pop((name, each), None)
                await one.tell(name)
            case "native":
                await self._native(name, address)
            case "restart":
                await one.end()
                await one.begin()
            case _:
                await one.kill()
                await one.begin()

    async def look(self) -> Standing:
        """What must be so at any moment; what stands on each node."""
        for one in self.sides:
            others = {each for each in one.touched() if not one.owns(each)}
            assert not others, f"{one.bridge.owner} wrote to {others}"
        stands = await self._stands()
        natives = {each for node, them in stands.items() if node.startswith("vm-") for each in them}
        assert natives == self.natives, f"of the hands' {natives ^ self.natives} were touched"
        for one in self.sides:
            there = one.of(stands).keys()
            assert there <= one.ever, f"{one.bridge.owner} wrote {there - one.ever}, which nobody ever said"
            missing = {each for each in one.said if each[0] == STEADY} - there
            assert not (missing and self.agreed), f"{missing} was always wanted, and is gone"
        return stands

    async def agree(self) -> None:
        """Wait until each node says what is wanted there, and each bridge knows everything."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while why := await self._differs():
            assert asyncio.get_running_loop().time() < deadline, why
            for one in self.sides:
                if await one.withheld():
                    await one.accept()
            await asyncio.sleep(0.1)
        self.agreed = True

    async def _differs(self) -> str:
        stands = await self.look()
        everything = self.natives.union(*(one.said for one in self.sides))
        for one in self.sides:
            wanted, there = one.wanted(self.natives), one.of(stands)
            if there != wanted:
                return f"{one.bridge.owner}: {sorted(set(there.items()) ^ set(wanted.items()))[:5]} differs"
            if (knows := await one.knows()) != everything:
                return f"{one.bridge.owner} knows {sorted(knows ^ everything)[:5]} otherwise"
            if why := await one.beside.differs(self.natives):
                return why
        return ""

    async def _native(self, name: str, address: str) -> None:
        """Register by hand what is not there, or take it away."""
        made = entry(name, address, PORT)
        if (name, address) in self.natives:
            await self._hand.put("catalog/deregister", {"Node": made["Node"], "ServiceID": made["Service"]["ID"]})
        else:
            await self._hand.register(made)
        self.natives ^= {(name, address)}

    async def _stands(self) -> Standing:
        """Each node's instances."""
        found: Standing = {}
        for name in (*SERVICES, STEADY):
            for one in await self._hand.get(f"health/service/{name}"):
                said, node = one["Service"], one["Node"]["Node"]
                there = found.setdefault(node, {})
                assert (name, said["Address"]) not in there, f"{said['ID']} stands twice on {node}"
                statuses = [check["Status"] for check in one["Checks"]]
                assert len(statuses) == 1, f"{said['ID']} on {node} has the checks {statuses}"
                there[name, said["Address"]] = Shown(said["Weights"]["Passing"], statuses[0])
        return found


def _touched(path: str, body: bytes) -> Iterable[str]:
    assert path == "/v1/txn", f"written by {path}"
    for operation in json.loads(body):
        ((kind, said),) = operation.items()
        if said["Verb"].startswith(("get", "check-")):
            continue
        match kind:
            case "KV":
                yield said["Key"]
            case "Service":
                yield said["Node"]
            case "Check":
                yield said["Check"]["Node"]
            case _:
                yield said["Node"]["Node"]
