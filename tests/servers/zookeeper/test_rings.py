"""Three bridges in a ring, with a ZooKeeper in it: nothing goes round, nothing is doubled, all come to agree."""

from pathlib import Path
from typing import Any

import pytest

from adapters.zookeeper.dialects import known
from adapters.zookeeper.dialects.dialect import Child, Instance, PortNames
from adapters.zookeeper.settings import Settings
from bridge.adapter import Source, Target
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import EndpointId, ServiceName
from bridge.runtime.clock import SystemClock
from tests.rings import Place, Way, goes_round
from tests.servers.kubernetes.objects import thing
from tests.servers.kubernetes.server import ApiServer
from tests.servers.test_kubernetes_rings import Cluster
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.server import ZooKeeper


class Tree(Place):
    """A tree of one dialect, whose services stand below their namespaces."""

    def __init__(self, server: ZooKeeper, hand: Hand, dialect: known.WrittenName) -> None:
        self._server = server
        self._hand = hand
        self._dialect = dialect
        self.root = f"/ring-{dialect}"

    @property
    def target(self) -> Target:
        return Target(f"{self.root}/{{namespace}}/{{name}}")

    def opened(self, clock: SystemClock, mark: Mark, *, writes: bool) -> Source:
        place: dict[str, Any] = {
            "path": self.target, "dialect": self._dialect, "namespace": "{namespace}", "namespaces": ["shop", "home"],
            "ports": {"default": "http"},
        }  # fmt: skip
        said = {"export": [{**place, "services": ["*"], "from": ["vms"]}]} if writes else {"trees": [place]}
        return Settings.model_validate(
            {"name": "x", "kind": "zookeeper", "hosts": self._server.hosts, **said}
        ).open(Kit("x", clock, mark))  # fmt: skip

    async def written(self, owner: str) -> list[tuple[ServiceName, EndpointId, Way]]:
        """A change may stand beside what it replaces, for a moment; one and the same record twice stands twice."""
        dialect = known.dialect(self._dialect, known.Options(names=PortNames("http")))
        found: dict[tuple[ServiceName, EndpointId, str], list[Way]] = {}
        for path in await self._hand.all(self.root):
            _, *parts, child = path.split("/")
            data = await self._hand.read_if(path) if len(parts) == 3 else None
            if data is None:
                continue
            read = Child("", child, data)
            stamp = dialect.stamp(read)
            if stamp is not None and stamp.owner == owner:
                said = dialect.read(read)
                assert isinstance(said, Instance)
                its = ServiceName(parts[1], parts[2]), said.endpoint.id, stamp.key
                found.setdefault(its, []).append(said.endpoint.via.split())
        newest = {(of, each): ways for (of, each, _), ways in found.items()}
        return [(of, each, way) for (of, each), ways in newest.items() for way in ways]


@pytest.mark.timeout(900)
async def test_in_a_ring_of_three_dialects_nothing_goes_round_and_all_come_to_agree(own: ZooKeeper) -> None:
    async with Hand(own.hosts) as hand:
        places = [Tree(own, hand, dialect) for dialect in ("nerve", "serverset", "plain")]
        for one in places:
            await hand.make(one.root)
        await goes_round(list(places), relay=True)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("relay", [False, True], ids=["each its own", "relayed"])
async def test_through_a_zookeeper_a_cluster_and_back_a_thousand_changes_double_nothing_and_nothing_circulates(
    own: ZooKeeper, own_cluster: ApiServer, tmp_path: Path, relay: bool
) -> None:
    async with Hand(own.hosts) as hand, own_cluster.client() as api:
        for namespace in ("shop", "home"):
            await api.create(thing("Namespace", namespace))
        there, back = Tree(own, hand, "curator"), Tree(own, hand, "serverset")
        for one in (there, back):
            await hand.make(one.root)
        cluster = Cluster(api, own_cluster.kubeconfig(tmp_path / "kubernetes"))
        await goes_round([there, cluster, back], relay, changes=1_000)
