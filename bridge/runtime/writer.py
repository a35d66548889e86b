"""Makes the changes of one target: services side by side, one service's in order, each when it may.

Only an observation says that a change is made. A service that was written is left alone until it is seen so, or until
a reading that began later shows that it is not.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
from tenacity import RetryCallState

from bridge.adapter import Change, Holding, Holdings, Put, RecordKey, Remove, Sink, Target
from bridge.errors import Conflict, Denied, Rejected, Unavailable
from bridge.kit import Clock
from bridge.kit.backoff import pause
from bridge.model import ServiceName
from bridge.runtime.backoff import again
from bridge.runtime.clock import Alarm, within
from bridge.runtime.keep import unless_cancelled
from bridge.runtime.rate import Bucket, Rate

CONFIRM = 5.0
"""Seconds after which what was written and is not seen has the registry read again, and again."""

STOP = 5.0
"""Seconds that the writes under way have to end when the bridge stops."""

SILENCE = 60.0
"""Seconds after which a write that has no answer is taken as lost; adapters have shorter ones of their own."""

DENIED = 3
"""Refusals for want of rights in a row after which it is not this record but the target."""

_log = structlog.get_logger("bridge.writes")


class BugError(Exception):
    """The core failed, not the sink: the writer is to be restarted, and counted as dying."""


class Parked(NamedTuple):
    """A change whose content was rejected: it is not tried again until it is another."""

    service: ServiceName
    change: Change
    why: str
    since: float  # monotonic


class Waits(NamedTuple):
    """A service that is left alone for a while after an error."""

    service: ServiceName
    kind: str  # conflict | denied | failed | drift
    why: str


@dataclass(slots=True)
class _Work:
    """What there is to do for one service."""

    changes: tuple[Change, ...] = ()  # of the newest plan
    flies: bool = False
    expects: dict[RecordKey, bytes | None] = field(default_factory=dict)  # written, and not seen so yet
    looks: bool = False  # something else stood there: nothing is done until it is seen
    holding: Holding | None = None  # the one that was there when the last writes began
    read: int = 0  # and the reading that was there when they ended
    asked: float = 0.0  # when a reading was asked for, monotonic
    tries: int = 0  # errors in a row
    since: float = float("-inf")  # nothing is done before, monotonic
    kind: str = ""  # of the last error
    why: str = ""

    @property
    def waits(self) -> bool:
        """Whether an observation has to come first."""
        return self.looks or bool(self.expects)


class Writer:
    """One target's; `told` is called after each attempt.

    `left` says for how many seconds from now anything may be written, 0 where nothing may: no write outlives them.
    """

    def __init__(
        self,
        place: str,
        sink: Sink,
        target: Target,
        *,
        rate: Rate,
        clock: Clock,
        left: Callable[[], float],
        told: Callable[[], None],
    ) -> None:
        self._place = place
        self._target = target
        self._sink = sink
        self._clock = clock
        self._left = left
        self._told = told
        self._bucket = Bucket(rate, clock)
        self._works: dict[ServiceName, _Work] = {}
        self._queue: dict[ServiceName, None] = {}  # may be due, in the order in which they came to be
        self._waiting: set[ServiceName] = set()  # for an observation, or for a moment
        self._flying: set[asyncio.Task[None]] = set()
        self._parked: dict[RecordKey, Parked] = {}
        self._troubled: set[ServiceName] = set()  # what `waits` tells of
        self._holdings: Holdings | None = None
        self._read = 0
        self._error: Unavailable | Denied | None = None
        self._denied = 0
        self._state: RetryCallState | None = None
        self._stir = asyncio.Event()
        self._alarm = Alarm(clock)
        self._rings: float | None = None  # what the alarm is set to
        self._bug: BaseException | None = None
        self.counts: Counter[str] = Counter()  # put, removed, conflict, rejected, denied, unavailable, failed
        self.seconds = 0.0  # spent in the sink, over all changes
        self.written: float | None = None  # when the last change was made, since the epoch
        self.why = ""  # the target cannot be written

    # What the outlet says.

    def want(self, service: ServiceName, changes: tuple[Change, ...]) -> None:
        """These are the changes of the newest plan of `service`, in the place of those before."""
        work = self._works.get(service)
        if work is None:
            if not changes:
                return
            work = self._works[service] = _Work()
        for before in work.changes:
            parked = self._parked.get(before.record.key)
            if parked is not None and not any(_alike(parked.change, change) for change in changes):
                del self._parked[before.record.key]
        work.changes = changes
        self._sort(service, work)

    def put_off(self, service: ServiceName, seconds: float, why: str) -> None:
        """Leave `service` alone for so long: somebody else changes what we write."""
        work = self._works.setdefault(service, _Work())
        work.since, work.kind, work.why = self._clock.now() + seconds, "drift", why
        self._troubled.add(service)
        self._sort(service, work)

    def see(self, holdings: Holdings, read: int) -> None:
        """What stands there, as of the reading of that number."""
        self._holdings, self._read = holdings, read
        for service in sorted(self._waiting):
            work = self._works[service]
            if not work.flies:
                self._look(service, work)
                self._sort(service, work)

    def services(self) -> set[ServiceName]:
        """Those for which there is something to do."""
        return set(self._works)

    def stir(self) -> None:
        """Something that `left` depends on is another than before."""
        self._stir.set()

    def settles(self) -> bool:
        """Whether nothing is under way or left to be made, but what is parked."""
        return not self._flying and not self._waiting and not self._queue

    def parked(self) -> tuple[Parked, ...]:
        return tuple(self._parked[key] for key in sorted(self._parked))

    def waits(self) -> tuple[Waits, ...]:
        """The services that are left alone for an error, by name."""
        return tuple(Waits(name, self._works[name].kind, self._works[name].why) for name in sorted(self._troubled))

    # What runs.

    async def run(self) -> None:
        """Write until cancelled; the changes under way are then brought to an end."""
        try:
            async for attempt in again(self._clock, but=BugError):
                with attempt:
                    self._state = attempt.retry_state
                    try:
                        await unless_cancelled(self._dispatch())
                    except (Unavailable, Denied):
                        raise
                    except Exception as error:
                        raise BugError(f"{self._place}: {error!r}") from error
        finally:
            await self._land()

    async def timers(self) -> None:
        """Look at what is left alone when its time has come."""
        while True:
            await self._alarm.ring()
            self._rings = None
            now, ask = self._clock.now(), False
            for service in sorted(self._waiting):
                work = self._works[service]
                if work.waits and not work.flies and now >= work.asked + CONFIRM:
                    work.asked, ask = now, True
                self._sort(service, work)

            if ask:
                self._refresh()

    async def _dispatch(self) -> None:
        while True:
            self._stir.clear()
            if self._bug is not None:
                bug, self._bug = self._bug, None
                raise bug
            if self._error is not None:
                while self._flying:
                    await asyncio.wait(self._flying)
                error, self._error = self._error, None
                raise error
            if self._next() is None or len(self._flying) >= self._sink.concurrency:
                await self._stir.wait()
                continue
            await self._bucket.take()
            service = self._next()
            if service is None:
                self._bucket.give_back()
                continue
            del self._queue[service]
            work = self._works[service]
            work.flies = True
            task = asyncio.create_task(self._fly(service, work), name=f"{self._place}: {service}")
            self._flying.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        if not task.cancelled():
            self._bug = task.exception() or self._bug
        self._stir.set()
        self._told()

    async def _land(self) -> None:
        """Let the writes under way come to their end."""
        if not self._flying:
            return
        sleeper = asyncio.ensure_future(self._clock.sleep(STOP))
        try:
            while self._flying and not sleeper.done():
                await asyncio.wait({sleeper, *self._flying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            for task in self._flying:
                task.cancel()

    def _next(self) -> ServiceName | None:
        """The service whose turn it is, None when nothing is to be written now."""
        if self._error is not None or self._left() <= 0:
            return None
        return next(iter(self._queue), None)

    def _due(self, service: ServiceName) -> bool:
        return next(self._open(self._works[service].changes), None) is not None

    def _open(self, changes: Sequence[Change]) -> Iterator[Change]:
        """Those that are to be made: not the parked, and no removal while a put is parked."""
        all_put = True
        for change in changes:
            parked = self._parked.get(change.record.key)
            if parked is not None and _alike(parked.change, change):
                all_put = all_put and isinstance(change, Remove)
            elif all_put or isinstance(change, Put):
                yield change

    async def _fly(self, service: ServiceName, work: _Work) -> None:
        """Make the changes of one service in order, for as long as they are what is wanted."""
        work.holding = self._holdings.get(service) if self._holdings is not None else None
        try:
            left = list(self._open(work.changes))
            while left and (seconds := self._left()) > 0:
                plan = work.changes
                await self._make(service, work, left.pop(0), min(SILENCE, seconds))
                if work.looks or self._error is not None or work.since > self._clock.now():
                    return
                now = list(self._open(work.changes))
                if work.changes is not plan and now != left:
                    return  # another plan: it is taken up when what was written is seen
                left = [one for one in left if one in now]
                if left:
                    await self._bucket.take()
        finally:
            work.flies = False
            work.read, work.asked = self._read, self._clock.now()
            self._look(service, work)
            self._sort(service, work)
            if work.looks:
                self._refresh()

    async def _make(self, service: ServiceName, work: _Work, change: Change, patience: float) -> None:
        began = self._clock.now()
        put = isinstance(change, Put)
        try:
            try:
                await within(self._clock, patience, self._sink.apply(self._target, change))
            except TimeoutError:
                raise Unavailable(f"{self._place}: has not answered for {patience:.3g} s") from None
        except Conflict as error:
            self._fails(service, work, "conflict", error)
            work.looks = True
        except Rejected as error:
            self.counts["rejected"] += 1
            self._parked[change.record.key] = Parked(service, change, str(error), began)
            _log.warning("parked", to=self._place, service=str(service), key=change.record.key, why=str(error))
        except Denied as error:
            self._fails(service, work, "denied", error)
            self._denied += error.whole
            if error.whole and self._denied >= DENIED:
                self._stop(error)
        except Unavailable as error:
            self._fails(service, work, "unavailable", error)
            self._stop(error)
        except Exception as error:
            _log.exception("sink failed", to=self._place, service=str(service), key=change.record.key)
            self._fails(service, work, "failed", error)
            work.looks = True
        else:
            self.counts["put" if put else "removed"] += 1
            self.written = self._clock.wall()
            work.expects[change.record.key] = change.record.content if put else None
            work.kind = work.why = ""
            self._troubled.discard(service)
            self._denied = 0
            if self.why:
                self.why = ""
                _log.info("target written again", to=self._place)
            if self._state is not None:
                self._state.attempt_number = 1
        finally:
            self.seconds += self._clock.now() - began

    def _fails(self, service: ServiceName, work: _Work, kind: str, error: Exception) -> None:
        self.counts[kind] += 1
        work.tries += 1
        work.kind, work.why = kind, str(error) or repr(error)
        self._troubled.add(service)
        if kind != "unavailable":  # which has the whole target wait
            first = kind == "conflict" and work.tries == 1
            work.since = self._clock.now() + (0.0 if first else pause(work.tries, kind == "denied"))
            _log.warning("not written", to=self._place, service=str(service), what=kind, why=work.why)

    def _stop(self, error: Unavailable | Denied) -> None:
        """Write nothing at all for a while."""
        self._error = error
        if str(error) != self.why:
            _log.warning("target not written", to=self._place, why=str(error))
        self.why = str(error)

    def _look(self, service: ServiceName, work: _Work) -> None:
        """Whether what stands there now is what was written, or shows that it is not."""
        if self._holdings is None:
            return
        holding = self._holdings.get(service)
        content = {record.key: record.content for record in holding.records} if holding is not None else {}
        later = self._read >= work.read + 2  # the first of them may have begun before the write
        if all(content.get(key) == expected for key, expected in work.expects.items()):
            if work.expects and not work.looks:
                work.tries = 0
            work.expects.clear()
            work.looks = work.looks and holding is work.holding and not later
        elif later:
            work.expects.clear()
            work.looks = False

    def _refresh(self) -> None:
        try:
            self._sink.refresh()
        except Exception:
            _log.exception("refresh failed", to=self._place)  # it is asked again

    def _sort(self, service: ServiceName, work: _Work) -> None:
        """Put the service where it belongs: to those that may be due, to those that wait, or nowhere."""
        if work.flies:
            return
        later = work.since > self._clock.now()
        if work.waits or (work.changes and later):
            self._queue.pop(service, None)
            self._waiting.add(service)
            moments = [work.asked + CONFIRM] if work.waits else []
            self._wake(min([*moments, *([work.since] if later else [])]))
            return
        self._waiting.discard(service)
        if self._due(service):
            self._queue.setdefault(service)
            self._stir.set()
            return
        self._queue.pop(service, None)
        if not work.changes and not later:
            del self._works[service]
            self._troubled.discard(service)

    def _wake(self, when: float) -> None:
        """Ring at `when`, if nothing rings earlier."""
        if self._rings is None or when < self._rings:
            self._rings = when
            self._alarm.set(when)


def _alike(one: Change, other: Change) -> bool:
    """Whether a registry that rejected the one would reject the other."""
    return _face(one) == _face(other)


def _face(change: Change) -> Hashable:
    return change.record.key, change.record.content if isinstance(change, Put) else None
