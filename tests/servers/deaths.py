"""A bridge that is killed at any moment of a run of changes, again and again, and what then stands where it writes."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.test_app import until_async
from tests.servers.exporting import Exporting, exporting

SERVICES = tuple(f"s{number}" for number in range(5))
STEADY = ("10.30.0.1", "10.30.0.2", "10.30.0.3")
"""Endpoints that are wanted always, in every service."""

POOL = tuple(f"10.31.0.{number}" for number in range(1, 25))
"""Endpoints that come and go."""

SLOWEST = 4.0
"""How many times as long as usual one lives at most."""

Standing = dict[str, Counter[tuple[str, int]]]
"""Service to addresses with their weight, and how often each stands there."""


class Mortal(ABC):
    """A bridge that writes, and what stands there.

    `beside`: a change, which is then one of weight, may stand beside what it replaces for a moment; `weighs`: what
    stands there has its weight, else 0.
    """

    beside = False
    weighs = True

    def __init__(self, bridge: Exporting) -> None:
        self.bridge = bridge

    @abstractmethod
    async def standing(self) -> Standing: ...

    def say(self, rng: random.Random) -> Standing:
        """Write another inventory: each service with other members of the pool; what is to stand."""
        made = {
            name: {one: rng.randrange(1, 9) for one in (*STEADY, *rng.sample(POOL, rng.randrange(2, 8)))}
            for name in SERVICES
        }
        self.bridge.inventory(
            **{
                name: [{"address": one, "weight": weight, **self._news(rng)} for one, weight in them.items()]
                for name, them in made.items()
            }
        )
        return {
            name: Counter((one, weight if self.weighs else 0) for one, weight in them.items())
            for name, them in made.items()
        }

    def _news(self, rng: random.Random) -> dict[str, object]:
        """What makes an endpoint another one than before."""
        return {} if self.beside else {"metadata": {"v": str(rng.random())}}

    async def dies(
        self, times: int, rng: random.Random, lives: tuple[float, float], between: Callable[[], None] = lambda: None
    ) -> None:
        """Live so long, between these seconds, and die; what must be so whenever that was. `between` comes after it.

        The first one lives until its work is done, however slow the machine is; where that took longer than one of the
        others may live, they live longer too.
        """
        self.say(rng)
        clock, slow = asyncio.get_running_loop().time, 1.0
        written: set[str] = set()
        async with zygote(self.bridge.config, self.bridge.folder / "zygote.log") as started:
            for number in range(times):
                pid = await started.start()
                churn = asyncio.create_task(self._churn(rng))
                if number:
                    await asyncio.sleep(slow * rng.uniform(*lives))
                else:
                    begun = clock()
                    await until_async(self._steady, "what is always wanted stands there")
                    slow = min(max(slow, (clock() - begun) / lives[1]), SLOWEST)
                await started.kill(pid)
                churn.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await churn
                found = await self.standing()
                self._sound(found, written)
                between()
                written |= {name for name, them in found.items() if _addresses(them) >= set(STEADY)}
        assert written == set(SERVICES)

    async def _steady(self) -> bool:
        found = await self.standing()
        return all(_addresses(found[name]) >= set(STEADY) for name in SERVICES)

    async def settles(self, rng: random.Random) -> None:
        """Who comes last brings about what is wanted; what earlier ones left is withheld until a word.

        It remembers nothing: where one lived long enough to write down what it saw, that would be held besides.
        """
        for kept in (self.bridge.folder / self.bridge.state).glob("*.snapshot"):
            kept.unlink()
        wanted = self.say(rng)

        async def there() -> bool:
            found = await self.standing()
            return all(found[name].keys() >= them.keys() for name, them in wanted.items())

        async def exactly() -> bool:
            return await self.standing() == wanted

        async def withheld() -> bool:
            found = await self.standing()
            self._sound(found, SERVICES)
            left = sum(len(_addresses(found[name]) - _addresses(them)) for name, them in wanted.items())
            row = await self.bridge.row()
            return bool(row["state"] == "in step" and sum(row["withheld"].values()) == left)

        async with exporting(self.bridge):
            await until_async(there, "all that is wanted is there")
            await until_async(withheld, "whatever else is there is withheld, and nothing else")
            code, _, err = await self.bridge.call("plan", "--accept", "--yes")
            assert code == 0, err
            await until_async(exactly, "nothing else is there")

    async def _churn(self, rng: random.Random) -> None:
        while True:
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            self.say(rng)

    def _sound(self, found: Standing, written: Iterable[str]) -> None:
        for name, them in found.items():
            counted = them if self.beside else Counter(address for address, _ in them.elements())
            doubled = [one for one, times in counted.items() if times > 1]
            assert not doubled, f"{name}: {doubled} stand twice"
            addresses = _addresses(them)
            assert addresses <= {*STEADY, *POOL}, f"{name}: {them}"
            if name in written:
                assert addresses >= set(STEADY), f"{name}: lost {set(STEADY) - addresses}"


def _addresses(them: Iterable[tuple[str, int]]) -> set[str]:
    return {address for address, _ in them}


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
        return (await asyncio.wait_for(self._process.stdout.readline(), 120)).decode().strip()


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
        await asyncio.wait_for(process.wait(), 120)
