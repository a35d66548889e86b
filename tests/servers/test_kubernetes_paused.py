"""R-20: a leader that is paused past its lease undoes nothing of its successor's; `make paused RUNS=100`."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.chaos.test_app import started, until, until_async
from tests.servers.kubernetes.binaries import Binaries
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import service
from tests.servers.kubernetes.server import ApiServer
from tests.servers.replicas import Accepted, Audit, Replica, audited, elects, late, says, written

RUNS = int(os.environ.get("RUNS", "5"))
SERVICES = [f"s{number}" for number in range(4)]
TIMING = ", lease: 1s, renew: 700ms, retry: 150ms"
NAMESPACE = "shop"


class Pair(NamedTuple):
    """Two replicas, each with a user of its own, by which the server's audit log tells their writes apart."""

    api: Client
    audit: Audit
    replicas: dict[str, Replica]  # by user


class Churn:
    """Gives every endpoint another weight again and again, a higher one each time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._weight = 1
        self.now = {name: {f"10.0.{number}.{last}": 1 for last in (1, 2)} for number, name in enumerate(SERVICES)}
        self.write()

    def write(self) -> None:
        fresh = self._folder / ".vms.yaml.new"
        fresh.write_text(written(NAMESPACE, self.now))
        fresh.replace(self._folder / "vms.yaml")

    async def run(self) -> None:
        while True:
            self._weight += 1
            for name in random.sample(SERVICES, 2):
                self.now[name] = dict.fromkeys(self.now[name], self._weight)
            self.write()
            await asyncio.sleep(0.03)


@pytest.fixture
async def pair(binaries: Binaries, tmp_path: Path) -> AsyncIterator[Pair]:
    folder = tmp_path / "kubernetes"
    folder.mkdir()
    log, flags = audited(folder)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(ApiServer(binaries, folder, flags=flags))
        api = await stack.enter_async_context(cluster.client())
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for name in SERVICES:
            await api.create(service(NAMESPACE, name, [("http", 80)]))
        Churn(tmp_path)
        replicas = {}
        for user in ("bridge", "bridge-2"):
            await api.allow(user, [("*", "*", "*")])
            kubeconfig = cluster.kubeconfig(tmp_path, user, name=f"kubeconfig-{user}")
            leader = elects(kubeconfig, NAMESPACE, TIMING)
            replica = Replica(tmp_path, kubeconfig, NAMESPACE, leader=leader, state=f"state-{user}")
            replicas[user] = await stack.enter_async_context(started(replica))
        for replica in replicas.values():
            await replica.until_ready()
        yield Pair(api, Audit(log), replicas)


async def leader(pair: Pair) -> str:
    """Who writes; one does at last."""
    found: list[str] = []

    async def one_leads() -> bool:
        found[:] = [user for user, one in pair.replicas.items() if await one.leads()]
        return len(found) == 1

    await until_async(one_leads, "one leads")
    return found[0]


async def paused(pair: Pair, churn: Churn) -> list[Accepted]:
    """One pause past the lease, under churn; what was accepted meanwhile."""
    first = await leader(pair)
    (second,) = pair.replicas.keys() - {first}
    before = len(pair.audit.accepted())

    def wrote(user: str) -> bool:
        return any(one.user == user and one.leads is None for one in pair.audit.accepted()[before:])

    changing = asyncio.create_task(churn.run())
    try:
        await until(lambda: wrote(first), f"{first} writes")
        await asyncio.sleep(random.uniform(0, 0.3))
        pair.replicas[first].send(signal.SIGSTOP)
        await until(lambda: wrote(second), f"{second} writes")
        await asyncio.sleep(random.uniform(0, 0.5))
        pair.replicas[first].send(signal.SIGCONT)
        await asyncio.sleep(random.uniform(0.3, 1))
    finally:
        pair.replicas[first].send(signal.SIGCONT)
        changing.cancel()
        with suppress(asyncio.CancelledError):
            await changing
    await until_async(lambda: says(pair.api, NAMESPACE, churn.now), f"the slices say {churn.now}")
    return pair.audit.accepted()[before:]


@pytest.mark.timeout(0)
@pytest.mark.promise("R-20", "law-6")
async def test_a_leader_that_is_paused_past_its_lease_undoes_nothing_of_its_successor(
    pair: Pair, tmp_path: Path
) -> None:
    """Its next write is refused; or, sent before it could know, it comes first and is put right like any other."""
    churn, count = Churn(tmp_path), 0
    for number in range(RUNS):
        writes = await paused(pair, churn)
        found = late(writes)
        count += len(found)
        slices = Counter(one.user for one in writes if one.leads is None)
        print(f"{number + 1} of {RUNS}: {dict(slices)}, late: {found}", flush=True)
        assert not [one for one in found if one.undoes]
    print(f"{count} of {RUNS} pauses let a write come late")
