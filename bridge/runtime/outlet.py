"""From the catalog to one target of a registry: wanted, judged, fitted, planned, and written while we lead.

Every replica computes what it wants, so that whoever comes to lead goes on where the one before ended; only the
leader writes. Nothing is written to a target that was not read whole, while its registry is lost or frozen, or while
its claim is not ours.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from bridge.adapter import Change, Held, Holding, Holdings, Problem, Put, Record, RecordKey, Sink, Teller
from bridge.errors import BridgeError, Conflict, Unavailable
from bridge.exports import UNTOLD, Export, Told, Wants, tell, wants
from bridge.kit import Clock
from bridge.kit.mark import Mark
from bridge.losses import NONE, Losses, unsaid
from bridge.merge import Catalog
from bridge.model import Service, ServiceName, Services, SourceName
from bridge.plan import NOTHING, Plan, Withheld, plan
from bridge.runtime.backoff import again
from bridge.runtime.claiming import BEAT, Claiming, Standing
from bridge.runtime.clock import Alarm, within
from bridge.runtime.decisions import Decisions
from bridge.runtime.election import Leadership
from bridge.runtime.exported import Exported, State
from bridge.runtime.keep import Keeper, unless_cancelled
from bridge.runtime.keys import Keys, taken
from bridge.runtime.latest import Latest
from bridge.runtime.notes import Notes
from bridge.runtime.rate import Rate
from bridge.runtime.reading import Reading
from bridge.runtime.same import beside, same
from bridge.runtime.writer import Writer
from bridge.table import Table, changed, share
from bridge.withhold import Judge, Judgement, Sources, Words

HEAP = 100
"""Services that are planned in one turn of the event loop."""

QUIET = 600.0
"""Seconds after which a service whose records somebody else changed is no longer fought over."""

_THEIR_RECORD = "is the record of {}; export one of them under another name"
_THEIR_NAME = "is what {} is called there; give one of them another name, or export one of them only"

_NO_HOLDING = Holding()
_NO_WORDS: Words = {}
_NOBODY: Services = Table()
_STANDINGS = {
    Standing.FOLLOWS: State.FOLLOWS,
    Standing.CLAIMS: State.CLAIMS,
    Standing.ANOTHER: State.ANOTHER,
    Standing.WITHDRAWN: State.WITHDRAWN,
    Standing.WRITES: State.WRITES,
}
_LOUD = frozenset({State.ANOTHER, State.WITHDRAWN})
_STEADY = frozenset({State.WRITES, State.IN_STEP, State.FAILING})

_log = structlog.get_logger("bridge.exports")


class _Planned(NamedTuple):
    """One service, as it is to be written."""

    plan: Plan
    problems: tuple[Problem, ...]
    keys: tuple[RecordKey, ...]  # that it wants, and names


class _Fight(NamedTuple):
    """How often what we wrote was changed by somebody else, and when it last was."""

    times: int
    at: float


class Outlet:
    """Writes one target for ever; `cell` has the newest state."""

    def __init__(
        self,
        registry: SourceName,
        sink: Sink,
        export: Export,
        *,
        mark: Mark,
        rate: Rate,
        end: bool,
        catalog: Latest[Catalog],
        readings: Mapping[SourceName, Latest[Reading]],
        leadership: Leadership,
        decisions: Decisions,
        clock: Clock,
        keeper: Keeper,
    ) -> None:
        """`end`: all that the owner has there is withdrawn, and the tombstone is left."""
        self._registry = registry
        self._sink = sink
        self._export = export
        self._end = end
        self._catalog = catalog
        self._readings = readings
        self._leadership = leadership
        self._decisions = decisions
        self._clock = clock
        self._keeper = keeper
        self._place = f"{registry} {export.target}".strip()
        self._claiming = Claiming(mark, end)
        self._judge = Judge(export)
        self._losses = Losses(export.limits.per, export.mode == "upsert-only")
        self._writer = Writer(
            self._place, sink, export.target, rate=rate, clock=clock, left=self._left, told=self._tell
        )
        self._wants: Wants | None = None
        self._told: Told = UNTOLD
        self._judged: Judgement | None = None
        self._retained: Services = _NOBODY
        self._held: Held | None = None
        self._said: Holdings = Table()  # as the registry said them
        self._watched: int | None = None  # the term of the claim under which that was seen
        self._unseen: tuple[SourceName, ...] = tuple(sorted(export.sources))
        self._export_now = replace(export, sources=())  # with the sources that were seen
        self._plans: Table[ServiceName, Plan] = Table()
        self._problems: Table[ServiceName, tuple[Problem, ...]] = Table()
        self._changes: Counter[bool] = Counter()  # by whether it is a put
        self._records = 0
        self._keys = Keys()
        self._fights: dict[ServiceName, _Fight] = {}
        self._touched = asyncio.Event()
        self._behind = True  # there is something that no plan rests on yet
        self._wake = Alarm(clock)  # of the judge
        self._beat = Alarm(clock)  # of the claim
        self._unclaimed = ""  # why the claim could not be written when that was tried last
        self._opened = False
        self.cell = Latest(Exported(registry, export.target, export.mode))
        self._notes = Notes(self._place, sink, self.cell, clock) if isinstance(sink, Teller) else None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run all that an outlet consists of in `group`, each restarted when it dies."""
        if not self._opened:
            self._opened = True
            self._catalog.watch(self._touch)
            self._decisions.current.watch(self._touch)
            self._leadership.term.watch(lambda _: self._follow())
            for name in {self._registry, *self._export.sources} & self._readings.keys():
                self._readings[name].watch(self._touch)
        self._keeper.start(group, f"{self._place}: plans", self._planning)
        self._keeper.start(group, f"{self._place}: dates", self._waking)
        self._keeper.start(group, f"{self._place}: claim", self._claim)
        self._keeper.start(group, f"{self._place}: timers", self._writer.timers)
        self._keeper.start(group, f"{self._place}: writes", self._writer.run)
        if self._notes is not None:
            self._keeper.start(group, f"{self._place}: notes", self._notes.run)

    # Whether it may be written.

    def _state(self) -> tuple[State, str]:
        """What stands in the way, nothing where it is WRITES."""
        reading = self._readings[self._registry].value
        observation = reading.observation
        if observation is None or self._export.target not in observation.held or self._is_unknown():
            told = [one.what for one in reading.problems if one.where == self._export.target]
            told += [one.what for one in reading.problems if one.kind == "target"]
            return State.WAITING, reading.why or next(iter(told), "it was not read whole yet")
        if reading.lost is not None:
            return State.LOST, reading.why
        if reading.verdict is not None and reading.verdict.frozen:
            return State.FROZEN, "an operator froze it"
        if self._export.mode == "dry-run":
            return State.DRY_RUN, ""
        opinion = self._claiming.opinion(self._clock.now())
        why = opinion.why
        if opinion.standing is Standing.CLAIMS and self._unclaimed:
            why = self._unclaimed
        elif opinion.standing is Standing.FOLLOWS and self._leadership.why:
            why = f"nobody here knows who leads: {self._leadership.why}"
        elif opinion.standing is Standing.ANOTHER and (writing := beside(self._readings, self._registry)):
            why = f"{writing} of this configuration is the same registry, and is written too; take one of them out"
        return _STANDINGS[opinion.standing], why

    def _is_unknown(self) -> bool:
        """Whether the catalog is of before the registry was read: what it has itself would be written into it."""
        return self._registry in self._catalog.value.waiting

    def _may(self) -> bool:
        return self._held is not None and self._state()[0] is State.WRITES

    def _left(self) -> float:
        """Seconds for which it may be written from now on, 0 where it may not."""
        return self._claiming.patience(self._clock.now()) if self._may() else 0.0

    # Planning.

    def _touch(self, _: object) -> None:
        self._behind = True
        self._touched.set()

    async def _planning(self) -> None:
        """Plan anew what changed, whenever something did; after an error everything."""
        self._touched.set()
        while True:
            await self._touched.wait()
            self._touched.clear()
            try:
                await self._round()
            except BaseException:
                self._forget()
                raise
            self._behind = self._touched.is_set()
            self._follow()
            await self._clock.sleep(0)

    async def _waking(self) -> None:
        while True:
            await self._wake.ring()
            self._touch(None)

    async def _round(self) -> None:
        now = self._clock.now()
        reading = self._readings[self._registry].value
        observation, catalog = reading.observation, self._catalog.value
        held = observation.held.get(self._export.target) if observation is not None else None
        self._want(catalog)
        assert self._wants is not None
        if observation is None or held is None or self._is_unknown():
            return
        old = self._held.holdings if self._held is not None else None
        holdings = held.holdings if old is None else self._shared(old, held.holdings)
        self._said = held.holdings
        if reading.lost is None:
            self._claiming.see(held.claims, observation.read, now)
        term = self._claiming.term if self._may() else None
        unsettled = self._plans if term is not None and term == self._watched else None
        sources = Sources(self._unseen, self._in_sync())
        self._told = tell(self._wants[1], holdings, self._told, unsettled or ())
        self._judged = self._judge.step(self._told.services, holdings, sources, self._words(), now, unsettled=unsettled)
        retained = _NOBODY if self._end else self._judged.retained
        names = {*changed(self._retained, retained), *changed(old or Table(), holdings)}
        if old is None:
            names |= self._writer.services()
        names |= {*self._keys.freed, *self._losses.kept()}
        self._keys.freed.clear()
        planned: dict[ServiceName, _Planned] = {}
        for number, name in enumerate(sorted(names)):
            planned[name] = self._plan(name, retained, holdings.get(name, _NO_HOLDING))
            if number % HEAP == HEAP - 1:
                await self._clock.sleep(0)
        self._apart(planned, holdings)
        if old is not None and self._may():
            self._drifted(planned, old, holdings, retained)
        self._held, self._retained, self._watched = Held(holdings, held.claims, held.facts), retained, term
        for name, one in planned.items():
            was = old.get(name, _NO_HOLDING) if old is not None else _NO_HOLDING
            self._records += len(holdings.get(name, _NO_HOLDING).records) - len(was.records)
            self._changes.subtract(map(_puts, self._plans.get(name, NOTHING).changes))
            self._changes.update(map(_puts, one.plan.changes))
            self._writer.want(name, one.plan.changes)
        self._plans = self._plans.with_(
            {name: None if one.plan is NOTHING else one.plan for name, one in planned.items()}
        )
        self._problems = self._problems.with_({name: one.problems or None for name, one in planned.items()})
        self._writer.see(holdings, observation.read)
        moments = (self._judged.wake_at, self._losses.wake_at())
        self._wake.set(min((at for at in moments if at is not None), default=None))
        if self._keys.freed:
            self._touch(None)

    def _want(self, catalog: Catalog) -> None:
        """What the target should say as far as its sources were seen: nothing is written on behalf of the others.

        What a snapshot knows of those stays as it stands there.
        """
        before = self._wants
        self._unseen = tuple(
            name for name in sorted(self._export.sources) if self._silent(name) or name in catalog.waiting
        )
        us = same(self._readings, self._registry)
        sources = tuple(name for name in self._export.sources if not (name in us or self._silent(name)))
        if sources == self._export_now.sources and before is not None:
            self._wants = catalog.services, wants(catalog.services, self._export_now, self._registry, before)
            return
        self._export_now = replace(self._export, sources=sources)
        fresh = wants(catalog.services, self._export_now, self._registry, None)
        self._wants = catalog.services, share(before[1], fresh) if before is not None else fresh

    def _silent(self, name: SourceName) -> bool:
        """Whether nothing of a source was read yet; a snapshot is not enough."""
        cell = self._readings.get(name)
        return cell is None or cell.value.verdict is None

    def _in_sync(self) -> bool:
        readings = (self._readings[name].value for name in self._export.sources if name in self._readings)
        return all(one.state == "synced" and one.verdict is not None and not one.verdict.frozen for one in readings)

    def _shared(self, before: Holdings, said: Holdings) -> Holdings:
        """`said`, in which what equals what stood there is the same object; as an intake does with services."""
        changes = {name: said.get(name) for name in changed(self._said, said)}
        return before.with_({name: new for name, new in changes.items() if new is None or new != before.get(name)})

    def _words(self) -> Words:
        orders = self._decisions.current.value.get(self._registry)
        return orders.removals.get(self._export.target, _NO_WORDS) if orders is not None else _NO_WORDS

    def _plan(self, name: ServiceName, retained: Services, holding: Holding) -> _Planned:
        service = retained.get(name)
        if service is None:
            return _Planned(plan((), holding), (), ())
        try:
            fitted, problems = self._fit(service, holding)
            made = plan(fitted, holding)
            lost = unsaid(self._fit, service, holding) if problems and made.changes and holding.endpoints else NONE
        except Exception as error:
            _log.exception("service does not fit", to=self._place, service=str(name))
            return self._stays(name, f"its adapter failed over it with {error!r}; what is there stays", ())
        budget = self._judged.budget if self._judged is not None and not self._unseen else 0
        if not self._losses.may(name, lost, budget, self._clock.now()):
            what = f"{len(lost)} endpoints that stand there cannot be said any more, and may not all go at once"
            return self._stays(name, f"{what}; what is there stays, for 30 minutes or until they can", problems)
        return _Planned(made, tuple(problems), taken(fitted))

    def _fit(self, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        return self._sink.fit(self._export.target, service, holding)

    def _stays(self, name: ServiceName, what: str, problems: Sequence[Problem]) -> _Planned:
        return _Planned(NOTHING, (Problem("fit", f"{self._place}: {name}", what, name), *problems), ())

    def _apart(self, planned: dict[ServiceName, _Planned], holdings: Holdings) -> None:
        """Leave a key, or a name, that several services come to with one of them."""
        standing = {name: taken(holdings.get(name, _NO_HOLDING).records) for name in sorted(planned)}
        self._keys.stand(standing)
        for name in sorted(standing):
            one = planned[name]
            if lost := self._keys.take(name, one.keys):
                changes = tuple(change for change in one.plan.changes if lost.keys().isdisjoint(taken([change.record])))
                keys = {change.record.key for change in one.plan.changes}
                withheld = tuple(
                    Withheld(name, key, "taken", (_THEIR_RECORD if key in keys else _THEIR_NAME).format(who))
                    for key, who in lost.items()
                )
                one = planned[name] = one._replace(plan=Plan(changes, one.plan.withheld + withheld))
            if one.plan.withheld:  # a put that is not made stands for what a removal would lose
                planned[name] = one._replace(plan=Plan(tuple(filter(_puts, one.plan.changes)), one.plan.withheld))

    def _drifted(
        self, planned: Mapping[ServiceName, _Planned], before: Holdings, after: Holdings, retained: Services
    ) -> None:
        """Say what somebody else changed that was as we wanted it; who does it again and again is put off."""
        now, found = self._clock.now(), dict[str, list[ServiceName]]()
        for name in sorted(planned):
            old, new = before.get(name, _NO_HOLDING), after.get(name, _NO_HOLDING)
            same = retained.get(name) is self._retained.get(name)
            settled = same and not self._plans.get(name, NOTHING).changes
            changes = planned[name].plan.changes
            if settled and changes and old.records != new.records:
                found.setdefault(_what(changes), []).append(name)
                fight = self._fights.get(name)
                times = fight.times + 1 if fight is not None and now < fight.at + QUIET else 1
                self._fights[name] = _Fight(times, now)
                if times > 1:
                    pause = min(300.0, 5.0 * 2 ** (times - 2))
                    self._writer.put_off(name, pause, f"somebody else changed it {times} times; it is put right later")
        if self._fights and not found:
            self._fights = {name: fight for name, fight in self._fights.items() if now < fight.at + QUIET}
        for what, names in sorted(found.items()):
            why = f"a record of ours was {what}"
            _log.warning("put right", to=self._place, why=why, services=len(names), first=str(names[0]))

    def _forget(self) -> None:
        """After an error nothing that was computed counts: the next round begins anew."""
        self._judge, self._judged, self._held = Judge(self._export), None, None
        self._wants, self._told = None, UNTOLD
        self._retained, self._keys, self._watched = _NOBODY, Keys(), None
        self._plans, self._problems, self._records = Table(), Table(), 0
        self._changes.clear()
        self._behind = True

    # The claim.

    async def _claim(self) -> None:
        """Claim the target while we lead, and keep the claim alive."""
        async for attempt in again(self._clock):
            with attempt:
                try:
                    await unless_cancelled(self._beating())
                except BridgeError as error:
                    _log.warning("not claimed", to=self._place, why=str(error))
                    self._unclaimed = str(error)
                    self._tell()
                    raise
                except Exception:
                    _log.exception("not claimed", to=self._place)
                    raise

    async def _beating(self) -> None:
        while True:
            now = self._clock.now()
            self._claiming.lead(self._leadership.term.value)
            if self._claiming.unseen(now):
                self._claiming.looked(now)
                self._sink.refresh()
            claim = self._claiming.due(now, self._clock.wall())
            if claim is not None and self._state()[0] in (State.CLAIMS, State.WRITES):
                patience = min(BEAT, self._claiming.patience(now))
                try:
                    await within(self._clock, patience, self._sink.claim(self._export.target, claim))
                except TimeoutError:
                    raise Unavailable(f"{self._place}: the claim has not been answered for {patience:.3g} s") from None
                except Conflict as error:
                    _log.warning("claim not written", to=self._place, why=str(error))
                    self._claiming.refused(claim, now)
                    self._sink.refresh()
                else:
                    self._claiming.sent(claim, now)
                    self._unclaimed = ""
                    if self._watched != claim.term:
                        self._touch(None)  # what was seen with the claim before this answer came was seen as ours
            self._tell()
            self._beat.set(self._claiming.wake_at(self._clock.now()))
            await self._beat.ring()

    # What is told.

    def _follow(self) -> None:
        """Something changed that the claim, the writer or the state may depend on."""
        self._claiming.lead(self._leadership.term.value)
        self._beat.set(self._clock.now())
        self._writer.stir()
        self._tell()

    def _tell(self) -> None:
        before = self.cell.value
        state, why = self._state()
        leading = self._leadership.leads()
        if state is State.WRITES and self._writer.why:
            state, why = State.FAILING, self._writer.why
        elif state is State.WRITES and not self._behind and self._writer.settles():
            state = State.IN_STEP
        judged, writer = self._judged, self._writer
        now = Exported(
            self._registry,
            self._export.target,
            self._export.mode,
            state,
            why,
            leading,
            self._held is not None and not self._behind and not self._unseen,
            self._unseen,
            self._told.services if self._held is not None or self._wants is None else self._wants[1],
            _NOBODY if judged is None or self._end else judged.retained,
            self._plans,
            self._changes[True],
            self._changes[False],
            Table() if judged is None or self._end else judged.withheld,
            {} if judged is None or self._end else judged.counts,
            judged.budget if judged is not None else 0,
            self._records,
            self._problems,
            writer.parked(),
            writer.waits(),
            writer.written,
            dict(writer.counts),
            writer.seconds,
            tuple(name for name in same(self._readings, self._registry) if name in self._export.sources),
        )
        if (before.state, before.why) != (state, why):
            self._log_state(before, now)
            self._writer.stir()
        self.cell.set(now)

    def _log_state(self, before: Exported, now: Exported) -> None:
        if now.state in _LOUD:
            _log.error("export stopped", to=self._place, state=now.state.value, why=now.why)
        elif before.state in _LOUD and now.state in _STEADY:
            _log.info("export goes on", to=self._place)
        elif before.state not in _STEADY and now.state in _STEADY:
            _log.info("export writes", to=self._place, mode=self._export.mode, puts=now.puts, removals=now.removals)
        elif before.state in _STEADY and now.state not in _STEADY:
            _log.warning("export waits", to=self._place, state=now.state.value, why=now.why)


def _puts(change: Change) -> bool:
    return isinstance(change, Put)


def _what(changes: tuple[Change, ...]) -> str:
    """What somebody did to our records, by what has to be done about it first."""
    first = changes[0]
    if not isinstance(first, Put):
        return "made by somebody else"
    return "deleted" if first.replaces is None else "edited"
