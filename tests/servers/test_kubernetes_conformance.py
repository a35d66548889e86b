"""The Kubernetes adapter keeps every promise of the contract, on a real API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.testing.conformance import Bench, Package, Reading
from tests.servers.kubernetes.bench import benched
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.server import ApiServer


@pytest.fixture
async def bench(cluster: ApiServer, api: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    async with benched(cluster, api, tmp_path) as made:
        yield made


class TestReading(Reading): ...


class TestPackage(Package): ...
