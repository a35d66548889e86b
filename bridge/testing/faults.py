"""What goes wrong when a memory registry is written: refusals, lost answers, delays, the death of the writer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bridge.adapter import Claim, Put, Remove
from bridge.errors import Unavailable
from bridge.kit import Clock

Write = Put | Remove | Claim


@dataclass(slots=True)
class _Fault:
    error: Exception
    times: int
    meant: Callable[[Write], bool]
    lost: bool


class Faults:
    """Of the writes of one process. They count, and are under way side by side as long as a test wants."""

    def __init__(self) -> None:
        self.tried = 0
        self.under_way = 0
        self.most = 0  # that were ever under way at once
        self.delay = 0.0  # seconds that each write takes, before it is made
        self.clock: Clock | None = None  # of that delay
        self._faults: list[_Fault] = []
        self._open = asyncio.Event()
        self._open.set()
        self._dies: int | None = None
        self._lost = False

    def refuse(
        self,
        error: Exception,
        times: int = 1,
        *,
        meant: Callable[[Write], bool] = lambda write: not isinstance(write, Claim),
        lost: bool = False,
    ) -> None:
        """Raise `error` for the next writes that are meant; `lost`: they are made, only their answer is lost."""
        self._faults.append(_Fault(error, times, meant, lost))

    def forgive(self) -> None:
        """Refuse nothing any more."""
        self._faults.clear()

    def stop(self) -> None:
        """Let every write wait before it is made, until `go`."""
        self._open.clear()

    def go(self) -> None:
        self._open.set()

    def die(self, after: int, lost: bool = False) -> None:
        """The process dies at the write after so many more: it and what follows is not made; `lost`: that one is."""
        self._dies, self._lost = self.tried + after, lost

    @property
    def dead(self) -> bool:
        return self._dies is not None and self.tried > self._dies

    @asynccontextmanager
    async def around(self, write: Write) -> AsyncIterator[None]:
        """Everything that a write meets; it is made within, or not at all."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.delay:
                assert self.clock is not None, "a delay needs the clock of the test"
                await self.clock.sleep(self.delay)
            await self._open.wait()
            last = self._dies is not None and self.tried == self._dies
            self.tried += 1
            if self.dead and not (last and self._lost):
                raise Unavailable("memory: the process is dead")
            fault = self._next(write)
            if fault is not None and not fault.lost:
                raise fault.error
            yield
            if self.dead:
                raise Unavailable("memory: the process is dead")
            if fault is not None:
                raise fault.error
        finally:
            self.under_way -= 1

    def _next(self, write: Write) -> _Fault | None:
        for fault in self._faults:
            if fault.meant(write):
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                return fault
        return None
