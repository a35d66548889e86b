"""A bridge that is killed at any moment of a run of changes, again and again, and what stands in Consul then.

`make deaths` does it a thousand times.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent
from tests.servers.deaths import SERVICES, Mortal, Standing
from tests.servers.exporting import LIMITS
from tests.servers.zygote import EACH

DEATHS = int(os.environ.get("RUNS", "40"))
FEW = 12
"""Instances on a node where there may be another one: of those that are wanted some are always on a second one."""


class InConsul(Mortal):
    """On whichever node."""

    def __init__(self, bridge: Exporter, hand: Hand) -> None:
        super().__init__(bridge)
        self._hand = hand

    async def standing(self) -> Standing:
        return {
            name: Counter(
                (one["ServiceAddress"], one["ServiceWeights"]["Passing"])
                for one in await self._hand.get(f"catalog/service/{name}")
            )
            for name in SERVICES
        }


@pytest.mark.promise("R-34", "law-6")
@pytest.mark.timeout(600 + 6 * DEATHS)
async def test_deaths_at_any_moment_double_nothing_and_lose_nothing(
    own: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EACH, str(FEW))
    rng = random.Random(34)
    export = {"services": ["shop/*"], "from": ["vms"], **LIMITS}

    def others() -> None:
        """There may be more nodes from now on, or fewer, so that whoever comes next has to move what stands there."""
        export["nodes"] = rng.randrange(1, 5)
        bridge.configure("")

    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand, consul={"export": [export]})
        bridge.configure("")
        mortal = InConsul(bridge, hand)
        await mortal.dies(DEATHS, rng, (0.3, 1.8), others)
        await mortal.settles(rng)
