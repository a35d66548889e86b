"""Bridges as tests run them that write: from a memory registry `vms` into another, `out`."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.adapter import Put, RecordKey, Target
from bridge.exports import Export, Limits, Mode
from bridge.kit.election import Shelf
from bridge.kit.mark import Mark
from bridge.kit.names import Pattern
from bridge.model import Service, SourceName
from bridge.runtime.election import Alone, Elector, Term
from bridge.runtime.engine import EngineExport
from bridge.runtime.exported import Exported
from bridge.runtime.latest import Latest
from bridge.runtime.rate import Rate
from bridge.testing.clock import FakeClock
from bridge.testing.faults import Write
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import decode
from bridge.testing.store import ONLY, Store
from tests.builders import hosts, service
from tests.engines import Run, running

OURS = Mark("prod", "one")
OUT = SourceName("out")
LIMITS = Limits(at_once=0.1, floor=20, per=600)
QUICK = Rate(1e6, 1_000_000)

WEB = service("shop/web", *hosts(3))
API = service("shop/api", *hosts(2, net="10.1"))
WEB_0 = RecordKey("shop/web#0")


def export(
    *patterns: str,
    sources: Iterable[str] = ("vms",),
    mode: Mode = "sync",
    limits: Limits = LIMITS,
    relay: bool = False,
    target: Target = ONLY,
    owner: str = "prod",
) -> Export:
    return Export(
        target,
        tuple(map(Pattern, patterns or ("*/*",))),
        tuple(map(SourceName, sources)),
        mode,
        limits,
        relay,
        owner,
    )


def sink(store: Store | None = None, mark: Mark = OURS, **more: Any) -> MemoryRegistry:
    """A registry with our mark, which was read whole and holds what `store` does."""
    made = MemoryRegistry(mark=mark, store=store, **more)
    if made.store.services is None:
        made.set()
    return made


def said(store: Store, target: Target = ONLY) -> dict[str, list[str]]:
    """What all records of the store say: service to endpoints, one that stands in two records twice."""
    found: dict[str, list[str]] = {}
    for stored in store.records.get(target, {}).values():
        found.setdefault(str(stored.record.service), []).extend(str(one.id) for one in decode(stored.record.content))
    return {service: sorted(endpoints) for service, endpoints in sorted(found.items())}


def made(registry: MemoryRegistry) -> list[str]:
    """The writes of this process, as `put shop/web#0` and `remove shop/web#0`."""
    return [f"{'put' if isinstance(one, Put) else 'remove'} {one.record.key}" for one in registry.writes]


def several(number: int) -> list[Service]:
    return [service(f"shop/s{one:04}", f"10.8.{one // 250}.{one % 250}:80") for one in range(number)]


def puts(write: Write) -> bool:
    return isinstance(write, Put)


def key(text: str) -> RecordKey:
    return RecordKey(text)


def exported(run: Run, target: Target = ONLY) -> Exported:
    return run.engine.exported[OUT, target].value


class Voted:
    """An election whose outcome a test says."""

    shelf: Shelf | None = None

    def __init__(self, deployment: str = OURS.deployment, *terms: Term) -> None:
        self.deployment = deployment
        self._terms: Latest[Term | None] = Latest(terms[0] if terms else None)

    def say(self, number: int, until: float) -> None:
        self._terms.set(Term(number, until))

    async def terms(self) -> AsyncIterator[Term]:
        async for term in self._terms.changes():
            if term is not None:
                yield term


@asynccontextmanager
async def writing(
    clock: FakeClock,
    out: MemoryRegistry,
    folder: Path | None = None,
    *,
    what: Export | None = None,
    elector: Elector | None = None,
    rate: Rate = QUICK,
    end: bool = False,
    **registries: MemoryRegistry,
) -> AsyncIterator[Run]:
    """A bridge that reads `registries` and `out`, and writes `out`."""
    assert out.mark is not None
    one = EngineExport(OUT, out, what or export(owner=out.mark.owner), rate, out.mark, end)
    elector = elector or Alone(out.mark.deployment)
    async with running(clock, folder, exports=[one], elector=elector, **registries, out=out) as run:
        yield run
