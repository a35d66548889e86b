"""Which removals a sink may see now.

What is no longer wanted and still there goes at once, up to a limit in a while; what is beyond that is withheld, and
so is, from the first one on, what this process never wanted: an *orphan* of an earlier one. What is withheld goes when
an operator accepts it, or when every source of the export has been in sync for 30 minutes without its being wanted.
Nothing goes before every source has been read whole, and nothing ever from a sink that is upsert-only.

No orphan is what somebody adds under our eyes to a record that was as it should be: we wrote there, so no process of
ours did it. It goes as what we wanted does.

Judged in endpoints, before they are fitted into records: a record that is put again with one endpoint instead of a
hundred is a removal too.
"""

from collections import deque
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from heapq import heapify, heappop, heappush
from math import inf
from typing import NamedTuple

from bridge.adapter import Holding, Holdings, RecordKey
from bridge.exports import Export
from bridge.model import Endpoint, EndpointId, Service, ServiceName, Services, SourceName
from bridge.plan import Reason, Withheld
from bridge.table import Table, changed

AGREEMENT = 1800.0
"""Seconds in sync after which what nobody wants is believed to be unwanted; and for which it is remembered as ours."""

TICK = 1e-6  # seconds: what is due so soon is due; more than the rounding of a sum of times
_REMEMBERED = 10_000  # endpoints that are neither wanted nor there any more

Key = tuple[ServiceName, EndpointId]
"""One endpoint of one service."""

Words = Mapping[Key, float]
"""The removals that operators accepted, each with the time at which they said so (any clock that grows)."""


