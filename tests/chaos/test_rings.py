"""Three bridges that pass inventories on in a ring: nothing goes round, nothing is doubled, all come to agree."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.static.layouts import formats
from adapters.static.settings import Settings
from bridge.adapter import Sink, Source, Target
from bridge.exports import Export, Limits
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.kit.names import Pattern
from bridge.model import EndpointId, Service, ServiceName, SourceName
from bridge.runtime.election import Alone
from bridge.runtime.engine import EngineExport
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests import engines
from tests.builders import eid, hosts, name, service
from tests.engines import Run, running
from tests.outlets import QUICK

OWNERS = ("a", "b", "c")
CHANGES = 1_000
BURST = 50
"""Changes between two looks at everybody."""

AGREED = 600.0
"""Seconds after which all agree when nothing changes any more."""

SERVICES = [f"shop/s{number}" for number in range(6)]
PLACES = [*hosts(4, net="10.1"), *hosts(4, net="10.2"), *hosts(4, net="10.3")]
"""Everybody's, so that two natives often know one endpoint."""

Says = set[tuple[ServiceName, EndpointId]]


class Inline(ThreadPoolExecutor):
    """Does at once what is for a thread, so that the clock of the test knows when it is done."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **more))
        except BaseException as error:
            done.set_exception(error)
        return done


@dataclass
class Bridge:
    """One of the three: what is registered natively beside it, and what it has come to know."""

    owner: str
    run: Run
    native: MemoryRegistry
    file: Path
    said: dict[str, set[str]] = field(default_factory=dict)

    def tell(self) -> None:
        self.native.set(*(service(one, *sorted(places)) for one, places in sorted(self.said.items()) if places))

    @property
    def natively(self) -> Says:
        return {(name(one), eid(place)) for one, places in self.said.items() for place in places}

    @property
    def knows(self) -> Says:
        catalog = self.run.engine.catalog.value
        return {(one, each.id) for one, merged in catalog.services.items() for each in merged.endpoints()}

    @property
    def written(self) -> list[Service]:
        """What stands in the file that it writes."""
        view = formats.read(self.file.read_text("utf-8")) if self.file.exists() else None
        return [block.service for block in view.blocks.values() if block.service is not None] if view else []


def opened(clock: FakeClock, mark: Mark, reads: Path | None, writes: Path | None) -> Source:
    said: dict[str, object] = {"name": "x", "kind": "static"}
    if reads is not None:
        said["files"] = [str(reads)]
    if writes is not None:
        said["export"] = [{"file": str(writes), "format": "native", "services": ["*"], "from": ["vms"]}]
    return Settings.model_validate(said).open(Kit("x", clock, mark))


@asynccontextmanager
async def ring(clock: FakeClock, folder: Path, *, relay: bool) -> AsyncIterator[list[Bridge]]:
    """Each bridge reads what the one before it wrote."""
    asyncio.get_running_loop().set_default_executor(Inline())
    files = {owner: folder / f"{owner}.yaml" for owner in OWNERS}
    async with AsyncExitStack() as stack:
        bridges = []
        for owner, before in zip(OWNERS, OWNERS[-1:] + OWNERS[:-1], strict=True):
            mark, native = Mark(owner, "one"), MemoryRegistry(service("home/self", f"10.9.0.{ord(owner)}:80"))
            after = opened(clock, mark, None, files[owner])
            assert isinstance(after, Sink)
            export = Export(
                Target(str(files[owner])),
                (Pattern("shop/*"), Pattern("home/*")),
                (SourceName("native"), SourceName("before")),
                "sync",
                Limits(at_once=1.0, floor=1_000_000, per=600),
                relay,
                owner,
            )
            run = await stack.enter_async_context(
                running(
                    clock,
                    exports=[EngineExport(SourceName("after"), after, export, QUICK, mark)],
                    elector=Alone(mark.deployment),
                    native=native,
                    before=opened(clock, mark, files[before], None),  # type: ignore[arg-type]
                    after=after,  # type: ignore[arg-type]
                )
            )
            bridges.append(Bridge(owner, run, native, files[owner], {"home/self": {f"10.9.0.{ord(owner)}:80"}}))
        yield bridges


@pytest.fixture(autouse=True)
def believed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone for good is believed within minutes."""
    quickly = replace(engines.RULES, settled=60, confirm=60, last=60, flood_release=60)
    monkeypatch.setattr(engines, "RULES", quickly)


def looked_at(bridges: list[Bridge], ever: Says) -> None:
    """What must be so at any moment."""
    for bridge in bridges:
        assert bridge.knows <= ever, f"{bridge.owner} knows what nobody ever said"
        for one in bridge.written:
            ids = [each.id for each in one.endpoints]
            assert len(set(ids)) == len(ids), f"{bridge.owner} wrote an endpoint of {one.name} twice"
            for each in one.endpoints:
                path = each.via.split()
                assert bridge.owner not in path, f"{bridge.owner} passed on what had come through it: {path}"
                assert len(set(path)) == len(path), f"{each.id} went round: {path}"
        assert bridge.run.engine.restarts() == 0


def agreed(bridges: list[Bridge], relay: bool) -> None:
    """What must be so when nothing has changed for long."""
    everything = set().union(*(bridge.natively for bridge in bridges))
    for bridge, before in zip(bridges, bridges[-1:] + bridges[:-1], strict=True):
        wanted = everything if relay else bridge.natively | before.natively
        assert bridge.knows == wanted, bridge.owner
        says = {(one.name, each.id) for one in bridge.written for each in one.endpoints}
        paths = {(one.name, each.id): each.via.split() for one in bridge.written for each in one.endpoints}
        assert bridge.natively <= says
        assert all(not paths[known] for known in bridge.natively), "what is known natively has come through nobody"
        assert relay or says == bridge.natively
        assert all(len(path) < len(OWNERS) for path in paths.values()), "further on it would be back at home"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("relay", [False, True], ids=["each its own", "relayed"])
async def test_in_a_ring_nothing_goes_round_and_all_come_to_agree(tmp_path: Path, relay: bool) -> None:
    rng, clock = random.Random(20 + relay), FakeClock()
    async with ring(clock, tmp_path, relay=relay) as bridges:
        ever: Says = set().union(*(bridge.natively for bridge in bridges))
        await clock.advance(60)
        agreed(bridges, relay)
        for done in range(1, CHANGES + 1):
            bridge, one, place = rng.choice(bridges), rng.choice(SERVICES), rng.choice(PLACES)
            bridge.said.setdefault(one, set()).symmetric_difference_update({place})
            bridge.tell()
            ever |= bridge.natively
            await clock.advance(rng.choice((0.0, 0.05, 0.5, 3.0, 8.0)))
            if done % 10 == 0:
                looked_at(bridges, ever)
            if done % BURST == 0:
                await clock.advance(AGREED)
                looked_at(bridges, ever)
                agreed(bridges, relay)
        before = [len(bridge.written) for bridge in bridges]
        for bridge in bridges:
            bridge.said = {"home/self": bridge.said["home/self"]}
            bridge.tell()
        await clock.advance(AGREED)
        agreed(bridges, relay)
        assert all(len(bridge.written) < count for bridge, count in zip(bridges, before, strict=True))
