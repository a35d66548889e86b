"""From one registry to its reading: observe, share, resolve, screen, check, guard."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog
from tenacity import RetryCallState

from bridge.abandoned import NOBODY, Left, Owners, told, without
from bridge.adapter import Observation, Problem, Source
from bridge.errors import Denied, Unavailable
from bridge.guard import Accepted, Elapsed, Event, Frozen, Guard, Lost, Probed, Removals, Seen, Verdict
from bridge.kit import Clock
from bridge.model import Services, SourceName
from bridge.ours import NOTHING, Sound, sound
from bridge.runtime.backoff import again
from bridge.runtime.checker import Active, Checker
from bridge.runtime.clock import Alarm
from bridge.runtime.decisions import Decisions, Orders
from bridge.runtime.keep import Keeper, unless_cancelled
from bridge.runtime.latest import Latest
from bridge.runtime.lookup import Lookup
from bridge.runtime.probe import Probe
from bridge.runtime.reading import Reading
from bridge.runtime.resolve import Resolver
from bridge.runtime.snapshot import Snapshot
from bridge.runtime.tell import tell
from bridge.screen import Screened, ScreenPolicy, screen
from bridge.table import Table, changed

UNREAD = 0.2
"""Share of a registry's parts beyond which their failing means that the registry cannot be read (R-39)."""

_NO_ORDERS = Orders()

_log = structlog.get_logger("bridge.intake")


class BugError(Exception):
    """The core failed over a view, not the source: the intake is to be restarted, and counted as dying."""


