"""Three bridges in a ring of two clusters and a file: nothing goes round, nothing is doubled, all come to agree."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from adapters.kubernetes import extras
from adapters.kubernetes.settings import Settings as KubernetesSettings
from bridge.adapter import Source
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import EndpointId, ServiceName
from bridge.runtime.clock import SystemClock
from tests.rings import File, Place, Way, goes_round
from tests.servers.kubernetes.binaries import Binaries
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import thing
from tests.servers.kubernetes.server import ApiServer


class Cluster(Place):
    """A Kubernetes, in which Services are made."""

    def __init__(self, api: Client, kubeconfig: Path) -> None:
        self._api = api
        self._kubeconfig = kubeconfig

    def opened(self, clock: SystemClock, mark: Mark, *, writes: bool) -> Source:
        export = [{"services": ["*"], "from": ["vms"], "create_services": True, "slice_size": 3}]
        said: dict[str, Any] = {"export": export} if writes else {}
        return KubernetesSettings.model_validate(
            {"name": "x", "kind": "kubernetes", "kubeconfig": str(self._kubeconfig), **said}
        ).open(Kit("x", clock, mark))

    async def written(self, owner: str) -> list[tuple[ServiceName, EndpointId, Way]]:
        found = []
        for one in await self._api.list("EndpointSlice", labelSelector=f"registry-bridge.dev/owner={owner}"):
            meta = one["metadata"]
            said = extras.decode(meta["annotations"].get("registry-bridge.dev/endpoints", "")).extras
            of = ServiceName(meta["namespace"], meta["labels"]["kubernetes.io/service-name"])
            for row in one["endpoints"]:
                address = row["addresses"][0]
                way = said.get(address, extras.NOTHING).via.split()
                found.append((of, EndpointId(address, one["ports"][0]["port"]), way))
        return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("relay", [False, True], ids=["each its own", "relayed"])
async def test_in_a_ring_with_two_clusters_nothing_goes_round_and_all_come_to_agree(
    binaries: Binaries, tmp_path: Path, relay: bool
) -> None:
    async with AsyncExitStack() as stack:
        places: list[Place] = []
        for number in (1, 2):
            folder = tmp_path / f"kubernetes-{number}"
            folder.mkdir()
            server = await stack.enter_async_context(ApiServer(binaries, folder))
            api = await stack.enter_async_context(server.client())
            for namespace in ("shop", "home"):
                await api.create(thing("Namespace", namespace))
            places.append(Cluster(api, server.kubeconfig(folder)))
        places.append(File(tmp_path / "c.yaml"))
        await goes_round(places, relay)
