"""Three bridges in a ring: each reads where the one before it writes, and something is registered beside each."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.static.layouts import formats
from adapters.static.settings import Settings as StaticSettings
from bridge.adapter import Sink, Source, Target
from bridge.exports import Export, Limits
from bridge.guard import Removals
from bridge.kit import Clock, Kit
from bridge.kit.mark import Mark
from bridge.kit.names import Pattern
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.election import Alone
from bridge.runtime.engine import Engine, EngineExport, EngineSettings, EngineSource
from bridge.testing.memory import MemoryRegistry
from tests.builders import eid, hosts, name, service
from tests.engines import Zone, closed, policy
from tests.guards import RULES
from tests.outlets import QUICK

OWNERS = ("a", "b", "c")
CHANGES = 330
BURSTS = 11
"""After each of which everybody has to agree."""

PAUSES = (0.0, 0.0, 0.02, 0.1, 0.3)
"""Seconds between two changes of `CHANGES`; of more they are as much shorter."""

SERVICES = [f"shop/s{number}" for number in range(4)]
PLACES = [*hosts(3, 8080, net="10.1"), *hosts(3, 8080, net="10.2"), *hosts(3, 8080, net="10.3")]
"""Everybody's, so that two natives often know one endpoint."""

SOON = replace(
    RULES, settled=1.0, gather=0.05, small=1.0, source=1.0, confirm=1.0, last=1.0, flood_release=1.0, probe=False
)
Says = set[tuple[ServiceName, EndpointId]]
Way = list[str]
"""The bridges that an endpoint came through before who wrote it."""


class Place:
    """What one bridge writes and the next one reads."""

    def opened(self, clock: Clock, mark: Mark, *, writes: bool) -> Source:
        raise NotImplementedError

    @property
    def target(self) -> Target:
        return Target("")

    async def written(self, owner: str) -> list[tuple[ServiceName, EndpointId, Way]]:
        """Everything that stands there with the owner's mark, as often as it stands there."""
        raise NotImplementedError


