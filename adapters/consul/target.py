"""One node of ours that is written, in transactions that first check the claim last written."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from adapters.consul import claims, fit
from adapters.consul.client import Api
from adapters.consul.fit import Form
from adapters.consul.gather import Gather
from adapters.consul.objects import FORMAT, KEY, OWNER
from adapters.consul.owned import CHECK, Revision, Stands
from adapters.consul.transaction import Operation, Outcome, encoded
from bridge.adapter import Change, Claim, Holding, Problem, Record, Remove, Target
from bridge.errors import Conflict, Rejected
from bridge.kit.mark import Mark
from bridge.model import Service, ServiceName

ADDRESS: Final = "127.0.0.1"
"""Of the node, which nobody asks for: each instance has its own. Consul demands one, and takes no unspecified one."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The claim that was written last, and the index that it has; 0 while nobody knows."""

    key: str
    index: int


class NodeTarget:
    """Writes one export. `stands` is the node as it was last seen."""

    def __init__(self, api: Api, target: Target, named: Callable[[str], str], mark: Mark, form: Form) -> None:
        """`named` says what the node of an owner is called."""
        self.target = target
        self.node = named(mark.owner)
        self.former = tuple(named(owner) for owner in mark.former)
        self.mark = mark
        self.stands = Stands(0, False, "")
        self._api = api
        self._named = named
        self._form = form
        self._fence: Fence | None = None
        self._gate = Gate()
        self._gather = Gather(api.where, self._send)
        self._making = asyncio.Lock()
        self._made = False  # the node, and it is not seen yet

    def seen(self, stands: Stands) -> None:
        """The node stands there so."""
        self._made = self._made and not stands.index
        self.stands = stands

    def fit(self, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        holder = holding.facts if isinstance(holding.facts, ServiceName) and holding.facts < service.name else None
        return fit.fit(self._form, service, holder)

    async def apply(self, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        where = f"{self.node}: {change.record.key}"
        await self._gather.make(self._operations(change, where), where)

    async def claim(self, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        key = claims.key(claim.owner, self._named(claim.owner))
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

    async def _send(self, operations: Sequence[bytes], where: str) -> Outcome:
        """Make changes together; see `Gather`."""
        async with self._gate.passing():
            await self._have_node()
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

    async def _have_node(self) -> None:
        """Make the node where it is not there, or give it our mark again where it was seen without."""
        async with self._making:
            if self._made or (self.stands.index and self.stands.marked):
                return
            meta = {OWNER: self.mark.owner, FORMAT: str(self.mark.stamp().format), "external-source": "registry-bridge"}
            node = {"Node": self.node, "Address": ADDRESS, "Meta": meta, "ModifyIndex": self.stands.index}
            made = {"Node": {"Verb": "cas", "Node": node}}
            await self._api.transact([*self._fenced(), made], f"node {self.node}")
            self._made = True

    def _operations(self, change: Change, where: str) -> list[Operation]:
        record = change.record
        if isinstance(change, Remove):
            return _removal(record, where)
        nothing = Revision(self.node, 0, 0)
        if change.replaces is None:
            return self._writing(record, nothing)
        stood = _revision(change.replaces, where)
        if stood.node == self.node:
            return self._writing(record, stood)
        return [*self._writing(record, nothing), *_removal(change.replaces, where)]

    def _writing(self, record: Record, replaces: Revision) -> list[Operation]:
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
            "Node": self.node,
            "CheckID": f"{CHECK}{record.key}",
            "Name": "registry-bridge",
            "Notes": "what the bridge knows of this instance",
            "Status": said["Status"],
            "ServiceID": record.key,
            "ServiceName": said["Service"]["Service"],  # by it Consul judges whether the token may write the check
            "ModifyIndex": replaces.check,
        }
        return [
            {"Service": {"Verb": "cas", "Node": self.node, "Service": service}},
            {"Check": {"Verb": "cas", "Check": check}},
        ]


class Gate:
    """Lets many pass at once, or one who closes it: no change is under way while the claim changes."""

    def __init__(self) -> None:
        self._inside = 0
        self._closed = False
        self._moved = asyncio.Condition()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """One of many."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            await self._tell()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Alone."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self._closed)
            self._closed = True
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: not self._inside)
            yield
        finally:
            self._closed = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()


def _removal(record: Record, where: str) -> list[Operation]:
    """Its check first: with the instance it would go unseen, whatever it says by now."""
    stands = _revision(record, where)
    check = {"Node": stands.node, "CheckID": f"{CHECK}{record.key}", "ModifyIndex": stands.check}
    called = json.loads(record.content)["Service"]["Service"]
    service = {"ID": record.key, "Service": called, "ModifyIndex": stands.service}
    made: list[Operation] = [{"Check": {"Verb": "delete-cas", "Check": check}}] if stands.check else []
    return [*made, {"Service": {"Verb": "delete-cas", "Node": stands.node, "Service": service}}]


def _revision(record: Record, where: str) -> Revision:
    if not isinstance(record.revision, Revision):
        raise Rejected(f"{where}: was never seen")
    return record.revision


def _index(results: Sequence[Any]) -> int:
    """The index that the first key of a transaction has now."""
    first = results[0] if results and isinstance(results[0], dict) else {}
    entry = first.get("KV")
    index = entry.get("ModifyIndex") if isinstance(entry, dict) else None
    return index if isinstance(index, int) else 0
