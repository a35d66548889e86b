"""Whatever a service says, the API server takes what is written of it: what it would refuse is told before."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.kubernetes.access import Access
from adapters.kubernetes.client import Api
from bridge.model import ServiceName
from bridge.runtime.clock import SystemClock
from tests.kube_services import some
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import PortLike, service
from tests.servers.kubernetes.server import ApiServer
from tests.servers.test_kubernetes_target import Written

THERE: tuple[tuple[tuple[PortLike, ...], dict[str, Any]], ...] = (
    ((("http", 80),), {}),
    ((("", 80),), {}),
    ((("http", 80), ("admin", 81), ("p" * 63, 82), ("http-2", 83, "UDP")), {}),
    ((("default", 80),), {"headless": True}),
    ((), {"headless": True}),
    ((("http", 80),), {"selector": {"app": "x"}, "annotations": {"registry-bridge.dev/beside-selector": "true"}}),
)


@pytest.fixture
async def asked(cluster: ApiServer, tmp_path: Path) -> AsyncIterator[Api]:
    made = Api("k8s", Access(cluster.kubeconfig(tmp_path), None, SystemClock()), SystemClock(), 60.0)
    yield made
    await made.close()


@pytest.mark.parametrize("number", range(len(THERE)))
async def test_what_is_written_beside_a_service_is_never_refused(
    api: Client, namespace: str, asked: Api, number: int
) -> None:
    rng, (ports, more) = random.Random(number), THERE[number]
    written = Written(api, namespace, asked, size=7)
    await api.create(service(namespace, "web", ports, **more))
    for _ in range(12):
        wanted = some(rng, ServiceName(namespace, "web"))
        await written.say(wanted)
        ids = {one.id for one in (await written.holding()).endpoints}
        assert ids <= {one.id for one in wanted.endpoints}


@pytest.mark.parametrize("headless", [False, True])
async def test_services_that_are_made_are_never_refused(
    api: Client, namespace: str, asked: Api, headless: bool
) -> None:
    rng = random.Random(headless)
    written = Written(api, namespace, asked, create=True, headless=headless)
    names = [f"web-{number}" for number in range(6)]
    for _ in range(4):
        for name in names:
            await written.say(some(rng, ServiceName(namespace, name), 8))
    await asyncio.gather(*(api.get("Service", name, namespace) for name in names))
