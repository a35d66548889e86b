"""`python -m tests.servers.consul.ask PACKAGE URL`: whatever the client does, done through another package."""

import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])

from pathlib import Path

import consul

from adapters.consul.access import Access
from adapters.consul.client import Api
from bridge.adapter import Remove
from tests.builders import service
from tests.servers.consul.observing import settings
from tests.servers.consul.server import ROOT
from tests.servers.consul.test_writing import HERE, writer
from tests.servers.observing import observing

NAME = "asked"
TWO = ["10.1.0.1:80", "10.1.0.2:80"]


async def asked(url: str, folder: Path) -> dict[str, bool]:
    """Every question that the package makes."""
    token = folder / "token"
    token.write_text(ROOT)
    api = Api("consul", Access(url, token, None), 60.0, "dc1", {})
    try:
        first = await api.instances("consul")
        return {
            "services": "consul" in (await api.services()).read(),
            "nodes": len((await api.nodes()).read()) >= 1,
            "checks": isinstance((await api.checks_in("critical")).read(), list),
            "summary": any(one["Name"] == "consul" for one in (await api.summary()).read()),
            "instances": len(first.read()) == 1 and first.index > 0,
            "waited": (await api.instances("consul", 1)).index > 0,
            "leader": ":" in await api.leader(60.0),
        }
    finally:
        await api.close()


async def written(url: str, folder: Path) -> None:
    """What one bridge claims and writes wakes another, and is taken away again."""
    one, two = (service(f"shop/{NAME}", *TWO[:many]) for many in (1, 2))
    reads = settings(url, folder, **{"import": {"services": [NAME]}})
    async with writer(url, folder) as us, observing(reads) as seen:
        await us.claim()
        for wanted in (one, two):
            await us.say(wanted)
            await seen.until(lambda wanted=wanted: len(seen.served(NAME)) == len(wanted.endpoints))
        assert seen.served(NAME) == TWO
        assert us.held is not None
        for record in us.held.holdings[one.name].records:
            await us.sink.apply(HERE, Remove(record))


async def main(package: Path, url: str) -> None:
    answers = await asked(url, package)
    await written(url, package)
    print(json.dumps({"package": str(Path(consul.__file__).parent.parent), **answers}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
