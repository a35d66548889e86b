"""The mark by which a bridge knows its own records again.

Every record that a bridge writes says so, in whatever place its registry has for it (a header, a label, a field of
JSON): who owns it, under which key it is kept, and in which format. Only what carries our mark may be changed.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

from bridge.adapter import RecordKey

FORMAT = 1
"""Of marks. A new one reads the old, and a record is written anew only when its meaning changes."""

_NO_KEY = RecordKey("")
_NAME = re.compile(r"[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
_FOREIGN = re.compile(r"[^-._A-Za-z0-9]", re.ASCII)
_STAMP = re.compile(r"registry-bridge/([0-9]{1,6}) owner=([-._A-Za-z0-9]{1,63})(?: key=([!-~]+))?", re.ASCII)


def owner_name(text: str) -> str:
    """`text` itself, if it can name an owner or a deployment in every registry; else ValueError says what can."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} cannot name who writes; take 1 to 63 letters, digits, `-`, `_`, `.`, no sign at its ends"
        )
    return text


def deployment(said: str, *told: str | bytes) -> str:
    """Names the replicas of one election, the same for all of them and after restarts.

    It begins with the end of what is `said`, for people to know it by; all that is `told` makes it another one.
    """
    digest = sha256(b"\0".join(one.encode() if isinstance(one, str) else one for one in told)).hexdigest()[:8]
    return owner_name(f"{_FOREIGN.sub('-', said)[-50:].strip('-._') or 'leader'}.{digest}")


class Stamp(NamedTuple):
    """What is read from a record's mark; `key` has no blanks, and is "" where the mark is that of a whole target."""

    owner: str
    key: RecordKey = _NO_KEY
    format: int = FORMAT

    def __str__(self) -> str:
        return f"registry-bridge/{self.format} owner={self.owner}" + (f" key={self.key}" if self.key else "")

    @classmethod
    def find(cls, text: str) -> Self | None:
        """The first mark that stands in `text`, None when none does."""
        found = _STAMP.search(text)
        return cls(found[2], RecordKey(found[3] or ""), int(found[1])) if found else None


@dataclass(frozen=True, slots=True)
class Mark:
    """Who writes: the owner, on every record, and the deployment, on the claim.

    `former` are owners whose records are ours too, to be taken over: with the next write they get our mark.
    """

    owner: str
    deployment: str
    former: tuple[str, ...] = ()

    def stamp(self, key: RecordKey = _NO_KEY) -> Stamp:
        """What to write on the record of that key."""
        return Stamp(self.owner, key)

    def owns(self, stamp: Stamp | None) -> bool:
        """Whether a record with this stamp is ours to change: it has our owner, and a format that we can read."""
        return stamp is not None and stamp.owner in (self.owner, *self.former) and stamp.format <= FORMAT
