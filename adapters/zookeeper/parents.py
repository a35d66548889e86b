"""Znodes above records: which of them we made, and so take away again when nothing is left in them.

What they hold is not ours to write (Synapse takes it for its configuration), so each one that we make is noted below
our claim, in the same transaction. By that a note is known to be right: what stands there was made in the transaction
in which the note was. What somebody else made anew in its place was not; and what somebody wrote something into is ours
no longer.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from adapters.zookeeper import claims
from adapters.zookeeper.dialects import words
from adapters.zookeeper.operations import Acl, Answer, Create, Delete, Part, Stat
from adapters.zookeeper.paths import Tree
from bridge.adapter import Target


class Parent(NamedTuple):
    """A znode above records, and where it is noted that we made it; "" where that is not."""

    path: str
    note: str = ""

    def made(self, acl: Sequence[Acl], stale: Collection[str]) -> tuple[Part, ...]:
        """Make it; `stale` are notes that stand there of what is gone, `acl` is that of notes."""
        if not self.note:
            return (Create(self.path),)
        before = (Delete(self.note),) if self.note in stale else ()
        return (Create(self.path), *before, Create(self.note, self.path.encode(), acl))

    def unmade(self) -> tuple[Part, ...]:
        """Take it away, if nothing was written into it; a server does so only if nothing is below it."""
        return (Delete(self.path, 0), Delete(self.note))


def called(path: str) -> str:
    """What the note of a znode is called, below the claim of who made it."""
    return words.digest(path)


def parents(tree: Tree, paths: Sequence[str], owner: str, target: Target) -> list[Parent]:
    """These znodes; what is noted, as an owner's where one is named, are those below the root of the tree."""
    claim = claims.path(owner, target)
    return [
        Parent(path, f"{claim}/{called(path)}" if owner and path.startswith(f"{tree.root}/") else "") for path in paths
    ]


def emptied(above: Sequence[Parent], answers: Sequence[Answer]) -> list[Parent]:
    """Which of them are ours and have one child only, from the first, the lowest, on.

    `answers` are two for each of them: what `Exists` says of it and of its note.
    """
    found = []
    for parent, stands, note in zip(above, answers[::2], answers[1::2], strict=True):
        if not isinstance(stands, Stat) or not isinstance(note, Stat):
            break
        if stands.created != note.created or stands.version or stands.children > 1:
            break
        found.append(parent)
    return found
