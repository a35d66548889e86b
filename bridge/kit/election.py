"""What tells which replica writes: the promise of an elector."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol


class Term(NamedTuple):
    """A time for which this replica leads.

    `number` is another one each time that the lead is won anew, and the same while it is renewed; `until` is the moment
    (monotonic seconds) before which nobody else can have taken over, in the past once the lead is lost.
    """

    number: int
    until: float


class Elector(Protocol):
    """One replica's part in the election."""

    @property
    def deployment(self) -> str:
        """Names the replicas that share this election, the same after a restart."""
        ...

    def terms(self) -> AsyncIterator[Term]:
        """Yield a term whenever the lead is won, renewed, or found lost, for as long as it is iterated.

        Closing the iterator gives the lead back. Raises Unavailable or Denied when the election cannot be reached; it
        is then asked again after a while, and the last term ends when it said that it would.
        """
        ...
