"""What `deploy/zookeeper` configures, beside a real ZooKeeper that is filled as each of its fleets fills it."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from bridge.model import Endpoint, Port
from bridge.testing.ports import free_port
from tests.chaos.test_app import until_async
from tests.envoy.certificates import Authority
from tests.servers.deploy import DEPLOY
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.natives import NATIVES
from tests.servers.zookeeper.server import ZooKeeper
from tests.whole import Whole

SHIPPED = DEPLOY / "zookeeper"
LAYOUTS = {
    "nerve": "/nerve/services/{}/services",
    "curator": "/services/{}",
    "spring": "/services/{}",
    "serverset": "/twitter/service/shop/prod/{}",
}
"""Where each of them keeps a service."""


async def fill(hand: Hand, dialect: str, *addresses: str, within: str = "") -> None:
    """Instances of a service that is called as their dialect, or of one within another path."""
    for address in addresses:
        native = NATIVES[dialect](dialect, Endpoint(address, (Port("http", 8080),)))
        where = within or LAYOUTS[dialect].format(dialect)
        await hand.make(f"{where}/{native.name}", native.data, sequence=native.sequential)


class Beside:
    """A bridge with the files that are shipped, and what it says."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self.inventory = whole.folder / "vms.yaml"

    async def rows(self, kind: str) -> list[dict[str, Any]]:
        status, body = await self._whole.get(f"/api/v1/{kind}")
        assert status == 200
        rows: list[dict[str, Any]] = body[kind]
        return rows

    async def until_served(self, *wanted: str) -> None:
        """Wait until those are all the services, each with its endpoints: `shop/web 10.0.0.1:8080`."""

        async def served() -> bool:
            rows = await self.rows("endpoints")
            return sorted(f"{one['service']} {one['endpoint']}" for one in rows) == sorted(wanted)

        await until_async(served, f"what is served is {wanted}")


@asynccontextmanager
async def beside(server: ZooKeeper, folder: Path) -> AsyncIterator[Beside]:
    """It runs; only where it connects and listens is as a test needs it."""
    said = yaml.safe_load((SHIPPED / "bridge.yaml").read_text("utf-8"))
    for asked in (*said["registries"][:3], said["leader"]):
        assert asked["hosts"] == "127.0.0.1:2181"
        asked["hosts"] = server.hosts
    shutil.copytree(SHIPPED, folder)
    Authority().install(folder / "tls")
    async with Whole(folder, {**said, "probes": {"listen": f"127.0.0.1:{free_port()}"}}) as whole:
        yield Beside(whole)


async def test_the_layouts_of_four_fleets_are_read_side_by_side(own: ZooKeeper, tmp_path: Path) -> None:
    async with Hand(own.hosts) as hand:
        for number, dialect in enumerate(LAYOUTS):
            await fill(hand, dialect, f"10.20.{number}.1", f"10.20.{number}.2")
        await fill(hand, "serverset", "10.20.9.1", within="/twitter/service/shop/staging/serverset")
        await fill(hand, "serverset", "10.20.9.2", within="/twitter/service/admin/prod/serverset")
        async with beside(own, tmp_path / "bridge") as seen:
            await seen.until_served(
                *(f"shop/{dialect} 10.20.{at}.{last}:8080" for at, dialect in enumerate(LAYOUTS) for last in (1, 2))
            )
            assert await seen.rows("problems") == []


async def test_a_fleet_that_is_not_there_keeps_nobody_waiting_and_is_read_when_it_comes(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        await fill(hand, "curator", "10.20.0.1")
        async with beside(own, tmp_path / "bridge") as seen:
            await seen.until_served("shop/curator 10.20.0.1:8080")
            await fill(hand, "nerve", "10.20.0.2")
            await seen.until_served("shop/curator 10.20.0.1:8080", "shop/nerve 10.20.0.2:8080")


async def test_what_is_not_in_zookeeper_is_written_for_synapse(own: ZooKeeper, tmp_path: Path) -> None:
    listed = {"name": "shop/ledger", "ports": {"http": 8080}, "endpoints": ["10.20.0.7", "10.20.0.8"]}
    async with Hand(own.hosts) as hand, beside(own, tmp_path / "bridge") as seen:
        seen.inventory.write_text(yaml.safe_dump({"services": [listed]}))

        async def written() -> bool:
            root = LAYOUTS["nerve"].format("ledger")
            records = [await hand.read_if(f"{root}/{name}") for name in await hand.names(root)]
            return sorted(json.loads(one)["host"] for one in records if one is not None) == listed["endpoints"]

        await until_async(written, "Synapse would find both")
        assert await seen.rows("problems") == []
