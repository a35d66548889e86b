"""The checks of one registry's endpoints: events in, opinions and what to check next out."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import floor
from typing import assert_never
from zlib import crc32

from bridge.adapter import Problem
from bridge.checks.values import (
    Ask,
    Check,
    Counts,
    Elapsed,
    Event,
    Exist,
    Failed,
    Found,
    Hindered,
    Key,
    Opinion,
    Opinions,
    Passed,
    Result,
    Round,
)
from bridge.model import Endpoint, EndpointId, Health, Service, ServiceName, Services
from bridge.table import Table, changed

REMEMBERED = "as it was when the bridge ended"
"""Why an endpoint is unhealthy that was not checked yet."""

AT_ONCE = 200
"""Checks of one registry that are under way side by side; the others wait their turn, which stretches the interval."""

_HEALTHY, _UNHEALTHY = Health.HEALTHY, Health.UNHEALTHY
_TICK = 1e-6  # seconds: what is due so soon is due


class _Target:
    """One endpoint that is checked."""

    __slots__ = ("due", "fell", "opinion", "row", "why")

    def __init__(self, opinion: Opinion, due: float) -> None:
        self.opinion = opinion  # as it is told
        self.due = due
        self.row = 0  # passes in a row; failures, when it is negative
        self.why = ""  # of the last failure
        self.fell = False  # whether it was seen to fail here, and has to rise


class Checks:
    """What is known of the endpoints of one registry by checking them.

    A step costs what changed and what is due. Equal events at equal times give equal rounds. What is kept is bounded by
    what exists.
    """

    def __init__(self, checks: Sequence[Check], remembered: Services | None = None) -> None:
        """`remembered`: what was believed when last running; what was unhealthy there is so until its first pass."""
        self._checks = tuple(checks)
        self._idle = dict.fromkeys(self._checks)  # those of them that have named no service yet, in order
        self._bad = frozenset(
            (name, one.id)
            for name, service in (remembered.items() if remembered is not None else ())
            for one in service.endpoints
            if one.health is _UNHEALTHY
        )
        self._services: Services = Table()
        self._targets: dict[ServiceName, dict[EndpointId, _Target]] = {}
        self._timers: list[tuple[float, Key]] = []
        self._flying: dict[Key, _Target] = {}
        self._count = Counter[Health | None]()
        self._failing: set[Key] = set()  # not unhealthy, and the last check failed
        self._fallen: set[Key] = set()  # those of them that have failed often enough
        self._waited = False  # that one of those has waited long enough
        self._mute: dict[Key, tuple[str, str]] = {}  # what cannot be checked: by which check, and why not
        self._reasons: dict[tuple[str, str], dict[Key, None]] = {}  # and of whom; oldest first
        self._opinions: Opinions = Table()
        self._stale: set[ServiceName] = set()
        self._problems: tuple[Problem, ...] = ()
        self._news = False  # that the problems may be others

    def step(self, event: Event, now: float) -> Round:
        """What is known after `event`. `now`: seconds, monotonic."""
        match event:
            case Exist(services):
                self._news = self._news or bool(self._idle)
                for name in sorted(changed(self._services, services)):
                    self._compare(name, services.get(name), now)
                self._services = services
                self._bad = frozenset()
            case Found(results):
                for key, result in results.items():
                    self._find(key, result, now)
                self._believe(now)
            case Elapsed():
                pass
            case _:
                assert_never(event)
        asks = tuple(self._take(now))
        self._tell()
        counts = Counts(self._count[_HEALTHY], self._count[_UNHEALTHY], self._count[None])
        return Round(self._opinions, counts, asks, self._wake_at(), self._problems)

    # --- what exists ---

    def _compare(self, name: ServiceName, service: Service | None, now: float) -> None:
        """Take in the endpoints of one service; what is checked otherwise than before begins anew."""
        before = self._targets.pop(name, {})
        after: dict[EndpointId, _Target] = {}
        fresh: dict[Key, _Target] = {}
        lacking: dict[Key, tuple[str, str]] = {}
        for endpoint, check, at in self._wanted(name, service):
            key = (name, endpoint.id)
            if isinstance(at, str):
                lacking[key] = check.place, at
                continue
            target = before.get(endpoint.id)
            if target is not None and (target.opinion.check, target.opinion.at) == (check, at):
                del before[endpoint.id]
            else:
                target = fresh[key] = self._come(key, check, at, endpoint.health, now)
            after[endpoint.id] = target
        if after:
            self._targets[name] = after
        for key, target in fresh.items():
            self._schedule(key, target)
        for gone, target in before.items():
            self._leave((name, gone), target)
        for one in (self._services.get(name) or Service(name)).endpoints:
            if one.id not in after:
                self._speak((name, one.id))
        for key, why in lacking.items():
            self._silence(key, why)
        self._stale.add(name)

    def _wanted(self, name: ServiceName, service: Service | None) -> Iterator[tuple[Endpoint, Check, EndpointId | str]]:
        """What of a service is checked, how, and where (or why not); another bridge's is its own to check."""
        check = next((one for one in self._checks if one.names(name)), None)
        if service is not None and check is not None:
            self._idle.pop(check, None)
            for endpoint in service.endpoints:
                if not endpoint.via:
                    yield endpoint, check, check.of(endpoint)

    def _come(self, key: Key, check: Check, at: EndpointId, own: Health | None, now: float) -> _Target:
        bad = key in self._bad and own is not _UNHEALTHY
        opinion = Opinion(check, at, _UNHEALTHY if bad else None, REMEMBERED if bad else "", now)
        self._count[opinion.health] += 1
        return _Target(opinion, _due(key, check, now))

    def _leave(self, key: Key, target: _Target) -> None:
        self._count[target.opinion.health] -= 1
        self._failing.discard(key)
        self._fallen.discard(key)
        self._speak(key)

    # --- what is found ---

    def _find(self, key: Key, result: Result, now: float) -> None:
        asked, target = self._flying.pop(key, None), self._targets.get(key[0], {}).get(key[1])
        if asked is None or target is None:
            return
        check = target.opinion.check
        target.due = _due(key, check, now)
        self._schedule(key, target)
        if asked is not target:
            return  # it was checked otherwise when that was asked
        match result:
            case Hindered(why):
                self._silence(key, (check.place, why))
                return
            case Passed():
                target.row = max(target.row, 0) + 1
                self._failing.discard(key)
                self._fallen.discard(key)
                if target.opinion.health is not _HEALTHY and target.row >= (check.rise if target.fell else 1):
                    self._judge(key, target, _HEALTHY, now)
            case Failed(why):
                target.row = min(target.row, 0) - 1
                self._fail(key, target, why)
            case _:
                assert_never(result)
        self._speak(key)

    def _fail(self, key: Key, target: _Target, why: str) -> None:
        opinion, enough = target.opinion, -target.row >= target.opinion.check.fall
        other = target.why != why
        target.why = why
        if opinion.health is _UNHEALTHY:
            seen = enough and not target.fell
            target.fell = target.fell or enough
            if other or seen:
                self._retell(key, target)
            return
        self._failing.add(key)
        if enough:
            self._fallen.add(key)
            self._waited = self._waited or -target.row >= 2 * opinion.check.fall

    def _believe(self, now: float) -> None:
        """Tell what has fallen; together, when it may be us.

        When more than half of what stood fails at a time, it is more likely that this machine is cut off. One that has
        fallen waits for the others then, for as many checks again as it took: so they are told at once, and whoever
        doubts a flood sees it whole, before anything was believed.
        """
        waited, self._waited = self._waited, False
        many = 2 * len(self._failing) > self._count[_HEALTHY] + self._count[None]
        if many and len(self._fallen) < len(self._failing) and not waited:
            return
        for key in sorted(self._fallen):
            target = self._at(key)
            self._failing.discard(key)
            self._judge(key, target, _UNHEALTHY, now)
        self._fallen.clear()

    def _at(self, key: Key) -> _Target:
        return self._targets[key[0]][key[1]]

    def _judge(self, key: Key, target: _Target, health: Health, since: float) -> None:
        self._count[target.opinion.health] -= 1
        self._count[health] += 1
        target.fell = health is _UNHEALTHY
        target.opinion = target.opinion._replace(health=health, why="", since=since)
        self._retell(key, target)

    def _retell(self, key: Key, target: _Target) -> None:
        if target.opinion.health is _UNHEALTHY:
            target.opinion = target.opinion._replace(why=f"{target.why}, {-target.row} in a row")
        self._stale.add(key[0])

    # --- when ---

    def _schedule(self, key: Key, target: _Target) -> None:
        heappush(self._timers, (target.due, key))
        known = sum(self._count.values())
        if len(self._timers) > 64 + 2 * known:
            self._timers = [entry for entry in self._timers if self._is_due(*entry)]
            heapify(self._timers)

    def _is_due(self, due: float, key: Key) -> bool:
        """Whether that date still holds."""
        target = self._targets.get(key[0], {}).get(key[1])
        return target is not None and target.due == due and key not in self._flying

    def _take(self, now: float) -> list[Ask]:
        """The checks that are due, as far as there is room."""
        asks: list[Ask] = []
        while self._timers and len(self._flying) < AT_ONCE:
            due, key = self._timers[0]
            if due > now + _TICK:
                break
            heappop(self._timers)
            if self._is_due(due, key):
                target = self._flying[key] = self._at(key)
                asks.append(Ask(key, target.opinion.check, target.opinion.at))
        return asks

    def _wake_at(self) -> float | None:
        return self._timers[0][0] if self._timers and len(self._flying) < AT_ONCE else None

    # --- what is told ---

    def _silence(self, key: Key, why: tuple[str, str]) -> None:
        if self._mute.get(key) != why:
            self._speak(key)
            self._mute[key] = why
            self._reasons.setdefault(why, {})[key] = None
            self._news = True

    def _speak(self, key: Key) -> None:
        why = self._mute.pop(key, None)
        if why is not None:
            them = self._reasons[why]
            del them[key]
            if not them:
                del self._reasons[why]
            self._news = True

    def _tell(self) -> None:
        """Bring the opinions and the problems up to date."""
        changes = {name: {key: one.opinion for key, one in self._targets.get(name, {}).items()} for name in self._stale}
        self._opinions = self._opinions.with_({name: told or None for name, told in changes.items()})
        self._stale.clear()
        if self._news:
            self._news = False
            mute = (_problem(*why, them) for why, them in sorted(self._reasons.items()))
            self._problems = (*map(_unnamed, self._idle if self._services else ()), *mute)


def _problem(place: str, why: str, them: Collection[Key]) -> Problem:
    service, endpoint = next(iter(them))
    what = f"{why}; that is no verdict, and what was known stands"
    return Problem("check", f"{place}: {service} {endpoint}", what, service, len(them))


def _unnamed(check: Check) -> Problem:
    globs = ", ".join(pattern.text for pattern in check.services)
    what = f"no service is called {globs}, or an earlier check has it; correct `services`, or take it out"
    return Problem("check", check.place, what)


def _due(key: Key, check: Check, now: float) -> float:
    """The next moment at which an endpoint is checked: each has its own within the interval, by its name."""
    service, endpoint = key
    phase = crc32(f"{service} {endpoint}".encode()) / 2**32 * check.interval
    due = phase + check.interval * (floor((now - phase) / check.interval) + 1)
    return due if due > now + _TICK else due + check.interval  # rounding may have it be this very moment
