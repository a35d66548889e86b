"""What is known of a registry's endpoints by checking them from here: the I/O around `bridge.checks`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from bridge.adapter import Problem
from bridge.checks import (
    Ask,
    Check,
    Checks,
    Counts,
    Elapsed,
    Event,
    Exist,
    Found,
    Hindered,
    Judged,
    Key,
    Kind,
    Opinion,
    Opinions,
    Result,
    judged,
)
from bridge.kit import Clock
from bridge.kit.health import CheckSettings, HttpCheckSettings
from bridge.kit.names import Pattern
from bridge.model import EndpointId, Health, ServiceName, Services, SourceName
from bridge.runtime.clock import Alarm
from bridge.runtime.http_probe import HttpProbe
from bridge.runtime.probe import reaches
from bridge.table import changed

Try = Callable[[EndpointId, float], Awaitable[Result]]
"""Makes one check of what is at an address, in so many seconds at most."""

_log = structlog.get_logger("bridge.checks")


@dataclass(frozen=True, slots=True)
class Active:
    """A check, and what makes it."""

    check: Check
    make: Try


def actives(settings: Sequence[CheckSettings]) -> tuple[Active, ...]:
    """The checks that `health:` of a registry asks for."""
    return tuple(_active(index, one) for index, one in enumerate(settings))


def _active(index: int, one: CheckSettings) -> Active:
    how = one.how
    kind: Kind = "tcp"
    make: Try = reaches
    if isinstance(how, HttpCheckSettings):
        kind, make = "http" if how.tls is None else "https", HttpProbe(how)
    check = Check(
        place=f"health[{index}]",
        services=tuple(map(Pattern, one.services)),
        kind=kind,
        port=how.port,
        interval=how.interval,
        timeout=how.timeout,
        rise=how.rise,
        fall=how.fall,
    )
    return Active(check, make)


class Checker:
    """Checks one registry's endpoints for ever; `judge` lays what is known over what the registry says.

    `moved` is called when `judge` would say something else than before, or the problems are others.
    """

    def __init__(
        self,
        name: SourceName,
        active: Sequence[Active],
        clock: Clock,
        moved: Callable[[], None],
        remembered: Services | None,
    ) -> None:
        self._name = name
        self._make = {one.check: one.make for one in active}
        self._clock = clock
        self._moved = moved
        self._checks = Checks([one.check for one in active], remembered)
        self._round = self._checks.step(Elapsed(), clock.now())
        self._judged = Judged()
        self._asks: list[Ask] = []
        self._flying: set[Key] = set()
        self._results: dict[Key, Result] = {}
        self._news = asyncio.Event()
        self._wake = Alarm(clock)

    @property
    def needed(self) -> bool:
        """Whether anything is to be checked at all."""
        return bool(self._make)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What cannot be checked."""
        return self._round.problems

    @property
    def opinions(self) -> Opinions:
        """What is known of every endpoint that is checked."""
        return self._round.opinions

    @property
    def counts(self) -> Counts:
        """How many are in which state."""
        return self._round.counts

    def judge(self, said: Services) -> Services:
        """What the registry says, with the worse of each endpoint's own health and what is known of it."""
        if not self.needed:
            return said
        self._step(Exist(said))
        self._judged = judged(said, self._round.opinions, self._judged)
        return self._judged.services

    async def run(self) -> None:
        """Check until cancelled."""
        self._results |= dict.fromkeys(self._flying, Hindered("was broken off by a mistake of the bridge"))
        self._news.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._waking())
            while True:
                await self._news.wait()
                self._news.clear()
                results, self._results = self._results, {}
                self._flying -= results.keys()
                self._look(Found(results))
                asks, self._asks = self._asks, []
                for ask in asks:
                    self._flying.add(ask.key)
                    group.create_task(self._try(ask))

    async def _waking(self) -> None:
        while True:
            await self._wake.ring()
            self._look(Elapsed())

    async def _try(self, ask: Ask) -> None:
        try:
            result = await self._make[ask.check](ask.at, ask.check.timeout)
        except Exception as error:
            _log.exception("check failed", source=self._name, at=str(ask.at))
            result = Hindered(f"the bridge itself failed: {error!r}")
        self._results[ask.key] = result
        self._news.set()

    def _step(self, event: Event) -> None:
        self._round = self._checks.step(event, self._clock.now())
        self._wake.set(self._round.wake_at)
        if self._round.asks:
            self._asks += self._round.asks
            self._news.set()

    def _look(self, event: Event) -> None:
        before = self._round
        self._step(event)
        if before.opinions is not self._round.opinions or before.problems != self._round.problems:
            self._say(before.opinions)
            self._moved()

    def _say(self, before: Opinions) -> None:
        """One line of the log for those that turned unhealthy, and one for those that turned back."""
        turns = list(_turns(before, self._round.opinions))
        worse = [f"{name} {now}" for name, _, now in turns if now.health is Health.UNHEALTHY]
        better = [f"{name} {now}" for name, was, now in turns if was.health is Health.UNHEALTHY]
        if worse:
            _log.warning("checks failed", source=self._name, count=len(worse), first=worse[0])
        if better:
            _log.info("checks pass again", source=self._name, count=len(better), first=better[0])


def _turns(before: Opinions, after: Opinions) -> Iterator[tuple[ServiceName, Opinion, Opinion]]:
    for name in sorted(changed(before, after)):
        known = before.get(name) or {}
        for key, now in (after.get(name) or {}).items():
            was = known.get(key)
            if was is not None and was.health is not now.health:
                yield name, was, now
