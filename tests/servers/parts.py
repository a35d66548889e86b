"""What the tests need that is not Python, fetched or built side by side: what it took, or why it is not there."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from bridge.testing.envoy import EnvoyError
from bridge.testing.envoy import fetch as fetch_envoy
from tests.envoy.harness import LOCKS
from tests.golang import NoProgramError
from tests.servers import deploy
from tests.servers.consul import readers
from tests.servers.consul import server as consul
from tests.servers.kubernetes import binaries as kubernetes
from tests.servers.zookeeper import jars, peer, scraper

Say = Callable[[str], None]

_TOGETHER = 3
"""So many at a time: one is downloaded while another is compiled, which by itself keeps every core busy."""


def _envoys(say: Say) -> None:
    for lock in ("newest", "oldest"):
        fetch_envoy(LOCKS / f"{lock}.lock", say)


def _jars(say: Say) -> None:
    """One after the other: Maven's repository is not for several at a time."""
    for pom in (jars.POM, jars.OLDER, *peer.POMS):
        jars.fetch(pom, say)


PARTS: Mapping[str, Callable[[Say], object]] = {
    "Kubernetes": kubernetes.find,
    "ZooKeeper": _jars,
    "Envoy": _envoys,
    "Consul": consul.find,
    "Consul 1.8": consul.find18,
    "tools of deploy/": deploy.Tools,
    "Consul's Go client": readers.find_reader,
    "Prometheus's discovery": scraper.find_scraper,
}
"""Name to what has it there, longest first; it may raise NoProgramError, NoJavaError or EnvoyError."""


def missing(parts: Mapping[str, Callable[[Say], object]], say: Say) -> list[str]:
    """Have every part there; why those are not that could not be had, in the order of the parts.

    One that is missing keeps no other waiting. `say` is told from several threads.
    """
    with ThreadPoolExecutor(_TOGETHER) as pool:
        made = [pool.submit(_have, name, make, say) for name, make in parts.items()]
    return [wanting for one in made if (wanting := one.result())]


def _have(name: str, make: Callable[[Say], object], say: Say) -> str:
    """Why it is not there, "" when it is; how long that took is said where there was something to do."""
    done: list[str] = []

    def tell(line: str) -> None:
        done.append(line)
        say(f"{name}: {line}")

    began = time.monotonic()
    try:
        make(tell)
    except (NoProgramError, jars.NoJavaError, EnvoyError) as error:
        return f"{name}: {error}"
    if done:
        say(f"{name}: ready after {time.monotonic() - began:.0f} s")
    return ""
