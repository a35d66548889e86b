"""One change to its subscribers, ours beside go-control-plane's caches: one client, one control protocol, by turns."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from bridge.testing.ports import free_port
from tests.bench.golang import NoGoError, build
from tests.bench.report import Row, middle

Measured = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Load:
    """What one run asks of a server; `gap` is the quiet time between two changes in milliseconds."""

    services: int
    endpoints: int
    streams: int
    names: int
    changes: int
    gap: int = 1
    delta: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A server under test: how its command begins, and how its load differs from the others'."""

    name: str
    command: tuple[str, ...]
    changes: int | None = None
    gap: int | None = None

    def load(self, load: Load) -> Load:
        return replace(load, changes=min(self.changes or load.changes, load.changes), gap=self.gap or load.gap)


OURS, LINEAR, SNAPSHOT = "registry-bridge", "LinearCache", "SnapshotCache"


def subjects(peers: Path | None, snapshot: bool) -> list[Subject]:
    """All that are compared, LinearCache first: it is the measure. Without peers, ours alone."""
    python = (sys.executable, "-m", "tests.bench.server")
    listed = [Subject(LINEAR, (str(peers / "server"), "--cache", "linear"))] if peers else []
    listed.append(Subject(OURS, python))
    if find_spec("uvloop"):
        listed.append(Subject(f"{OURS}, uvloop", (*python, "--uvloop")))
    if peers and snapshot:
        # A change occupies it and its clients for tenths of a second: fewer changes, and quiet between them.
        listed.append(Subject(SNAPSHOT, (str(peers / "server"), "--cache", "snapshot"), changes=30, gap=300))
    return listed


@contextmanager
def running(subject: Subject, load: Load) -> Iterator[tuple[int, str, str]]:
    """The server under test: its process id, xDS address and control address."""
    xds, control = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [
        *subject.command, "--services", str(load.services), "--endpoints", str(load.endpoints),
        "--xds", xds, "--control", control,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"{subject.name}: did not start: {' '.join(command)}")
            yield process.pid, xds, control
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def measure(peers: Path | None, subject: Subject, load: Load) -> Measured:
    """One run against one server."""
    load = subject.load(load)
    with running(subject, load) as (pid, xds, control):
        client = (str(peers / "client"),) if peers else (sys.executable, "-m", "tests.bench.client")
        command = [
            *client, "-pid", str(pid), "-xds", xds, "-control", control,
            "-services", str(load.services), "-streams", str(load.streams), "-names", str(load.names),
            "-changes", str(load.changes), "-gap", f"{load.gap}ms", f"-delta={str(load.delta).lower()}",
        ]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return dict(json.loads(done.stdout))


def _figures(runs: Sequence[Measured], measure_of: Sequence[Measured] | None) -> Mapping[str, Any]:
    """The medians of some runs, and of their ratios to LinearCache's runs of the same rounds."""

    def of(*path: str) -> float:
        return middle([_at(run, path) for run in runs])

    def ratio(*path: str) -> float | None:
        if measure_of is None:
            return None
        return middle([_at(run, path) / _at(other, path) for run, other in zip(runs, measure_of, strict=True)])

    responses = sum(run["responses"] for run in runs)
    changes = sum(run["changes"] for run in runs)
    shown = {
        "p50 ms": of("latency_ms", "p50"),
        "p50 ×": ratio("latency_ms", "p50"),
        "p99 ms": of("latency_ms", "p99"),
        "p99 ×": ratio("latency_ms", "p99"),
    }
    if responses > changes * 2 and not any(run["needless"] for run in runs):  # several subscribers: the last of them
        shown |= {"last p50 ms": of("last_ms", "p50"), "last p50 ×": ratio("last_ms", "p50")}
    return shown | {
        "way p50 ms": of("roundtrip_ms", "p50"),  # with the control line: from the client, and back to it
        "way p50 ×": ratio("roundtrip_ms", "p50"),
        "answers": responses / changes,
        "needless": sum(run["needless"] for run in runs) / changes,
        "B/answer": round(sum(run["bytes"] for run in runs) / responses),
        "CPU ms": of("server_cpu_ms_per_change"),
        "sync ms": of("sync_ms"),
        "MB": round(median(run["rss_bytes"] for run in runs) / 1e6),
    }


def _at(run: Measured, path: Sequence[str]) -> float:
    value: Any = run
    for key in path:
        value = value[key]
    return float(value)


def compare(
    scenario: str, loads: Mapping[str, Load], runs: int, say: Callable[[str], None], snapshot: bool
) -> list[Row]:
    """Rounds of one run of every server, so that what the machine does meanwhile happens to all of them."""
    try:
        peers = build()
    except NoGoError:
        peers = None
    compared = subjects(peers, snapshot)
    rows = []
    for case, load in loads.items():
        measured: dict[str, list[Measured]] = {subject.name: [] for subject in compared}
        for number in range(runs):
            for subject in compared:
                say(f"{scenario}, {case}: round {number + 1} of {runs}: {subject.name}")
                measured[subject.name].append(measure(peers, subject, load))
        rows += [Row(scenario, case, name, _figures(its, measured.get(LINEAR)), its) for name, its in measured.items()]
    return rows


def w3(quick: bool, runs: int, say: Callable[[str], None]) -> list[Row]:
    """10,000 services of 10 endpoints, 200 streams of 50 names, one change: its one subscriber hears of it."""
    load = Load(1_000, 10, 20, 50, 100) if quick else Load(10_000, 10, 200, 50, 2_000)
    return compare("W3", _both(load), runs, say, snapshot=True)


def w5(quick: bool, runs: int, say: Callable[[str], None]) -> list[Row]:
    """One service of 1,000 endpoints, one of which changes; 1,000 subscribers hear of it."""
    load = Load(1, 100, 50, 1, 5, gap=50) if quick else Load(1, 1_000, 1_000, 1, 40, gap=100)
    return compare("W5", _both(load), runs, say, snapshot=False)


def _both(load: Load) -> dict[str, Load]:
    return {"state of the world": load, "delta": replace(load, delta=True)}
