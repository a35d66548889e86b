"""Changes of Consul's instances until somebody has them, and the first view of many: a real Consul."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from adapters.consul.plan import MOST
from adapters.consul.settings import Settings
from bridge.kit import Kit
from bridge.runtime.clock import SystemClock
from bridge.testing.ports import free_port
from tests.bench.lone import Case, Say, bridge, readers
from tests.bench.report import Row, middle
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import ROOT, Agent, find

NODES = 100

_AT_ONCE = 64  # operations of a transaction
_IDLE = 30.0  # seconds for which nothing happens

Operation = dict[str, Any]


@asynccontextmanager
async def datacenter(folder: Path, say: Say) -> AsyncIterator[tuple[Hand, dict[str, Any]]]:
    """A server, somebody who registers there, and a bridge's configuration of it as a registry."""
    program = await asyncio.to_thread(find, say)
    token = folder / "token"
    token.write_text(ROOT)
    async with Agent(program, folder / "consul") as server, server.hand() as hand:
        imported = {"services": ["s*"], "namespace": "bench", "ports": {"default": "http"}}
        yield hand, {
            "name": "dc1", "kind": "consul", "url": server.url, "token_file": str(token), "import": imported,
        }  # fmt: skip


class Instance(NamedTuple):
    """One instance, with a check of its own that passes."""

    service: str
    number: int

    @property
    def address(self) -> str:
        return f"10.{1 + self.number // 62500}.{self.number // 250 % 250}.{1 + self.number % 250}"

    @property
    def node(self) -> str:
        return f"vm-{self.number % NODES}"

    @property
    def said(self) -> dict[str, Any]:
        return {"ID": f"{self.service}-{self.number}", "Service": self.service, "Address": self.address, "Port": 8080}

    @property
    def check(self) -> dict[str, Any]:
        its = self.said["ID"]
        return {"Node": self.node, "CheckID": f"check:{its}", "Name": "alive", "Status": "passing", "ServiceID": its}

    def operations(self) -> Iterator[Operation]:
        yield {"Service": {"Verb": "set", "Node": self.node, "Service": self.said}}
        yield {"Check": {"Verb": "set", "Check": self.check}}


class Instances:
    """Some instances of each of many services, and changes that each register one more."""

    def __init__(self, hand: Hand, endpoints: int) -> None:
        self._hand = hand
        self._endpoints = endpoints
        self._next = itertools.count()
        self.writes: list[float] = []
        """What the server took to store each change, in milliseconds."""

    async def fill(self, services: int) -> list[str]:
        """Register them on a hundred nodes; the services' names."""
        names = [f"s{number:05d}" for number in range(services)]
        nodes = ({"Node": f"vm-{number}", "Address": f"10.0.0.{1 + number}"} for number in range(NODES))
        await self._write({"Node": {"Verb": "set", "Node": node}} for node in nodes)
        made = (Instance(name, next(self._next)) for name in names for _ in range(self._endpoints))
        await self._write(itertools.chain.from_iterable(one.operations() for one in made))
        return [f"bench/{name}" for name in names]

    async def add(self, service: str) -> tuple[str, int]:
        """Register an instance: its address, and the moment before the request in monotonic nanoseconds."""
        one = Instance(service.removeprefix("bench/"), next(self._next))
        body = {"Node": one.node, "SkipNodeUpdate": True, "Service": one.said, "Check": one.check}
        at = time.monotonic_ns()
        await self._hand.put("catalog/register", body)
        self.writes.append((time.monotonic_ns() - at) / 1e6)
        return one.address, at

    async def _write(self, operations: Iterable[Operation]) -> None:
        them = iter(operations)
        while some := list(itertools.islice(them, _AT_ONCE)):
            await self._hand.put("txn", some)


async def _lone(services: int, count: int, how: str, say: Say) -> list[Row]:
    about = f"{services:,} services, {how}"
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with datacenter(folder, say) as (hand, registry):
            instances = Instances(hand, 4)
            say(f"W1-consul: {services:,} services of four instances")
            names = await instances.fill(services)
            xds = free_port()
            async with bridge(folder, xds, registry):
                case = Case("W1-consul", about, names, count)
                rows = await readers(case, instances.add, xds, folder, say)
        stored = sorted(instances.writes)
        figures = {"p50 ms": middle(stored), "p99 ms": stored[len(stored) * 99 // 100], "changes": len(stored)}
        return [*rows, Row("W1-consul", about, "of that, Consul's", figures)]


def w1(quick: bool, runs: int, say: Say) -> list[Row]:
    """Lone changes for each reader and each way to follow: they are their own rounds, whatever `runs` says.

    The time begins before the request that registers the instance, so that it holds what Consul takes.
    """
    few, many, count = (20, MOST + 20, 5) if quick else (100, 1_000, 100)
    rows = asyncio.run(_lone(few, count, "long polls", say))
    return [*rows, *asyncio.run(_lone(many, count, "hints and sweeps", say))]


async def _cold(services: int, idle: float, say: Say) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with datacenter(folder, say) as (hand, registry):
            await Instances(hand, 10).fill(services)
            views = Settings.model_validate(registry).open(Kit("dc1", SystemClock())).observe()
            begun = time.monotonic()
            view = await anext(views)
            took = time.monotonic() - begun
            assert sum(len(one.endpoints) for one in view.services.values()) == services * 10
            with suppress(AttributeError):
                await views.aclose()  # type: ignore[attr-defined]
            begun = time.monotonic()
            async with bridge(folder, free_port(), registry) as pid:
                ready = time.monotonic() - begun
                await asyncio.sleep(idle / 10)
                busy, connections = await _idle(psutil.Process(pid), int(registry["url"].rpartition(":")[2]), idle)
            return {
                "first view s": took,
                "process ready s": ready,
                "idle % of a core": busy,
                "connections": connections,
            }


async def _idle(process: psutil.Process, port: int, seconds: float) -> tuple[float, int]:
    """What it takes while nothing happens: percents of a core, and connections to the registry."""
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(seconds)
    busy = 100 * (sum(process.cpu_times()[:2]) - before) / seconds
    return busy, sum(1 for one in process.net_connections("tcp") if one.raddr and one.raddr.port == port)


def w8(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """The first view of ten thousand instances, by the adapter alone and by the whole process, which then idles."""
    services, idle = (100, 3.0) if quick else (1_000, _IDLE)
    results = []
    for number in range(1 if quick else min(runs, 3)):
        say(f"round {number + 1}")
        results.append(asyncio.run(_cold(services, idle, say)))
    figures = {name: middle([result[name] for result in results]) for name in results[0]}
    return [Row("W8-consul", f"{services:,} services × 10 instances", "ours", figures, results)]
