"""Checks as tests make them: a machine that is stepped by hand, and hosts that answer as they are told to."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bridge.checks import Ask, Check, Checks, Elapsed, Exist, Failed, Found, Passed, Result, Round
from bridge.kit.names import Pattern
from bridge.model import EndpointId, Health, Service
from bridge.runtime.checker import Active
from tests.builders import name, services

REFUSED = Failed("connection refused")


def check(
    *globs: str,
    port: str | int | None = None,
    interval: float = 10.0,
    rise: int = 2,
    fall: int = 3,
    place: str = "health[0]",
) -> Check:
    return Check(place, tuple(map(Pattern, globs or ("*",))), "tcp", port, interval, 2.0, rise, fall)


@dataclass
class World:
    """Hosts that pass, but those in `down`, which are checked as time goes by; `round` is what came of it."""

    checks: Checks
    now: float = 1_000.0
    down: dict[str, Result] = field(default_factory=dict)
    asked: list[tuple[float, Ask]] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.round: Round = self.checks.step(Elapsed(), self.now)

    def exist(self, *them: Service) -> None:
        self._step(Exist(services(*them)))

    def fall(self, hosts: Iterable[str], result: Result = REFUSED) -> None:
        self.down.update(dict.fromkeys(hosts, result))

    def heal(self, *hosts: str) -> None:
        self.down = {host: why for host, why in self.down.items() if hosts and host not in hosts}

    def advance(self, seconds: float) -> None:
        """Make every check that falls due meanwhile; each is answered at once."""
        end = self.now + seconds
        while self.round.wake_at is not None and self.round.wake_at <= end:
            self.now = max(self.now, self.round.wake_at)
            self._step(Elapsed())
        self.now = end

    def known(self, service: str = "shop/web") -> dict[str, Health | None]:
        found = self.round.opinions.get(name(service)) or {}
        return {str(key): one.health for key, one in sorted(found.items())}

    def _step(self, event: Exist | Elapsed | Found) -> None:
        self.round = self.checks.step(event, self.now)
        self._remember()
        while self.round.asks:
            self.asked += [(self.now, ask) for ask in self.round.asks]
            answers = {ask.key: self.down.get(str(ask.at), Passed()) for ask in self.round.asks}
            self.round = self.checks.step(Found(answers), self.now)
            self._remember()

    def _remember(self) -> None:
        self.rounds.append(replace(self.round, asks=()))


class Hosts:
    """What active checks find in the tests of the engine: those in `down` fail (or raise), all others pass."""

    def __init__(self) -> None:
        self.down: dict[str, Result | Exception] = {}
        self.asked: list[str] = []
        self.answers = True

    def fall(self, hosts: Iterable[str], result: Result = REFUSED) -> None:
        self.down.update(dict.fromkeys(hosts, result))

    async def __call__(self, at: EndpointId, _: float) -> Result:
        self.asked.append(str(at))
        if not self.answers:
            await asyncio.get_running_loop().create_future()
        found = self.down.get(str(at), Passed())
        if isinstance(found, Exception):
            raise found
        return found

    def active(self, *them: Check) -> list[Active]:
        return [Active(one, self) for one in them or (check(),)]
