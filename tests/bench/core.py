"""What one change costs between an observation and the bytes for Envoy, and what a whole catalog weighs.

W4 takes changes through the guard, the merge, the view and the encoding, in CPU time of the thread, at several sizes in
turn. W13 fills a process of its own from three sources and reads its resident memory after each room.
"""

import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from bridge.adapter import Observation
from bridge.guard import Guard, Seen
from bridge.merge import Input, Inputs, merge
from bridge.model import Endpoint, Locality, Port, Service, ServiceName, Services, SourceName
from bridge.table import Table
from bridge.traffic import ANY, ClusterPolicy, OutlierDetection, Policy
from bridge.xds.messages import CDS, EDS
from bridge.xds.names import Names
from bridge.xds.resources import WILDCARD, Resources
from bridge.xds.session import Session
from tests.bench.report import Row, middle, show
from tests.guards import BLIND

SIZES = (1_000, 10_000, 50_000)
ENDPOINTS = 10
WATCHED = 1_000  # services that somebody subscribes to, and that change
STAGES = ("guard", "merge", "resources")

POLICY = Policy(None, ClusterPolicy(1.0, "round_robin", OutlierDetection(5, 10.0, 30.0, 10)))
PORTS = (Port("http", 8080),)
PLACES = [Locality("eu", f"eu-{zone}") for zone in "abc"]

Say = Callable[[str], None]


def name_of(number: int) -> ServiceName:
    return ServiceName("shop", f"service-{number}")


def service(number: int, endpoints: int, source: int = 0) -> Service:
    """The endpoints of a service that one source knows; no two services or sources share an address."""
    first = (source * SIZES[-1] + number) * endpoints
    return Service.of(
        name_of(number),
        [
            Endpoint(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}", PORTS, locality=PLACES[at % len(PLACES)])
            for at in range(first, first + endpoints)
        ],
    )


def inventory(services: int, endpoints: int, source: int = 0) -> Services:
    return Table({name_of(i): service(i, endpoints, source) for i in range(services)})


class Core:
    """One source through every pure room, with somebody subscribed to some of its services."""

    def __init__(self, services: int) -> None:
        self.now = 0.0
        self.services = inventory(services, ENDPOINTS)
        self.guard = Guard(BLIND, None)
        self.resources = Resources(Names(), lambda _: POLICY)
        self.inputs = Inputs((Input(SourceName("vms"), self._seen()),))
        self.catalog = merge(self.inputs, None)
        self.resources.publish(self.catalog)
        for number in range(min(services, WATCHED)):
            name = str(name_of(number))
            self.resources.subscribe(EDS, name, ANY, cast("Session", "somebody"))
            self.resources.get(EDS, name, ANY)

    def _seen(self) -> Services:
        self.now += 0.1
        return self.guard.step(Seen(Observation(self.services, read=1)), self.now).services

    def change(self, old: Service, new: Service) -> tuple[float, ...]:
        """Milliseconds of CPU that each stage takes."""
        self.services = self.services.with_({old.name: new})
        times = [time.thread_time_ns()]
        seen = self._seen()
        times.append(time.thread_time_ns())
        inputs = Inputs((Input(SourceName("vms"), seen),))
        self.catalog = merge(inputs, (self.inputs, self.catalog))
        self.inputs = inputs
        times.append(time.thread_time_ns())
        told = self.resources.publish(self.catalog)
        times.append(time.thread_time_ns())
        if [list(types.values()) for types in told.values()] != [[[str(old.name)]]]:
            raise AssertionError(f"{old.name} changed, and who was told is {told}")
        return tuple((after - before) / 1e6 for before, after in pairwise(times))


def edited(old: Service, turn: int) -> Service:
    """One endpoint more, or one with another weight."""
    if turn % 2 and len(old.endpoints) <= ENDPOINTS:
        one = old.endpoints[0]
        return Service.of(old.name, [*old.endpoints, replace(one, ports=(Port("http", 9090),))])
    at = turn % len(old.endpoints)
    return replace(
        old,
        endpoints=(
            *old.endpoints[:at],
            replace(old.endpoints[at], weight=old.endpoints[at].weight + 1),
            *old.endpoints[at + 1 :],
        ),
    )


