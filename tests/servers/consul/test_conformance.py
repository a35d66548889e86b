"""The Consul adapter keeps every promise of the contract, on a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.testing.conformance import Bench, Package, Reading
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.bench import ConsulBench
from tests.servers.consul.hand import Hand


@pytest.fixture
async def bench(hand: Hand, proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[Bench]:
    async with ConsulBench(hand, proxy, tmp_path) as made:
        yield made


class TestReading(Reading): ...


class TestPackage(Package): ...
