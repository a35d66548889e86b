"""The bench of the Consul adapter: a real server, reached through a proxy that can be made to fail."""

import json
import secrets
import urllib.request
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from adapters.consul import spread
from adapters.consul.fit import key
from adapters.consul.objects import OWNER
from adapters.consul.registry import Consul
from adapters.consul.settings import Settings
from bridge.adapter import Record
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Health, Port, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench
from bridge.testing.proxy import FaultProxy
from tests.servers.consul import shipped
from tests.servers.consul.door import Door
from tests.servers.consul.hand import Hand, entry
from tests.servers.consul.server import ROOT, Agent

RULES = shipped.rules("read")
WRITER = f"""{RULES}
node_prefix "registry-bridge-" {{ policy = "write" }}
service_prefix "" {{ policy = "write" }}
key_prefix "registry-bridge/claims/" {{ policy = "write" }}
"""
"""What is shipped for one owner and one service, for all that the suite writes."""

HTTP = (Port("http", 8080),)


class ConsulBench(Bench):
    """One node and one tag of this test alone, read with a token that may read and no more."""

    package = "adapters.consul"
    settings = Settings
    patience = 90.0

    def __init__(self, hand: Hand, proxy: FaultProxy, folder: Path) -> None:
        self._node = f"vm-{secrets.token_hex(4)}"
        self._hand = hand
        self._proxy = proxy
        self._file = folder / "token"
        self._accessor = ""

    @property
    def rules(self) -> str:
        """What the token may do."""
        return RULES

    @property
    def keys(self) -> dict[str, Any]:
        """Further keys of the configuration."""
        return {}

    async def __aenter__(self) -> Self:
        await self._hand.policy(type(self).__name__, self.rules)
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
                "timeout": "30s",
                "import": {"tags": [self._node], "namespace": "shop", "ports": {"default": "http"}},
                **self.keys,
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
        metadata = (("registered-on", self._node), ("tags", self._node))
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
        token, self._accessor = await self._hand.token(type(self).__name__)
        self._file.write_text(token)


class ConsulSinkBench(ConsulBench):
    """Three nodes at most for each owner, written through a door that loses answers and spoils contents."""

    fences = True

    def __init__(self, hand: Hand, proxy: FaultProxy, folder: Path, door: Door, server: Agent) -> None:
        super().__init__(hand, proxy, folder)
        self._door = door
        self._server = server

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self._hand.clear(but=self._server.node)
        await self._hand.raw("DELETE", "kv/registry-bridge/?recurse")

    @property
    def rules(self) -> str:
        return WRITER

    @property
    def keys(self) -> dict[str, Any]:
        return {"export": [{"services": ["*"], "from": ["vms"], "tags": [self._node], "nodes": 3}]}

    def written_as(self, service: Service) -> Service:
        """Nobody's health is unknown to a Consul."""
        return replace(
            service,
            endpoints=tuple(replace(one, health=one.health or Health.HEALTHY) for one in service.endpoints),
        )

    def odd(self) -> Service:
        return Service.of(ServiceName("shop", "odd"), [Endpoint("10.0.0.1", HTTP, metadata=(("no key", "x"),))])

    async def take(self, mark: Mark, service: Service) -> None:
        for one in service.endpoints:
            its = str(key(service.name, one))
            made = entry(service.name.name, "10.20.9.9", its=its, node=_first(mark), tags=[self._node])
            await self._hand.register({**made, "SkipNodeUpdate": True})

    async def edit(self, mark: Mark, record: Record) -> None:
        node, stands = await self._stands(mark, record)
        said = {**stands, "Weights": {"Passing": 77, "Warning": 1}}
        await self._hand.put(
            "catalog/register", {"Node": node, "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": said}
        )

    async def erase(self, mark: Mark, record: Record) -> None:
        node, _ = await self._stands(mark, record)
        await self._hand.put("catalog/deregister", {"Node": node, "ServiceID": record.key})

    def foreign(self) -> Hashable:
        """Asked by another way than the event loop's, which waits meanwhile."""
        found = [one for name in self._ask("catalog/services") for one in self._ask(f"health/service/{name}")]
        others = [[one["Service"], one["Checks"]] for one in found if OWNER not in (one["Service"]["Meta"] or {})]
        return tuple(sorted(json.dumps(one, sort_keys=True) for one in others))

    async def lose_answer(self) -> None:
        self._door.lose = True

    async def refuse(self) -> None:
        self._door.spoil = True

    async def _stands(self, mark: Mark, record: Record) -> tuple[str, dict[str, Any]]:
        for one in await self._hand.get("catalog/nodes"):
            if spread.number(_first(mark), node := one["Node"]) is not None:
                found = await self._hand.get(f"catalog/node/{node}")
                if found is not None and record.key in found["Services"]:
                    return node, found["Services"][record.key]
        raise LookupError(f"{record.key} stands nowhere")

    def _ask(self, path: str) -> Any:
        asked = urllib.request.Request(f"{self._server.url}/v1/{path}", headers={"X-Consul-Token": ROOT})
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)


def _first(mark: Mark) -> str:
    """The first node of an owner."""
    return f"registry-bridge-{mark.owner}"


@asynccontextmanager
async def sink_bench(hand: Hand, server: Agent, folder: Path) -> AsyncIterator[ConsulSinkBench]:
    """With the ways to the server that it needs."""
    door = Door(server.url)
    async with (
        door.opened(),
        FaultProxy("127.0.0.1", door.port) as proxy,
        ConsulSinkBench(hand, proxy, folder, door, server) as made,
    ):
        yield made
