"""What one asks of a ZooKeeper, and what it answers: values, whatever client carries them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

ANY = -1
"""The version that every node has."""


class Stat(NamedTuple):
    """What a server knows of a node besides its data."""

    version: int
    """Of its data."""
    created: int
    """The transaction that made it: a node that was deleted and made anew has another."""
    session: int
    """The session that an ephemeral node ends with, 0 of a persistent one."""
    children: int
    """How many there are."""


class Listing(NamedTuple):
    """The names of a node's children, in no order."""

    names: tuple[str, ...]
    stat: Stat


class Node(NamedTuple):
    """The data of a node."""

    data: bytes
    stat: Stat


@dataclass(frozen=True, slots=True)
class Children:
    """Answered by a Listing. `watch`: the next change of the list is told."""

    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Get:
    """Answered by a Node. `watch`: the next change of the data, or the end of the node, is told."""

    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """Answered by a Stat, or None. `watch`: that the node is made, changed or deleted is told."""

    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Sync:
    """Answered by the path, when the server has caught up with the leader as it was when it was asked."""

    path: str


class Acl(NamedTuple):
    """Who may do what: a scheme, an identity within it, and rights such as `cdrwa`."""

    scheme: str
    identity: str
    rights: str


OPEN = (Acl("world", "anyone", "cdrwa"),)


@dataclass(frozen=True, slots=True)
class Create:
    """Answered by the path of the node that was made, which ends with ten digits more when it is `sequential`."""

    path: str
    data: bytes = b""
    acl: Sequence[Acl] = OPEN
    ephemeral: bool = False
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Sets the data of a node that has this version; answered by its Stat."""

    path: str
    data: bytes
    version: int = ANY


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes a node that has this version, and no children; answered by True."""

    path: str
    version: int = ANY


@dataclass(frozen=True, slots=True)
class Check:
    """Within Multi only: the node has this version."""

    path: str
    version: int


Part = Create | Put | Delete | Check


@dataclass(frozen=True, slots=True)
class Multi:
    """All of these or none; answered by a tuple of their answers."""

    parts: tuple[Part, ...]


Operation = Children | Get | Exists | Sync | Create | Put | Delete | Multi


class Refused(NamedTuple):
    """An answer too: the server did not do what it was asked, and says why.

    `word` is one of the constants below; `part` is the number of the part of a Multi that was refused.
    """

    word: str
    what: str
    part: int = 0


NO_NODE = "no node"
NO_AUTH = "no authorization"
EXISTS = "exists"
VERSION = "version"
NOT_EMPTY = "not empty"
OTHER = "other"

Answer = Listing | Node | Stat | str | bool | tuple[object, ...] | Refused | None
