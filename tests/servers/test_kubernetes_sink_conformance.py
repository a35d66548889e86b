"""What is written to Kubernetes keeps every promise of a sink, on a real API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.testing.conformance import Bench, Claiming, Fitting, Writing
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.objects import thing
from tests.servers.kubernetes.server import ApiServer
from tests.servers.kubernetes.sink_bench import SHOP, sink_benched


@pytest.fixture
async def bench(cluster: ApiServer, api: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    try:
        await api.create(thing("Namespace", SHOP))
    except ApiError as error:
        if error.status != 409:
            raise
    async with sink_benched(cluster, api, tmp_path) as made:
        yield made


class TestFitting(Fitting): ...


class TestWriting(Writing): ...


class TestClaiming(Claiming): ...
