"""A real ZooKeeper as a test needs it: started, frozen, killed, wiped; alone or several together."""

import asyncio
import re
import shutil
import signal
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Self

from bridge.testing.ports import free_port
from bridge.testing.proxy import FaultProxy
from tests.servers.process import Process, answered
from tests.servers.zookeeper.jars import Java

_JVM = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true")
_CONFIG = {
    "tickTime": "2000",
    "clientPortAddress": "127.0.0.1",
    "admin.enableServer": "false",
    "maxClientCnxns": "0",
    "minSessionTimeout": "1000",
    "forceSync": "no",
    "4lw.commands.whitelist": "*",
    "metricsProvider.className": "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
}


class Tls(NamedTuple):
    """PEM files: what a server shows, and whom it believes."""

    pair: Path
    """Certificate and key, one after the other."""
    trusted: Path


class ZooKeeper:
    """One server in a folder of its own; `async with` starts it, and ends it."""

    def __init__(
        self,
        java: Java,
        folder: Path,
        *,
        config: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        tls: Tls | None = None,
        number: int = 0,
    ) -> None:
        """`config` are further lines of zoo.cfg, `options` further ones of the JVM, `number` that in its ensemble."""
        self.port = free_port()
        self.secure_port = free_port() if tls is not None else 0
        self.data = folder / "data"
        self._number = number
        self._file = folder / "zoo.cfg"
        lines = {**_CONFIG, "dataDir": str(self.data), "clientPort": str(self.port), **(config or {})}
        if tls is not None:
            lines |= {
                "secureClientPort": str(self.secure_port),
                "secureClientPortAddress": "127.0.0.1",
                "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
                "ssl.keyStore.location": str(tls.pair),
                "ssl.keyStore.type": "PEM",
                "ssl.trustStore.location": str(tls.trusted),
                "ssl.trustStore.type": "PEM",
            }
        folder.mkdir(parents=True, exist_ok=True)
        self._config = lines
        command = [
            java.java, *_JVM, *options, "-cp", java.classpath,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self._file),
        ]  # fmt: skip
        self._process = Process("zookeeper", folder / "server.log", command)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def hosts(self) -> str:
        """How a client is told of it."""
        return f"127.0.0.1:{self.port}"

    async def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it serves."""
        self.data.mkdir(parents=True, exist_ok=True)
        if self._number:
            (self.data / "myid").write_text(str(self._number))
        self._file.write_text("".join(f"{key}={value}\n" for key, value in self._config.items()))
        self._process.start()
        if wait:
            await self.serving()

    async def serving(self) -> str:
        """Wait until it serves; its mode: standalone, leader, follower or observer."""
        return await answered(self.mode, self._process, stop=self.kill)

    async def mode(self) -> str:
        """What it is now, "" while it does not serve."""
        for line in (await self.ask("srvr")).splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return ""

    async def ask(self, word: str) -> str:
        """The answer to one of its four-letter words, "" when there is none."""
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(word.encode())
                    return (await reader.read()).decode(errors="replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return ""

    async def sessions(self) -> set[int]:
        """The numbers of the sessions that it keeps, connected or not; it is asked until it answers."""
        while not (told := await self.ask("dump")):
            await asyncio.sleep(0.05)
        return {int(found, 16) for found in re.findall(r"^\t(0x[0-9a-f]+)", told, re.MULTILINE)}

    def pause(self) -> None:
        """Freeze it: connections stay open, and nobody answers."""
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send(signal.SIGCONT)

    async def kill(self) -> None:
        """End it as a power cut does; its data stay."""
        await self._process.end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it politely, frozen or not."""
        await self._process.end(signal.SIGTERM)

    def wipe(self) -> None:
        """Remove all that it knew, while it is not running."""
        shutil.rmtree(self.data, ignore_errors=True)


class Ensemble:
    """Servers that make one ZooKeeper, the observers last; `async with` starts and ends all of them."""

    def __init__(
        self, java: Java, folder: Path, *, voters: int = 3, observers: int = 0, options: Sequence[str] = ()
    ) -> None:
        """`options` are further ones of each JVM."""
        ports = [(free_port(), free_port()) for _ in range(voters + observers)]
        numbers = range(1, len(ports) + 1)
        watching = numbers[voters:]
        self.servers = [_peer(java, folder, number, ports, observers=watching, options=options) for number in numbers]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for server in self.servers:
            self._stack.push_async_callback(server.stop)
            await server.start(wait=False)
        await asyncio.gather(*(server.serving() for server in self.servers))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def hosts(self) -> str:
        return ",".join(server.hosts for server in self.servers)

    async def by_mode(self) -> tuple[ZooKeeper, list[ZooKeeper]]:
        """The leader, and those who follow."""
        leader = await _leader(self.servers)
        return leader, [one for one in self.servers if one is not leader]


async def _leader(servers: Sequence[ZooKeeper]) -> ZooKeeper:
    """The one that leads; they may just be electing another."""
    while True:
        modes = await asyncio.gather(*(server.serving() for server in servers))
        if modes.count("leader") == 1:
            return servers[modes.index("leader")]
        await asyncio.sleep(0.1)


def _peer(
    java: Java,
    folder: Path,
    number: int,
    ports: Sequence[tuple[int, int]],
    config: Mapping[str, str] | None = None,
    *,
    observers: Collection[int] = (),
    options: Sequence[str] = (),
) -> ZooKeeper:
    """One of an ensemble, which finds the others at these ports, of the quorum and of the election."""
    lines = {"initLimit": "10", "syncLimit": "10", **(config or {})}
    for peer, (quorum, election) in enumerate(ports, 1):
        lines[f"server.{peer}"] = f"127.0.0.1:{quorum}:{election}{':observer' if peer in observers else ''}"
    if number in observers:
        lines["peerType"] = "observer"
    return ZooKeeper(java, folder / str(number), config=lines, options=options, number=number)


LOCAL = {"localSessionsEnabled": "true"}
"""Otherwise a server that begins a session has heard of the leader, and is not late for who is new."""


class Lagging:
    """Three servers of which one, the `follower`, hears of the leader as late as a test says."""

    def __init__(self, java: Java, folder: Path) -> None:
        ports = [(free_port(), free_port()) for _ in range(3)]
        self._proxies = [FaultProxy("127.0.0.1", quorum) for quorum, _ in ports[:2]]
        self._ports = ports
        self._java, self._folder = java, folder
        self._first = [_peer(java, folder, number, ports, LOCAL) for number in (1, 2)]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for proxy in self._proxies:
            await self._stack.enter_async_context(proxy)
        seen = [(proxy.port, election) for proxy, (_, election) in zip(self._proxies, self._ports, strict=False)]
        self.follower = _peer(self._java, self._folder, 3, [*seen, self._ports[2]], LOCAL)
        for server in (*self._first, self.follower):
            self._stack.push_async_callback(server.stop)
        for server in self._first:
            await server.start(wait=False)
        self.ahead = await _leader(self._first)
        await self.follower.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def lag(self, seconds: float) -> None:
        """Let what the leader says reach the follower so much later."""
        for proxy in self._proxies:
            proxy.set(delay=seconds)


@asynccontextmanager
async def frozen(server: ZooKeeper) -> AsyncIterator[None]:
    """Frozen while the context lasts."""
    server.pause()
    try:
        yield
    finally:
        server.resume()
