"""A tree that is written: what a change of a record comes to in znodes.

Pure. Each change is one transaction, and creates before it deletes where readers never read data twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from adapters.zookeeper import fitting
from adapters.zookeeper.dialects.dialect import Beside, Node, Said, Spelled, Written
from adapters.zookeeper.dialects.words import MAX_DATA
from adapters.zookeeper.members import OF_ANOTHER, Revision
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.operations import OPEN, Acl, Create, Delete, Part, Put
from adapters.zookeeper.parents import Parent, parents
from adapters.zookeeper.paths import Tree
from bridge.adapter import Change, Holding, Problem, Record, Remove, Target
from bridge.kit.mark import Mark
from bridge.kit.place import excerpt
from bridge.model import Service, ServiceName


class Write(NamedTuple):
    """What a change comes to: one transaction of `parts`, below `parent`.

    `stands` is the znode that is replaced or removed, in the state in which it must be; `once` the beginning of a name
    that nobody may have there yet, "" where the server sees to that itself; `numbered` says that another one will do if
    somebody has it; `beside` what has to stand elsewhere first.
    """

    parts: tuple[Part, ...]
    parent: str
    stands: Revision | None = None
    once: str = ""
    beside: tuple[Beside, ...] = ()
    numbered: bool = False

    @property
    def creates(self) -> bool:
        return any(isinstance(part, Create) for part in self.parts)


@dataclass(frozen=True, eq=False)
class TreeTarget:
    """Where one export is written. `mark` is on what is ours there.

    `acl` is that of records; what stands above them everybody may use.
    """

    target: Target
    tree: Tree
    dialect: Written
    mirror: Mirror
    mark: Mark
    ephemeral: bool = False
    acl: Sequence[Acl] = OPEN

    def fit(self, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        standing = {record.key: record for record in holding.records}

        def called(record: Record) -> str:
            before = standing.get(record.key)
            same = before is not None and before.content == record.content
            return _name(before) if same else self._node(record).called(_name(before))

        try:
            spelled = self._spelled(service.name)
        except ValueError as error:
            where = f"{str(service.name)[:150]!r}"
            return (), (Problem("name", where, f"{error}; it is not written to {self.target}", service.name),)
        return fitting.fit(self.dialect, spelled, service, called)

    def write(self, change: Change, passed: str = "") -> Write:
        """What the change comes to; ValueError when it cannot be written.

        `passed` is a name that somebody has, where names are numbered: the next one is taken.
        """
        record = change.record
        if isinstance(change, Remove):
            stands = _revision(record)
            return Write((_delete(stands),), _above(stands.path), stands)
        spelled = self._spelled(record.service)
        node = self._node(record)
        if len(node.data) > MAX_DATA:
            raise ValueError(f"its record has {len(node.data):,} bytes, and at most {MAX_DATA:,} are read again")
        parent = f"{spelled.path}/{node.branch}" if node.branch else spelled.path
        path = f"{parent}/{node.called(passed or _name(change.replaces))}"
        beside = self.dialect.beside(spelled)
        if change.replaces is None:
            once = node.name if node.sequential else ""
            return Write((self._create(path, node),), parent, None, once, beside, node.numbered)
        stands = _revision(change.replaces)
        lasts = bool(stands.session) is self.ephemeral and not change.replaces.content.startswith(OF_ANOTHER)
        if stands.path == path and self.dialect.in_place and lasts:
            return Write((Put(path, node.data, stands.version),), parent, stands, "", beside)
        if stands.path == path:
            return Write((_delete(stands), self._create(path, node)), parent, stands, "", beside)
        return Write((self._create(path, node), _delete(stands)), parent, stands, "", beside, node.numbered)

    def above(self, parent: str, owner: str) -> list[Parent]:
        """The znodes down to this one, the highest first.

        `owner` is below whose claim they are noted, "" where there is none.
        """
        parts = parent[1:].split("/")
        paths = ["/" + "/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return parents(self.tree, paths, owner if self.dialect.vanishes else "", self.target)

    def stands(self, parent: Parent) -> bool:
        """Whether it is known to be there."""
        if self.mirror.rooted and not parent.path.startswith(f"{self.tree.root}/"):
            return True
        return self.mirror.knows(parent.path)

    def _spelled(self, service: ServiceName) -> Spelled:
        """The name as its readers know it, which need not be the last part of the path."""
        path = self.tree.path(service)
        found = self.tree.find(path.removeprefix(self.tree.root).strip("/").split("/") if self.tree.depth else ())
        return Spelled(found.spelled.rpartition("/")[2] if found is not None else service.name, path)

    def _node(self, record: Record) -> Node:
        content = record.content.removeprefix(OF_ANOTHER)
        return self.dialect.node(Said(fitting.stem_of(record.key), content), self.mark.owner)

    def _create(self, path: str, node: Node) -> Create:
        return Create(path, node.data, self.acl, self.ephemeral, node.sequential)


def _revision(record: Record) -> Revision:
    if not isinstance(record.revision, Revision):
        raise ValueError(f"{excerpt(record.key)} was never seen")  # noqa: TRY004  # told like the rest
    return record.revision


def _delete(stands: Revision) -> Delete:
    return Delete(stands.path, stands.version)


def _name(record: Record | None) -> str:
    """What the znode of a record that stands there is called, "" of none."""
    return _revision(record).path.rpartition("/")[2] if record is not None else ""


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "/"
