"""R-20: a leader that is paused past its lease undoes nothing of its successor's; `make paused RUNS=100`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bridge.testing.proxy import FaultProxy
from tests.chaos.test_app import started
from tests.servers.kubernetes.audit import Audit, audited
from tests.servers.kubernetes.binaries import Binaries
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import service
from tests.servers.kubernetes.server import ApiServer
from tests.servers.pauses import NAMESPACE, SERVICES, TIMING, Pauses, Write
from tests.servers.replicas import Inventory, Replica, elects, says


class InKubernetes(Pauses):
    """Replicas with a user each, by which the server's audit log tells their writes apart."""

    fenced = False

    def __init__(self, folder: Path, api: Client, log: Path) -> None:
        super().__init__(folder)
        self._api = api
        self._audit = Audit(log)

    def writes(self) -> Sequence[Write]:
        return self._audit.writes()

    async def says(self, services: Inventory) -> bool:
        return await says(self._api, NAMESPACE, services)


@pytest.fixture
async def pauses(binaries: Binaries, tmp_path: Path) -> AsyncIterator[InKubernetes]:
    folder = tmp_path / "kubernetes"
    folder.mkdir()
    log, flags = audited(folder)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(ApiServer(binaries, folder, flags=flags))
        api = await stack.enter_async_context(cluster.client())
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for name in SERVICES:
            await api.create(service(NAMESPACE, name, [("http", 80)]))
        made = InKubernetes(tmp_path, api, log)
        timing = "".join(f", {key}: {value}" for key, value in TIMING.items())
        for user in ("bridge", "bridge-2"):
            await api.allow(user, [("*", "*", "*")])
            line = await stack.enter_async_context(FaultProxy("127.0.0.1", cluster.port))
            direct = cluster.kubeconfig(tmp_path, user, name=f"direct-{user}")
            url = f"https://127.0.0.1:{line.port}"
            kubeconfig = cluster.kubeconfig(tmp_path, user, server=url, name=f"kubeconfig-{user}")
            leader = elects(direct, NAMESPACE, timing)
            one = Replica(tmp_path, kubeconfig, NAMESPACE, leader=leader, state=f"state-{user}")
            made.lines[user] = line
            made.replicas[user] = await stack.enter_async_context(started(one))
        for one in made.replicas.values():
            await one.until_ready()
        yield made


@pytest.mark.timeout(0)
@pytest.mark.promise("R-20", "law-6")
async def test_a_leader_that_is_paused_past_its_lease_undoes_nothing_of_its_successor(pauses: InKubernetes) -> None:
    """Its next write is refused; or, sent before it could know, it comes first and is put right like any other."""
    await pauses.run()
