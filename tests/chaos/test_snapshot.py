"""A snapshot whose writer is killed, and a folder that two processes want."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.model import SourceName
from bridge.runtime.snapshot import Snapshots, View
from bridge.testing.clock import FakeClock
from tests.builders import hosts, service, services
from tests.engines import policy

POINTS = 100

# A writer that is born again for each line it reads, and writes two views in turn until it is killed.
WRITER = """
import os, sys
from pathlib import Path
from bridge.runtime.snapshot import Snapshots, View
from bridge.testing.clock import FakeClock
from tests.chaos.test_snapshot import ONE, OTHER, VMS

folder = Path(sys.argv[1])
print("up", flush=True)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        snapshots = Snapshots(folder, FakeClock())
        snapshots.open()
        os.write(1, b"%d\\n" % os.getpid())
        while True:
            snapshots.write_now([View(VMS, ONE, 1.0)])
            snapshots.write_now([View(VMS, OTHER, 2.0)])
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""

VMS = SourceName("vms")
ONE = services(*(service(f"shop/s{number}", *hosts(5)) for number in range(20)))
OTHER = services(*(service(f"shop/s{number}", *hosts(7)) for number in range(25)))

ROOT = Path(__file__).parents[2]


def python(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.promise("R-34")
def test_a_writer_killed_at_any_point_leaves_a_whole_view_and_a_folder_that_can_be_used(tmp_path: Path) -> None:
    rand = random.Random(34)
    found = {"nothing": 0, "one": 0, "other": 0}
    with python(WRITER, str(tmp_path)) as writer:
        assert line(writer) == "up"
        assert writer.stdin is not None
        points = 0
        while points < POINTS or not (found["one"] and found["other"]):
            writer.stdin.write("go\n")
            writer.stdin.flush()
            child = int(line(writer))
            time.sleep(rand.uniform(0, 0.04 * max(1.0, points / POINTS)))  # a slow disk needs longer for both
            points += 1
            os.kill(child, signal.SIGKILL)
            assert line(writer) == "dead"
            snapshots = Snapshots(tmp_path, FakeClock())
            snapshots.open()
            read = snapshots.read(VMS, policy())
            assert snapshots.problems() == ()
            services_read = read.services if read else None
            assert services_read in (None, ONE, OTHER)
            found["nothing" if services_read is None else "one" if services_read == ONE else "other"] += 1
            assert not list(tmp_path.glob("*.new"))
            snapshots.close()
        writer.stdin.close()


HOLDER = """
import sys
from pathlib import Path
from bridge.runtime.snapshot import Snapshots
from bridge.testing.clock import FakeClock

snapshots = Snapshots(Path(sys.argv[1]), FakeClock())
snapshots.open()
print("up", flush=True)
sys.stdin.readline()
"""


@pytest.mark.promise("R-34")
def test_another_process_is_named_while_it_lives_and_forgotten_when_it_is_killed(tmp_path: Path) -> None:
    with python(HOLDER, str(tmp_path)) as holder:
        assert line(holder) == "up"
        with pytest.raises(ConfigError, match=rf"is used by another bridge \(pid {holder.pid}\)"):
            Snapshots(tmp_path, FakeClock()).open()
        holder.kill()
    snapshots = Snapshots(tmp_path, FakeClock())
    snapshots.open()
    snapshots.write_now([View(VMS, ONE, 1.0)])
    assert snapshots.problems() == ()
    snapshots.close()
