"""`python -m tests.servers.consul.ask PACKAGE URL`: every question of the client, asked through another package."""

import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])

from pathlib import Path

import consul

from adapters.consul.access import Access
from adapters.consul.client import Api
from tests.servers.consul.server import ROOT


async def main(url: str, folder: Path) -> None:
    token = folder / "token"
    token.write_text(ROOT)
    api = Api("consul", Access(url, token, None), 5.0, "dc1", {})
    try:
        first = await api.instances("consul")
        answers = {
            "package": str(Path(consul.__file__).parent.parent),
            "services": "consul" in (await api.services()).read(),
            "nodes": len((await api.nodes()).read()) >= 1,
            "checks": isinstance((await api.checks_in("critical")).read(), list),
            "summary": any(one["Name"] == "consul" for one in (await api.summary()).read()),
            "instances": len(first.read()) == 1 and first.index > 0,
            "waited": (await api.instances("consul", 1)).index > 0,
            "leader": ":" in await api.leader(5.0),
        }
    finally:
        await api.close()
    print(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2], Path(sys.argv[1])))
