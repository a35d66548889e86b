"""What tells which replica writes, and where replicas keep what they all go by: the promises of an elector."""

from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from bridge.errors import Denied, Rejected, Unavailable


class Term(NamedTuple):
    """A time for which this replica leads.

    `number` is another one each time that the lead is won anew, and the same while it is renewed; `until` is the moment
    (monotonic seconds) before which nobody else can have taken over, in the past once the lead is lost. `leader` is who
    leads in our place, as the election calls him; "" where nobody does, or it is not known.
    """

    number: int
    until: float
    leader: str = ""


class Kept(NamedTuple):
    """What stands on a shelf, None where it is there and nothing was ever put on it.

    `revision` is the shelf's, and another one whenever the content is.
    """

    content: bytes | None
    revision: Hashable


class Shelf(Protocol):
    """Where one small document is kept that every replica reads, and that is replaced by compare-and-set."""

    @property
    def place(self) -> str:
        """What messages call it."""
        ...

    @property
    def pace(self) -> float:
        """Seconds between two looks at it."""
        ...

    async def read(self) -> Kept | None:
        """What stands there, None where nothing was ever written; Unavailable or Denied when that is not known."""
        ...

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        """Put `content` in the place of what was read.

        Raises Conflict when something else stands there by now, Denied, or Unavailable, whose message says whether
        nothing was written or nobody knows.
        """
        ...

    async def close(self) -> None:
        """Release what it holds; whoever reads again gets it again."""
        ...


@contextmanager
def deciding(place: str, content: bytes, most: int) -> Iterator[None]:
    """Within it a document of at most so many bytes is put on a shelf; what goes wrong says what became of it."""
    if len(content) > most:
        raise Unavailable(
            f"{place}: {len(content):,} bytes are more than {most:,}; accept fewer at once, or wait until what was "
            "accepted has expired; nothing was decided"
        )
    try:
        yield
    except (Denied, Rejected) as error:
        raise Denied(f"{error}; nothing was decided") from error
    except Unavailable as error:
        raise Unavailable(f"{error}; nobody knows whether it was decided: say it again") from error


class Elector(Protocol):
    """One replica's part in the election."""

    @property
    def deployment(self) -> str:
        """Names the replicas that share this election, the same after a restart."""
        ...

    @property
    def shelf(self) -> Shelf | None:
        """Where all replicas of this election keep their operators' decisions; None: in the folder of each."""
        ...

    def terms(self) -> AsyncIterator[Term]:
        """Yield a term whenever the lead is won, renewed, found lost, or another's, for as long as it is iterated.

        Closing the iterator gives the lead back. Raises Unavailable or Denied when the election cannot be reached; it
        is then asked again after a while, and the last term ends when it said that it would.
        """
        ...
