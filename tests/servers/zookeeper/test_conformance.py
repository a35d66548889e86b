"""The ZooKeeper adapter keeps every promise of the contract, on a real server."""

import pytest

from bridge.testing.conformance import Bench, Package, Reading
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand


@pytest.fixture
async def bench(hand: Hand, proxy: FaultProxy) -> Bench:
    made = ZooKeeperBench(hand, proxy)
    await hand.make(made.root)
    return made


class TestReading(Reading): ...


class TestPackage(Package): ...
