"""Which replica writes, decided by a lease in a znode; and the decisions of operators beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from adapters.zookeeper.access import Access
from adapters.zookeeper.operations import Node, Stat
from adapters.zookeeper.reach import ReachSettings
from adapters.zookeeper.znode import Znode
from bridge.adapter import Problem
from bridge.errors import Conflict
from bridge.kit import Clock, lease_json
from bridge.kit.candidate import Standing, Write
from bridge.kit.election import Kept, deciding
from bridge.kit.leased import LeasedElection, LeaseSettings
from bridge.kit.mark import deployment
from bridge.kit.offline import lacking
from bridge.kit.place import excerpt
from bridge.kit.settings import Sample

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

    def open(self, clock: Clock, folder: Path | None) -> LeasedElection:
        return self._election(self.access(), clock)

    async def sample(self, clock: Clock, within: float) -> Sequence[Sample]:
        return (await self._election(self.access().once(), clock).sample(within),)

    def _election(self, access: Access, clock: Clock) -> LeasedElection:
        lease = Znode(access, self.path, clock, self.renew / 2)
        decisions = Znode(access, f"{self.path}-decisions", clock, self.renew)
        return LeasedElection(
            ZnodeLease(lease, clock, self.lease),
            clock,
            deployment=deployment(self.path, *_ensemble(access.hosts), self.path),
            timing=self.timing,
            shelf=ZnodeShelf(decisions),
        )

    def check(self) -> Sequence[Problem]:
        """The files that are named have to lead somewhere."""
        return lacking(self.access().ready())


def _ensemble(hosts: str) -> tuple[str, ...]:
    """Its servers, in whatever order they are listed, and what is put before every path."""
    servers, slash, chroot = hosts.partition("/")
    return *sorted(servers.split(",")), slash + chroot


class ZnodeLease:
    """The lease as JSON in a znode; see `bridge.kit.leased.Lease`."""

    def __init__(self, znode: Znode, clock: Clock, seconds: float) -> None:
        """One that does not say for how long is held for `seconds`."""
        self.place = znode.place
        self._znode = znode
        self._clock = clock
        self._seconds = seconds
        self._stat: Stat | None = None  # as it was seen last
        self._mistaken: Stat | None = None  # what we wrote over a lease that we had not seen

    async def look(self) -> Standing | None:
        node = await self._znode.read()
        self._stat = node.stat if node is not None else None
        return self._standing(node) if node is not None else None

    async def write(self, write: Write) -> Standing:
        """See `Lease`. A znode that is made anew has its versions anew: over one that was, we hold nothing."""
        data = lease_json.written(write, self._clock.wall())
        seen = self._stat
        if seen is None:
            self._stat = await self._znode.make(data)
        else:
            self._stat = await self._znode.replace(data, seen.version)
            if self._stat.created != seen.created:
                self._mistaken = self._stat
                raise Conflict(f"{self._znode.place}: was deleted and made anew meanwhile")
        return self._standing(Node(data, self._stat))

    async def close(self) -> None:
        await self._znode.close()

    def _standing(self, node: Node) -> Standing:
        said = lease_json.read(node.data, self._seconds, (node.stat.created, node.stat.version))
        return said._replace(holder="") if node.stat == self._mistaken else said


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
        with deciding(self.place, content, MOST):
            if replaces is None:
                await self._znode.make(content)
                return
            node = await self._znode.read()
            if node is None or (node.stat.created, node.stat.version) != replaces.revision:
                raise Conflict(f"{self.place}: was written by somebody else meanwhile; read it again")
            await self._znode.replace(content, node.stat.version)

    async def close(self) -> None:
        await self._znode.close()
