"""A bridge that is killed at any moment of a run of changes, again and again, and what stands in the cluster then.

`make deaths` does it a thousand times.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.test_app import until_async
from tests.servers.exporting import exporting
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.door import Door
from tests.servers.kubernetes.exporting import Exporter
from tests.servers.kubernetes.objects import service
from tests.servers.kubernetes.server import ApiServer

DEATHS = int(os.environ.get("RUNS", "200"))
SERVICES = tuple(f"s{number}" for number in range(5))
STEADY = ("10.30.0.1", "10.30.0.2", "10.30.0.3")
"""Endpoints that are wanted always, in every service."""

POOL = tuple(f"10.31.0.{number}" for number in range(1, 25))
"""Endpoints that come and go."""


class Zygote:
    """Starts bridges, one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self) -> int:
        """The pid of a bridge that has just begun."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()
        return int(await self._line())

    async def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        await self.ended()

    async def ended(self) -> None:
        """Wait until the bridge that was started last is gone."""
        assert await self._line() == "ended"

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), 60)).decode().strip()


@asynccontextmanager
async def zygote(config: Path, log: Path) -> AsyncIterator[Zygote]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.servers.zygote", str(config), str(log),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Zygote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 60)


def inventory(bridge: Exporter, rng: random.Random) -> dict[str, set[str]]:
    """Another inventory: each service with other members of the pool; what each is to have."""
    made = {name: {*STEADY, *rng.sample(POOL, rng.randrange(2, 8))} for name in SERVICES}
    bridge.inventory(
        **{
            name: [
                {"address": one, "weight": rng.randrange(1, 9), "metadata": {"v": str(rng.random())}} for one in them
            ]
            for name, them in made.items()
        }
    )
    return made


async def standing(bridge: Exporter) -> dict[str, Counter[str]]:
    """Service to addresses, with how often each stands there."""
    found: dict[str, Counter[str]] = {name: Counter() for name in SERVICES}
    for one in await bridge.api.list("EndpointSlice", bridge.namespace):
        of = one["metadata"]["labels"]["kubernetes.io/service-name"]
        assert 0 < len(one["endpoints"]) <= 5, "a slice is never empty, and never too large"
        found[of].update(row["addresses"][0] for row in one["endpoints"])
    return found


def sound(found: dict[str, Counter[str]], written: Iterable[str]) -> None:
    """What must be so whoever died when."""
    for name, them in found.items():
        doubled = [address for address, times in them.items() if times > 1]
        assert not doubled, f"{name}: {doubled} stand twice"
        assert them.keys() <= {*STEADY, *POOL}, f"{name}: {them}"
        if name in written:
            assert them.keys() >= set(STEADY), f"{name}: lost {set(STEADY) - them.keys()}"


@pytest.mark.promise("R-34")
@pytest.mark.timeout(600 + 6 * DEATHS)
async def test_deaths_at_any_moment_double_nothing_and_lose_nothing(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    rng = random.Random(34)
    for name in SERVICES[1:]:
        await api.create(service(namespace, name))
    async with Door(cluster).opened() as door:
        bridge = Exporter(
            tmp_path, cluster, api, namespace, url=door.url,
            export={
                "slice_size": 5, "create_services": True,
                "removals": {"at_once": "100%", "floor": 100_000}, "rate": {"per_second": 1000, "burst": 1000},
            },
        )  # fmt: skip
        bridge.configure("")
        inventory(bridge, rng)
        written: set[str] = set()
        async with zygote(bridge.config, tmp_path / "zygote.log") as started:
            for _ in range(DEATHS):
                pid = await started.start()
                churn = asyncio.create_task(_churn(bridge, rng))
                await asyncio.sleep(rng.uniform(0.1, 1.5))
                await started.kill(pid)
                churn.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await churn
                found = await standing(bridge)
                sound(found, written)
                written |= {name for name, them in found.items() if them.keys() >= set(STEADY)}
        assert written == set(SERVICES)
        writes = door.made("endpointslices")
        assert len(writes) > DEATHS, "they died in the middle of their work"
        last = inventory(bridge, rng)
        async with exporting(bridge):
            await _settles(bridge, last)
        refused = Counter(one.status for one in door.writes if one.status >= 400)
        print(f"{DEATHS} deaths, {len(writes)} writes of slices, refused: {dict(refused)}")


async def _churn(bridge: Exporter, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0.05, 0.4))
        inventory(bridge, rng)


async def _settles(bridge: Exporter, wanted: dict[str, set[str]]) -> None:
    """All that is wanted stands there; what earlier ones left is withheld until a word, and then nothing else does."""

    async def there() -> bool:
        found = await standing(bridge)
        return all(found[name].keys() >= them for name, them in wanted.items())

    await until_async(there, "all that is wanted is there")
    await bridge.until_state("in step")
    found = await standing(bridge)
    sound(found, SERVICES)
    left = sum(len(found[name].keys() - them) for name, them in wanted.items())
    row = await bridge.until_state("in step")
    assert sum(row["withheld"].values()) == left
    code, _, err = await bridge.call("plan", "--accept", "--yes")
    assert code == 0, err

    async def exactly() -> bool:
        return await standing(bridge) == {name: Counter(dict.fromkeys(them, 1)) for name, them in wanted.items()}

    await until_async(exactly, "nothing else is there")