class Sources(NamedTuple):
    """How it stands with the sources of an export.

    `unseen`, sorted, are those of which this process had no whole view yet, whether or not a snapshot stands in.
    `in_sync` says that every one is read at present: none is lost, denied or frozen.
    """

    unseen: tuple[SourceName, ...]
    in_sync: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a sink is to say now: what is wanted there, and what may not go yet.

    A service that is not in `retained` goes whole, as far as it is there. `withheld` says why what is not wanted
    stays, sorted by endpoint; `counts` how many for each reason; `budget` how many more may go at once now. Step
    again at `wake_at`, monotonic seconds, and whenever anything that `step` is given changes.
    """

    retained: Services
    withheld: Table[ServiceName, tuple[Withheld, ...]]
    counts: Mapping[Reason, int]
    budget: int
    wake_at: float | None


class _State(Enum):
    WITHHELD = "it stays"
    SPENDING = "it may go, and counts against the limit until it went"
    FREE = "it may go, on evidence or an operator's word"
    ENDED = "it went, or is wanted again"


class _Row:
    """An endpoint that is there and not wanted."""

    __slots__ = ("at", "endpoint", "key", "known", "since", "state")

    def __init__(self, key: Key, endpoint: Endpoint, known: bool, since: float, at: float) -> None:
        self.key = key
        self.endpoint = endpoint  # as it was last wanted; an orphan as it stands there
        self.known = known  # this process wanted it, or saw how it was added to what it had written
        self.since = since  # monotonic, as an operator sees it
        self.at = at  # in the judge's seconds, which stand while a source is not in sync
        self.state = _State.WITHHELD


class _Left(NamedTuple):
    """An endpoint that is not there any more; should it come back, it is what it was."""

    endpoint: Endpoint
    since: float  # monotonic
    known: bool


_Queue = list[tuple[float, Key, int, _Row]]  # by age, then by name


class Judge:
    """Judges what goes from one target.

    A step costs what changed and what is due. Every replica may judge, leader or not: what somebody removes is seen,
    and counts. Equal steps at equal times give equal judgements.
    """

    def __init__(self, export: Export) -> None:
        limits = export.limits
        self._limits = limits
        self._never = export.mode == "upsert-only"
        self._wants: Services = Table()
        self._holdings: Holdings = Table()
        self._own = 0  # endpoints there
        self._unseen: tuple[SourceName, ...] = ()
        self._words: dict[Key, float] = {}
        self._used: dict[Key, float] = {}
        # What is there and not wanted, and what was wanted, or withheld, and is not there
        self._rows: dict[ServiceName, dict[EndpointId, _Row]] = {}
        self._empty: set[ServiceName] = set()  # not wanted, records without endpoints there
        self._left: dict[Key, _Left] = {}  # oldest first
        self._ages: _Queue = []
        self._waiting: _Queue = []  # for room under the limit
        self._number = 0
        self._in: dict[tuple[bool, _State], int] = {(k, s): 0 for k in (False, True) for s in _State}
        self._spent: deque[tuple[float, int]] = deque()  # when, and how many
        self._gone = 0  # their sum
        # Time
        self._now = -inf
        self._paused: float | None = None
        self._offset = 0.0
        # What is told
        self._dirty: set[ServiceName] = set()
        self._retained: Services = Table()
        self._withheld: Table[ServiceName, tuple[Withheld, ...]] = Table()
        later = "it goes when all sources agree for 30 minutes, or with `registry-bridge plan --accept`"
        self._texts: dict[Reason, str] = {
            "limit": f"more than {limits.floor} endpoints, and {100 * limits.at_once:.3g} % of ours, would go"
            f" within {limits.per:.6g} s; {later}",
            "orphan": f"it is ours, and was never wanted since the start of this process; {later}",
            "upsert-only": "the export is upsert-only and removes nothing; `registry-bridge withdraw` does",
        }

    def step(
        self,
        wants: Services,
        holdings: Holdings,
        sources: Sources,
        words: Words,
        now: float,
        *,
        unsettled: Container[ServiceName] | None = None,
    ) -> Judgement:
        """What may be said at `now`, seconds, monotonic.

        `holdings` is what the target was last seen to have; do not step for a target that could not be read.
        `unsettled` are the services whose records were not as they should be when they were seen before; None unless
        this process alone has written there since then.
        """
        self._now = max(now, self._now)
        self._pause(sources.in_sync and not sources.unseen)
        added = self._added(holdings, unsettled) if sources.in_sync and not sources.unseen else frozenset[Key]()
        touched = self._listen(words) | self._want(wants) | self._see(holdings)
        if sources.unseen != self._unseen:
            self._unseen = sources.unseen
            touched |= self._rows.keys() | self._empty
            self._texts["waiting"] = (
                f"{', '.join(self._unseen)}: not yet read whole since the start; nothing is removed before"
            )
        for name in touched:
            self._review(name, added)
        self._dirty |= touched
        self._release()
        self._forget()
        self._tell()
        return Judgement(self._retained, self._withheld, self._counts(), max(self._room(), 0), self._wake_at())

    # --- time ---

    @property
    def _t(self) -> float:
        return (self._now if self._paused is None else self._paused) - self._offset

    def _pause(self, in_sync: bool) -> None:
        if not in_sync and self._paused is None:
            self._paused = self._now
        elif in_sync and self._paused is not None:
            self._offset += self._now - self._paused
            self._paused = None

    # --- what is said and seen ---

    def _listen(self, words: Words) -> set[ServiceName]:
        """Take the words that are in force; a word serves one absence, and none of what is wanted now."""
        if words == self._words:
            return set()
        self._words = dict(words)
        self._used = {key: stamp for key, stamp in self._used.items() if key in words}
        self._use_up(name_and_id for name_and_id in words if _has(self._wants.get(name_and_id[0]), name_and_id[1]))
        return {name for name, _ in words}

    def _use_up(self, keys: Iterator[Key]) -> None:
        for key in keys:
            if key in self._words:
                self._used[key] = self._words[key]

    def _want(self, wants: Services) -> set[ServiceName]:
        names = changed(self._wants, wants)
        for name in sorted(names):
            before, after = _by_id(self._wants.get(name)), _by_id(wants.get(name))
            for endpoint_id, endpoint in before.items():
                if endpoint_id not in after:
                    self._left[name, endpoint_id] = _Left(endpoint, self._now, known=True)
            for endpoint_id in after:
                self._left.pop((name, endpoint_id), None)
            if self._words:
                self._use_up((name, endpoint_id) for endpoint_id in after)
        self._wants = wants
        return set(names)

    def _see(self, holdings: Holdings) -> set[ServiceName]:
        names = changed(self._holdings, holdings)
        for name in names:
            before, after = self._holdings.get(name, _NONE), holdings.get(name, _NONE)
            self._own += len(after.endpoints) - len(before.endpoints)
        self._holdings = holdings
        return set(names)

    def _added(self, holdings: Holdings, unsettled: Container[ServiceName] | None) -> Collection[Key]:
        """What came to stand in records of ours that were as they should be."""
        found: set[Key] = set()
        if unsettled is None:
            return found
        for name in changed(self._holdings, holdings):
            before, after = self._holdings.get(name, _NONE), holdings.get(name, _NONE)
            if name not in unsettled and before.records and _keys(before) == _keys(after):
                stood = {endpoint.id for endpoint in before.endpoints}
                found.update((name, endpoint.id) for endpoint in after.endpoints if endpoint.id not in stood)
        return found

    def _review(self, name: ServiceName, added: Collection[Key]) -> None:
        """Find what of one service is there and not wanted."""
        want, holding = self._wants.get(name), self._holdings.get(name, _NONE)
        missing = {endpoint.id: endpoint for endpoint in _missing(want, holding)}
        rows = self._rows.setdefault(name, {})
        ended = [row for endpoint_id, row in rows.items() if endpoint_id not in missing]
        there = {endpoint.id for endpoint in holding.endpoints} if ended else set()
        for row in ended:
            gone = row.key[1] not in there
            remembered = row.known or row.state is _State.WITHHELD
            self._end(row, gone)
            if gone and remembered:  # it may come back, by hand or in an old reading
                self._left[row.key] = _Left(row.endpoint, self._now, row.known)
            del rows[row.key[1]]
        for endpoint_id, endpoint in missing.items():
            key = name, endpoint_id
            row = rows.get(endpoint_id) or self._begin(key, endpoint, key in added)
            rows[endpoint_id] = row
            if not row.known:
                row.endpoint = endpoint
            stamp = self._words.get(row.key)
            if stamp is not None and stamp > self._used.get(row.key, -inf) and not self._unseen:
                self._enter(row, _State.FREE)
        if not rows:
            del self._rows[name]
        if want is None and holding.records and not holding.endpoints:
            self._empty.add(name)
        else:
            self._empty.discard(name)

    def _begin(self, key: Key, endpoint: Endpoint, added: bool) -> _Row:
        left = self._left.pop(key, None) or _Left(endpoint, self._now, added)
        row = _Row(key, left.endpoint, left.known, self._now, self._t)
        self._in[row.known, row.state] += 1
        self._number += 1
        heappush(self._ages, (row.at, key, self._number, row))
        if row.known:
            heappush(self._waiting, (row.at, key, self._number, row))
        return row

    def _end(self, row: _Row, gone: bool) -> None:
        """Forget a row. What was let go counts from now, even where it is wanted again: it may be gone already.

        What went without our leave was removed by another replica, or by hand; it counts likewise.
        """
        if row.state is _State.SPENDING or (gone and row.state is _State.WITHHELD):
            self._gone += 1
            if self._spent and self._spent[-1][0] == self._now:
                self._spent[-1] = self._now, self._spent[-1][1] + 1
            else:
                self._spent.append((self._now, 1))
        self._enter(row, _State.ENDED)

    def _enter(self, row: _Row, state: _State) -> None:
        self._in[row.known, row.state] -= 1
        self._in[row.known, state] += state is not _State.ENDED
        row.state = state
        self._dirty.add(row.key[0])

    # --- judgement ---

    def _release(self) -> None:
        """Let go what may go."""
        while self._spent and self._spent[0][0] + self._limits.per <= self._now - TICK:
            self._gone -= self._spent.popleft()[1]
        if self._unseen or self._never:
            return
        while self._ages and self._ages[0][0] + AGREEMENT <= self._t + TICK:
            row = heappop(self._ages)[-1]
            if row.state is not _State.ENDED:
                self._enter(row, _State.FREE)
        room = self._room()
        while room > 0 and _drop(self._waiting, _NOT_WAITING):
            self._enter(heappop(self._waiting)[-1], _State.SPENDING)
            room -= 1

    def _room(self) -> int:
        limit = max(self._limits.floor, int(self._limits.at_once * (self._own + self._gone) + TICK))
        return limit - self._gone - self._in[True, _State.SPENDING]

    def _forget(self) -> None:
        """Keep no more than there is."""
        while self._left:
            key, left = next(iter(self._left.items()))
            if left.since + AGREEMENT > self._now and len(self._left) <= max(_REMEMBERED, self._own):
                break
            del self._left[key]
        living = sum(self._in.values())
        for queue in (self._ages, self._waiting):
            if len(queue) > 64 + 2 * living:
                queue[:] = [entry for entry in queue if entry[-1].state is not _State.ENDED]
                heapify(queue)

    # --- what is told ---

    def _tell(self) -> None:
        retained: dict[ServiceName, Service | None] = {}
        withheld: dict[ServiceName, tuple[Withheld, ...] | None] = {}
        for name in self._dirty:
            service, rows = self._said(name)
            if service != self._retained.get(name):
                retained[name] = service
            if rows != self._withheld.get(name, ()):
                withheld[name] = rows or None
        self._retained = self._retained.with_(retained)
        self._withheld = self._withheld.with_(withheld)
        self._dirty.clear()

    def _said(self, name: ServiceName) -> tuple[Service | None, tuple[Withheld, ...]]:
        want = self._wants.get(name)
        stays = bool(self._unseen) or self._never
        rows = [row for row in self._rows.get(name, {}).values() if stays or row.state is _State.WITHHELD]
        if rows:
            rows.sort(key=lambda row: row.key)
            told = tuple(self._row(name, row.key[1], row) for row in rows)
            kept = [row.endpoint for row in rows]
            return Service.of(name, [*(want.endpoints if want else ()), *kept], want.metadata if want else ()), told
        if stays and name in self._empty:
            reason = self._reason(None)
            records = self._holdings[name].records
            return Service(name), tuple(Withheld(name, one.key, reason, self._texts[reason]) for one in records)
        return want, ()

    def _row(self, name: ServiceName, endpoint_id: EndpointId, row: _Row) -> Withheld:
        reason = self._reason(row)
        return Withheld(name, endpoint_id, reason, self._texts[reason], row.since)

    def _reason(self, row: _Row | None) -> Reason:
        if self._never:
            return "upsert-only"
        if self._unseen or row is None:
            return "waiting"
        return "limit" if row.known else "orphan"

    def _counts(self) -> Mapping[Reason, int]:
        if self._unseen or self._never:
            counts: dict[Reason, int] = {self._reason(None): sum(self._in.values()) + len(self._empty)}
        else:
            counts = {"limit": self._in[True, _State.WITHHELD], "orphan": self._in[False, _State.WITHHELD]}
        return {reason: count for reason, count in counts.items() if count}

    def _wake_at(self) -> float | None:
        if self._unseen or self._never:
            return None
        dates: list[float] = []
        if self._spent and _drop(self._waiting, _NOT_WAITING):
            dates.append(self._spent[0][0] + self._limits.per + 2 * TICK)
        if self._paused is None and _drop(self._ages, _SETTLED):
            dates.append(self._ages[0][0] + AGREEMENT + self._offset)
        return min(dates, default=None)


_NONE = Holding()
_SETTLED = (_State.FREE, _State.ENDED)
_NOT_WAITING = (_State.SPENDING, *_SETTLED)


def _drop(queue: _Queue, states: Collection[_State]) -> bool:
    """Drop rows in these states from the head of a queue; whether one is left."""
    while queue and queue[0][-1].state in states:
        heappop(queue)
    return bool(queue)


def _by_id(service: Service | None) -> dict[EndpointId, Endpoint]:
    return {} if service is None else {endpoint.id: endpoint for endpoint in service.endpoints}


def _has(service: Service | None, endpoint_id: EndpointId) -> bool:
    return service is not None and any(endpoint.id == endpoint_id for endpoint in service.endpoints)


def _keys(holding: Holding) -> list[RecordKey]:
    return [record.key for record in holding.records]


def _missing(want: Service | None, holding: Holding) -> Collection[Endpoint]:
    """What is there and not wanted, under no port that it shares with what is."""
    if want is None or not holding.endpoints:
        return holding.endpoints
    wanted = {(endpoint.address, port.number) for endpoint in want.endpoints for port in endpoint.ports}
    return [e for e in holding.endpoints if not any((e.address, port.number) in wanted for port in e.ports)]
