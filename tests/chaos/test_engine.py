"""The engine on the real clock: ports that answer or not, and a process that is killed in the middle of changes."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.model import SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine, EngineSettings, EngineSource
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.ports import free_port
from tests.builders import hosts, name, service
from tests.engines import policy, running, until
from tests.guards import RULES

ROOT = Path(__file__).parents[2]
WEB = name("shop/web")


@pytest.mark.promise("law-2")
async def test_what_went_missing_is_deleted_when_its_port_is_closed_and_held_when_it_answers() -> None:
    with ExitStack() as stack:
        ports = []
        for number in range(1, 9):
            it = stack.enter_context(socket.socket())
            host = f"127.0.0.{number}"
            it.bind((host, free_port(host)))
            it.listen()
            ports.append(it)
        where = ["{}:{}".format(*it.getsockname()) for it in ports]
        vms = MemoryRegistry(service("shop/web", *where))
        engine = Engine(
            [EngineSource(SourceName("vms"), True, vms, RULES, policy(allow_loopback=True))],
            EngineSettings(settle=0.1, start_wait=10, snapshot=None, max_age=3600, garbage=True),
            SystemClock(),
            lambda _: None,
        )

        def served() -> set[str]:
            merged = engine.catalog.value.services.get(WEB)
            return {f"{one.id}{'?' if one.held else ''}" for one in merged.endpoints()} if merged else set()

        task = asyncio.create_task(engine.run())
        await until(lambda: served() == set(where))
        for it in ports[:2]:
            it.close()
        vms.set(service("shop/web", *where[3:]))
        await until(lambda: served() == {f"{one}?" for one in where[:3]} | set(where[3:]))
        await until(lambda: served() == {f"{where[2]}?"} | set(where[3:]))
        task.cancel()
        await asyncio.wait((task,))


# A bridge whose registry changes all the time, and whose snapshot is written as often as it can be.
BRIDGE = """
import asyncio, itertools, os, sys
from pathlib import Path
import structlog
import bridge.runtime.snapshot as snapshot
structlog.configure(logger_factory=structlog.PrintLoggerFactory(open(os.devnull, "w")))
snapshot.PAUSE = 0.001
snapshot.SHARE = 0.0
from bridge.model import SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.engine import Engine, EngineSettings, EngineSource
from bridge.testing.memory import MemoryRegistry
from tests.builders import hosts, service
from tests.engines import policy
from tests.guards import RULES

async def main():
    vms = MemoryRegistry()
    engine = Engine(
        [EngineSource(SourceName("vms"), True, vms, RULES, policy())],
        EngineSettings(settle=0.01, start_wait=10, snapshot=Path(sys.argv[1]), max_age=3600, garbage=True),
        SystemClock(),
        lambda catalog: None,
    )
    asyncio.create_task(engine.run())
    up = False
    for number in itertools.count():
        vms.set(*(service(f"shop/s{n}", *hosts(3 + (number + n) % 5, net=f"10.{n}")) for n in range(20)))
        await asyncio.sleep(0.001)
        if not up and number > 50 and list(Path(sys.argv[1]).glob("*.snapshot")):
            up = True
            print("up", flush=True)

asyncio.run(main())
"""


@pytest.mark.promise("R-34", "law-3", "law-4")
async def test_a_bridge_killed_in_the_middle_of_changes_comes_back_with_all_it_had(tmp_path: Path) -> None:
    rand = random.Random(34)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", BRIDGE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            time.sleep(rand.uniform(0, 0.1))
            os.kill(process.pid, signal.SIGKILL)
        wiped, clock = MemoryRegistry(), FakeClock(wall=time.time())
        wiped.set()
        async with running(clock, tmp_path, vms=wiped) as run:
            assert run.engine.problems() == ()
            await clock.advance(60)
            for number in range(20):
                held = run.endpoints(f"shop/s{number}")
                assert len(held) >= 3
                assert set(held) <= {f"{one}?" for one in hosts(7, net=f"10.{number}")}
