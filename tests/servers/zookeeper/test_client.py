"""The one thread that speaks to kazoo, which blocks its caller for as long as it likes."""

import asyncio

import pytest

from adapters.zookeeper.access import Access
from adapters.zookeeper.client import Client, SilentError
from adapters.zookeeper.operations import Exists, Operation, Put
from bridge.runtime.clock import SystemClock
from tests.servers.zookeeper.server import ZooKeeper, frozen

MANY: tuple[Operation, ...] = (Put("/services", b"x" * 10_000),) * 3_000
"""Thirty megabytes: more than a connection holds that nobody reads, and more requests than kazoo queues (278)."""


@pytest.mark.promise("law-7", "law-10")
async def test_however_much_is_asked_of_a_server_that_takes_nothing_the_thread_keeps_its_times(own: ZooKeeper) -> None:
    """With all of it given to kazoo at once, the thread would be stuck in there until the session is nearly over."""
    client = Client(Access(own.hosts, session=40.0), "zookeeper", SystemClock(), asyncio.Event())
    await client.up(90)
    async with frozen(own), asyncio.timeout(20):
        for _ in range(3):
            with pytest.raises(SilentError):
                await client.ask(*MANY, within=0.5)
    async with asyncio.timeout(60):
        assert len(await client.ask(Exists("/"))) == 1, "the same connection goes on"
    assert client.epoch == 1
    await client.close()
