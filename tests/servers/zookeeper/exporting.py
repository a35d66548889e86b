"""A bridge as a process that writes what VMs there are into a ZooKeeper, and what an operator sees of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from tests.servers.exporting import LIMITS, QUICK, Exporting
from tests.servers.zookeeper.hand import Hand


class Server(Protocol):
    """A ZooKeeper, or a way to one."""

    @property
    def hosts(self) -> str: ...


class Exporter(Exporting):
    """Its registries are `vms`, an inventory file, and `zk`, one tree of a ZooKeeper, which is written.

    `more` are further sections of the configuration, `state` names the folder of its snapshot, `user` is
    who it is there, `name:password`, `session` how long a server waits for it.
    """

    registry = "zk"

    def __init__(
        self,
        folder: Path,
        server: Server,
        hand: Hand,
        dialect: str = "curator",
        state: str = "state",
        *,
        ephemeral: bool = False,
        user: str = "",
        session: str = "4s",
        **more: Any,
    ) -> None:
        super().__init__(folder, "", state)
        self.hand = hand
        self.owner = "prod"
        self.root = "/services"
        self._hosts = server.hosts
        self._tree = {"path": f"{self.root}/{{name}}", "dialect": dialect, "ports": {"default": "http"}}
        self._ephemeral = ephemeral
        self._session = session
        self._auth = folder / "zk-auth" if user else None
        if self._auth is not None:
            self._auth.write_text(user)
        self._more = more

    def further(self) -> dict[str, Any]:
        return {"owner": self.owner, **self._more}

    def registries(self) -> list[dict[str, Any]]:
        export = {**self._tree, "services": ["shop/*"], "from": ["vms"], "ephemeral": self._ephemeral, **LIMITS}
        return [
            {"name": "vms", "kind": "static", "files": ["vms.yaml"], "removals": QUICK},
            {
                "name": "zk", "kind": "zookeeper", "hosts": self._hosts, "session": self._session, "namespace": "shop",
                "trees": [self._tree], "export": [export],
                **({"auth": {"file": str(self._auth)}} if self._auth is not None else {}),
            },
        ]  # fmt: skip

    async def addresses(self, service: str = "web") -> Counter[str]:
        """Every address that stands there, and how often; of Curator's and Nerve's records."""
        found: Counter[str] = Counter()
        for name in await self.hand.names(f"{self.root}/{service}"):
            data = await self.hand.read_if(f"{self.root}/{service}/{name}")
            if data is not None:
                said = json.loads(data)
                found[said.get("address") or said.get("host", "")] += 1
        return found

    async def sessions(self, service: str = "web") -> set[int]:
        """The sessions that what stands there ends with, 0 of what stays."""
        paths = (await self.hand.all(f"{self.root}/{service}"))[1:]
        return {stat.ephemeralOwner for path in paths if (stat := await self.hand.stat(path)) is not None}
