"""A Consul datacenter as a registry: read whole, then followed, with a heartbeat behind it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from adapters.consul.catalog import Catalog
from adapters.consul.client import Api, Unreached
from adapters.consul.follow import follow
from adapters.consul.hands import Hands
from adapters.consul.listing import Listing
from adapters.consul.objects import servers_of
from adapters.consul.part import Part
from adapters.consul.plan import Plan
from adapters.consul.probes import probes
from adapters.consul.selection import OWN, Selection
from adapters.consul.sweep import each
from adapters.consul.written import Written
from bridge.adapter import Change, Claim, Holding, Observation, Probe, Problem, Put, Record, Stranger, Target, Unread
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.problems import bounded
from bridge.model import Service, ServiceName, Services

BEAT: Final = 5.0
"""Seconds between two heartbeats, and for which one may go without an answer."""

WHOLE: Final = 300.0
"""Seconds between two readings of everything; replicas do not do it together."""

JITTER: Final = 0.2

AGAIN: Final = 10.0
"""Seconds between two readings of everything that an index asks for by going back."""

SHOWN: Final = 500
"""How many problems an observation tells one by one."""


class Consul:
    """A source: the instances of the services that are selected; and a sink: nodes of ours with instances of ours.

    What it has read outlives an observation.
    """

    concurrency: Final = 250
    """So many changes fill the transactions that are under way, and wait for no more than one of them."""

    def __init__(self, api: Api, clock: Clock, selection: Selection, catalog: Catalog, written: Written) -> None:
        self._api = api
        self._clock = clock
        self._selection = selection
        self._catalog = catalog
        self._written = written
        self._hands = Hands(api, catalog)
        self._listing = Listing()
        self._parts: dict[str, Part] = {}
        self._news = asyncio.Event()
        self._asked = False
        self._read = 0
        self._whole_at = self._looked_at = 0.0
        self._restored: Problem | None = None
        self._doubted = False
        self._servers: frozenset[str] = frozenset()
        self._listed: Mapping[str, frozenset[str]] | None = None
        self._selected: frozenset[str] = frozenset()
        self._wanted: frozenset[str] = frozenset()

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked = True
        self._news.set()

    def recall(self, services: Services) -> None:
        """See `bridge.adapter.Recalling`."""
        self._catalog.recall(services)

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return self._written.targets[target].fit(service)

    async def apply(self, target: Target, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        beside = await self._hands.leaving(change.record) if isinstance(change, Put) else ()
        await self._written.targets[target].apply(change, beside)

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        await self._written.claim(target, claim)
        self._news.set()

    async def strangers(self, target: Target, places: Sequence[str], wanted: Services) -> Sequence[Stranger]:
        """See `bridge.adapter.Heir`."""
        return await self._hands.strangers(self._written.targets[target], places, wanted)

    async def let_go(self, target: Target, stranger: Stranger) -> None:
        """See `bridge.adapter.Heir`."""
        await self._hands.let_go(self._written.targets[target], stranger)

    async def clear(self, target: Target, place: str) -> bool:
        """See `bridge.adapter.Heir`."""
        return await self._hands.clear(self._written.targets[target], place)

    async def probes(self, services: Iterable[ServiceName]) -> Sequence[Probe]:
        """See `bridge.adapter.Probing`."""
        wanted = frozenset(services)
        named = [(spelled, self._catalog.service(spelled)) for spelled in sorted(self._parts)]
        return [
            probe
            for spelled, name in named
            if name is not None and name in wanted
            for probe in probes(name, (await self._api.instances(spelled)).read())
        ]

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        plan = Plan(
            self._api,
            self._clock,
            self._parts,
            news=self._take,
            back=self._went_back,
            stir=self._news.set,
            ours=lambda: self._written.watches,
        )
        told: Observation | None = None
        reading: asyncio.Task[None] | None = None
        tasks: list[asyncio.Task[Any]] = []
        self._forget()
        try:
            await self._led()
            await self._read_all()
            tasks = [
                asyncio.create_task(self._beat(), name=f"{self._api.where} heartbeat"),
                asyncio.create_task(self._follow_list(plan), name=f"{self._api.where} list"),
            ]
            while True:
                self._news.clear()
                if reading is not None and reading.done():
                    reading.result()
                    reading = None
                for task in tasks:
                    if task.done():
                        task.result()
                self._heed()
                self._refuse_nothing()
                self._written.update()
                plan.adjust()
                if self._written.rung():
                    plan.soon()
                view = self._view(plan)
                if told is None or not _same(view, told):
                    told = view
                    yield view
                if reading is None and (self._asked or self._clock.now() >= self._whole_at):
                    reading = asyncio.create_task(self._read_all(), name=f"{self._api.where} reading")
                await self._wait([*tasks, *([reading] if reading is not None else [])])
        finally:
            for task in (both := [*tasks, *([reading] if reading is not None else [])]):
                task.cancel()
            if both:
                await asyncio.wait(both)
            await plan.close()
            await self._api.close()

    def _forget(self) -> None:
        """Connections are new, and so may be whoever answers."""
        self._listing.cursor.forget()
        for watch in self._written.watches:
            watch.cursor.forget()
        for part in self._parts.values():
            part.cursor.forget()

    async def _read_all(self) -> None:
        """All names, and then all of their instances, past every cache."""
        asked, self._asked = self._asked or self._doubted, False
        self._doubted = False
        if not asked:
            self._restored = None
        begun = self._clock.now()
        await self._listing.read(self._api)
        await self._know()
        await self._written.read()
        self._heed()
        await each(list(self._parts.values()), self._api, self._clock, self._catalog.take)
        self._read += 1
        self._looked_at = begun
        self._whole_at = begun + WHOLE * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret

    async def _know(self) -> None:
        """Learn which servers it is, by the ids of their nodes; one that may not be seen is not known."""
        try:
            said = (await self._api.instances(OWN)).read()
        except Unreached:
            raise
        except BridgeError:
            return
        self._servers = frozenset(servers_of(said))

    async def _beat(self) -> None:
        """A connection that waits hears nothing for a minute, dead or alive: ask what is answered at once."""
        while True:
            await self._clock.sleep(BEAT)
            await self._led()

    async def _led(self) -> None:
        """Unavailable while there is no leader: to any other question it would be silent for longer than we wait."""
        if not await self._api.leader(BEAT):
            raise Unavailable(f"{self._api.where}: has no leader; what it said last stands until it elects one")

    async def _follow_list(self, plan: Plan) -> None:
        def differs() -> None:
            plan.hint(self._listing.cursor.index)
            self._news.set()

        await follow(self._listing, self._api, self._clock, differs, self._went_back)

    def _take(self, part: Part) -> None:
        self._catalog.take(part)
        self._news.set()

    def _went_back(self) -> None:
        """The server was restored, or it is another one: all is read anew, and soon."""
        what = "an index went back: it was restored, or another server answers; what is missing is removed when proven"
        self._restored = Problem("restored", self._api.where, what)
        self._doubted = True
        self._whole_at = min(self._whole_at, self._looked_at + AGAIN)
        self._news.set()

    def _heed(self) -> None:
        """Have a part for each name that is listed and selected, and for those that still have instances."""
        if self._listing.names is None:
            return
        if self._listing.names is not self._listed:
            self._listed = self._listing.names
            self._selected = self._selection.lists(self._listed)
        left = frozenset(name for name in self._parts.keys() - self._selected if not self._catalog.empty(name))
        wanted = self._selected | left
        if wanted == self._wanted:
            return
        self._wanted = wanted
        admitted = self._catalog.names(wanted)
        for name in self._parts.keys() - admitted:
            del self._parts[name]
        for name in admitted:
            part = self._parts.setdefault(name, Part(name))
            if not self._catalog.knows(name):
                self._catalog.take(part)

    def _refuse_nothing(self) -> None:
        """Where nothing can be read there is no view: the last one stands."""
        failures = [one.failure for one in self._parts.values() if one.failure is not None]
        errors = [one.error for one in failures]
        if self._listing.failure is not None:
            errors.insert(0, self._listing.failure.error)
        for error in errors:
            if isinstance(error, Denied) and error.whole:
                raise Denied(str(error))
        if failures and len(failures) == len(self._parts):
            first = next((one for one in errors if not isinstance(one, Denied)), errors[0])
            raise (Denied if isinstance(first, Denied) else Unavailable)(self._placed(str(first)))

    def _view(self, plan: Plan) -> Observation:
        problems = bounded(self._problems(), SHOWN, self._api.where)
        unread = tuple(self._unread())
        parts, written, servers = len(self._parts) + 1, self._written, self._servers
        return Observation(
            self._catalog.services,
            self._read,
            problems,
            parts,
            unread,
            written.held,
            written.others,
            str(plan),
            servers,
        )

    def _problems(self) -> Iterator[Problem]:
        if self._restored is not None:
            yield self._restored
        hidden = sum(part.filtered for part in self._parts.values())
        if hidden:
            what = "have instances or nodes that the token may not read, and are told without; give it `node:read`"
            yield Problem("acl", self._api.where, f"some services {what}", count=hidden)
        yield from self._written.problems()
        yield from self._catalog.problems()

    def _unread(self) -> Iterator[Unread]:
        if (failed := self._listing.failure) is not None:
            yield Unread(str(self._listing), failed.since, self._bare(failed.error), self._listing.names is None)
        for name in sorted(self._parts):
            part = self._parts[name]
            if part.failure is not None:
                yield Unread(str(part), part.failure.since, self._bare(part.failure.error), part.said is None)

    def _bare(self, error: Exception) -> str:
        return str(error).removeprefix(f"{self._api.where}: ")

    def _placed(self, text: str) -> str:
        return text if text.startswith(self._api.where) else f"{self._api.where}: {text}"

    async def _wait(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Until there is news, or it is time to read everything, or one of the tasks ends."""
        news = asyncio.ensure_future(self._news.wait())
        timer = asyncio.ensure_future(self._clock.sleep(max(self._whole_at - self._clock.now(), 0.0)))
        try:
            await asyncio.wait({news, timer, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            timer.cancel()


def _same(one: Observation, other: Observation) -> bool:
    """Whether two say the same, and were read as often."""
    same = (
        one.services is other.services
        and one.held is other.held
        and one.read == other.read
        and one.parts == other.parts
        and one.others == other.others
    )
    return same and (one.problems, one.unread, one.how, one.servers) == (
        other.problems, other.unread, other.how, other.servers
    )  # fmt: skip
