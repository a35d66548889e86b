"""Names become addresses, and follow them by their time to live."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from bridge.adapter import Problem
from bridge.kit import Clock
from bridge.kit.address import is_literal
from bridge.model import Service, ServiceName, Services
from bridge.runtime.lookup import Lookup
from bridge.table import Table, changed

SHORTEST = 1.0
LONGEST = 300.0
"""Bounds on a time to live, seconds."""

RETRY = 30.0
"""Seconds after which a name that did not resolve is asked for again, at most; the first time sooner."""

NAMES = 10_000
"""Names of one source that are followed; endpoints of further ones are left out until there is room."""

ADDRESSES = 64
"""Addresses of one name that are taken."""

SHOWN = 500
"""Names that do not resolve which are told one by one."""

_PATIENCE = 5.0
_NONE: frozenset[str] = frozenset()

_log = structlog.get_logger("bridge.resolve")


@dataclass(slots=True)
class _Name:
    """One name that is followed: its last addresses by family, and what is wrong at present."""

    task: asyncio.Task[None] | None
    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()
    asked: bool = False
    why: str = "not resolved yet; its endpoints are left out until then"

    @property
    def addresses(self) -> tuple[str, ...]:
        return (*self.v4, *self.v6)[:ADDRESSES]


class Resolver:
    """Follows the names in one source's endpoints; `resolve` tells what they are now.

    `moved` is called when an answer changed, so that `resolve` would say something else than before.
    """

    def __init__(self, clock: Clock, lookup: Lookup, moved: Callable[[], None]) -> None:
        self._clock = clock
        self._lookup = lookup
        self._moved = moved
        self._names: dict[str, _Name] = {}
        self._beyond: dict[str, None] = {}  # the names for which there is no room
        self._users: dict[str, set[ServiceName]] = {}
        self._used: dict[ServiceName, frozenset[str]] = {}
        self._said: Services = Table()
        self._resolved: Services = Table()
        self._stale: set[ServiceName] = set()
        self._problems: tuple[Problem, ...] = ()
        self._news = False  # that the problems may be others
        self._group: asyncio.TaskGroup | None = None
        self._asked = asyncio.Event()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The names that do not resolve, sorted."""
        return self._problems

    def resolve(self, said: Services) -> Services:
        """`said` with an endpoint for each address in the place of each name; costs what changed."""
        names = sorted({*changed(self._said, said), *self._stale})
        self._said = said
        if not names:
            return self._resolved
        changes: dict[ServiceName, Service | None] = {}
        for name in names:
            service = said.get(name)
            hosts = _hosts(service) if service else _NONE
            if hosts or name in self._used:
                self._use(name, hosts)
            changes[name] = self._put(service) if hosts and service else service
        self._stale.clear()
        self._resolved = self._resolved.with_(changes) if self._used else said
        if self._news:
            self._news = False
            self._problems = self._told()
        return self._resolved

    async def answered(self) -> None:
        """Return when every name has been asked for once, or patience is at its end."""
        waiting = asyncio.ensure_future(self._all_asked())
        patience = asyncio.ensure_future(self._clock.sleep(_PATIENCE))
        try:
            await asyncio.wait((waiting, patience), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            patience.cancel()

    async def run(self) -> None:
        """Follow names until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for host, name in self._names.items():
                    name.task = group.create_task(self._follow(host))
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None

    async def _all_asked(self) -> None:
        while not all(name.asked for name in self._names.values()):
            self._asked.clear()
            await self._asked.wait()

    def _use(self, service: ServiceName, hosts: frozenset[str]) -> None:
        before = self._used.get(service, _NONE)
        self._news = self._news or hosts != before
        for host in sorted(hosts - before):
            self._users.setdefault(host, set()).add(service)
            if host not in self._names:
                self._beyond.setdefault(host)
        for host in before - hosts:
            users = self._users[host]
            users.discard(service)
            if not users:
                del self._users[host]
                self._beyond.pop(host, None)
                name = self._names.pop(host, None)
                if name is not None and name.task is not None:
                    name.task.cancel()
        while self._beyond and len(self._names) < NAMES:
            host = next(iter(self._beyond))
            del self._beyond[host]
            self._names[host] = _Name(self._group.create_task(self._follow(host)) if self._group else None)
        if hosts:
            self._used[service] = hosts
        else:
            self._used.pop(service, None)

    def _put(self, service: Service) -> Service:
        """The service with addresses for names; where two say the same endpoint, what has the literal counts."""
        literal = {one.id: one for one in service.endpoints if is_literal(one.address)}
        for one in service.endpoints:
            if not is_literal(one.address) and (name := self._names.get(one.address)) is not None:
                for address in name.addresses:
                    endpoint = replace(one, address=address)
                    literal.setdefault(endpoint.id, endpoint)
        return Service.of(service.name, literal.values(), service.metadata)

    def _why(self, host: str) -> str:
        """What is wrong with a name, "" when nothing is."""
        name = self._names.get(host)
        return name.why if name is not None else f"more than {NAMES} names to follow; its endpoints are left out"

    def _told(self) -> tuple[Problem, ...]:
        problems = [
            Problem("name", host, why, min(users), len(users))
            for host, users in sorted(self._users.items())
            if (why := self._why(host))
        ]
        if len(problems) <= SHOWN:
            return tuple(problems)
        more = Problem("more", "names", "further ones that do not resolve", count=len(problems) - SHOWN)
        return (*problems[:SHOWN], more)

    async def _follow(self, host: str) -> None:
        failures = 0
        while True:
            try:
                rest = await self._ask(host)
                failures = 0 if not self._names[host].why else failures + 1
            except Exception:
                _log.exception("resolving failed", host=host)
                failures, rest = failures + 1, RETRY
            if failures:
                rest = min(rest, RETRY, 2.0 ** min(failures - 1, 6)) * random.uniform(1, 1.25)  # noqa: S311
            await self._clock.sleep(rest)

    async def _ask(self, host: str) -> float:
        """Ask, and take the answer; the seconds until it is old."""
        answer = await self._lookup(host)
        name = self._names[host]
        before = name.addresses, name.why
        v4 = name.v4 if answer.v4 is None else answer.v4
        v6 = name.v6 if answer.v6 is None else answer.v6
        kept = (answer.v4 is None and v4) or (answer.v6 is None and v6)
        if v4 or v6:
            name.v4, name.v6 = v4, v6
            name.why = f"{answer.why}; its last addresses stand" if kept else ""
        else:
            stand = "its last addresses stand" if name.addresses else "its endpoints are left out"
            name.why = f"{answer.why or 'has no address'}; {stand}"
        if not name.asked:
            name.asked = True
            self._asked.set()
        if (name.addresses, name.why) != before:
            self._news = True
            self._stale |= self._users.get(host, set())
            self._moved()
        return min(max(answer.ttl, SHORTEST), LONGEST)


def _hosts(service: Service) -> frozenset[str]:
    return frozenset(one.address for one in service.endpoints if not is_literal(one.address))
