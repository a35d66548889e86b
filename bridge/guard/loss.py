"""How much of a source is missing.

An endpoint is *settled* when it has been known for `settled` seconds, or was there from the first. A service's *base*
is the highest number of settled endpoints that it had, held ones included, in the last `settled` seconds; its *loss*
is the base less the endpoints that are seen. So new endpoints make up for old ones, a scale-out that is taken back is
no loss, and an evidenced removal stays a loss for a while.

Only a service that is not steady has a `Count`: of all others every endpoint is seen and settled, so that the number
seen is the base. Sums are kept, never counted over.
"""

from collections import deque
from collections.abc import Iterable
from math import inf

from bridge.model import EndpointId, Service

LEAST_LOSS = 5  # endpoints: so many of a source may go as small, however small it is
LEAST_BIG = 2  # services that lost more than half: one alone is no flood
BIG_SHARE = 0.1  # of the services that have a base
ROUNDING = 1e-9  # of shares: 15 % of 20 is 3


class Count:
    """What is known of one service's numbers; `base`, `loss` and `zero` are as of the last `Ledger.settle`."""

    __slots__ = ("base", "counted", "loss", "peaks", "settled", "unsettled", "zero")

    def __init__(self, settled: int) -> None:
        self.settled = settled
        self.unsettled: dict[EndpointId, float] = {}  # when each was first seen; in that order
        self.peaks: deque[tuple[int, float]] = deque()  # (settled, until when), falling, all above `settled`
        self.base = settled
        self.loss = 0
        self.zero = -inf  # since when the loss is 0
        self.counted = (settled, 0)  # base and loss as they stand in the ledger's sums

    def add(self, endpoint: EndpointId, t: float) -> None:
        """A new endpoint, not settled yet."""
        self.unsettled[endpoint] = t

    def settle_one(self) -> None:
        """A new endpoint that counts as settled at once."""
        self.settled += 1
        while self.peaks and self.peaks[-1][0] <= self.settled:
            self.peaks.pop()

    def drop(self, endpoint: EndpointId, t: float) -> None:
        """An endpoint is gone for good; a settled one stays in the base for a while."""
        if self.unsettled.pop(endpoint, None) is None:
            if not self.peaks or self.peaks[-1][1] < t:
                self.peaks.append((self.settled, t))
            self.settled -= 1

    def steady(self) -> bool:
        """Whether the number seen says it all, given that nothing is held."""
        return not self.unsettled and not self.peaks

    def due(self, window: float) -> float:
        """When the passing of time alone changes something."""
        settles = next(iter(self.unsettled.values()), inf)
        return min(settles, self.peaks[0][1] if self.peaks else inf) + window


class Ledger:
    """The sums over a source's services: loss, base, and how many lost more than half."""

    __slots__ = ("_base", "_based", "_big", "_loss", "_share", "_window")

    def __init__(self, window: float, share: float) -> None:
        """`window`: seconds after which an endpoint is settled. `share`: of the base, may go as small."""
        self._window = window
        self._share = share
        self._loss = self._base = self._based = self._big = 0

    def begin(self, services: Iterable[Service]) -> None:
        """Enter services that are steady."""
        for service in services:
            self._base += len(service.endpoints)
            self._based += bool(service.endpoints)

    def settle(self, count: Count, present: int, known: int, t: float, by: float) -> None:
        """Bring a count and the sums up to date. `present`: endpoints seen; `known`: held ones too.

        What is due `by` then is taken as due at `t`. A service of which nothing is known is not in the sums, but
        keeps its base: if it comes back, it is guarded as before.
        """
        while count.unsettled:
            first = next(iter(count.unsettled))
            if count.unsettled[first] + self._window > by:
                break
            del count.unsettled[first]
            count.settle_one()
        while count.peaks and count.peaks[0][1] + self._window <= by:
            count.peaks.popleft()
        count.base = count.peaks[0][0] if count.peaks else count.settled
        loss = max(0, count.base - present)
        if count.loss and not loss:
            count.zero = t
        count.loss = loss
        self._enter(count, (count.base, loss) if known else (0, 0))

    def _enter(self, count: Count, counted: tuple[int, int]) -> None:
        if counted == count.counted:
            return
        for (base, loss), sign in ((count.counted, -1), (counted, 1)):
            self._base += sign * base
            self._loss += sign * loss
            self._based += sign * (base > 0)
            self._big += sign * (2 * loss > base)
        count.counted = counted

    @property
    def flood(self) -> bool:
        """Whether too many services have lost more than half."""
        return self._big >= max(LEAST_BIG, BIG_SHARE * self._based - ROUNDING)

    @property
    def small(self) -> bool:
        """Whether the source as a whole has lost little."""
        return self._loss <= max(LEAST_LOSS, self._share * self._base + ROUNDING)
