"""The jars of a real ZooKeeper: fetched once with Maven from the pins of a POM, and kept in the cache."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bridge.testing.envoy import cache

POM = Path(__file__).parent / "pom.xml"
OLDER = Path(__file__).parent / "zookeeper-3.8" / "pom.xml"

_FETCH_TIMEOUT = 600.0


class NoJavaError(Exception):
    """ZooKeeper cannot be had here; the message says why and what to do."""


class Java(NamedTuple):
    """What a JVM is started with."""

    java: str
    classpath: str


def fetch(pom: Path = POM, say: Callable[[str], None] = lambda _: None) -> Java:
    """A JVM, and the jars that a POM pins, fetched when they are not there yet; raises NoJavaError.

    They are kept under the digest of the POM, so that other pins are other jars; `say` is told when a download begins.
    """
    java = shutil.which("java")
    if java is None:
        raise NoJavaError("there is no `java` on the PATH; install a JRE of 17 or newer")
    home = cache() / f"maven-{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not home.exists():
            say(f"fetching the jars of {pom.parent.name} into {home} (once)")
            _copy(pom, home)
    return Java(java, f"{home}/*")


def _copy(pom: Path, home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoJavaError("there is no `mvn` on the PATH to fetch ZooKeeper with; install Maven")
    fresh = home.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise NoJavaError(f"{pom.parent.name}: Maven took more than {_FETCH_TIMEOUT:.0f} s") from None
    if result.returncode or not any(fresh.glob("*.jar")):
        last = " / ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
        raise NoJavaError(f"{pom.parent.name}: Maven failed (needed: Maven Central, or a mirror of it): {last}")
    fresh.rename(home)