class Intake:
    """Reads one source for ever; `cell` has the newest reading."""

    def __init__(
        self,
        name: SourceName,
        source: Source,
        *,
        removals: Removals,
        policy: ScreenPolicy,
        clock: Clock,
        cell: Latest[Reading],
        decisions: Decisions,
        lookup: Lookup,
        probe: Probe,
        snapshot: Snapshot | None,
        keeper: Keeper,
        checks: Sequence[Active] = (),
    ) -> None:
        self._name = name
        self._source = source
        self._policy = policy
        self._clock = clock
        self._cell = cell
        self._decisions = decisions
        self._probe = probe
        self._snapshot = snapshot
        self._keeper = keeper
        self._guard = Guard(removals, snapshot.services if snapshot else None)
        self._resolver = Resolver(clock, lookup, self._moved)
        self._checker = Checker(name, checks, clock, self._moved, snapshot.services if snapshot else None)
        self._view: Observation | None = None  # as the source said it, services shared with the one before
        self._said: Services = Table()  # as the source said them
        self._owners = Owners()
        self._left: Left = NOBODY
        self._screened: Screened | None = None
        self._ours: Sound = NOTHING
        self._observation: Observation | None = None
        self._problems: tuple[Problem, ...] = ()
        self._verdict: Verdict | None = None
        self._orders = _NO_ORDERS
        self._since = clock.now()
        self._lost: float | None = None
        self._why = ""
        self._denied = False
        self._stands_in = False
        self._wake = Alarm(clock)
        self._stops = Alarm(clock)  # an owner, when it was silent for a day
        self._probing = asyncio.Event()
        self.views = 0

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run all that an intake consists of in `group`, each restarted when it dies."""
        self._keeper.start(group, f"{self._name}: orders", self._obeying)
        self._keeper.start(group, f"{self._name}: names", self._resolver.run)
        self._keeper.start(group, f"{self._name}: source", self._observing)
        self._keeper.start(group, f"{self._name}: holds", self._waking)
        self._keeper.start(group, f"{self._name}: probes", self._rounds)
        self._keeper.start(group, f"{self._name}: owners", self._stopping)
        if self._checker.needed:
            self._keeper.start(group, f"{self._name}: checks", self._checker.run)

    def stand_in(self, max_age: float) -> None:
        """Let the snapshot speak for the source, if it has not spoken itself and that is younger than `max_age`."""
        snapshot = self._snapshot
        if self._view is None and snapshot is not None and snapshot.age < max_age:
            self._stands_in = True
            self._publish()
            _log.warning("snapshot stands in", source=self._name, age=round(snapshot.age), why=self._why)

    async def _observing(self) -> None:
        async for attempt in again(self._clock, but=BugError):
            with attempt:
                try:
                    await unless_cancelled(self._watch(attempt.retry_state))
                    raise Unavailable(f"{self._name}: the source ended without a word; it is opened again")
                except BugError:
                    raise
                except (Unavailable, Denied) as error:
                    self._lose(str(error), isinstance(error, Denied))
                    raise
                except Exception as error:
                    _log.exception("source failed", source=self._name)
                    self._lose(f"{self._name}: its adapter failed with {error!r}; it is opened again", False)
                    raise

    async def _watch(self, state: RetryCallState) -> None:
        views = self._source.observe()
        try:
            async for view in views:
                state.attempt_number = 1
                try:
                    await self._see(view)
                except Exception as error:
                    self._lose(f"{self._name}: the bridge itself failed over a view with {error!r}", False)
                    raise BugError(f"{self._name}: {error!r}") from error
        finally:
            close = getattr(views, "aclose", None)
            if close is not None:
                await close()

    async def _see(self, view: Observation) -> None:
        self.views += 1
        first = self._view is None
        if first:
            self._resolver.resolve(view.services)
            await self._resolver.answered()
        self._ours = sound(view.held, self._ours)
        self._view = replace(view, services=self._share(view.services), held=self._ours.held)
        claims = [(str(target), claim) for target, held in view.held.items() for claim in held.claims]
        self._owners.see([*claims, *view.others], self._clock.now(), self._clock.wall())
        was, why = self._lost, _unread(self._name, view)
        self._since = self._clock.now()
        if why:
            self._mark(why, False)
        else:
            self._lost, self._why, self._denied = None, "", False
        self._look()
        self._snapshot = None  # the guard has it; it speaks for nobody any more
        if not why and (first or was is not None):
            lost = {} if was is None else {"lost_for": round(self._since - was, 1)}
            _log.info("source synced", source=self._name, services=len(view.services), **lost)

    def _share(self, said: Services) -> Services:
        """`said`, in which what equals what stood there is the same object.

        What differs is looked for in what the source itself said before: its versions share shards with each other,
        and no longer with ours once ours kept an older object.
        """
        before = self._view.services if self._view is not None else said
        names = changed(self._said, said) if self._view is not None else ()
        self._said = said
        changes = {name: said.get(name) for name in names}
        return before.with_({name: new for name, new in changes.items() if new is None or new != before.get(name)})

    def _look(self) -> None:
        """The whole way of the view that is there, at the cost of what changed."""
        assert self._view is not None
        now = self._clock.now()
        gone = self._owners.gone(now)
        self._stops.set(self._owners.wake_at(now))
        self._left = without(self._view.services, frozenset(gone), self._left)
        resolved = self._resolver.resolve(self._left.services)
        self._screened = screen(resolved, self._policy, self._screened)
        self._observation = replace(self._view, services=self._checker.judge(self._screened.services))
        self._problems = (
            *self._view.problems,
            *self._ours.problems,
            *told(self._left, gone),
            *self._resolver.problems,
            *self._screened.problems,
            *self._checker.problems,
        )
        self._step(Seen(self._observation))
        if self._lost is not None:
            self._step(Lost())
        self._publish()

    def _moved(self) -> None:
        """A name has other addresses, a check ended otherwise: the view looks different, and is no younger for that."""
        if self._observation is not None:
            self._look()

    def _lose(self, why: str, denied: bool) -> None:
        known = self._lost is not None
        self._mark(why, denied)
        if self._view is not None and not known:
            self._step(Lost())
        self._publish()

    def _mark(self, why: str, denied: bool) -> None:
        if (why, denied) != (self._why, self._denied):
            _log.warning("source denied" if denied else "source lost", source=self._name, why=why)
        self._lost = self._clock.now() if self._lost is None else self._lost
        self._why, self._denied = why, denied

    def _step(self, event: Event) -> None:
        now = self._clock.now()
        before, self._verdict = self._verdict, self._guard.step(event, now)
        verdict = self._verdict
        self._wake.set(verdict.wake_at)
        if verdict.probe:
            self._probing.set()
        if verdict.refresh:
            self._refresh()
        tell(self._name, before, verdict)

    def _refresh(self) -> None:
        try:
            self._source.refresh()
        except Exception:
            _log.exception("refresh failed", source=self._name)  # the guard asks again

    def _publish(self) -> None:
        synced = self._observation is not None
        stands_in = self._snapshot if self._stands_in and not synced else None
        self._cell.set(
            Reading(
                self._name,
                self._since,
                self._observation,
                self._verdict if synced else None,
                self._lost,
                self._why,
                self._denied,
                stands_in.services if stands_in else None,
                stands_in.age if stands_in else None,
                self._problems,
                self._checker.opinions,
                self._checker.counts,
            )
        )

    async def _waking(self) -> None:
        while True:
            await self._wake.ring()
            self._step(Elapsed())
            self._publish()

    async def _stopping(self) -> None:
        while True:
            await self._stops.ring()
            if self._view is not None:
                self._look()

    async def _rounds(self) -> None:
        """Connect to what the guard asks for, when it asks: it counts the rounds and keeps them apart."""
        while True:
            await self._probing.wait()
            asked = self._verdict.probe if self._verdict else ()
            if not asked:
                self._probing.clear()
                continue
            results = await self._probe(asked)
            if self._verdict is not None and self._verdict.probe == asked:  # else it was given up meanwhile
                self._step(Probed(results))
                self._publish()

    async def _obeying(self) -> None:
        """Hand the operators' words to the guard whenever they changed."""
        async for decisions in self._decisions.current.changes():
            orders = decisions.get(self._name, _NO_ORDERS)
            before, self._orders = self._orders, orders
            if (orders.accepted, orders.health) != (before.accepted, before.health):
                self._step(Accepted(orders.accepted, orders.health))
            if orders.frozen != before.frozen:
                self._step(Frozen(orders.frozen))
            if orders != before:
                self._publish()


def _unread(name: SourceName, view: Observation) -> str:
    """Why the source counts as lost although it gave a view, "" when it does not."""
    never = [part for part in view.unread if part.never]
    if not never and len(view.unread) <= UNREAD * view.parts:
        return ""
    several = never or view.unread
    first = several[0]
    why = first.why.removeprefix(f"{first.part}: ")
    what = "were never read" if never else "cannot be read"
    then = "what the others say is served, and nothing is removed before" if never else "what they said last stands"
    return f"{name}: {len(several)} of {view.parts} parts {what}, first {first.part}: {why}; {then}"
