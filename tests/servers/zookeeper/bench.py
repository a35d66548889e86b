"""The bench of the ZooKeeper adapter: a real server, reached through a proxy that can be made to fail."""

import secrets

from adapters.zookeeper.registry import ZooKeeper as Registry
from adapters.zookeeper.settings import Settings
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.records import curator


class ZooKeeperBench(Bench):
    """One tree of Curator's instances, of this test alone."""

    package = "adapters.zookeeper"
    settings = Settings
    patience = 30.0

    def __init__(self, hand: Hand, proxy: FaultProxy) -> None:
        self.root = f"/services-{secrets.token_hex(4)}"
        self._hand = hand
        self._proxy = proxy
        self._denied = False

    def open(self, mark: Mark | None = None) -> Registry:
        settings = Settings.model_validate(
            {
                "name": "zk",
                "kind": "zookeeper",
                "hosts": f"127.0.0.1:{self._proxy.port}",
                "trees": [{
                    "path": f"{self.root}/{{name}}", "dialect": "curator", "namespace": "shop",
                    "ports": {"default": "http"},
                }],
            }
        )  # fmt: skip
        made = settings.open(Kit("zk", SystemClock(), mark))
        assert isinstance(made, Registry)
        return made

    async def put(self, *services: Service) -> None:
        for service in services:
            at = self._path(service.name)
            wanted = {
                f"{at}/{_id(endpoint)}": curator(_id(endpoint), service.name.name) for endpoint in service.endpoints
            }
            for path, data in wanted.items():
                if not await self._hand.do(self._hand.kazoo.exists, path):
                    await self._hand.make(path, data)
            for name in await self._hand.names(at):
                if f"{at}/{name}" not in wanted:
                    await self._hand.remove(f"{at}/{name}")

    async def drop(self, *names: ServiceName) -> None:
        for name in names:
            await self._hand.remove(self._path(name))

    async def garbage(self, name: ServiceName) -> None:
        await self._hand.make(f"{self._path(name)}/garbage", b"\x00\xff{not json")

    async def lose(self) -> None:
        await self._proxy.refuse()
        self._proxy.reset()

    async def deny(self) -> None:
        self._denied = True
        await self._hand.keep(self.root)

    async def heal(self) -> None:
        await self._proxy.listen()
        if self._denied:
            await self._hand.share(self.root)

    def _path(self, name: ServiceName) -> str:
        return f"{self.root}/{name.name}"


def _id(endpoint: Endpoint) -> str:
    return f"{endpoint.address}:{endpoint.ports[0].number}"