def w4(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """CPU of one change at each size, sizes in turn, so that the weather is the same for all."""
    sizes = (SIZES[0], SIZES[1]) if quick else SIZES
    changes = 200 if quick else 1_000
    cores: dict[int, Core] = {}
    for size in sizes:
        say(f"{size:,} services")
        cores[size] = Core(size)
    gc.collect()
    gc.freeze()  # as the engine does after its first catalog
    seeds = random.Random(4)
    taken: dict[int, list[list[tuple[float, ...]]]] = {size: [] for size in sizes}
    for run in range(runs):
        for size in sizes:
            core = cores[size]
            times = []
            for turn in range(changes):
                old = core.services[name_of(seeds.randrange(WATCHED))]
                times.append(core.change(old, edited(old, turn)))
            taken[size].append(times)
        say(f"round {run + 1} of {runs}")
    gc.unfreeze()
    return [
        Row("W4: CPU of one change, ms", f"{size:,} × {ENDPOINTS}", "ours", _figures(taken[size]), taken[size][:1])
        for size in sizes
    ]


def _figures(rounds: Sequence[Sequence[tuple[float, ...]]]) -> dict[str, float]:
    totals = [sorted(sum(times) for times in one) for one in rounds]
    figures = {
        "p50": middle([one[len(one) // 2] for one in totals]),
        "p99": middle([one[len(one) * 99 // 100] for one in totals]),
    }
    for number, stage in enumerate(STAGES):
        figures[f"{stage} p50"] = middle([sorted(t[number] for t in one)[len(one) // 2] for one in rounds])
    return figures


# Memory.


def _resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def fill(services: int, endpoints: int, sources: int) -> dict[str, float]:
    """Megabytes resident after each room has taken everything, everybody subscribed to everything."""
    marks = {"start": _resident()}

    def mark(room: str) -> None:
        gc.collect()
        marks[room] = _resident()

    observed = [inventory(services, endpoints, source) for source in range(sources)]
    mark("model")
    guards = [Guard(BLIND, None) for _ in observed]
    believed = [
        guard.step(Seen(Observation(one, 1)), 0.0).services for guard, one in zip(guards, observed, strict=True)
    ]
    mark("guards")
    inputs = Inputs(tuple(Input(SourceName(f"registry-{i}"), one) for i, one in enumerate(believed)))
    catalog = merge(inputs, None)
    mark("merge")
    resources = Resources(Names(), lambda _: POLICY)
    resources.publish(catalog)
    session = cast("Session", "somebody")
    resources.subscribe(CDS, WILDCARD, ANY, session)
    for name in resources.clusters():
        resources.get(CDS, name, ANY)
        resources.subscribe(EDS, name, ANY, session)
        resources.get(EDS, name, ANY)
    mark("resources")
    return marks


def w13(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """Resident memory of three sources in the pure rooms, in a fresh process each time."""
    services = 1_000 if quick else SIZES[1]
    rows: list[dict[str, float]] = []
    for run in range(1 if quick else min(runs, 3)):  # memory has little weather
        asked = [sys.executable, "-m", "tests.bench.core", "fill", str(services), str(ENDPOINTS), "3"]
        rows.append(json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout))
        say(f"process {run + 1}")
    figures = {f"after {room}": middle([row[room] for row in rows]) for room in rows[0]}
    return [Row("W13: resident memory, MB", f"3 × {services:,} × {ENDPOINTS}", "ours, the pure rooms", figures, rows)]


def main(quick: bool = False, runs: int = 5) -> Mapping[str, Any]:
    """Print both tables; the figures as JSON would have them."""
    err = Console(stderr=True)
    rows = [row for scenario in (w4, w13) for row in scenario(quick, runs, lambda line: err.print(line, style="dim"))]
    show(rows, Console())
    return {f"{row.scenario} at {row.case}": dict(row.figures) for row in rows}


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        print(json.dumps(fill(*map(int, sys.argv[2:]))))
    else:
        main(quick="--quick" in sys.argv)
