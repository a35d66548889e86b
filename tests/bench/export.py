"""What is written to a file: a thousand changed services by the whole bridge, and what one change costs the plan."""

import gc
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.static.settings import Settings
from bridge.adapter import Holding, Sink
from bridge.exports import Export, Limits, wants
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.kit.names import Pattern
from bridge.merge import Input, Inputs, merge
from bridge.model import Service, ServiceName, SourceName
from bridge.plan import plan
from bridge.runtime.clock import SystemClock
from bridge.table import Table
from bridge.testing.ports import free_port
from bridge.withhold import Judge, Sources
from tests.bench import inventory
from tests.bench.report import Row, middle
from tests.builders import endpoint

Say = Callable[[str], None]
PATIENCE = 120.0


def w12(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """A thousand services, all of them changed by one edit: seconds until the file has them, writes a record."""
    count = 100 if quick else 1000
    results = []
    for number in range(runs):
        say(f"round {number + 1} of {runs}")
        with tempfile.TemporaryDirectory() as folder:
            results.append(_file(Path(folder), count))
    figures = {name: middle([result[name] for result in results]) for name in results[0]}
    return [
        Row(
            "W12: services written to a file_sd file, at 50/s with a burst of 200",
            f"{count:,} services × 10",
            "ours",
            figures,
            results,
        )
    ]


def _file(folder: Path, count: int) -> dict[str, float]:
    admin, xds = free_port(), free_port()
    inventory, target = folder / "vms.json", folder / "targets.json"
    (folder / "bridge.yaml").write_text(
        f"owner: bench\nadmin: {{listen: '127.0.0.1:{admin}'}}\nxds: {{listen: '127.0.0.1:{xds}'}}\n"
        "snapshot: {path: state}\nregistries:\n- {name: vms, kind: static, files: [vms.json]}\n- name: files\n"
        "  kind: static\n  export: [{file: targets.json, format: file_sd, services: ['*/*'], from: [vms]}]\n"
    )
    _write(inventory, count, 1)
    command = [str(Path(sys.executable).with_name("registry-bridge")), "run", "--config", str(folder / "bridge.yaml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        started = time.monotonic()
        _until(target, count, 10)
        first, made = time.monotonic() - started, _made(admin)
        changed = time.monotonic()
        _write(inventory, count, 2)
        _until(target, count, 11)
        second = time.monotonic() - changed
        time.sleep(1)  # what is told late would show as a second write
        return {
            "from nothing s": first,
            "writes a record": made / count,
            "all changed s": second,
            "writes a changed record": (_made(admin) - made) / count,
        }
    finally:
        process.terminate()
        process.wait(30)


def _write(path: Path, count: int, version: int) -> None:
    services = [
        {
            "name": f"bench/s{number:05d}",
            "ports": {"http": 80},
            "endpoints": [
                f"10.{version if at == 10 else 1}.{number // 20}.{number % 20 * 11 + at}" for at in range(9 + version)
            ],
        }
        for number in range(count)
    ]
    inventory.write(path, services)


def _until(target: Path, count: int, endpoints: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if target.exists():
            found: dict[str, int] = {}
            for group in json.loads(target.read_text()):
                if group["targets"]:
                    job = group["labels"]["job"]
                    found[job] = found.get(job, 0) + len(group["targets"])
            if len(found) == count and set(found.values()) == {endpoints}:
                return
        time.sleep(0.05)
    raise TimeoutError(f"{target.name} does not have {count} services of {endpoints} endpoints")


def _made(admin: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'^registry_bridge_export_changes_total\{[^}]*result="put"[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(map(float, found))


def plans(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """CPU of wants, judge, fit and plan after one change, ms, with a file as the sink."""
    count = 1000 if quick else 10_000
    rounds = []
    for number in range(runs):
        say(f"round {number + 1} of {runs}")
        rounds.append(_plans(count, 100))
    figures = {name: middle([one[name] for one in rounds]) for name in rounds[0]}
    return [Row("plan: CPU of one change, ms", f"{count:,} services × 10", "ours", figures, rounds)]


def _plans(count: int, changes: int) -> dict[str, float]:
    vms, files = SourceName("vms"), SourceName("files")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/targets.json"
        settings = Settings.model_validate(
            {
                "name": "files",
                "kind": "static",
                "export": [{"file": path, "format": "file_sd", "services": ["*/*"], "from": ["vms"]}],
            }
        )
        sink = settings.open(Kit("files", SystemClock(), Mark("bench", "one")))
        assert isinstance(sink, Sink)
        target = settings.export[0].target
        export = Export(target, (Pattern("*/*"),), (vms,), "sync", Limits(0.1, 20, 600), relay=False, owner="bench")
        services = Table({one.name: one for one in (_service(number, 0) for number in range(count))})
        inputs = Inputs((Input(vms, services),))
        catalog = merge(inputs, None)
        said = wants(catalog.services, export, files, None)
        holdings = Table({name: _held(sink, target, one) for name, one in said.items()})
        judge, words = Judge(export), dict[object, float]()
        judge.step(said, holdings, Sources((), in_sync=True), words, 0.0)  # type: ignore[arg-type]
        gc.collect()
        times = []
        for number in range(changes):
            one = _service(number * 7 % count, number + 1)
            after = Inputs((Input(vms, inputs.sources[0].services.with_({one.name: one})),))
            merged = merge(after, (inputs, catalog))
            began = time.thread_time()
            want = wants(merged.services, export, files, (catalog.services, said))
            judgement = judge.step(want, holdings, Sources((), in_sync=True), words, float(number))  # type: ignore[arg-type]
            holding = holdings[one.name]
            retained = judgement.retained[one.name]
            made = plan(sink.fit(target, retained, holding)[0], holding)
            times.append((time.thread_time() - began) * 1000)
            assert len(made.changes) == 1, made
            inputs, catalog, said = after, merged, want
            holdings = holdings.with_({one.name: _held(sink, target, retained)})
    ordered = sorted(times)
    return {"p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99) - 1]}


def _service(number: int, version: int) -> Service:
    name = ServiceName("bench", f"s{number:05d}")
    base = f"10.{number // 250}.{number % 250}"
    return Service.of(name, [endpoint(f"{base}.{at}:80", weight=1 + version if at == 0 else 1) for at in range(10)])


def _held(sink: Sink, target: object, service: Service) -> Holding:
    records, problems = sink.fit(target, service, Holding())  # type: ignore[arg-type]
    assert not problems, problems
    return Holding(tuple(sorted(records, key=lambda one: one.key)), service.endpoints)
