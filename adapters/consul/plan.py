"""How services are followed: each by a question of its own while they are few, by hints and sweeps when they are many;
and what is ours, always by questions of its own.

A Consul allows 200 connections from one address by default, for writes too, and one waits over each question.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from adapters.consul.client import Api
from adapters.consul.follow import follow
from adapters.consul.part import Part
from adapters.consul.sweep import Sweep, mend
from adapters.consul.watch import Watch
from bridge.kit import Clock

MOST: Final = 130
"""Services that are followed each by itself at most; with the list, a heartbeat and readings that is below 150."""

FEWER: Final = 100
"""So many or fewer, where more were, are followed so again."""

FEW: Final = 3
"""Questions that may wait for what is ours; each more takes the place of a service."""

_MEND: Final = "mend"


def _passing(it: object) -> bool:
    """Whether it is of one way only."""
    return it != _MEND and not isinstance(it, Watch)


class Plan:
    """Keeps the tasks that fit the parts, and says how many they are."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        parts: Mapping[str, Part],
        *,
        news: Callable[[Part], None],
        back: Callable[[], None],
        stir: Callable[[], None],
        ours: Callable[[], Sequence[Watch]] = tuple,
    ) -> None:
        """`news` of a part, an index that went `back`; `stir`: there is news of ours, or a task ended, and `adjust`
        says why.

        `ours` are the questions that wait for what is ours.
        """
        self._api = api
        self._clock = clock
        self._parts = parts
        self._news = news
        self._back = back
        self._stir = stir
        self._ours = ours
        self._sweep: Sweep | None = None
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def __str__(self) -> str:
        many = f"{len(self._parts):,} services"
        return f"hints and sweeps over {many}" if self._sweep is not None else f"long polls of {many}"

    def adjust(self) -> None:
        """Begin what is missing, and end what is no longer wanted; a task that died raises what it died of."""
        for task in self._tasks.values():
            if task.done():
                task.result()
        if _MEND not in self._tasks:
            self._begin(_MEND, mend(self._api, self._clock, self._parts, self._news))
        ours = dict.fromkeys(self._ours())
        self._end(lambda it: isinstance(it, Watch) and it not in ours)
        for watch in ours.keys() - self._tasks.keys():
            self._begin(watch, follow(watch, self._api, self._clock, self._stir, self._back))
        many = len(self._parts) + max(len(ours) - FEW, 0) > (MOST if self._sweep is None else FEWER)
        if many and self._sweep is None:
            self._end(_passing)
            self._sweep = Sweep(self._api, self._clock, self._parts, self._news)
            for work in (self._sweep.look, self._sweep.read_touched, self._sweep.read_all):
                self._begin(work.__name__, work())
            for hint in self._sweep.hints:
                self._begin(hint, follow(hint, self._api, self._clock, self._sweep.soon, self._back))
        elif self._sweep is not None and many:
            self._sweep.adjust()
        elif not many:
            if self._sweep is not None:
                self._end(_passing)
                self._sweep = None
            standing: set[object] = {_MEND, *ours, *self._parts.values()}
            self._end(lambda it: it not in standing)
            for part in set(self._parts.values()) - self._tasks.keys():
                self._begin(part, self._followed(part))

    def hint(self, index: int) -> None:
        """Something of some service has changed; see `Sweep.hint`."""
        if self._sweep is not None:
            self._sweep.hint(index)

    def soon(self) -> None:
        """Anything may have changed, of which no question that waits tells where one waits for many."""
        if self._sweep is not None:
            self._sweep.soon()

    async def close(self) -> None:
        """End everything."""
        self._end(lambda _: True)
        if self._ending:
            await asyncio.wait(self._ending)

    def _followed(self, part: Part) -> Coroutine[Any, Any, None]:
        return follow(part, self._api, self._clock, lambda: self._news(part), self._back)

    def _begin(self, it: object, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[it] = asyncio.create_task(work, name=f"{self._api.where} {it}")
        task.add_done_callback(lambda _: self._stir())

    def _end(self, unwanted: Callable[[object], bool]) -> None:
        for it in [it for it in self._tasks if unwanted(it)]:
            task = self._tasks.pop(it)
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
