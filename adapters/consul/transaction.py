"""What a transaction came to: all of it was done, or nothing; and which of its operations stood in the way.

Pure. A Consul tries every operation before it gives up, so that its answer names all that fail.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bridge.errors import BridgeError, Conflict, Denied, Rejected
from bridge.kit.place import excerpt

MOST: Final = 64
"""Operations that every Consul takes; from 1.14 on it takes twice as many."""

LARGEST: Final = 400_000
"""Bytes of a transaction of several changes; a server takes 512 KiB (`txn_max_req_len`)."""

NO_RIGHT: Final = ("ACL not found", "Permission denied", "token not found", "ACL support disabled")
_NO_NODE: Final = "Missing node registration"
_MOVED: Final = ("index is stale", "doesn't exist", "current modify index")

Operation = Mapping[str, Mapping[str, Any]]


class NoNodeError(Conflict):
    """What an instance was to be written on is not there."""


class Refusal(NamedTuple):
    """An operation that stood in the way, by its number from 0, and what the server says of it."""

    at: int
    why: str

    def error(self, place: str) -> BridgeError:
        """What it asks for."""
        shown = excerpt(self.why, 200)
        if any(word in self.why for word in NO_RIGHT):
            return Denied(f"{place}: {shown}; give the token the right that is missing", whole=False)
        if _NO_NODE in self.why:
            return NoNodeError(f"{place}: {shown}; it is observed again")
        if any(word in self.why for word in _MOVED):
            return Conflict(f"{place}: {shown}; it is observed again")
        return Rejected(f"{place}: {shown}")


class Outcome(NamedTuple):
    """`results` of what was done; or nothing was, because of what is `refused`, in the order of the operations."""

    results: tuple[Any, ...] = ()
    refused: tuple[Refusal, ...] = ()


def encoded(operation: Operation) -> bytes:
    """One operation, as a part of a body."""
    return json.dumps(operation, ensure_ascii=False, separators=(",", ":")).encode()


def body(operations: Sequence[bytes]) -> bytes:
    """A transaction of them."""
    return b"[%s]" % b",".join(operations)


def done(said: Any) -> Outcome:
    """From an answer that says that it was done."""
    results = said.get("Results") if isinstance(said, dict) else None
    return Outcome(tuple(results) if isinstance(results, list) else ())


def undone(said: Any, place: str, count: int) -> Outcome:
    """From an answer that says that nothing was done of so many operations; Conflict where it does not say why."""
    errors = said.get("Errors") if isinstance(said, dict) else None
    refused = [
        Refusal(one["OpIndex"], " ".join(str(one.get("What")).split()))
        for one in (errors if isinstance(errors, list) else ())
        if isinstance(one, dict) and type(one.get("OpIndex")) is int and 0 <= one["OpIndex"] < count
    ]
    if not refused:
        raise Conflict(f"{place}: was refused, and nobody says why; it is observed again")
    return Outcome((), tuple(sorted(refused)))
