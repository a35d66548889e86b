"""Adapters that write wrong."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from bridge.adapter import Change, Put, Remove, Target
from bridge.errors import Conflict, Unavailable
from bridge.testing.memory import MemoryRegistry


def applying(change: Callable[[MemoryRegistry, Change], bool]) -> type[MemoryRegistry]:
    """A registry that writes without comparing whatever `change` is true of."""

    class Applies(MemoryRegistry):
        async def apply(self, target: Target, it: Change) -> None:
            if not change(self, it):
                await super().apply(target, it)
                return
            assert self.mark is not None
            if isinstance(it, Put):
                self.store.put(target, self.mark.owner, it.record)
            elif it.record.key in self.store.records[target]:
                self.store.remove(target, it.record.key)

    return Applies


overwriting = applying(lambda self, it: isinstance(it, Put) and it.replaces is None)
putting = applying(lambda self, it: isinstance(it, Put) and it.replaces is not None)
removing = applying(lambda self, it: isinstance(it, Remove))


class AddsOnly(MemoryRegistry):
    """Never changes what stands there."""

    async def apply(self, target: Target, change: Change) -> None:
        if isinstance(change, Remove) or change.replaces is None:
            await super().apply(target, change)


class KeepsAll(MemoryRegistry):
    """Never removes anything."""

    async def apply(self, target: Target, change: Change) -> None:
        if isinstance(change, Put):
            await super().apply(target, change)


class Behind(MemoryRegistry):
    """Says that it is done, and does it later."""

    later: ClassVar[list[asyncio.Task[None]]] = []

    async def apply(self, target: Target, change: Change) -> None:
        async def apply() -> None:
            await asyncio.sleep(0.1)
            await MemoryRegistry.apply(self, target, change)

        self.later.append(asyncio.create_task(apply()))


class Sweeping(MemoryRegistry):
    """Removes what others said of a service that it writes."""

    async def apply(self, target: Target, change: Change) -> None:
        await super().apply(target, change)
        if self.store.services is not None:
            self.store.say(self.store.services.with_({change.record.service: None}))


class Rewriting(MemoryRegistry):
    """Reads the whole, and writes the whole, and forgets that others do so meanwhile."""

    async def apply(self, target: Target, change: Change) -> None:
        before = set(self.store.records.get(target, {}))
        await super().apply(target, change)
        for key in set(self.store.records.get(target, {})) - before - {change.record.key}:
            self.store.remove(target, key)


class Looking(MemoryRegistry):
    """Compares first, and writes a moment later."""

    async def apply(self, target: Target, change: Change) -> None:
        assert self.mark is not None
        expected = change.replaces if isinstance(change, Put) else change.record
        self.store.compare(target, change.record.key, self.mark.owner, expected)
        await asyncio.sleep(0.01)
        if isinstance(change, Put):
            self.store.put(target, self.mark.owner, change.record)
        else:
            self.store.remove(target, change.record.key)


class Insistent(MemoryRegistry):
    """Tries again by itself."""

    async def apply(self, target: Target, change: Change) -> None:
        try:
            await super().apply(target, change)
        except Unavailable:
            await super().apply(target, change)


def raises(error: type[Exception]) -> type[MemoryRegistry]:
    """A registry whose writes fail with an error that asks for another reaction."""

    class Raises(MemoryRegistry):
        async def apply(self, target: Target, change: Change) -> None:
            try:
                await super().apply(target, change)
            except Conflict:
                raise
            except Exception as wrong:
                raise error(str(wrong)) from wrong

    return Raises
