"""Nodes of ours that are written, in transactions that first check the claim last written."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from adapters.consul import claims, fit
from adapters.consul.client import Api
from adapters.consul.fit import Form
from adapters.consul.gate import Gate
from adapters.consul.gather import Gather
from adapters.consul.objects import FORMAT, KEY, OWNER
from adapters.consul.owned import CHECK, NOT_THERE, Revision, Stands
from adapters.consul.transaction import NO_NODE, Operation, Outcome, encoded
from bridge.adapter import Change, Claim, Problem, Put, Record, RecordKey, Remove, Target
from bridge.errors import BridgeError, Conflict, Rejected
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
    """Writes one export: each instance on the one of its `nodes` to which its key belongs, for as long as it stands."""

    def __init__(self, api: Api, target: Target, named: Callable[[str], Sequence[str]], mark: Mark, form: Form) -> None:
        """`named` says what the nodes of an owner are called; by the first one the claim is."""
        self.target = target
        self.nodes = tuple(named(mark.owner))
        self.former = tuple(node for owner in mark.former for node in named(owner))
        self.mark = mark
        self._stands: Mapping[str, Stands] = {}
        self._api = api
        self._named = named
        self._form = form
        self._fence: Fence | None = None
        self._gate = Gate()
        self._gather = Gather(api.where, self._send)
        self._making: dict[str, asyncio.Future[None]] = {}
        self._made: set[str] = set()  # nodes that are not seen yet

    @property
    def node(self) -> str:
        """What the whole is known by."""
        return self.nodes[0]

    def seen(self, stands: Mapping[str, Stands]) -> None:
        """Our nodes stand there so, by name."""
        self._made = {node for node in self._made if not stands[node].index}
        self._stands = stands

    def fit(self, service: Service) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return fit.fit(self._form, service)

    def spelled(self, service: ServiceName) -> str:
        """What a service is called there; ValueError when it has no name."""
        return fit.spell(self._form, service)

    async def apply(self, change: Change, beside: Sequence[Operation] = ()) -> None:
        """See `bridge.adapter.Sink`. What is done `beside` is done in the same moment, or neither is."""
        home = self._home(change.record.key)
        where = f"{home}: {change.record.key}"
        operations = [*self._operations(change, home, where), *beside]
        try:
            if isinstance(change, Put):
                await self._have(home)
            await self._gather.make(operations, where)
        except Conflict as error:
            if NO_NODE in str(error):
                self._made.discard(home)  # it was deleted before it was seen
            raise

    async def claim(self, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        key = claims.key(claim.owner, self._named(claim.owner)[0])
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

    def _home(self, key: RecordKey) -> str:
        """Where an instance is written: the same whoever asks, and when."""
        return self.nodes[crc32(key.encode()) % len(self.nodes)]

    async def _have(self, node: str) -> None:
        """Make a node where it is not there, or give it our mark again where it was seen without; once for all."""
        while True:
            stands = self._stands.get(node, NOT_THERE)
            if node in self._made or (stands.index and stands.marked):
                return
            if (making := self._making.get(node)) is None:
                await self._make(node, stands)
                continue
            await asyncio.wait([making])
            if (error := making.exception()) is not None:
                raise error

    async def _make(self, node: str, stands: Stands) -> None:
        meta = {OWNER: self.mark.owner, FORMAT: str(self.mark.stamp().format), "external-source": "registry-bridge"}
        made = {"Node": node, "Address": ADDRESS, "Meta": meta, "ModifyIndex": stands.index}
        making = self._making[node] = asyncio.get_running_loop().create_future()
        try:
            await self._gather.make([{"Node": {"Verb": "cas", "Node": made}}], f"node {node}")
            self._made.add(node)
        except BridgeError as error:
            making.set_exception(error)
            making.exception()  # there may be nobody else to hear it
            raise
        finally:
            del self._making[node]
            if not making.done():
                making.set_result(None)

    def _operations(self, change: Change, home: str, where: str) -> list[Operation]:
        record = change.record
        if isinstance(change, Remove):
            return _removal(record, where)
        nothing = Revision(home, 0, 0)
        if change.replaces is None:
            return self._writing(record, nothing)
        stood = _revision(change.replaces, where)
        if stood.node == home:
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
