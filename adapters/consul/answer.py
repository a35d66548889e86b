"""What Consul answers to a question that may wait, and from where the next one goes on.

The index is a cursor and no more: what counts is the content. It is that of one endpoint of one server; it falls when
a server was restored or another one answers, and a question with an index from the future is silent until its time is
up.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

INDEX = "X-Consul-Index"
BACKEND = "X-Consul-Query-Backend"
FILTERED = "X-Consul-Results-Filtered-By-ACLs"
LEADER = "X-Consul-KnownLeader"


@dataclass(frozen=True, slots=True)
class Answer:
    """`index` is 0 where none was said; `read` makes values of the body, which costs more than its digest.

    `status` is 200, or one of those that the question takes for an answer; `text` is what another one says.

    `filtered`: something was left out that our token may not read. `streaming` answers never say so, nor whether there
    is a leader.
    """

    index: int
    digest: bytes
    filtered: bool
    streaming: bool
    leaderless: bool
    read: Callable[[], Any]
    status: int = 200
    text: str = ""
    size: int = 0

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes, read: Callable[[], Any], status: int = 200) -> "Answer":
        """From the headers, whose names may be spelled in any way if the mapping allows for it."""
        said = headers.get(INDEX, "")
        streaming = headers.get(BACKEND) == "streaming"
        return cls(
            int(said) if said.isdecimal() and len(said) < 20 else 0,
            hashlib.blake2b(body, digest_size=16).digest(),
            headers.get(FILTERED) == "true",
            streaming,
            not streaming and headers.get(LEADER) == "false",
            read,
            status,
            "" if status == 200 else " ".join(body[:500].decode(errors="replace").split()),
            len(body),
        )


PACE: Final = 0.2
"""Seconds from one question to the next about the same thing, where it is a small one."""

BYTES: Final = 2_000_000
"""That are read in a second, of one thing."""

MOST: Final = 3.0
"""Seconds between two questions about a large thing."""


def pace(size: int) -> float:
    """Seconds until so many bytes are asked for again: what is large is not read with every change of a storm."""
    return min(max(PACE, size / BYTES), MOST)


FROM_START = 1
"""An index that is older than anything: the answer comes at once, from what also answers the next question."""


class Cursor:
    """Where a question goes on."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = FROM_START

    def follow(self, answered: int) -> bool:
        """Take the index of an answer; whether it has gone back, so that everything is to be read anew."""
        back = 0 < answered < self.index
        self.index = max(answered, FROM_START) if answered >= self.index else FROM_START
        return back

    def forget(self) -> None:
        """After an error, which may have been the server's end."""
        self.index = FROM_START
