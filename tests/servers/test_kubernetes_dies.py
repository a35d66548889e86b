"""A bridge that is killed at any moment of a run of changes, again and again, and what stands in the cluster then.

`make deaths` does it a thousand times.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.servers.deaths import SERVICES, Mortal, Standing
from tests.servers.exporting import LIMITS
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.door import Door
from tests.servers.kubernetes.exporting import Exporter
from tests.servers.kubernetes.objects import service
from tests.servers.kubernetes.server import ApiServer

DEATHS = int(os.environ.get("RUNS", "200"))


class InKubernetes(Mortal):
    """In slices, which are small."""

    weighs = False

    def __init__(self, bridge: Exporter) -> None:
        super().__init__(bridge)
        self._api, self._namespace = bridge.api, bridge.namespace

    async def standing(self) -> Standing:
        found: Standing = {name: Counter() for name in SERVICES}
        for one in await self._api.list("EndpointSlice", self._namespace):
            of = one["metadata"]["labels"]["kubernetes.io/service-name"]
            assert 0 < len(one["endpoints"]) <= 5, "a slice is never empty, and never too large"
            found[of].update((row["addresses"][0], 0) for row in one["endpoints"])
        return found


@pytest.mark.promise("R-34")
@pytest.mark.timeout(600 + 6 * DEATHS)
async def test_deaths_at_any_moment_double_nothing_and_lose_nothing(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    rng = random.Random(34)
    for name in SERVICES[1:]:
        await api.create(service(namespace, name))
    export = {"slice_size": 5, "create_services": True, **LIMITS}
    async with Door(cluster).opened() as door:
        bridge = Exporter(tmp_path, cluster, api, namespace, url=door.url, export=export)
        bridge.configure("")
        mortal = InKubernetes(bridge)
        await mortal.dies(DEATHS, rng, (0.1, 1.5))
        writes = door.made("endpointslices")
        assert len(writes) > DEATHS // 4, "they died in the middle of their work"
        await mortal.settles(rng)
        refused = Counter(one.status for one in door.writes if one.status >= 400)
        print(f"{DEATHS} deaths, {len(writes)} writes of slices, refused: {dict(refused)}")
