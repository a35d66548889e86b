"""The Consul adapter keeps every promise of a sink, on a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.consul import spread
from bridge.testing.conformance import Bench, Claiming, Fitting, Writing
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.bench import ConsulSinkBench
from tests.servers.consul.door import Door
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent


@pytest.fixture
async def bench(hand: Hand, standing: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(spread, "EACH", 1)
    door = Door(standing.url)
    async with (
        door.opened(),
        FaultProxy("127.0.0.1", door.port) as proxy,
        ConsulSinkBench(hand, proxy, tmp_path, door, standing) as made,
    ):
        yield made


class TestWriting(Writing): ...


class TestFitting(Fitting): ...


class TestClaiming(Claiming): ...
