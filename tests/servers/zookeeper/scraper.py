"""Prometheus's own discovery in a ZooKeeper, of Nerve's members and of ServerSets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.golang import build

PATIENCE = 90.0

Target = dict[str, str]
"""Its labels."""


def find_scraper(say: Callable[[str], None] = lambda _: None) -> Path:
    """The program with it, which is built once; raises NoProgramError."""
    return build(Path(__file__).parent / "prometheus", {"scraper": "."}, say)["scraper"]


class Scraper:
    """The program while it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until(self, *addresses: str) -> list[Target]:
        """Read on until those are the addresses of its targets, sorted by them."""
        assert self._process.stdout is not None
        found: list[Target] = []
        async with asyncio.timeout(PATIENCE):
            while True:
                found = sorted(json.loads(await self._process.stdout.readline()), key=lambda one: one["__address__"])
                if [one["__address__"] for one in found] == sorted(addresses):
                    return found


@asynccontextmanager
async def scraping(program: Path, dialect: str, hosts: str, path: str) -> AsyncIterator[Scraper]:
    """It runs, and follows what stands below a path."""
    process = await asyncio.create_subprocess_exec(
        str(program), dialect, hosts, path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield Scraper(process)
    finally:
        process.kill()
        await process.wait()
