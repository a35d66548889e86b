"""What is written into a ZooKeeper: each change a transaction that first checks the claim last written."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from adapters.zookeeper import claims
from adapters.zookeeper.dialects.dialect import Beside
from adapters.zookeeper.line import Line
from adapters.zookeeper.mirror import JAVA_LIMIT, shown
from adapters.zookeeper.operations import (
    EXISTS,
    NO_AUTH,
    NO_NODE,
    NOT_EMPTY,
    VERSION,
    Acl,
    Answer,
    Check,
    Children,
    Create,
    Exists,
    Get,
    Listing,
    Multi,
    Node,
    Operation,
    Part,
    Put,
    Refused,
    Stat,
)
from adapters.zookeeper.parents import Parent, called, emptied
from adapters.zookeeper.target import TreeTarget, Write
from bridge.adapter import Change, Claim, Holding, Holdings, Problem, Record, RecordKey, Remove, Target
from bridge.errors import BridgeError, Conflict, Denied, Rejected, Unavailable
from bridge.model import Service, ServiceName

DIGITS: Final = 14
"""Bytes that a sequential name and its place in a list have besides what we give it."""

READY: Final = 2.0
"""Seconds for which a connection that was lost a moment ago is waited for."""

TIMES: Final = 5
"""How often something is tried that others undo meanwhile: a server deletes containers that are empty."""


class _Fence(NamedTuple):
    path: str
    version: int


class Sink:
    """Writes the targets of one registry, over whichever line it is given."""

    def __init__(
        self, place: str, targets: Iterable[TreeTarget], acl: Sequence[Acl], retired: Callable[[Target], Iterable[str]]
    ) -> None:
        """`acl` is that of claims; `retired` says which owners write into a target no more."""
        self.line: Line | None = None
        self._place = place
        self._targets = {one.target: one for one in targets}
        self._acl = acl
        self._retired = retired
        self._fences: dict[Target, _Fence] = {}
        self._besides = asyncio.Lock()  # what several services have their word in is written by one after the other
        self._made: set[str] = set()
        """Znodes above records that stand there, and may not have been seen yet."""
        self._tried: dict[Target, set[RecordKey]] = {target: set() for target in self._targets}
        """Sequential znodes whose making was asked for, and that were not seen yet: a second one would be a double."""
        self._grown: dict[Target, tuple[Counter[str], Counter[str]]] = {}
        """Bytes that were added to lists of children since the last look, and between that and the one before it.

        A look may have begun before what was made while it went on.
        """

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return self._targets[target].fit(service, holding)

    def seen(self, target: Target, holdings: Holdings) -> None:
        """This stands there now."""
        self._made.clear()
        now, _ = self._growth(target)
        self._grown[target] = Counter(), now
        for key in list(self._tried[target]):
            holding = holdings.get(ServiceName(*key.split("/", 2)[:2]))
            if holding is not None and any(one.key == key for one in holding.records):
                self._tried[target].discard(key)

    async def apply(self, target: Target, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        one, key = self._targets[target], change.record.key
        try:
            write = one.write(change)
        except ValueError as error:
            raise Rejected(f"{target}: {key}: {error}") from None
        where = f"{self._place}: {shown(write.parent)}: {key.rpartition('/')[2]}"
        await self._compare(write, where)
        if write.once:
            await self._once(target, key, write, where)
        if write.creates:
            self._fits(one, write, where)
            async with self._besides:
                for beside in write.beside:
                    await self._beside(target, beside, where)
        if isinstance(change, Remove):
            refused = await self._remove(one, write, where)
            self._tried[target].discard(key)
        else:
            refused = await self._commit(one, change, write, where)
        if write.once and refused is not None:
            self._tried[target].discard(key)
        if refused is not None:
            raise self._reaction(refused, where)

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        owner, dialect = self._targets[target].mark.owner, self._targets[target].dialect.name
        path, data = claims.path(claim.owner, target), claims.written(claim, target, dialect)
        if claim.revision is None:
            await self._parents(path.rpartition("/")[0], None, self._place)
            fence = _Fence(path, 0)
            asked: Operation = Create(path, data, self._acl)
        elif isinstance(claim.revision, claims.Revision):
            (stands,) = await self._ask(Get(path))
            if not isinstance(stands, Node) or stands.stat.created != claim.revision.created:
                raise self._taken(path)
            fence = _Fence(path, claim.revision.version + 1)
            asked = Put(path, data, claim.revision.version)
        else:
            raise self._taken(path)
        line = await self._ready()
        if claim.owner == owner:
            self._fences[target] = fence  # what is asked after this is done after it, or not at all
        (answer,) = await line.ask(asked)
        if isinstance(answer, Refused):
            if answer.word == NO_AUTH:
                raise Denied(f"{self._place}: {path}: may not be written by us; give us `cdrw` below {claims.ROOT}")
            raise self._taken(path)
        if claim.owner == owner:
            await self._sweep(self._targets[target])

    async def _ready(self) -> Line:
        if self.line is None:
            raise Unavailable(f"{self._place}: is not connected; it is written once it has been read")
        line = self.line
        await line.ready(READY)
        return line

    async def _ask(self, *asked: Operation) -> list[Answer]:
        return await (await self._ready()).ask(*asked)

    async def _fenced(self, target: Target | None, parts: tuple[Part, ...], where: str) -> Refused | None:
        """Do all of these, if nobody else has claimed the target since; what the server did not do, and why.

        Without a target nothing is checked first. Between the look at our own claim and the asking nothing else is
        asked: a server does what it is asked over one session in its order.
        """
        line = await self._ready()
        fence = self._fences.get(target) if target is not None else None
        checks = (Check(fence.path, fence.version),) if fence is not None else ()
        (answer,) = await line.ask(Multi((*checks, *parts)))
        if not isinstance(answer, Refused):
            return None
        if fence is not None and answer.part < len(checks):
            raise Conflict(f"{where}: {self._taken(fence.path)}")
        return answer._replace(part=answer.part - len(checks))

    async def _compare(self, write: Write, where: str) -> None:
        """Conflict unless what is replaced stands there as it was seen.

        The transaction names its version too; but a znode that was deleted and made again by somebody else begins with
        the versions that ours had.
        """
        if write.stands is None:
            return
        (node,) = await self._ask(Get(write.stands.path))
        if isinstance(node, Refused) and node.word != NO_NODE:
            raise self._reaction(node, where)
        if not isinstance(node, Node) or (node.stat.created, node.stat.version) != write.stands[1:3]:
            raise Conflict(f"{where}: is gone, or was changed by somebody else; it is observed again")

    async def _once(self, target: Target, key: RecordKey, write: Write, where: str) -> None:
        """Conflict when the server gave a number to this one already, and the answer was lost, or is not seen yet."""
        tried = self._tried[target]
        if key in tried:
            (listing,) = await self._ask(Children(write.parent))
            if isinstance(listing, Listing) and any(name.startswith(write.once) for name in listing.names):
                raise Conflict(f"{where}: stands there already; it is observed again")
        tried.add(key)

    def _fits(self, target: TreeTarget, write: Write, where: str) -> None:
        """Rejected when its readers could not have the list of children any more."""
        made = [part.path.rpartition("/")[2] for part in write.parts if isinstance(part, Create)]
        more = sum(len(name.encode()) + DIGITS for name in made)
        now, before = self._growth(target.target)
        size = target.mirror.size(write.parent) + now[write.parent] + before[write.parent] + more
        if size > JAVA_LIMIT:
            raise Rejected(
                f"{where}: the names beside it would come to {size:,} bytes, and clients written in Java take "
                f"{JAVA_LIMIT:,}; export fewer endpoints of this service"
            )
        now[write.parent] += more

    def _growth(self, target: Target) -> tuple[Counter[str], Counter[str]]:
        return self._grown.setdefault(target, (Counter(), Counter()))

    async def _commit(self, one: TreeTarget, change: Change, write: Write, where: str) -> Refused | None:
        """Make it, with the znodes above it that are not known to be there; what the server did not do, and why."""
        every = one.above(write.parent, one.mark.owner if one.target in self._fences else "")
        above = [parent for parent in every if not one.stands(parent) and parent.path not in self._made]
        standing: set[str] = set()
        for _ in range(TIMES + 2 * len(every)):
            makes = [part for parent in above for part in parent.made(self._acl, standing)]
            refused = await self._fenced(one.target, (*makes, *write.parts), where)
            if refused is None:
                self._made.update(standing, (parent.path for parent in above))
                return None
            part = (*makes, *write.parts)[refused.part]
            if refused.part < len(makes) and await self._stands(refused, part.path):
                standing.add(part.path)
                above = [parent for parent in above if parent.path not in standing]
            elif refused.word == EXISTS and (passed := await self._passed(write)):
                write = one.write(change, passed)
            elif refused.word == NO_NODE and isinstance(part, Create):
                self._made.clear()
                above, standing = every, set()
            else:
                return refused
        raise Conflict(f"{where}: what is above it is made and deleted again and again; it is observed again")

    async def _remove(self, one: TreeTarget, write: Write, where: str) -> Refused | None:
        """Remove it, and with the last one of a service what we made above that; what was not done, and why."""
        gone = await self._emptied(one, write.parent)
        ends = [part for parent in gone for part in parent.unmade()]
        refused = await self._fenced(one.target, (*write.parts, *ends), where)
        if refused is not None and refused.part >= len(write.parts):  # somebody came there, or may not be sent away
            return await self._fenced(one.target, write.parts, where)
        self._made.difference_update(parent.path for parent in gone)
        return refused

    async def _sweep(self, one: TreeTarget) -> None:
        """Take away what we made above records that went without us: by a hand, or with a session.

        What is not empty any more by then, or may not be taken away, stays.
        """
        empty = one.mirror.empty if one.dialect.vanishes else []
        if not empty:
            return
        listings = await self._ask(*(Children(claims.path(owner, one.target)) for owner in self._owners(one)))
        noted = {name for listing in listings if isinstance(listing, Listing) for name in listing.names}
        for path in empty:
            if called(path) in noted and (gone := await self._emptied(one, path)):
                ends = tuple(part for parent in gone for part in parent.unmade())
                if await self._fenced(one.target, ends, shown(path)) is None:
                    self._made.difference_update(parent.path for parent in gone)

    async def _emptied(self, one: TreeTarget, path: str) -> list[Parent]:
        """Of this znode and those above it what goes with the last that is below it, the lowest first."""
        for owner in self._owners(one) if one.target in self._fences else ():
            noted = [parent for parent in one.above(path, owner)[::-1] if parent.note]
            looks = [Exists(path) for parent in noted for path in (parent.path, parent.note)]
            if looks and (gone := emptied(noted, await self._ask(*looks))):
                return gone
        return []

    def _owners(self, one: TreeTarget) -> tuple[str, ...]:
        """Whose notes count: ours, and those of who will not need them any more."""
        return (one.mark.owner, *self._retired(one.target))

    async def _passed(self, write: Write) -> str:
        """The numbered name that somebody has who does not say what we would; "" where there is none.

        Ours is one that was made, and the answer lost; or a hand has taken our mark from it, or given it another.
        """
        create = write.parts[0]
        if not write.numbered or not isinstance(create, Create):
            return ""
        (node,) = await self._ask(Get(create.path))
        return create.path.rpartition("/")[2] if isinstance(node, Node) and node.data != create.data else ""

    async def _stands(self, refused: Refused, path: str) -> bool:
        """Whether a znode that was not made is there: where we may make none, a server says that, and no more."""
        if refused.word != NO_AUTH:
            return refused.word == EXISTS
        (stat,) = await self._ask(Exists(path))
        return isinstance(stat, Stat)

    async def _parents(self, path: str, target: Target | None, where: str) -> None:
        """Make the znodes down to this one; they are everybody's, and stay."""
        parts = path[1:].split("/")
        for end in range(1, len(parts) + 1):
            create = Create("/" + "/".join(parts[:end]))
            refused = await self._fenced(target, (create,), where)
            if refused is not None and not await self._stands(refused, create.path):
                raise self._reaction(refused, f"{where}: {shown(create.path)}")

    async def _beside(self, target: Target, beside: Beside, where: str) -> None:
        """Have something stand elsewhere; what others have there stays."""
        for _ in range(TIMES):
            (node,) = await self._ask(Get(beside.path))
            if isinstance(node, Node):
                entries = node.data.split(b",")
                if not beside.one_of_many or beside.data in entries:
                    return
                put: Part = Put(beside.path, b",".join([*filter(None, entries), beside.data]), node.stat.version)
            elif isinstance(node, Refused) and node.word == NO_NODE:
                await self._parents(beside.path.rpartition("/")[0], target, where)
                put = Create(beside.path, beside.data)
            else:
                raise self._reaction(node, where)
            refused = await self._fenced(target, (put,), where)
            if refused is None:
                return
            if refused.word not in (VERSION, EXISTS, NO_NODE):
                raise self._reaction(refused, where)
        raise Conflict(f"{where}: {shown(beside.path)} is changed again and again; it is observed again")

    def _taken(self, path: str) -> Conflict:
        return Conflict(
            f"{self._place}: {path}: another one has claimed it, or removed the claim; it is observed again"
        )

    def _reaction(self, refused: object, where: str) -> BridgeError:
        """The error that says how to react to what a server did not do."""
        if not isinstance(refused, Refused):
            return Unavailable(f"{where}: was answered by something else; it is tried again")
        match refused.word:
            case word if word == NO_AUTH:
                return Denied(
                    f"{where}: may not be written by us; give us `cdrw` there, or correct `auth`", whole=False
                )
            case word if word == NOT_EMPTY:
                return Rejected(f"{where}: has children, which are not ours to delete; delete them")
            case word if word in (EXISTS, VERSION, NO_NODE):
                return Conflict(f"{where}: {refused.what}; it is observed again")
            case _:
                return Rejected(f"{where}: the server refuses it: {refused.what}")
