"""Who leads, as one lease tells that all replicas read and replace, wherever it is kept.

Sans-IO: what was read and written, and when, goes in; what to write next, and the term, come out. What two machines
call the time is never compared. A lease is free when it has not been seen to move for as long as it says itself, by
our own monotonic clock, whoever holds it: one that nobody holds too, so that a lease which is deleted, or emptied by
hand, frees nobody's lead before its holder's term is over.
"""

from collections.abc import Hashable
from typing import Final, NamedTuple

RELEASED: Final = 1.0
"""Seconds after which a lease that was given back is free; Kubernetes knows none shorter."""


HIGHEST: Final = 2**31 - 1
"""Number of a term that the API can write."""


class Timing(NamedTuple):
    """Seconds: how long others wait for a holder that is silent, how long a renewal lasts, and between two requests."""

    lease: float
    renew: float
    retry: float


class Standing(NamedTuple):
    """A lease as it stands there; `holder` is "" where nobody holds it, `moved` another one with each renewal."""

    holder: str
    seconds: float
    transitions: int
    moved: Hashable


class Write(NamedTuple):
    """What to put in the place of the lease that was seen last, or to make where none was; `acquires`: the lead."""

    holder: str
    seconds: float
    transitions: int
    acquires: bool


class Candidate:
    """One replica's knowledge; all times are its own, monotonic seconds."""

    def __init__(self, identity: str, timing: Timing) -> None:
        """`identity` is this process's, and nobody else's ever."""
        self._identity = identity
        self._timing = timing
        self._looked = False
        self._standing: Standing | None = None
        self._since = 0.0  # when it was first seen as it stands
        self._number: int | None = None  # of the term that we hold, by what we know
        self._highest = 0  # that was ever seen
        self._term: tuple[int, float] | None = None

    @property
    def term(self) -> tuple[int, float] | None:
        """The number of our newest term, and the moment before which nobody else can have taken over."""
        return self._term

    @property
    def other(self) -> str:
        """Who else holds the lease, by what was seen last; "" where nobody does."""
        standing = self._standing
        return standing.holder if standing is not None and standing.holder != self._identity else ""

    def see(self, standing: Standing | None, now: float) -> None:
        """What stood there, as an answer told that came at `now`."""
        if not self._looked or standing != self._standing:
            self._since = now
        self._looked, self._standing = True, standing
        if standing is None:
            return
        self._highest = max(self._highest, standing.transitions)
        if standing.holder == self._identity:
            self._number = standing.transitions
        elif self._number is not None:
            self.lose(now)

    def next(self, now: float) -> Write | None:
        """What to write now; None: look first."""
        standing, timing = self._standing, self._timing
        if not self._looked:
            return None
        if standing is None:
            if self._number is not None and self._term is not None and now < self._term[1]:
                return Write(self._identity, timing.lease, self._number, acquires=True)
            return Write("", timing.lease, self._highest, acquires=False)
        if standing.holder == self._identity:
            return Write(self._identity, timing.lease, standing.transitions, acquires=False)
        if now >= self._since + standing.seconds:
            return Write(self._identity, timing.lease, self._fresh(), acquires=True)
        return None

    def _fresh(self) -> int:
        """The number of a term that is none of those before; of ours only, where a hand wrote the highest there is."""
        if self._highest < HIGHEST:
            return self._highest + 1
        return 1 if self._term is None else self._term[0] % HIGHEST + 1

    def wrote(self, standing: Standing, sent: float, now: float) -> None:
        """The write that was sent at `sent` is made, and answered at `now`."""
        self.see(standing, now)
        if standing.holder == self._identity:
            self._term = standing.transitions, sent + self._timing.renew

    def lose(self, now: float) -> None:
        """The lead is another's, or is to be given back."""
        self._number = None
        if self._term is not None:
            self._term = self._term[0], min(self._term[1], now)

    def release(self) -> Write | None:
        """What gives a lease of ours back; None where it is not ours."""
        standing = self._standing
        if standing is None or standing.holder != self._identity:
            return None
        return Write("", RELEASED, standing.transitions, acquires=False)

    def pause(self, now: float, spread: float) -> float:
        """Seconds until the next request; `spread`, from 0 to 1, is chance, so that not all replicas ask at once."""
        standing, retry = self._standing, self._timing.retry
        if standing is None:
            return 0.0
        if standing.holder == self._identity:
            return retry
        free = self._since + standing.seconds - now
        return max(0.0, min(retry * (1 + spread / 5), free + spread * retry / 10))
