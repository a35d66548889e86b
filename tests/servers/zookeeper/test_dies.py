"""A bridge that is killed at any moment of a run of changes, again and again, and what stands in ZooKeeper then.

`make deaths` does it a thousand times.
"""

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.deaths import SERVICES, Mortal, Standing
from tests.servers.zookeeper.exporting import Exporter
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.server import ZooKeeper

DEATHS = int(os.environ.get("RUNS", "60"))


class InZooKeeper(Mortal):
    """As Nerve writes."""

    beside = True

    def __init__(self, bridge: Exporter) -> None:
        super().__init__(bridge)
        self._hand, self._root = bridge.hand, bridge.root

    async def standing(self) -> Standing:
        found: Standing = {name: Counter() for name in SERVICES}
        for service in SERVICES:
            for name in await self._hand.names(f"{self._root}/{service}"):
                data = await self._hand.read_if(f"{self._root}/{service}/{name}")
                if data is not None:
                    said = json.loads(data)
                    found[service][said["host"], said.get("weight", 1)] += 1
        return found


@pytest.mark.promise("R-34")
@pytest.mark.timeout(600 + 6 * DEATHS)
async def test_deaths_at_any_moment_double_nothing_and_lose_nothing(own: ZooKeeper, tmp_path: Path) -> None:
    rng = random.Random(34)
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand, "nerve")
        bridge.configure("")
        mortal = InZooKeeper(bridge)
        await mortal.dies(DEATHS, rng, (0.1, 1.2))
        writes = sum([(await hand.stat(f"{bridge.root}/{one}")).cversion for one in SERVICES])
        assert writes > DEATHS // 4, "they died in the middle of their work"
        await mortal.settles(rng)
        print(f"{DEATHS} deaths, {writes} records made and removed")
