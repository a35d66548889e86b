"""Two bridges, each with a registry of its own, and one Consul: neither ever touches what the other wrote."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.servers.consul.beside import QUICK, Cluster, Inventory
from tests.servers.consul.door import Door
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.server import Agent
from tests.servers.consul.shared import World, side
from tests.servers.exporting import LIMITS
from tests.servers.kubernetes.binaries import Binaries
from tests.servers.kubernetes.objects import thing
from tests.servers.kubernetes.server import ApiServer
from tests.servers.zygote import EACH

STEPS = int(os.environ.get("STEPS") or 1_000)
SEED = int(os.environ.get("SEED") or 7)
OWNERS = ("east", "west")
EXPORT = {"services": ["shop/*"], "from": ["vms"], **LIMITS}
CONSUL = {"removals": QUICK, "export": [EXPORT]}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node has room for fewer, so that what comes and goes makes nodes and leaves them."""
    monkeypatch.setenv(EACH, "8")


@asynccontextmanager
async def world(own: Agent, folder: Path, binaries: Binaries | None) -> AsyncIterator[World]:
    """With clusters where there are binaries for them, else with inventories."""
    async with AsyncExitStack() as stack:
        hand = await stack.enter_async_context(own.hand())
        sides = []
        for owner in OWNERS:
            home = folder / owner
            home.mkdir()
            door = await stack.enter_async_context(Door(own.url).opened())
            made = await stack.enter_async_context(cluster(binaries, home, owner)) if binaries is not None else None
            vms = made.config if made is not None else Inventory.config
            bridge = Exporter(home, door.url, hand, owner=owner, vms=vms, consul=CONSUL)
            sides.append(await stack.enter_async_context(side(bridge, door, made or Inventory(bridge))))
        yield World(hand, sides)


@asynccontextmanager
async def cluster(binaries: Binaries, home: Path, owner: str) -> AsyncIterator[Cluster]:
    """One that a bridge has for itself."""
    folder = home / "kubernetes"
    folder.mkdir()
    async with ApiServer(binaries, folder) as server, server.client() as api:
        await api.create(thing("Namespace", "shop"))
        made = Cluster(api, str(server.kubeconfig(home)), owner)
        await made.prepare()
        yield made


@pytest.mark.promise("law-5", "R-34")
@pytest.mark.timeout(3600)
async def test_in_a_thousand_random_steps_two_clusters_in_one_consul_never_touch_what_is_the_others(
    own: Agent, binaries: Binaries, tmp_path: Path
) -> None:
    async with world(own, tmp_path, binaries) as made:
        await made.steps(STEPS, random.Random(SEED))
        print(f"{STEPS} steps, seed {SEED}, bridges started: {[one.starts for one in made.sides]}")


@pytest.mark.promise("law-5", "R-34")
@pytest.mark.timeout(3600)
async def test_nor_do_two_inventories(own: Agent, tmp_path: Path) -> None:
    async with world(own, tmp_path, None) as made:
        await made.steps(STEPS // 4, random.Random(SEED))
