"""What hands registered, read node by node: let go for ours, and taken away in the moment in which ours is written."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from adapters.consul import claims, strangers
from adapters.consul.catalog import Catalog
from adapters.consul.client import Api
from adapters.consul.selection import matches
from adapters.consul.strangers import Whose
from adapters.consul.target import NodeTarget
from adapters.consul.transaction import Operation
from bridge.adapter import Record, Stranger
from bridge.errors import Denied
from bridge.model import Services

AT_ONCE: Final = 16
"""Nodes that are read at once."""


class Hands:
    """`catalog` says what is read, and what of that is to go for ours."""

    def __init__(self, api: Api, catalog: Catalog) -> None:
        self._api = api
        self._catalog = catalog
        self._limit = asyncio.Semaphore(AT_ONCE)

    async def strangers(self, target: NodeTarget, globs: Sequence[str], wanted: Services) -> Sequence[Stranger]:
        """See `bridge.adapter.Heir`."""
        nodes = (await self._api.nodes()).read()
        names = sorted(one["Node"] for one in nodes if matches(globs, one["Node"]))
        whose = Whose(
            target.mark.owner, self._catalog.service, target.spelled, lambda name: target.fit(wanted[name])[0]
        )
        found = await asyncio.gather(*map(self._on, names))
        return [one for said, checks in found for one in strangers.strangers(said, checks, wanted, whose)]

    async def let_go(self, target: NodeTarget, stranger: Stranger) -> None:
        """See `bridge.adapter.Heir`."""
        where = f"node {stranger.place}: {stranger.name}"
        instance, node = strangers.marking(stranger, target.mark.owner)
        bell = claims.ring(target.mark.owner)
        try:
            await self._api.transact([instance, node, bell], where)
        except Denied:
            await self._api.transact([instance, bell], where)  # who may not write the node cannot remove it either

    async def clear(self, target: NodeTarget, node: str) -> bool:
        """See `bridge.adapter.Heir`."""
        said, checks = await self._on(node)
        empty = strangers.emptied(said, checks, target.mark.owner)
        if not empty and strangers.is_empty(said, checks):
            raise Denied(f"node {node}: is left empty; give the token `node:write` for it, or remove it", whole=False)
        if operations := empty or strangers.unmarking(said, checks, target.mark.owner):
            await self._api.transact(operations, f"node {node}")
        return bool(empty)

    async def leaving(self, record: Record) -> list[Operation]:
        """What is written together with a record of ours, so that it takes the place of what goes for it."""
        made: list[Operation] = []
        for one in self._catalog.yields(record.names):
            if strangers.stands_for(one, record):
                said, checks = await self._on(one.node.name)
                made += strangers.leaving(said, checks, one, f"{self._api.where}: {record.key}")
        return made

    async def _on(self, node: str) -> tuple[Any, Any]:
        """What stands on a node, and its checks."""
        async with self._limit:
            said = await self._api.node(node)
            return said.read(), (await self._api.checks(node)).read()
