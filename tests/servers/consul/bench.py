"""The bench of the Consul adapter: a real server, reached through a proxy that can be made to fail."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Self

from adapters.consul.registry import Consul
from adapters.consul.settings import Settings
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Health, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.hand import Hand, entry

RULES = """
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
"""
"""What a reader needs, and no more."""


class ConsulBench(Bench):
    """One node and one tag of this test alone, read with a token that may read and no more."""

    package = "adapters.consul"
    settings = Settings
    patience = 30.0

    def __init__(self, hand: Hand, proxy: FaultProxy, folder: Path) -> None:
        self._node = f"vm-{secrets.token_hex(4)}"
        self._hand = hand
        self._proxy = proxy
        self._file = folder / "token"
        self._accessor = ""

    async def __aenter__(self) -> Self:
        await self._hand.policy("reader", RULES)
        await self._give()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hand.put("catalog/deregister", {"Node": self._node})

    def open(self, mark: Mark | None = None) -> Consul:
        settings = Settings.model_validate(
            {
                "name": "consul",
                "kind": "consul",
                "url": f"http://127.0.0.1:{self._proxy.port}",
                "token_file": self._file,
                "timeout": "3s",
                "import": {"tags": [self._node], "namespace": "shop", "ports": {"default": "http"}},
            }
        )
        made = settings.open(Kit("consul", SystemClock(), mark))
        assert isinstance(made, Consul)
        return made

    async def put(self, *services: Service) -> None:
        for service in services:
            await self._hand.replace(service, self._node, self._node)

    async def drop(self, *names: ServiceName) -> None:
        for name in names:
            await self._hand.only(name.name, self._node)

    def read_as(self, service: Service) -> Service:
        """A Consul knows everybody's health, and says on which node and with which tags it is."""
        metadata = (("consul-node", self._node), ("tags", self._node))
        return replace(
            service,
            endpoints=tuple(replace(one, health=Health.HEALTHY, metadata=metadata) for one in service.endpoints),
        )

    async def garbage(self, name: ServiceName) -> None:
        await self._hand.register(entry(name.name, "10.20.9.9", 70_000, node=self._node, tags=[self._node]))

    async def lose(self) -> None:
        await self._proxy.refuse()
        self._proxy.reset()

    async def deny(self) -> None:
        await self._hand.revoke(self._accessor)
        self._accessor = ""

    async def heal(self) -> None:
        await self._proxy.listen()
        if not self._accessor:
            await self._give()

    async def _give(self) -> None:
        token, self._accessor = await self._hand.token("reader")
        self._file.write_text(token)
