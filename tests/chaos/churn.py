"""`python -m tests.chaos.churn FILE FORMAT KILLS SEED`: a writer that is killed at random moments, and what it left.

Each writer is a child that makes change after change, and says through a pipe what it tries and what is made. After
every kill the file has to be whole, with each service as it was last made, or as it was being made.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
from pathlib import Path

from adapters.static.layouts import formats
from adapters.static.registry import Static
from adapters.static.settings import Settings
from bridge.adapter import Claim, Held, Holding, Put, Remove, Target
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Service
from bridge.plan import plan
from bridge.runtime.clock import SystemClock
from tests.builders import endpoint, name, service

SERVICES = 12
MARK = Mark("prod-eu1", "cluster-a")
NOTHING = Holding()


def wanted(generation: int) -> list[Service]:
    """Most of the services, each with other endpoints in every generation."""
    chosen = random.Random(generation)
    return [
        service(
            f"shop/s{number}",
            *(endpoint(f"10.0.{number}.{last}:80", weight=generation % 60_000 + 1) for last in (1, 2)),
        )
        for number in range(SERVICES)
        if chosen.random() < 0.8
    ]


def opened(path: Path, form: str) -> Static:
    export = {"file": str(path), "format": form, "services": ["*"], "from": ["k8s"]}
    settings = Settings.model_validate({"name": "vms", "kind": "static", "export": [export]})
    source = settings.open(Kit("vms", SystemClock(), MARK))
    assert isinstance(source, Static)
    return source


async def write(path: Path, form: str, generation: int, told: int, last: int | None = None) -> None:
    """Generation after generation, as an outlet does it: observe, fit, plan, apply; up to `last`."""
    sink, target = opened(path, form), Target(str(path))
    async with contextlib.aclosing(sink.observe()) as observations:  # type: ignore[type-var]
        first = True
        async for observation in observations:
            held = observation.held[target]
            if first:
                await lead(sink, target, held)
                first = False
            changes = planned(sink, target, held, generation)
            if not changes:
                if generation == last:
                    return
                generation += 1
                changes = planned(sink, target, held, generation)
            await asyncio.gather(*(make(sink, target, change, told) for change in changes))


async def lead(sink: Static, target: Target, held: Held) -> None:
    before = held.claims[0] if held.claims else None
    term, revision = (before.term + 1, before.revision) if before else (1, None)
    await sink.claim(target, Claim(MARK.owner, MARK.deployment, term, 1_750_000_000.0, False, revision))


def planned(sink: Static, target: Target, held: Held, generation: int) -> list[Put | Remove]:
    changes: list[Put | Remove] = []
    services = {one.name: one for one in wanted(generation)}
    for number in range(SERVICES):
        key = name(f"shop/s{number}")
        holding = held.holdings.get(key, NOTHING)
        fitted = sink.fit(target, services[key], holding)[0] if key in services else []
        changes += plan(fitted, holding).changes
    return changes


async def make(sink: Static, target: Target, change: Put | Remove, told: int) -> None:
    content = change.record.content if isinstance(change, Put) else b""
    line = f"{change.record.key} {content.hex() or '-'}\n".encode()
    os.write(told, b"try " + line)
    await sink.apply(target, change)
    os.write(told, b"made " + line)


def blocks(path: Path) -> dict[str, str]:
    """The file's blocks; it must be whole, and each of them what some writer wrote."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    view = formats.read(text)
    assert view is not None, text
    assert view.complete, text
    assert all(block.service is not None for block in view.blocks.values()), text
    addresses = [one.id for block in view.blocks.values() if block.service for one in block.service.endpoints]
    assert len(addresses) == len(set(addresses)), text
    return {key: block.content for key, block in view.blocks.items()}


children: list[int] = []


def kill_one(path: Path, form: str, generation: int, after: float) -> dict[str, set[str]]:
    """Let a writer live for a while; what each service may be in the file then."""
    may = {f"shop/s{number}": {""} for number in range(SERVICES)}
    for key, content in blocks(path).items():
        may[key] = {content}
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(write(path, form, generation, told))
        finally:
            os._exit(1)
    os.close(told)
    children.append(child)
    signal.setitimer(signal.ITIMER_REAL, after)
    said = bytearray()
    while piece := os.read(reading, 65_536):
        said += piece
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself"
    for line in bytes(said).decode().split("\n")[:-1]:
        word, key, content = line.split(" ")
        text = "" if content == "-" else bytes.fromhex(content).decode()
        may[key] = may[key] | {text} if word == "try" else {text}
    return may


def main(path: Path, form: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(children[-1], signal.SIGKILL))
    made = left = 0
    for kill in range(kills):
        may = kill_one(path, form, kill * 1000, chance.uniform(0.001, 0.12))
        there = blocks(path)
        made += bool(there)
        left += path.with_name(f".{path.name}.new").exists()
        for key, contents in may.items():
            assert there.get(key, "") in contents, (kill, key, there.get(key), contents)
        beside = {f".{path.name}{ending}" for ending in (".new", ".claim", ".claim.new")}
        strange = {one.name for one in path.parent.iterdir()} - {path.name, *beside}
        assert not strange, strange
    null = os.open(os.devnull, os.O_WRONLY)
    asyncio.run(write(path, form, kills * 1000, null, kills * 1000))
    sink = opened(path, form)
    target = Target(str(path))
    last = {str(one.name): sink.fit(target, one, NOTHING)[0][0].content.decode() for one in wanted(kills * 1000)}
    assert blocks(path) == last
    assert {one.name for one in path.parent.iterdir()} == {path.name, f".{path.name}.claim"}
    print(f"{kills} kills, {made} with a file, {left} of them in the middle of a write")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
