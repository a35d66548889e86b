"""Documents beside the trees, which say something of what stands in them: Dubbo's configuration."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from adapters.zookeeper import members
from adapters.zookeeper.dialects import dubbo_documents
from adapters.zookeeper.dialects.dialect import DOCUMENTS, Branch, Child, ChildKey, Dialect, Part
from adapters.zookeeper.dialects.dubbo_documents import Document
from adapters.zookeeper.members import Member
from adapters.zookeeper.mirror import Mirror, shown
from adapters.zookeeper.paths import Mapped, Tree
from bridge.adapter import Problem


@dataclass(frozen=True)
class _Documents(Dialect):
    """Children of the folder; what else Dubbo keeps there is for somebody else."""

    name: ClassVar[str] = "dubbo-documents"
    branches: ClassVar = (Branch(changes=True),)

    def is_member(self, branch: str, name: str) -> bool:
        return name.endswith(dubbo_documents.SUFFIX)

    def read(self, child: Child) -> Part:
        return dubbo_documents.read(child.name, child.data)


class Documents:
    """Those of one folder, which need not be there."""

    def __init__(self, folder: str) -> None:
        """The path of their znode."""
        self.mirror = Mirror(Tree.of(folder, Mapped("dubbo", "documents")), _Documents(), founded=True)
        self._members: dict[ChildKey, Member] = {}
        self._amiss: tuple[Member, ...] = ()

    def updates(self) -> Iterator[str]:
        """Take up what changed in the mirror, a document in each step: those that may say something else than before.

        What is not taken to its end is taken up again.
        """
        if not self.mirror.changed:
            return
        (node,) = self.mirror.nodes.values()
        for key in self._members.keys() - node.children.keys():
            del self._members[key]
            yield key.name
        for key, child in sorted(node.children.items()):
            if key not in self._members or self._members[key].child != child:
                self._members |= members.take(self.mirror.dialect, [child], self._members)
                yield key.name
        self._amiss = tuple(one for _, one in sorted(self._members.items()) if one.why or _remarks(one))
        self.mirror.changed.clear()

    def parts(self, names: Iterable[str]) -> dict[ChildKey, Part]:
        """What those of these names say, as far as they are there and say something."""
        found = {name: self._members.get(ChildKey("", name)) for name in names}
        return {ChildKey(DOCUMENTS, name): one.part for name, one in found.items() if one is not None and one.part}

    def problems(self) -> Iterator[tuple[str, Problem]]:
        """By the names of the documents."""
        for member in self._amiss:
            name = member.child.name
            where = shown(f"{self.mirror.tree.root}/{name}")
            if member.why:
                then = "nothing of it is applied" if member.part is None else "what it said last stands"
                yield name, Problem("record", where, f"{member.why}; {then}")
            for remark in _remarks(member):
                yield name, Problem("record", where, remark)


def _remarks(member: Member) -> tuple[str, ...]:
    return member.part.remarks if isinstance(member.part, Document) else ()
