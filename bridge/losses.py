"""How many endpoints may leave a target because its registry has no words for them any more.

What is wanted is judged before it is fitted, so nobody has judged these: the port of a Service was renamed, an opt-in
taken back, and the adapter cannot say a hundred endpoints that it said before. They are removals like any other: some
may go at once, what is beyond that stays for half an hour, service by service whole, and its adapter tells why.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import inf

from bridge.adapter import Holding, Problem, Record
from bridge.model import EndpointId, Service, ServiceName
from bridge.withhold import AGREEMENT, TICK

Fit = Callable[[Service, Holding], tuple[Sequence[Record], Sequence[Problem]]]
"""`Sink.fit` of one target."""

NONE: frozenset[EndpointId] = frozenset()


def unsaid(fit: Fit, service: Service, holding: Holding) -> frozenset[EndpointId]:
    """What stands there, is to be said, and cannot be: alone it has no record either."""
    standing = {endpoint.id for endpoint in holding.endpoints}
    return frozenset(
        endpoint.id
        for endpoint in service.endpoints
        if endpoint.id in standing and not fit(Service(service.name, (endpoint,), service.metadata), holding)[0]
    )


class Losses:
    """Counts what goes so from one target, in `per` seconds; `never`: nothing goes."""

    def __init__(self, per: float, never: bool) -> None:
        self._per = per
        self._never = never
        self._granted: dict[ServiceName, frozenset[EndpointId]] = {}
        self._kept: dict[ServiceName, float] = {}  # since when, monotonic
        self._spent: deque[tuple[float, int]] = deque()  # when, and how many

    def may(self, name: ServiceName, lost: frozenset[EndpointId], budget: int, now: float) -> bool:
        """Whether a service may lose these; `budget` is how many endpoints of the target may go at once now."""
        new = lost - self._granted.get(name, NONE)
        if not new:
            self._kept.pop(name, None)
            if not lost:
                self._granted.pop(name, None)
            return True
        while self._spent and self._spent[0][0] + self._per <= now + TICK:
            self._spent.popleft()
        room = budget - sum(number for _, number in self._spent)
        agreed = self._kept.setdefault(name, now) + AGREEMENT <= now + TICK
        if self._never or (len(new) > room and not agreed):
            return False
        del self._kept[name]
        self._granted[name] = lost
        self._spent.append((now, len(new)))
        return True

    def kept(self) -> list[ServiceName]:
        """The services that stay as they are, to be asked for again at `wake_at`."""
        return sorted(self._kept)

    def wake_at(self) -> float | None:
        """When an answer could be another one; monotonic seconds."""
        if self._never or not self._kept:
            return None
        room = self._spent[0][0] + self._per if self._spent else inf
        return min(room, min(self._kept.values()) + AGREEMENT)
