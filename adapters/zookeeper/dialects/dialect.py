"""What a dialect is: how one ecosystem says the instances of a service in znodes.

A dialect is pure. It reads child by child, so that one that cannot be understood costs itself alone, and then joins
what they say, for what one child says of another (weights, overrides). It writes one child an endpoint.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import ClassVar, Final, NamedTuple

from bridge.kit.mark import Stamp
from bridge.model import Endpoint, Health, Port

DOCUMENTS: Final = "documents"

_NUMBER: Final = re.compile(r"[0-9]{10}", re.ASCII)


class Branch(NamedTuple):
    """Some children of a service: those of the znode at `path` below the service's own, "" for itself.

    `data` says that what the children hold has to be read, and not their names alone; `changes` that it is changed in
    place, and so has to be watched.
    """

    path: str = ""
    data: bool = True
    changes: bool = False


class ChildKey(NamedTuple):
    """Which child of a service; `branch` is a `Branch.path`."""

    branch: str
    name: str

    def __str__(self) -> str:
        return f"{self.branch}/{self.name}" if self.branch else self.name


class Child(NamedTuple):
    """One znode as it was read; of most in a branch of names the name is all that is known.

    `created` is the transaction that made it, by which younger and older are told apart and one that was deleted and
    made again is known; `version` that of its data; `session` whose it is while that lives, 0 when it stays;
    `children` how many it has.
    """

    branch: str
    name: str
    data: bytes = b""
    created: int = 0
    version: int = 0
    session: int = 0
    children: int = 0

    @property
    def key(self) -> ChildKey:
        return ChildKey(self.branch, self.name)


@dataclass(frozen=True, slots=True)
class Instance:
    """A child that is an instance. `remarks` are parts of it that had to be left out, each a sentence."""

    endpoint: Endpoint
    remarks: tuple[str, ...] = ()


Part = Instance | Hashable
"""What one child says: an instance, or in a dialect that has such, something about others. None: nothing."""


class Joined(NamedTuple):
    """The endpoints by the child that says them, and what could not be done, each a sentence."""

    endpoints: Mapping[ChildKey, Endpoint]
    remarks: tuple[str, ...] = ()


class Places(Flag):
    """What of an endpoint a dialect has a place for, besides its address, its ports and through whom it came."""

    NONE = 0
    LOCALITY = auto()
    NETWORK = auto()
    WEIGHT = auto()
    METADATA = auto()


class PortNames(NamedTuple):
    """What the ports are called that a dialect does not name: `default` is the primary one's name.

    `additional` says whether others besides it are read and written.
    """

    default: str = ""
    additional: bool = True


UNNAMED = PortNames()


class Spelled(NamedTuple):
    """A service as the tree spells it: `name` is the name of its znode, `path` the whole path to it."""

    name: str
    path: str = ""


class Said(NamedTuple):
    """An endpoint in a dialect's words.

    `stem` tells it from the others of its service for as long as it lasts, without blanks; in a dialect that is not
    `in_place` a digest of the content is part of it. `content` is canonical and carries no mark.
    """

    stem: str
    content: bytes


class Node(NamedTuple):
    """A znode to be made.

    Ten digits are put behind `name`: by the server, with `sequential`; with `numbered` by us, so that it is known what
    a znode will be called, and what replaces another one has the next number.
    """

    branch: str
    name: str
    data: bytes
    sequential: bool = False
    numbered: bool = False

    def called(self, before: str = "") -> str:
        """The name, as far as it is known; `before` is that of the znode that is replaced, "" where there is none."""
        if not self.numbered:
            return self.name
        digits = before.removeprefix(self.name)
        number = int(digits) + 1 if digits != before and _NUMBER.fullmatch(digits) else 0
        return f"{self.name}{number % 10**10:010d}"


class Beside(NamedTuple):
    """A znode that is to stand elsewhere, for good, before the first child of a service is written.

    `path` is absolute. With `one_of_many` the data are one of the entries of a list with commas, in which others have
    theirs; without, the znode is made if it is not there.
    """

    path: str
    data: bytes
    one_of_many: bool = False


class Dialect(ABC):
    """How one ecosystem says instances, as it is read; `Written` is what can be written too."""

    name: ClassVar[str]
    branches: ClassVar[Sequence[Branch]] = (Branch(),)

    @abstractmethod
    def is_member(self, branch: str, name: str) -> bool:
        """Whether a child of that name is to be read; others stand there for somebody else, and nobody is told."""

    @abstractmethod
    def read(self, child: Child) -> Part:
        """What a member says; ValueError, in a sentence without the place, when it cannot be understood."""

    def join(self, parts: Mapping[ChildKey, Part]) -> Joined:
        """All members of a service together."""
        return Joined({key: part.endpoint for key, part in parts.items() if isinstance(part, Instance)})

    def heeds(self, node: str, parts: Iterable[Part]) -> frozenset[str]:
        """The names of the documents beside a tree that may say something of a service of that node, which says so.

        What they say joins the parts, under keys of the branch DOCUMENTS.
        """
        return frozenset()

    def stamp(self, child: Child) -> Stamp | None:
        """The mark of the bridge that wrote a child, its key the `Said.stem`; found in what cannot be read too."""
        return None


class Written(Dialect):
    """A dialect that is also written."""

    in_place: ClassVar[bool]
    """Whether readers see a change of data; where they do not, a change is a new child, and then the old one's end."""

    places: ClassVar[Places]
    heaviest: ClassVar[int] = 65_535
    """The highest weight that its readers take."""

    vanishes: ClassVar[bool] = False
    """Whether its readers live with a service's znode that is deleted when it is empty, and made again."""

    apart: ClassVar[bool] = False
    """Whether a weight other than 1 stands in a znode of its own, which names the member."""

    @abstractmethod
    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        """What it can say of these ports, as they are read back; the first one stays the first."""

    def health(self, health: Health | None) -> Health | None:
        """How it is read back; UNHEALTHY where there is no word for what is not to be used, which is then left out."""
        return Health.UNHEALTHY if health in (Health.DRAINING, Health.UNHEALTHY) else None

    def reserved(self, key: str) -> bool:
        """Whether a key of metadata is a word of the dialect's own, and so cannot be said."""
        return False

    @abstractmethod
    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        """An endpoint that has nothing but what there are `places` and `ports` for.

        ValueError when it cannot be said at all.
        """

    def weigh(self, said: Said, member: str, weight: int) -> Said:
        """What gives the member that says this, under that name, its weight, where that stands `apart`."""
        raise NotImplementedError

    @abstractmethod
    def node(self, said: Said, owner: str) -> Node:
        """The znode that says it, marked as the owner's."""

    def beside(self, service: Spelled) -> tuple[Beside, ...]:
        """What its readers look for besides the children."""
        return ()

    @abstractmethod
    def content(self, child: Child) -> bytes:
        """What a child of ours says, as `Said.content` would; whatever else it holds when somebody edited it."""

    @abstractmethod
    def stem(self, child: Child) -> str | None:
        """The stem of ours whose place another's child takes; None where names never meet."""
