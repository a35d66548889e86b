"""The Consul adapter keeps every promise of a sink, on a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.consul import spread
from bridge.testing.conformance import Bench, Claiming, Fitting, Writing
from tests.servers.consul.bench import sink_bench
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent


@pytest.fixture
async def bench(hand: Hand, standing: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(spread, "EACH", 1)
    async with sink_bench(hand, standing, tmp_path) as made:
        yield made


class TestWriting(Writing): ...


class TestFitting(Fitting): ...


class TestClaiming(Claiming): ...