class File(Place):
    """An inventory file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def target(self) -> Target:
        return Target(str(self._path))

    def opened(self, clock: Clock, mark: Mark, *, writes: bool) -> Source:
        export = [{"file": str(self._path), "format": "native", "services": ["*"], "from": ["vms"]}]
        said: dict[str, Any] = {"export": export} if writes else {"files": [str(self._path)]}
        return StaticSettings.model_validate({"name": "x", "kind": "static", **said}).open(Kit("x", clock, mark))

    async def written(self, owner: str) -> list[tuple[ServiceName, EndpointId, Way]]:
        view = formats.read(self._path.read_text("utf-8")) if self._path.exists() else None
        services = [one.service for one in view.blocks.values() if one.service is not None] if view else []
        return [(one.name, each.id, each.via.split()) for one in services for each in one.endpoints]


@dataclass
class Bridge:
    """One of the three: what is registered natively beside it, and what it has come to know."""

    owner: str
    engine: Engine
    native: MemoryRegistry
    place: Place
    said: dict[str, set[str]] = field(default_factory=dict)

    def tell(self) -> None:
        self.native.set(*(service(one, *sorted(places)) for one, places in sorted(self.said.items()) if places))

    def change(self, rng: random.Random) -> Says:
        """Register something beside it, or take it back; what is registered there then."""
        one, place = rng.choice(SERVICES), rng.choice(PLACES)
        self.said.setdefault(one, set()).symmetric_difference_update({place})
        self.tell()
        return self.natively

    def clear(self) -> None:
        """Take all back but what it is itself."""
        self.said = {"home/self": self.said["home/self"]}
        self.tell()

    @property
    def natively(self) -> Says:
        return {(name(one), eid(place)) for one, places in self.said.items() for place in places}

    @property
    def knows(self) -> Says:
        catalog = self.engine.catalog.value
        return {(one, each.id) for one, merged in catalog.services.items() for each in merged.endpoints()}


@asynccontextmanager
async def ring(places: Sequence[Place], clock: Clock, rules: Removals, *, relay: bool) -> AsyncIterator[list[Bridge]]:
    """Each bridge reads where the one before it writes, and goes by these rules of removal."""
    async with AsyncExitStack() as stack:
        bridges = []
        for number, owner in enumerate(OWNERS):
            mark, native = Mark(owner, "one"), MemoryRegistry(service("home/self", f"10.9.0.{ord(owner)}:8080"))
            before, after = places[number - 1], places[number]
            sink = after.opened(clock, mark, writes=True)
            assert isinstance(sink, Sink)
            sources = {"native": native, "before": before.opened(clock, mark, writes=False), "after": sink}
            export = Export(
                after.target,
                (Pattern("shop/*"), Pattern("home/*")),
                (SourceName("native"), SourceName("before")),
                "sync",
                Limits(at_once=1.0, floor=1_000_000, per=600),
                relay,
                owner,
            )
            engine = Engine(
                [EngineSource(SourceName(each), True, one, rules, policy()) for each, one in sources.items()],
                EngineSettings(settle=0.05, start_wait=10, snapshot=None, max_age=3600, garbage=False),
                clock,
                lambda _: None,
                lookup=Zone(clock),
                probe=closed,
                exports=[EngineExport(SourceName("after"), sink, export, QUICK, mark)],
                elector=Alone(mark.deployment),
            )
            engine.open()
            task = asyncio.create_task(engine.run(), name=owner)
            stack.push_async_callback(_ended, task)
            bridges.append(Bridge(owner, engine, native, after, {"home/self": {f"10.9.0.{ord(owner)}:8080"}}))
        yield bridges


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


async def looked_at(bridges: list[Bridge], ever: Says) -> None:
    """What must be so at any moment."""
    for bridge in bridges:
        assert bridge.knows <= ever, f"{bridge.owner} knows what nobody ever said"
        written = await bridge.place.written(bridge.owner)
        twice = [one for one, times in Counter((of, each) for of, each, _ in written).items() if times > 1]
        assert not twice, f"{bridge.owner} wrote {twice} twice"
        for _, each, way in written:
            assert bridge.owner not in way, f"{bridge.owner} passed on what had come through it: {way}"
            assert len(set(way)) == len(way), f"{each} went round: {way}"
        assert bridge.engine.restarts() == 0


async def agreement(bridges: list[Bridge], relay: bool) -> str:
    """Where they do not agree, "" when they do."""
    everything = set().union(*(bridge.natively for bridge in bridges))
    for bridge, before in zip(bridges, bridges[-1:] + bridges[:-1], strict=True):
        wanted = everything if relay else bridge.natively | before.natively
        if bridge.knows != wanted:
            return f"{bridge.owner} knows {sorted(bridge.knows ^ wanted)[:5]} otherwise"
        written = await bridge.place.written(bridge.owner)
        says = {(of, each) for of, each, _ in written}
        if not bridge.natively <= says or not (relay or says == bridge.natively):
            return f"{bridge.owner} writes {sorted(says ^ bridge.natively)[:5]} otherwise"
        for of, each, way in written:
            if way and (of, each) in bridge.natively:
                return f"{bridge.owner} says that its own {each} came through {way}"
            if len(way) >= len(OWNERS):
                return f"{each} came through {way}: further on it would be back at home"
    return ""


async def agree(bridges: list[Bridge], ever: Says, relay: bool) -> None:
    """Wait until they do; whatever happens meanwhile must be sound."""
    deadline = asyncio.get_running_loop().time() + 150
    while why := await agreement(bridges, relay):
        assert asyncio.get_running_loop().time() < deadline, why
        await looked_at(bridges, ever)
        await asyncio.sleep(0.1)


async def goes_round(places: list[Place], relay: bool, changes: int = CHANGES) -> None:
    """A run of changes beside all three, after which they agree; AssertionError when something goes round."""
    rng = random.Random(5 + relay)
    async with ring(places, SystemClock(), SOON, relay=relay) as bridges:
        ever: Says = set().union(*(bridge.natively for bridge in bridges))
        await agree(bridges, ever, relay)
        for done in range(1, changes + 1):
            ever |= rng.choice(bridges).change(rng)
            await asyncio.sleep(rng.choice(PAUSES) * CHANGES / changes)
            if done % 10 == 0:
                await looked_at(bridges, ever)
            if done % (changes // BURSTS) == 0:
                await agree(bridges, ever, relay)
        for bridge in bridges:
            bridge.clear()
        await agree(bridges, ever, relay)
