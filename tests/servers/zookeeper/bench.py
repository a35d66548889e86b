"""The bench of the ZooKeeper adapter: a real server, reached through a proxy that can be made to fail."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

from adapters.zookeeper.claims import ROOT
from adapters.zookeeper.fitting import reduced
from adapters.zookeeper.registry import ZooKeeper as Registry
from adapters.zookeeper.settings import Settings, TreeExportSettings
from bridge.adapter import Record, Target
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service, ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance import Bench, cannot
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.natives import GARBAGE, NATIVES, Native


class ZooKeeperBench(Bench):
    """One tree of one dialect, of this test alone; what is exported stands in the tree that is read."""

    package = "adapters.zookeeper"
    settings = Settings
    patience = 90.0
    fences = True
    below: ClassVar[str] = "{name}"
    """Where services stand below the root, one variable a part."""
    where: ClassVar[Mapping[str, str]] = {}
    """Which values variables have besides the name."""

    def __init__(self, hand: Hand, proxy: FaultProxy, dialect: str = "curator", **more: Any) -> None:
        """`more` are further keys of the export."""
        self.root = f"/services-{secrets.token_hex(4)}"
        self._hand = hand
        self._proxy = proxy
        self._dialect = dialect
        self._more = more
        self._denied = False
        self._stand: dict[ServiceName, dict[str, str]] = {}  # what others wrote: where → path
        self._losing: set[asyncio.Task[None]] = set()

    @classmethod
    async def made(cls, hand: Hand, proxy: FaultProxy, dialect: str = "curator", **more: Any) -> "ZooKeeperBench":
        """With its root, and without what tests before have left."""
        bench = cls(hand, proxy, dialect, **more)
        await hand.remove(ROOT)
        await hand.make(bench.root)
        return bench

    def open(self, mark: Mark | None = None) -> Registry:
        made = self._settings().open(Kit("zk", SystemClock(), mark))
        assert isinstance(made, Registry)
        return made

    async def put(self, *services: Service) -> None:
        for service in services:
            before = self._stand.get(service.name, {})
            now: dict[str, str] = {}
            for endpoint in service.endpoints:
                where = str(endpoint.id)
                now[where] = before.get(where) or await self._write(
                    service.name, NATIVES[self._dialect](service.name.name, endpoint)
                )
            self._stand[service.name] = now
            for where, path in before.items():
                if where not in now:
                    await self._hand.remove(path)

    async def drop(self, *names: ServiceName) -> None:
        for name in names:
            for path in self._stand.pop(name).values():
                await self._hand.remove(path)

    async def garbage(self, name: ServiceName) -> None:
        await self._write(name, GARBAGE.get(self._dialect, Native("garbage", b"\x00\xff{not json")))

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

    def target(self, mark: Mark) -> Target:
        return self._export.target

    def written_as(self, service: Service) -> Service:
        dialect = self._export.made()
        endpoints = [reduced(dialect, one, Counter()) for one in service.endpoints]
        return Service.of(service.name, [one for one in endpoints if one is not None])

    def odd(self) -> Service:
        ports = (Port("http", 8080), Port("dns", 53, "UDP"))
        return Service.of(ServiceName("shop", "odd"), [Endpoint("10.20.9.1", ports)])

    async def take(self, mark: Mark, service: Service) -> None:
        if self._dialect != "plain":
            cannot("the names of our znodes carry our mark, or are numbered by the server")
        await self.put(service)

    async def edit(self, mark: Mark, record: Record) -> None:
        path = record.revision.path  # type: ignore[union-attr]
        data = await self._hand.read(path)
        edited = (
            data.replace(b'"port":8080', b'"port":8081') if data.startswith(b"{") else data.replace(b":8080", b":8081")
        )
        if edited == data or self._more.get("encoded"):
            cannot("nobody reads what the znodes of this dialect hold")
        await self._hand.write(path, edited)

    async def erase(self, mark: Mark, record: Record) -> None:
        await self._hand.remove(record.revision.path)  # type: ignore[union-attr]

    def foreign(self) -> Hashable:
        kazoo = self._hand.kazoo
        return tuple((path, kazoo.get(path)) for made in self._stand.values() for path in made.values())

    async def lose_answer(self) -> None:
        if self._dialect == "dubbo-app":
            cannot("what stands beside is written first")
        before = await self._hand.all(self.root)
        self._proxy.set(deaf=True)

        async def end() -> None:
            while await self._hand.all(self.root) == before:  # no watch of ours would be surer
                await asyncio.sleep(0.01)
            self._proxy.set()
            self._proxy.reset()

        task = asyncio.create_task(end())
        self._losing.add(task)
        task.add_done_callback(self._losing.discard)

    @property
    def _export(self) -> TreeExportSettings:
        (export,) = self._settings().export
        return export

    def _settings(self) -> Settings:
        place: dict[str, Any] = {"dialect": self._dialect, "ports": {"default": "http"}, "where": self.where}
        place["path"] = f"{self.root}/{self.below}"
        if self._dialect.startswith("dubbo"):
            place["dubbo"] = {"protocol": "http"}
        export = {**place, "services": ["*/*"], "from": ["vms"], "namespace": "shop", **self._more}
        if self._dialect == "dubbo-app":
            dubbo = {"protocol": "http", "interfaces": ["com.ex.Foo"], "root": f"{self.root}-dubbo"}
            export["dubbo"] = {**dubbo, **self._more.get("dubbo", {})}
        return Settings.model_validate(
            {
                "name": "zk",
                "kind": "zookeeper",
                "hosts": f"127.0.0.1:{self._proxy.port}",
                "session": "30s",
                "trees": [{**place, "namespace": "shop"}],
                "export": [export],
            }
        )

    async def _write(self, name: ServiceName, native: Native) -> str:
        path = f"{self.root}/{name.name}/{native.name}"
        return await self._hand.make(path, native.data, sequence=native.sequential)
