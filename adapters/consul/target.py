"""Nodes of ours that are written, in transactions that first check the claim last written."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from adapters.consul import claims, fit, owned, spread
from adapters.consul.client import Api
from adapters.consul.fit import Form
from adapters.consul.gate import Gate
from adapters.consul.gather import Gather
from adapters.consul.objects import FORMAT, KEY, OWNER
from adapters.consul.owned import CHECK, NOT_THERE, Place, Stands
from adapters.consul.places import Places
from adapters.consul.transaction import NoNodeError, Operation, Outcome, encoded
from bridge.adapter import Change, Claim, Problem, Put, Record, RecordKey, Remove, Target
from bridge.errors import BridgeError, Conflict, Denied, Rejected
from bridge.kit.mark import Mark
from bridge.model import Service, ServiceName

ADDRESS: Final = "127.0.0.1"
"""Of our nodes, which nobody asks for: each instance has its own. Consul demands one, and takes no unspecified one."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The claim that was written last, and the index that it has; 0 while nobody knows."""

    key: str
    index: int


class NodeTarget:
    """Writes one export: each instance on one of at most `most` nodes, which are made and taken away as it needs them.

    `first` says what an owner's first node is called: by that the claim is, and the further ones are numbered.
    """

    def __init__(
        self, api: Api, target: Target, *, first: Callable[[str], str], most: int, mark: Mark, form: Form
    ) -> None:
        self.target = target
        self.node = first(mark.owner)
        self.former = tuple(first(owner) for owner in mark.former)
        self.mark = mark
        self.met: set[str] = set()
        """Further nodes that were to be made, and are there already: whose they are is to be seen."""
        self._first = first
        self._most = most
        self._api = api
        self._form = form
        self._fence: Fence | None = None
        self._gate = Gate()
        self._gather = Gather(api.where, self._send)
        self._places = Places()
        self._ours: list[str] = []  # nodes that are seen and may be written, if there may be so many
        self._flying: set[RecordKey] = set()
        self._making: dict[str, asyncio.Future[None]] = {}
        self._made: set[str] = set()  # nodes that are not seen yet
        self._going: dict[str, int] = {}  # nodes that are taken away, by the index with which they were
        self._ended = False  # the tombstone was left: nothing is wanted any more

    def seen(self, stands: Mapping[str, Stands]) -> tuple[str, ...]:
        """The nodes that are ours, or named like ours, stand there so, in their order; those of them that we write."""
        self._made = {node for node in self._made if not stands.get(node, NOT_THERE).index}
        self._going = {node: at for node, at in self._going.items() if stands.get(node, NOT_THERE).index == at}
        self.met = {node for node in self.met if node not in stands or stands[node].index}
        self._places.seen(stands)
        self._ours = [node for node, one in stands.items() if one.index and not one.foreign and self._is_ours(node)]
        return tuple(self._ours[: self._most])

    def sent(self) -> frozenset[RecordKey]:
        """What was sent, had its answer or never will, and is not seen yet."""
        return self._places.unseen() - self._flying

    def lost(self, sent: Iterable[RecordKey]) -> None:
        """All was read since, and what is not seen now was not made."""
        for key in sent:
            self._places.unsent(key)

    def fit(self, service: Service) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return fit.fit(self._form, service)

    def spelled(self, service: ServiceName) -> str:
        """What a service is called there; ValueError when it has no name."""
        return fit.spell(self._form, service)

    async def apply(self, change: Change, beside: Sequence[Operation] = ()) -> None:
        """See `bridge.adapter.Sink`. What is done `beside` is done in the same moment, or neither is."""
        key = change.record.key
        stood = self._stood(change)
        to = self._to(key, stood[0].node if stood else "") if isinstance(change, Put) else ""
        away = [one for one in stood if one.node != to]
        where = f"{to or stood[0].node}: {key}"
        operations = [*self._operations(change, to, stood), *beside]
        self._places.send(key, to, [one.node for one in away])
        self._flying.add(key)
        try:
            if to:
                await self._have(to)
            await self._gather.make(operations, where)
        except (Conflict, Denied, Rejected) as error:
            self._places.unsent(key)
            if isinstance(error, NoNodeError):
                self._made.discard(to)  # it was deleted before it was seen
            raise
        finally:
            self._flying.discard(key)
        if away:
            await self._tidy()

    async def claim(self, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        key = claims.key(claim.owner, self._first(claim.owner))
        where = f"key {key}"
        if claim.revision is not None and not isinstance(claim.revision, int):
            raise Conflict(f"{where}: was never seen; it is observed again")
        async with self._gate.closed():
            ours = claim.owner == self.mark.owner
            if ours:
                self._fence = Fence(key, 0)  # an answer that is lost leaves nobody who may write
            write = {"Verb": "cas", "Key": key, "Value": claims.written(claim), "Index": claim.revision or 0}
            made = await self._api.transact([{"KV": write}], where)
            if ours:
                self._fence = Fence(key, _index(made))
                self._ended = claim.tombstone
        if ours:
            await self._mark()
            await self._tidy()

    async def _send(self, operations: Sequence[bytes], where: str) -> Outcome:
        """Make changes together; see `Gather`."""
        async with self._gate.passing():
            return await self._attempt(operations, where)

    async def _attempt(self, operations: Sequence[bytes], where: str) -> Outcome:
        """Do all of these or none, as long as nobody else claims the nodes; Conflict where somebody does."""
        fence = [*map(encoded, self._fenced())]
        outcome = await self._api.attempt([*fence, *operations], where)
        refused = [one._replace(at=one.at - len(fence)) for one in outcome.refused]
        if refused and refused[0].at < 0:
            raise refused[0].error(f"{self._api.where}: {where}")
        return Outcome(outcome.results, tuple(refused))

    def _fenced(self) -> list[Operation]:
        """What fails where somebody else has claimed the node since."""
        if self._fence is None:
            return []
        return [{"KV": {"Verb": "check-index", "Key": self._fence.key, "Index": self._fence.index}}]

    def _is_ours(self, node: str) -> bool:
        return spread.number(self.node, node) is not None

    def _loads(self) -> dict[str, int]:
        """The nodes that may be written, with how much each has."""
        fresh = sorted({*self._made, *self._making}.difference(self._ours), key=lambda node: (len(node), node))
        homes = [*(node for node in self._ours if node not in self._going), *fresh]
        return {node: self._places.load(node) for node in homes[: self._most]}

    def _to(self, key: RecordKey, stands: str) -> str:
        """The node on which an instance is written that stands there; where it is on its way, there again."""
        if foreign := self._places.stands.get(self.node, NOT_THERE).foreign:
            raise Conflict(f"{self.node}: belongs to {foreign}; it is observed again")
        if not stands and (found := self._places.on(key)):
            raise Conflict(f"{found}: {key}: stands there already; it is observed again")
        loads = self._loads()
        if (sent := self._places.sent(key)) in loads:
            return sent
        return spread.home(loads, self._most, stands) or spread.free(self.node, self._taken())

    def _taken(self) -> set[str]:
        """The names of nodes that are there."""
        stands = self._places.stands
        return {*(node for node in stands if stands[node].index), *self._made, *self._making, *self.met}

    async def _have(self, node: str) -> None:
        """Make a node where it is not there, or give it our mark again where it was seen without; once for all."""
        while True:
            stands = self._places.stands.get(node, NOT_THERE)
            if node in self._made or (stands.index and stands.marked):
                return
            if (making := self._making.get(node)) is None:
                await self._make(node, stands)
                continue
            await asyncio.wait([making])
            if (error := making.exception()) is not None:
                raise error

    async def _mark(self) -> None:
        """Give nodes their mark again; who may not do that has each change on them told."""
        for node in self._ours:
            stands = self._places.stands.get(node, NOT_THERE)
            if stands.index and not stands.marked:
                with suppress(Conflict, Denied):
                    await self._have(node)

    async def _make(self, node: str, stands: Stands) -> None:
        meta = {OWNER: self.mark.owner, FORMAT: str(self.mark.stamp().format), "external-source": "registry-bridge"}
        made = {"Node": node, "Address": ADDRESS, "Meta": meta, "ModifyIndex": stands.index}
        making = self._making[node] = asyncio.get_running_loop().create_future()
        try:
            await self._gather.make([{"Node": {"Verb": "cas", "Node": made}}], f"node {node}")
            self._made.add(node)
        except BridgeError as error:
            if isinstance(error, Conflict) and node != self.node:
                self.met.add(node)
            making.set_exception(error)
            making.exception()  # there may be nobody else to hear it
            raise
        finally:
            del self._making[node]
            if not making.done():
                making.set_result(None)

    async def _tidy(self) -> None:
        """Take away the nodes on which nothing stands, and nothing will.

        With a node would go what is on it: each is read again right before, while nothing of ours is under way. One
        that may not be taken away, or moved meanwhile, stays.
        """
        for node in self._spare():
            async with self._gate.closed():
                if node not in self._spare():
                    continue
                self._going[node] = self._places.stands[node].index  # nothing is written there meanwhile
                gone = False
                try:
                    gone = await self._take_away(node)
                finally:
                    if not gone:
                        self._going.pop(node, None)

    async def _take_away(self, node: str) -> bool:
        """Whether it went."""
        said, checks = (await self._api.node(node)).read(), (await self._api.checks(node)).read()
        stands = owned.stands(said, checks, self.mark)
        if checks or stands.ids or stands.foreign or not stands.index:
            return False
        going = {"Node": {"Verb": "delete-cas", "Node": {"Node": node, "ModifyIndex": stands.index}}}
        return not (await self._attempt([encoded(going)], f"node {node}")).refused

    def _spare(self) -> list[str]:
        """The nodes of ours, and of owners before us, that are empty and not needed."""
        loads, stands = self._loads(), self._places.stands
        needed = () if self._ended else {*loads} - {*spread.spare(loads)}
        return [
            node
            for node, one in stands.items()
            if one.index and not one.foreign and node not in needed and node not in self._going
            if not self._places.load(node)
        ]

    def _stood(self, change: Change) -> tuple[Place, ...]:
        """Where what is replaced, or removed, was seen; it has to be known."""
        before = change.record if isinstance(change, Remove) else change.replaces
        if before is None:
            return ()
        if not (found := owned.places(before)):
            raise Rejected(f"{self.node}: {before.key}: was never seen")
        return found

    def _operations(self, change: Change, to: str, stood: Sequence[Place]) -> list[Operation]:
        """All of it at once: who reads finds an instance in one place, the one of before or the new one."""
        before = change.record if isinstance(change, Remove) else change.replaces
        gone = [] if before is None else [_removal(before, place) for place in stood if place.node != to]
        if isinstance(change, Remove):
            return [*chain.from_iterable(gone)]
        stands = next((place for place in stood if place.node == to), Place(to, 0, 0))
        return [*self._writing(change.record, stands), *chain.from_iterable(gone)]

    def _writing(self, record: Record, replaces: Place) -> list[Operation]:
        said = json.loads(record.content)
        stamp = self.mark.stamp(record.key)
        marked = {OWNER: stamp.owner, KEY: str(stamp.key), FORMAT: str(stamp.format)}
        service = {
            **said["Service"],
            "ID": record.key,
            "Meta": {**said["Service"]["Meta"], **marked},
            "ModifyIndex": replaces.service,
        }
        check = {
            "Node": replaces.node,
            "CheckID": f"{CHECK}{record.key}",
            "Name": "registry-bridge",
            "Notes": "what the bridge knows of this instance",
            "Status": said["Status"],
            "ServiceID": record.key,
            "ServiceName": said["Service"]["Service"],  # by it Consul judges whether the token may write the check
            "ModifyIndex": replaces.check,
        }
        return [
            {"Service": {"Verb": "cas", "Node": replaces.node, "Service": service}},
            {"Check": {"Verb": "cas", "Check": check}},
        ]


def _removal(record: Record, stands: Place) -> list[Operation]:
    """Its check first: with the instance it would go unseen, whatever it says by now."""
    check = {"Node": stands.node, "CheckID": f"{CHECK}{record.key}", "ModifyIndex": stands.check}
    called = json.loads(record.content)["Service"]["Service"]
    service = {"ID": record.key, "Service": called, "ModifyIndex": stands.service}
    made: list[Operation] = [{"Check": {"Verb": "delete-cas", "Check": check}}] if stands.check else []
    return [*made, {"Service": {"Verb": "delete-cas", "Node": stands.node, "Service": service}}]


def _index(results: Sequence[Any]) -> int:
    """The index that the first key of a transaction has now."""
    first = results[0] if results and isinstance(results[0], dict) else {}
    entry = first.get("KV")
    index = entry.get("ModifyIndex") if isinstance(entry, dict) else None
    return index if isinstance(index, int) else 0
