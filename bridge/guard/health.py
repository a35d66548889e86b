"""Which turns for the worse are believed.

When more than half of a source's healthy endpoints, at least five, turn unhealthy within a minute, it is more likely
that the checker is sick. That is a *health flood*: each keeps the health that it had until it turns back, an operator
accepts, or half an hour has passed.

Good is every health but draining and unhealthy, also none: whoever drains an endpoint means it.
"""

from collections import OrderedDict
from dataclasses import replace
from math import inf
from typing import NamedTuple

from bridge.guard.values import Key
from bridge.model import Endpoint, Health

WITHIN = 60.0  # seconds in which so many turn
LEAST = 5  # endpoints
RELEASE = 1800.0  # seconds after which the worse is believed
UNHEALTHY_FOR = 30.0  # seconds after which an unhealthy endpoint may leave without doubt


class _Turn(NamedTuple):
    at: float
    good: bool  # whether it was good before; otherwise it came as it is
    before: Health | None


def good(health: Health | None) -> bool:
    """Whether an endpoint of that health takes requests."""
    return health is None or health <= Health.DEGRADED


class HealthWatch:
    """The recent turns of one source. Nothing is kept of an endpoint that is as it was a minute ago."""

    __slots__ = ("_good", "_kept", "_recent", "_turned", "_used")

    def __init__(self) -> None:
        self._good = 0  # endpoints that are seen in good health
        self._recent: OrderedDict[Key, _Turn] = OrderedDict()  # unhealthy for less than a minute; oldest first
        self._turned = 0  # how many of those were good before
        self._kept: OrderedDict[Key, _Turn] = OrderedDict()  # not believed; oldest first
        self._used = -inf  # stamp of the last operator's word that was used

    @property
    def flood(self) -> bool:
        """Whether some turn is not believed."""
        return bool(self._kept)

    @property
    def due(self) -> float:
        """When the next turn is believed for its age."""
        return next(iter(self._kept.values())).at + RELEASE if self._kept else inf

    def begin(self, endpoint: Endpoint) -> None:
        """An endpoint of a baseline, as it was."""
        self._good += good(endpoint.health)

    def come(self, key: Key, endpoint: Endpoint, believed: Endpoint | None, t: float) -> None:
        """An endpoint is seen that was not; `believed`: as it was held until now."""
        self._good += good(endpoint.health)
        if endpoint.health is Health.UNHEALTHY:
            was_good = believed is not None and good(believed.health)
            self._turn(key, _Turn(t, was_good, believed.health if believed else None))

    def change(self, key: Key, was: Endpoint, endpoint: Endpoint, t: float) -> None:
        """A seen endpoint is seen with other fields."""
        if was.health is endpoint.health:
            return
        self._good += good(endpoint.health) - good(was.health)
        if endpoint.health is Health.UNHEALTHY:
            self._turn(key, _Turn(t, good(was.health), was.health))
        else:
            self._forget(key)

    def leave(self, key: Key, endpoint: Endpoint) -> Endpoint:
        """A seen endpoint is seen no more; as it was believed."""
        self._good -= good(endpoint.health)
        believed = self.believed(key, endpoint)
        self._forget(key)
        return believed

    def long_unhealthy(self, key: Key, endpoint: Endpoint, by: float) -> bool:
        """Whether it has been unhealthy for so long that nobody misses it."""
        if endpoint.health is not Health.UNHEALTHY or self._kept:
            return False
        turn = self._recent.get(key)
        return turn is None or turn.at + UNHEALTHY_FOR <= by

    def believed(self, key: Key, endpoint: Endpoint) -> Endpoint:
        """The endpoint with the health that is believed."""
        turn = self._kept.get(key) if self._kept else None
        return endpoint if turn is None else replace(endpoint, health=turn.before)

    def judge(self, accepted: float | None, by: float) -> list[Key]:
        """Bring it up to date with all that was told; the endpoints that are believed otherwise than before.

        `accepted`: stamp of the operator's word that is in force.
        """
        while self._recent:
            key, turn = next(iter(self._recent.items()))
            if turn.at + WITHIN > by:
                break
            self._forget(key)
        differing: list[Key] = []
        bad = self._turned + len(self._kept)
        if self._turned and bad >= LEAST and bad > self._good:
            for key in [key for key, turn in self._recent.items() if turn.good]:
                turn = self._recent[key]
                self._forget(key)
                self._kept[key] = turn
                differing.append(key)
        word = self._kept and accepted is not None and accepted > self._used
        if word and accepted is not None:
            self._used = accepted
        while self._kept:
            key, turn = next(iter(self._kept.items()))
            if not word and turn.at + RELEASE > by:
                break
            del self._kept[key]
            differing.append(key)
        return differing

    def _turn(self, key: Key, turn: _Turn) -> None:
        self._forget(key)
        self._recent[key] = turn
        self._turned += turn.good

    def _forget(self, key: Key) -> None:
        turn = self._recent.pop(key, None)
        if turn is not None:
            self._turned -= turn.good
        self._kept.pop(key, None)
