"""A bridge from the catalog down, fed by hand, and what tests ask of it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiohttp import ClientSession, ClientTimeout, web

from bridge.kit import Clock
from bridge.merge import EMPTY, Catalog, Input, Inputs, merge
from bridge.model import Service, ServiceName, SourceName
from bridge.runtime.clock import SystemClock
from bridge.table import Table
from bridge.testing.envoy import EnvoyProcess
from bridge.testing.ports import free_port
from bridge.traffic import ClusterPolicy, OutlierDetection, Policy
from bridge.xds.bootstrap import HEADER, bootstrap
from bridge.xds.names import Names
from bridge.xds.resources import Resources
from bridge.xds.server import Server, ServerSettings, StreamStatus
from bridge.xds.tls import TlsFiles

LOCKS = Path(__file__).parents[2] / "deploy" / "envoy"
POLICY = Policy(None, ClusterPolicy(1.0, "round_robin", OutlierDetection(5, 10.0, 30.0, 50)))
VMS = SourceName("vms")
PATIENCE = 120.0


class Bridge:
    """Resources and a Server, shown whole catalogs of one source; use as `async with`."""

    def __init__(
        self,
        *services: Service,
        port: int | None = None,
        tls: TlsFiles | None = None,
        seen: bool = True,
        resources: Callable[..., Resources] = Resources,
        max_names: int = 20_000,
        max_streams: int = 50_000,
        clock: Clock | None = None,
    ) -> None:
        self.port = port or free_port()
        self.resources = resources(Names(), lambda _: POLICY, {VMS: lambda _: True})
        self.settings = ServerSettings(("127.0.0.1", self.port), False, tls, max_names, max_streams)
        self.server = Server(self.resources, self.settings, clock or SystemClock(), "here")
        self.services: dict[ServiceName, Service] = {}
        self.catalog: Catalog = EMPTY
        self._inputs: Inputs | None = None
        self._seen = seen
        self.show(*services)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Bridge":
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop(2)

    def show(self, *services: Service, gone: tuple[str, ...] = (), seen: bool | None = None) -> None:
        """Change these services, take those away, and publish the catalog."""
        self._seen = self._seen if seen is None else seen
        self.services |= {one.name: one for one in services}
        for name in gone:
            del self.services[ServiceName.parse(name)]
        source = Input(VMS, Table(self.services), self._seen, False)
        inputs = Inputs((source,))
        self.catalog = merge(inputs, None if self._inputs is None else (self._inputs, self.catalog))
        self._inputs = inputs
        self.server.publish(self.resources.publish(self.catalog))

    def streams(self) -> list[StreamStatus]:
        return self.server.streams()

    def expected(self) -> dict[str, set[str]]:
        """Cluster → its `address:port`, as the services shown say."""
        return {
            str(name): {f"{e.address}:{e.ports[0].number}" for e in one.endpoints}
            for name, one in self.services.items()
        }


async def until(holds: Callable[[], Awaitable[Any]], what: str, patience: float = PATIENCE) -> Any:
    """Ask again until the answer is true, and return it."""
    deadline = time.monotonic() + patience
    while not (answer := await holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience:.0f} s: {what}")
        await asyncio.sleep(0.05)
    return answer


async def acknowledged(bridge: Bridge) -> bool:
    """Whether streams have asked, and answered all that they were told."""
    types = [one for status in bridge.streams() for one in status.types]
    return bool(types) and not any(one.unacknowledged or one.pending for one in types)


def parked(bridge: Bridge) -> set[str]:
    """What streams have refused, and are not told again until it changes."""
    return {name for status in bridge.streams() for one in status.types for name, _, _ in one.parked}


class Sample:
    """A small web server that answers with its own address; use as `async with`."""

    def __init__(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.port = port or free_port(host)
        self.name = f"{host}:{self.port}"
        self.requests = 0
        self._host = host
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Sample":
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        return web.Response(text=self.name)


@dataclass(frozen=True)
class Way:
    """How an Envoy asks: aggregated or endpoints only, delta or state of the world."""

    mode: Literal["ads", "eds"]
    delta: bool

    def __str__(self) -> str:
        return f"{self.mode}-{'delta' if self.delta else 'sotw'}"


WAYS = tuple(Way(mode, delta) for mode in ("ads", "eds") for delta in (True, False))


@dataclass(frozen=True)
class Envoys:
    """Starts Envoys of one version, each in a folder of its own."""

    binary: Path
    folder: Path

    def one(self, bridge: Bridge, way: Way, *, late: tuple[str, ...] = (), **more: Any) -> "Routing":
        """An Envoy that knows the services shown so far, and in any way the clusters named in `late`."""
        clusters = sorted({*bridge.expected(), *late})
        admin, listen = (("127.0.0.1", free_port()) for _ in range(2))
        made = bootstrap(
            way.mode, ("127.0.0.1", bridge.port), clusters=clusters, delta=way.delta, listen=listen, admin=admin, **more
        )
        if way.mode == "ads":
            made["static_resources"]["clusters"] += [
                {
                    "name": name,
                    "type": "EDS",
                    "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
                }
                for name in late
            ]
        folder = self.folder / f"envoy-{admin[1]}"
        folder.mkdir()
        return Routing(self.binary, made, folder)


class Routing(EnvoyProcess):
    """An Envoy that is asked for what tests look at."""

    async def has(self, expected: Mapping[str, set[str]]) -> bool:
        """Whether its clusters are these, with exactly these hosts; the bridge's own aside."""
        clusters = await self.clusters()
        return {name: set(hosts) for name, hosts in clusters.items() if name != "registry-bridge"} == expected

    async def becomes(self, expected: Mapping[str, set[str]], patience: float = PATIENCE) -> None:
        """Wait until it has exactly these clusters and hosts."""
        try:
            await until(lambda: self.has(expected), "", patience)
        except AssertionError:
            had = {name: sorted(hosts) for name, hosts in (await self.clusters()).items()}
            raise AssertionError(f"after {patience} s Envoy had {had}, not {expected}; {self.tail()}") from None

    async def assignments(self) -> list[dict[str, Any]]:
        """The assignments that it was told, as it keeps them."""
        dump = (await self.config_dump())["EndpointsConfigDump"]
        kinds = ("dynamic_endpoint_configs", "static_endpoint_configs")  # by where the cluster is from
        return [one["endpoint_config"] for kind in kinds for one in dump.get(kind, [])]

    async def rejected(self) -> int:
        """How many updates it refused."""
        return sum((await self.stats("update_rejected")).values())

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """It stands still, each of its threads, while the context lasts."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            await until(self._stands_still, "Envoy stands still")
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    async def _stands_still(self) -> bool:
        """Whether the kernel has stopped every thread: a signal that was sent is not yet one that was heeded."""
        states = [
            path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{self.pid}/task").glob("*/stat")
        ]
        return set(states) == {"T"}

    async def answered(self, service: str, *names: str) -> None:
        """Wait until all of these samples answer and nobody else: of what it tells its workers hear a little later."""
        told = {(200, name) for name in names}

        async def so() -> bool:
            return {await self.request(service) for _ in range(5 * len(names))} == told

        await until(so, f"{service} is answered by {', '.join(names)}")

    async def request(self, service: str, method: str = "GET") -> tuple[int, str]:
        """Status and body of a request to a service through its listener."""
        socket = self.bootstrap["static_resources"]["listeners"][0]["address"]["socket_address"]
        url = f"http://{socket['address']}:{socket['port_value']}/"
        async with (
            ClientSession(timeout=ClientTimeout(total=PATIENCE)) as client,
            client.request(method, url, headers={HEADER: service}) as answer,
        ):
            return answer.status, await answer.text()
