"""Real Consul agents on loopback: started, stopped, killed, frozen, wiped, put back to an older state; an older one."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from bridge.testing.ports import free_port
from tests.golang import build
from tests.servers.consul.hand import Hand, HandError
from tests.servers.process import START_TIMEOUT, Process, answered

MODULE = Path(__file__).parent
PACKAGE = "github.com/hashicorp/consul"

ROOT = "11111111-2222-3333-4444-555555555555"
"""The token that may do everything."""

ELECTION = 90.0
"""Seconds for which servers that lost their leader may have none, on a machine that has no time for them."""


def find(say: Callable[[str], None] = lambda _: None) -> Path:
    """The program: CONSUL names it, else it is built once; raises NoProgramError."""
    named = os.environ.get("CONSUL")
    return Path(named) if named else build(MODULE, {"consul": PACKAGE}, say)["consul"]


def find18(say: Callable[[str], None] = lambda _: None) -> Path:
    """That of 1.8: CONSUL18 names it, else it is built once; raises NoProgramError."""
    named = os.environ.get("CONSUL18")
    return Path(named) if named else build(MODULE / "consul18", {"consul18": PACKAGE}, say)["consul18"]


class Agent:
    """One server; use as `async with`, or start and stop it, from any event loop. `more` is further configuration."""

    management: ClassVar = "initial_management"
    """What the token that may do everything is called in the configuration."""

    opened: ClassVar = ("http", "dns", "server", "serf_lan", "serf_wan")
    """Ports, each of its own choice."""

    unused: ClassVar = ("grpc", "grpc_tls", "https")
    """Ports that are not opened."""

    def __init__(self, program: Path, folder: Path, more: Mapping[str, Any] | None = None, *, servers: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._patience = ELECTION if servers > 1 else 0.0
        config_file = folder / "config.json"
        self._process = Process("consul", folder / "log", [str(program), "agent", "-config-file", str(config_file)])
        self._ports = {**{name: free_port() for name in self.opened}, **dict.fromkeys(self.unused, -1)}
        config: dict[str, Any] = {
            "node_name": folder.name,
            "server": True,
            "bootstrap_expect": servers,
            "data_dir": str(folder / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "ports": self._ports,
            "acl": {"enabled": True, "default_policy": "deny", "tokens": {self.management: ROOT, "agent": ROOT}},
            "performance": {"raft_multiplier": 1},
            "leave_on_terminate": False,
            "disable_update_check": True,
            "log_level": "warn",
            **(more or {}),
        }
        config_file.write_text(json.dumps(config))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def node(self) -> str:
        """What it is called itself."""
        return self._folder.name

    @property
    def port(self) -> int:
        return self._ports["http"]

    @property
    def dns(self) -> int:
        """The port at which names are answered."""
        return self._ports["dns"]

    @property
    def serf(self) -> str:
        """Where other servers join it."""
        return f"127.0.0.1:{self._ports['serf_lan']}"

    @property
    def wan(self) -> str:
        """Where servers of other datacenters join it."""
        return f"127.0.0.1:{self._ports['serf_wan']}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Start it, with the data of before where there are some, and wait for nothing."""
        self._process.start()

    async def start(self) -> None:
        """Start it, and wait until it can be written to."""
        self.launch()
        await self.ready()

    async def ready(self) -> None:
        """Wait until it has a leader, knows the token, and has said of itself in the catalog all that it says."""
        async with self.hand() as hand:
            await answered(lambda: _answers(hand, self.node), self._process, stop=self.stop)

    async def stop(self) -> None:
        """End it politely; its data stay."""
        await self._process.end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it with SIGKILL; its data stay."""
        await self._process.end(signal.SIGKILL)

    def wipe(self) -> None:
        """Take away all that it ever stored; it must not run."""
        shutil.rmtree(self._folder / "data")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections stay open and nobody answers."""
        self._process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send(signal.SIGCONT)

    def hand(self, token: str = ROOT) -> Hand:
        """Somebody who uses it, by default with every right."""
        return Hand(self.url, token, self._patience)


class SecureAgent(Agent):
    """One that speaks TLS too, and then asks for a certificate."""

    opened = (*Agent.opened, "https")
    unused = ("grpc", "grpc_tls")

    def __init__(self, program: Path, folder: Path, authority: Path, cert: Path, key: Path) -> None:
        files = {"ca_file": str(authority), "cert_file": str(cert), "key_file": str(key)}
        super().__init__(program, folder, {"tls": {"https": {**files, "verify_incoming": True}}})

    @property
    def secure(self) -> str:
        """Where TLS is spoken."""
        return f"https://127.0.0.1:{self._ports['https']}"


class Agent18(Agent):
    """One of 1.8."""

    management = "master"
    unused = ("grpc", "https")


class Three:
    """Three servers of one datacenter; use as `async with`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.agents: list[Agent] = []
        for number in range(3):
            join = {"retry_join": [one.serf for one in self.agents], "retry_interval": "1s"}
            self.agents.append(Agent(program, folder / f"server-{number}", join, servers=3))

    async def __aenter__(self) -> Self:
        for one in self.agents:
            one.launch()
        for one in self.agents:
            await one.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self.agents:
            await one.kill()

    async def leading(self) -> Agent:
        """The server that leads; on a busy machine it may be another one soon."""
        async with asyncio.timeout(START_TIMEOUT):
            while True:
                for one in self.agents:
                    async with one.hand() as hand:
                        if (await hand.get("agent/self"))["Stats"]["consul"]["leader"] == "true":
                            return one
                await asyncio.sleep(0.05)


@contextmanager
def standing_for(agent: Agent) -> Iterator[Agent]:
    """It runs for many tests, each of which has an event loop of its own."""
    asyncio.run(agent.start())
    try:
        yield agent
    finally:
        asyncio.run(agent.stop())


async def _answers(hand: Hand, node: str) -> bool:
    """Whether it has a leader, and has listed itself: the leader lists who joins, the addresses come later."""
    try:
        listed = await hand.get(f"catalog/node/{node}")
        return bool(listed and listed["Node"]["TaggedAddresses"] and await hand.get("health/service/consul"))
    except (OSError, TimeoutError, HandError):
        return False
