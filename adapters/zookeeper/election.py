"""Which replica writes, decided by a lease in a znode; and the decisions of operators beside it."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from adapters.zookeeper.dialects import words
from adapters.zookeeper.operations import Node, Stat
from adapters.zookeeper.reach import ReachSettings
from adapters.zookeeper.znode import Znode
from bridge.errors import Conflict, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.candidate import Standing, Write
from bridge.kit.election import Elector, Kept
from bridge.kit.leased import LeasedElection, LeaseSettings
from bridge.kit.mark import owner_name
from bridge.kit.place import excerpt

MOST: Final = 500_000
"""Bytes of a document that is kept."""

PACE: Final = 2.0
"""Seconds between two looks at it."""


def _path(text: str) -> str:
    parts = text.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") or not part.isprintable() for part in parts[1:]):
        raise ValueError(f"{excerpt(text)} is no path; write such as /registry-bridge-leader/prod")
    return text


class LeaderSettings(ReachSettings, LeaseSettings):
    """`leader: {kind: zookeeper}`: of all replicas that name the same znode, one writes."""

    kind: Literal["zookeeper"]
    path: Annotated[str, AfterValidator(_path)] = Field(
        default="/registry-bridge-leader/registry-bridge",
        description="of the lease; PATH-decisions keeps what operators decide",
    )

    def open(self, clock: Clock, folder: Path | None) -> Elector:
        """The elector; nothing is connected before it is asked."""
        access = self.access()
        lease = Znode(access, self.path, clock, self.renew / 2)
        decisions = Znode(access, f"{self.path}-decisions", clock, self.renew)
        return LeasedElection(
            ZnodeLease(lease, clock, self.lease),
            clock,
            deployment=deployment(access.hosts, self.path),
            timing=self.timing,
            shelf=ZnodeShelf(decisions),
        )


def deployment(hosts: str, path: str) -> str:
    """How claims name the replicas that share the lease at that path: the same for all of them, and after restarts."""
    servers, slash, chroot = hosts.partition("/")
    told = "\0".join((*sorted(servers.split(",")), slash + chroot, path)).encode()
    name = "".join(one if (one.isalnum() and one.isascii()) or one in "-._" else "-" for one in path.strip("/"))
    return owner_name(f"{name[-50:].strip('-._') or 'leader'}.{hashlib.sha256(told).hexdigest()[:8]}")


class ZnodeLease:
    """The lease as JSON in a znode; see `bridge.kit.leased.Lease`."""

    def __init__(self, znode: Znode, clock: Clock, seconds: float) -> None:
        """One that does not say for how long is held for `seconds`."""
        self._znode = znode
        self._clock = clock
        self._seconds = seconds
        self._stat: Stat | None = None  # as it was seen last

    async def look(self) -> Standing | None:
        node = await self._znode.read()
        self._stat = node.stat if node is not None else None
        return self._standing(node) if node is not None else None

    async def write(self, write: Write) -> Standing:
        said = {
            "holder": write.holder,
            "seconds": write.seconds,
            "transitions": write.transitions,
            "renewed": self._clock.wall(),
        }
        data = json.dumps(said, separators=(",", ":")).encode()
        if self._stat is None:
            self._stat = await self._znode.make(data)
        else:
            self._stat = await self._znode.replace(data, self._stat.version)
        return self._standing(Node(data, self._stat))

    async def close(self) -> None:
        await self._znode.close()

    def _standing(self, node: Node) -> Standing:
        """What it says; one that somebody edited counts as far as it can be read."""
        try:
            said: dict[str, Any] = words.json_object(node.data)
        except ValueError:
            said = {}
        holder, seconds, transitions = said.get("holder"), said.get("seconds"), said.get("transitions")
        return Standing(
            holder if isinstance(holder, str) else "",
            float(seconds) if isinstance(seconds, int | float) and 0 < seconds < 3600 else self._seconds,
            transitions if type(transitions) is int and transitions >= 0 else 0,
            (node.stat.created, node.stat.version),
        )


class ZnodeShelf:
    """The operators' decisions in a znode beside; see `bridge.kit.election.Shelf`."""

    pace = PACE

    def __init__(self, znode: Znode) -> None:
        self.place = znode.place
        self._znode = znode

    async def read(self) -> Kept | None:
        node = await self._znode.read()
        return Kept(node.data, (node.stat.created, node.stat.version)) if node is not None else None

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        if len(content) > MOST:
            raise Unavailable(
                f"{self.place}: {len(content):,} bytes are more than {MOST:,}; accept fewer at once, or wait until "
                "what was accepted has expired; nothing was decided"
            )
        try:
            if replaces is None:
                await self._znode.make(content)
                return
            node = await self._znode.read()
            if node is None or (node.stat.created, node.stat.version) != replaces.revision:
                raise Conflict(f"{self.place}: was written by somebody else meanwhile; read it again")
            await self._znode.replace(content, node.stat.version)
        except Denied as error:
            raise Denied(f"{error}; nothing was decided") from error
        except Unavailable as error:
            raise Unavailable(f"{error}; nobody knows whether it was decided: say it again") from error

    async def close(self) -> None:
        await self._znode.close()
