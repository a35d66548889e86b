"""What is noted beside a service in its registry, for whoever looks there and never at the bridge.

Only the leader notes, a few at a time; what stays so is noted again from time to time, since registries forget.
Nothing depends on it: what cannot be noted now is noted another time.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from bridge.adapter import Note, Teller
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock
from bridge.model import ServiceName
from bridge.plan import Withheld
from bridge.runtime.clock import Alarm, within
from bridge.runtime.exported import Exported, State
from bridge.runtime.latest import Latest
from bridge.runtime.rate import Bucket, Rate

GATHER: Final = 5.0
"""Seconds after a change after which is looked: what passes in a moment is not noted."""

SOONEST: Final = 60.0
"""Seconds between two notes of one kind for one service, whatever they say."""

REPEAT: Final = 1800.0
"""Seconds after which what is still so is noted again; an API server keeps Events for an hour."""

RATE: Final = Rate(1, 20)

PATIENCE: Final = 10.0
"""Seconds that one note may take."""

_WRITING = frozenset({State.WRITES, State.IN_STEP})
_TOLD = frozenset({"limit", "orphan"})  # what else is withheld is so for a moment, or as it was configured

_log = structlog.get_logger("bridge.notes")


class _Key(NamedTuple):
    service: ServiceName
    kind: str


class _Told(NamedTuple):
    text: str
    at: float  # monotonic


class Notes:
    """Those of one target."""

    def __init__(self, place: str, sink: Teller, cell: Latest[Exported], clock: Clock) -> None:
        self._place = place
        self._sink = sink
        self._cell = cell
        self._clock = clock
        self._bucket = Bucket(RATE, clock)
        self._told: dict[_Key, _Told] = {}
        self._rings: float | None = None
        self._alarm = Alarm(clock)
        self._failing = ""
        cell.watch(self._touch)

    async def run(self) -> None:
        """Note for ever."""
        self._touch(self._cell.value)
        while True:
            await self._alarm.ring()
            self._rings = None
            if self._cell.value.state in _WRITING:
                await self._look()

    def _touch(self, _: Exported) -> None:
        self._wake(self._clock.now() + GATHER)

    def _wake(self, when: float) -> None:
        if self._rings is None or when < self._rings:
            self._rings = when
            self._alarm.set(when)

    async def _look(self) -> None:
        """Note what is to be noted now, and be back when the next one is due; nothing where nothing can be noted."""
        now = self._clock.now()
        standing = {_Key(one.service, one.kind): one for one in notes(self._cell.value)}
        self._told = {key: told for key, told in self._told.items() if key in standing or now < told.at + REPEAT}
        for key in sorted(standing):
            if self._due(key, standing[key].text) <= now:
                if self._cell.value.state not in _WRITING:
                    return
                if not await self._tell(key, standing[key]):
                    self._wake(self._clock.now() + SOONEST)
                    return
            self._wake(self._due(key, standing[key].text))

    def _due(self, key: _Key, text: str) -> float:
        told = self._told.get(key)
        if told is None:
            return float("-inf")
        return told.at + (REPEAT if told.text == text else SOONEST)

    async def _tell(self, key: _Key, note: Note) -> bool:
        """Whether others can be noted; one that will not do, or may not stand there, is as good as noted."""
        await self._bucket.take()
        try:
            await within(self._clock, PATIENCE, self._sink.tell(self._cell.value.target, note))
        except (BridgeError, TimeoutError) as error:
            why = str(error) or f"no answer within {PATIENCE:g} s"
            if why != self._failing:
                _log.info("not noted", to=self._place, service=str(note.service), why=why)
            self._failing = why
            if isinstance(error, Unavailable | TimeoutError) or (isinstance(error, Denied) and error.whole):
                return False
        else:
            self._failing = ""
        self._told[key] = _Told(note.text, self._clock.now())
        return True


def notes(exported: Exported) -> Iterator[Note]:
    """Why services are not written as they are wanted: one note for each service and kind."""
    for name, plan in sorted(exported.plans.items()):
        if plan.withheld:
            yield Note(name, "taken", _first(plan.withheld))
    for name, withheld in sorted(exported.withheld.items()):
        if stays := [one for one in withheld if one.reason in _TOLD]:
            yield Note(name, "withheld", _first(stays))
    seen: set[ServiceName] = set()
    for parked in exported.parked:
        if parked.service not in seen:
            seen.add(parked.service)
            yield Note(parked.service, "parked", f"{parked.change.record.key}: {parked.why}")
    for name, problems in sorted(exported.problems.items()):
        count = sum(one.count for one in problems)
        yield Note(name, "unsaid", f"{problems[0].what}{_more(count)}")


def _first(withheld: Sequence[Withheld]) -> str:
    return f"{withheld[0].what}: {withheld[0].text}{_more(len(withheld))}"


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
