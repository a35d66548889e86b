"""The guard of one source: events in, verdicts out."""

from collections.abc import Iterable
from dataclasses import replace
from heapq import heapify, heappop, heappush
from math import inf
from typing import assert_never

from bridge.adapter import Held as Ours
from bridge.adapter import Observation, Target
from bridge.guard.health import HealthWatch
from bridge.guard.loss import Ledger
from bridge.guard.probes import ROUNDS, Probes, can_be_probed
from bridge.guard.rules import TICK, Held, Light, Track, judge, waits, why
from bridge.guard.values import (
    Accepted,
    Elapsed,
    Event,
    Frozen,
    Hold,
    Key,
    Lost,
    Probed,
    Reason,
    Removals,
    Seen,
    Verdict,
)
from bridge.model import Endpoint, EndpointId, Health, Service, ServiceName, Services, order
from bridge.table import Table, changed

ASK_AGAIN = 5.0  # seconds after which a refresh that brought nothing is asked for again


class Guard:
    """Doubts what is missing from one source.

    A step costs what changed and what is due, whatever the size of the source. Equal events at equal times give
    equal verdicts. Times are monotonic seconds; a step back of the clock counts as no time.
    """

    def __init__(self, removals: Removals, baseline: Services | None) -> None:
        """`baseline`: what was believed when last running. It is served until the first Seen, and then guarded."""
        self._removals = removals
        self._waits = waits(removals)
        # What is seen, what is believed, and the services in which something is going on
        self._seen: Services = Table(baseline)
        self._served: Services = self._seen
        self._first = True  # no Seen yet
        self._ours: Table[Target, Ours] = Table()  # what stands there as ours
        self._present = 0  # endpoints seen
        self._tracks: dict[ServiceName, Track] = {}
        self._holding: set[ServiceName] = set()
        self._timers: list[tuple[float, ServiceName]] = []
        self._touched: set[ServiceName] = set()  # changed and not yet judged
        self._stale: set[ServiceName] = set()  # believed otherwise and not yet told
        self._rows: set[ServiceName] = set()  # held otherwise and not yet told
        # Evidence
        self._ledger = Ledger(removals.settled, removals.source)
        self._health = HealthWatch()
        self._probes = Probes()
        self._words: dict[Key, float] = {}
        self._used: dict[Key, float] = {}
        self._health_word: float | None = None
        self._read: int | None = None
        self._unconfirmed: set[ServiceName] = set()  # where a hold waits for a new reading only
        self._asked = -inf
        self._light = Light(flood=False, small=True, made=-inf, by=-inf)
        # Time
        self._now = -inf
        self._paused: float | None = None  # since when the guard's clock stands
        self._offset = 0.0
        self._lost = False
        self._frozen: float | None = None
        self._pending: Observation | None = None  # the newest that came while frozen
        # What is told
        self._holds: Table[ServiceName, tuple[Hold, ...]] = Table()
        self._began: set[Key] = set()
        self._ended: dict[Key, Reason] = {}
        self._enter(self._seen)

    def step(self, event: Event, now: float) -> Verdict:
        """What is believed after `event`. `now`: seconds, monotonic."""
        self._now = max(now, self._now)
        self._began.clear()
        self._ended.clear()
        if self._frozen is not None and self._frozen <= self._now + TICK:
            self._thaw()
        match event:
            case Seen(observation):
                self._lost = False
                if self._frozen is not None and self._seen:
                    self._pending = observation
                else:
                    self._resume()
                    self._observe(observation)
            case Probed(results):
                if self._paused is None:
                    self._count_round(*self._probes.judge(results))
            case Accepted(holds, health):
                self._accept(dict(holds), health)
            case Frozen(until):
                if until is None or until <= self._now:
                    self._thaw()
                else:
                    self._frozen = until
            case Lost():
                self._lost = True
            case Elapsed():
                pass
            case _:
                assert_never(event)
        self._pause()
        self._stale.update(name for name, _ in self._health.judge(self._health_word, self._by))
        if self._paused is None:
            self._judge()
        self._tell()
        return self._verdict()

    # --- time ---

    @property
    def _t(self) -> float:
        """The guard's clock: it stands while the source is lost or frozen, so that no hold ages then."""
        return (self._now if self._paused is None else self._paused) - self._offset

    @property
    def _by(self) -> float:
        return self._t + TICK

    def _pause(self) -> None:
        if self._paused is None and (self._lost or self._frozen is not None):
            self._paused = self._now
            self._probes.stop()

    def _resume(self) -> None:
        if self._paused is not None and not self._lost:
            self._offset += self._now - self._paused
            self._paused = None

    def _thaw(self) -> None:
        self._frozen = None
        self._resume()
        pending, self._pending = self._pending, None
        if pending is not None:
            self._observe(pending)

    # --- what is seen ---

    def _enter(self, services: Services) -> None:
        """Take services as there from the first."""
        self._ledger.begin(services.values())
        for service in services.values():
            self._present += len(service.endpoints)
            for endpoint in service.endpoints:
                self._health.begin(endpoint)

    def _observe(self, observation: Observation) -> None:
        services = observation.services
        if observation.read != self._read:
            self._read = observation.read
            self._light = self._light._replace(made=self._t)
            self._touched |= self._unconfirmed
        self._take_over(observation.held)
        names = sorted(changed(self._seen, services))  # the order in which the missing are probed
        if self._first and not self._seen:
            self._enter(services)
        else:
            for name in names:
                self._compare(name, self._seen.get(name), services.get(name))
            self._probes.names_changed((name for name in names if (name in self._seen) != (name in services)), services)
        self._seen = services
        self._stale.update(names)
        self._first = False

    def _take_over(self, ours: Table[Target, Ours]) -> None:
        """What stands there as ours is not missing: we took the place of whoever wrote it before."""
        if ours is self._ours:
            return
        self._ours = ours
        for name in sorted(self._holding):
            track = self._tracks[name]
            for endpoint_id in [one for one, held in track.held.items() if held.endpoint.via]:
                if self._is_ours(name, endpoint_id):
                    self._delete((name, endpoint_id), track, "ours")

    def _is_ours(self, name: ServiceName, endpoint_id: EndpointId) -> bool:
        holdings = (held.holdings.get(name) for held in self._ours.values())
        return any(one.id == endpoint_id for holding in holdings if holding for one in holding.endpoints)

    def _compare(self, name: ServiceName, old: Service | None, new: Service | None) -> None:
        """Take in what is seen of one service; what is missing is held, or gone at once."""
        before = {} if old is None else {one.id: one for one in old.endpoints}
        after = {} if new is None else {one.id: one for one in new.endpoints}
        for endpoint_id, endpoint in after.items():
            was = before.get(endpoint_id)
            if was is None:
                self._come((name, endpoint_id), endpoint, self._track(name, len(before)))
            elif was is not endpoint:
                self._health.change((name, endpoint_id), was, endpoint, self._t)
        for endpoint_id, endpoint in before.items():
            if endpoint_id not in after:
                self._leave((name, endpoint_id), endpoint, self._track(name, len(before)))
        self._present += len(after) - len(before)
        track = self._tracks.get(name)
        last = old if new is None else new
        if track is not None and last is not None:
            track.present = len(after)
            track.metadata = last.metadata
            self._touched.add(name)

    def _come(self, key: Key, endpoint: Endpoint, track: Track) -> None:
        held = track.held.get(key[1])
        if held is not None:
            self._end(key, track, "returned")
        elif self._first:
            track.count.settle_one()
        else:
            track.count.add(key[1], self._t)
        self._health.come(key, endpoint, None if held is None else held.endpoint, self._t)
        if key in self._words:
            self._used[key] = self._words[key]

    def _leave(self, key: Key, endpoint: Endpoint, track: Track) -> None:
        reason: Reason | None = None
        if endpoint.health is Health.DRAINING:
            reason = "draining"
        elif not self._first and self._health.long_unhealthy(key, endpoint, self._by):
            reason = "unhealthy"
        elif (endpoint.via or self._first) and self._is_ours(*key):
            reason = "ours"
        elif self._use_word(key):
            reason = "accepted"
        believed = self._health.leave(key, endpoint)
        if reason is not None:
            track.count.drop(key[1], self._t)
            self._ended[key] = reason
            return
        track.held[key[1]] = Held(replace(believed, held=True), self._now, self._t)
        self._holding.add(key[0])
        self._began.add(key)
        if self._removals.probe and can_be_probed(endpoint):
            self._probes.watch(key, endpoint.network, self._t)

    def _track(self, name: ServiceName, steady: int) -> Track:
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = Track(steady)
        return track

    # --- evidence ---

    def _count_round(self, closed: Iterable[Key], opened: Iterable[Key]) -> None:
        for key in opened:
            held = self._tracks[key[0]].held[key[1]]
            if held.closed:
                held.closed = 0
                self._rows.add(key[0])
        for key in closed:
            track = self._tracks[key[0]]
            held = track.held[key[1]]
            held.closed += 1
            self._rows.add(key[0])
            if held.closed >= ROUNDS:
                self._delete(key, track, "closed")

    def _accept(self, words: dict[Key, float], health: float | None) -> None:
        self._used = {key: stamp for key, stamp in self._used.items() if key in words}
        self._words = words
        self._health_word = health
        for key, stamp in words.items():
            name, endpoint_id = key
            track = self._tracks.get(name)
            if track is not None and endpoint_id in track.held:
                if self._use_word(key):
                    self._delete(key, track, "accepted")
            elif not self._first and _sees(self._seen.get(name), endpoint_id):
                self._used[key] = stamp

    def _use_word(self, key: Key) -> bool:
        """Whether an operator's word stands for this absence; it is used up then."""
        stamp = self._words.get(key)
        if stamp is None or stamp <= self._used.get(key, -inf):
            return False
        self._used[key] = stamp
        return True

    # --- judgement ---

    def _judge(self) -> None:
        """End the holds for which there is evidence, in the light of all that is known now."""
        by = self._by
        while self._next_timer() <= by:
            name = heappop(self._timers)[1]
            self._tracks[name].due = inf
            self._touched.add(name)
        names = {name for name in self._touched if name in self._tracks}
        for name in names:
            self._settle(self._tracks[name])
        while True:
            empty = not self._present and bool(self._holding)
            light = Light(empty or self._ledger.flood, self._ledger.small, self._light.made, by)
            if (light.flood, light.small) != (self._light.flood, self._light.small):
                names |= self._holding
            self._light = light
            if not names:
                break
            for name in names:
                self._review(name, self._tracks[name])
            names = set()
        self._touched.clear()

    def _settle(self, track: Track) -> None:
        self._ledger.settle(track.count, track.present, track.present + len(track.held), self._t, self._by)

    def _review(self, name: ServiceName, track: Track) -> None:
        """Judge one service, and set its next date."""
        ended, waiting, due = judge(track, self._light, self._removals)
        for endpoint_id, reason in ended:
            self._delete((name, endpoint_id), track, reason)
        if track.held:
            self._rows.add(name)
        if waiting:
            self._unconfirmed.add(name)
        else:
            self._unconfirmed.discard(name)
        if ended:
            self._settle(track)
        if not track.held and track.count.steady():
            del self._tracks[name]
        else:
            self._schedule(name, track, min(due, track.count.due(self._removals.settled)))

    def _schedule(self, name: ServiceName, track: Track, due: float) -> None:
        """Look at a service again when it is due. An earlier date that stands already is kept: it does no harm."""
        if due < track.due:
            track.due = due
            heappush(self._timers, (due, name))
        if len(self._timers) > 64 + 2 * len(self._tracks):
            self._timers = [(one.due, key) for key, one in self._tracks.items() if one.due != inf]
            heapify(self._timers)

    def _next_timer(self) -> float:
        """When the first service is due; dates that no longer hold are dropped on the way."""
        while self._timers:
            due, name = self._timers[0]
            track = self._tracks.get(name)
            if track is not None and track.due == due:
                return due
            heappop(self._timers)
        return inf

    def _delete(self, key: Key, track: Track, reason: Reason) -> None:
        """Believe that a held endpoint is gone."""
        track.count.drop(key[1], self._t)
        self._end(key, track, reason)

    def _end(self, key: Key, track: Track, reason: Reason) -> None:
        del track.held[key[1]]
        if not track.held:
            self._holding.discard(key[0])
            self._unconfirmed.discard(key[0])
        self._probes.forget(key)
        self._ended[key] = reason
        self._touched.add(key[0])
        self._stale.add(key[0])

    # --- what is told ---

    def _tell(self) -> None:
        """Bring the services and the rows of holds up to date."""
        services = {name: self._believed(name, self._seen.get(name), self._tracks.get(name)) for name in self._stale}
        self._served = self._served.with_(services)
        self._rows |= self._stale
        holds: dict[ServiceName, tuple[Hold, ...] | None] = {}
        for name in self._rows:
            track = self._tracks.get(name)
            held = sorted(track.held) if track is not None else ()
            holds[name] = tuple(self._row(name, track, one) for one in held) if track is not None and held else None
        self._holds = self._holds.with_(holds)
        self._stale.clear()
        self._rows.clear()

    def _believed(self, name: ServiceName, seen: Service | None, track: Track | None) -> Service | None:
        """What is believed of a service: the same object as before where it says the same."""
        held = [one.endpoint for one in track.held.values()] if track is not None else []
        endpoints = seen.endpoints if seen is not None else ()
        if self._health.flood:
            endpoints = tuple(self._health.believed((name, one.id), one) for one in endpoints)
        if track is None or not held:
            return seen if seen is None or endpoints == seen.endpoints else replace(seen, endpoints=endpoints)
        endpoints = tuple(sorted((*endpoints, *held), key=order))
        believed = Service(name, endpoints, track.metadata if seen is None else seen.metadata)
        before: Service | None = self._served.get(name)
        return before if before == believed else believed

    def _row(self, name: ServiceName, track: Track, endpoint_id: EndpointId) -> Hold:
        held = track.held[endpoint_id]
        reason = why(track, held, self._light, self._removals)
        return Hold(name, held.endpoint, held.since, reason, self._waits[reason], held.closed)

    def _verdict(self) -> Verdict:
        refresh = False
        probe: tuple[EndpointId, ...] = ()
        if self._paused is None:
            probe = self._probes.ask(self._seen, self._t, self._by)
            refresh = bool(self._unconfirmed) and self._asked + ASK_AGAIN <= self._by
            if refresh:
                self._asked = self._t
        return Verdict(
            services=self._served,
            holds=self._holds,
            flood=self._light.flood,
            health_flood=self._health.flood,
            frozen=self._frozen is not None,
            wake_at=self._wake_at(),
            refresh=refresh,
            probe=probe,
            began=tuple(sorted(self._began - self._ended.keys())),
            ended=tuple(sorted((*key, reason) for key, reason in self._ended.items())),
        )

    def _wake_at(self) -> float | None:
        if self._paused is not None:
            return self._frozen
        first = min(
            self._next_timer(),
            self._asked + ASK_AGAIN if self._unconfirmed else inf,
            self._health.due,
            self._probes.due,
        )
        return None if first == inf else first + self._offset


def _sees(service: Service | None, endpoint_id: EndpointId) -> bool:
    return service is not None and any(one.id == endpoint_id for one in service.endpoints)
