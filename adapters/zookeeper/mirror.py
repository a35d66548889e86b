"""What is known of a tree of znodes: which of them are to be asked for, and what they answered.

Driven by levels, not by events: that something happened to a node only means that it is asked for again, whole.
Sans-IO: `wants` are to be asked, and each answer is given to `take`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from adapters.zookeeper.dialects.dialect import Branch, Child, ChildKey, Dialect
from adapters.zookeeper.dialects.words import MAX_DATA
from adapters.zookeeper.operations import NO_NODE, Answer, Children, Exists, Get, Listing, Node, Operation, Refused
from adapters.zookeeper.paths import Found, Tree
from bridge.adapter import Problem
from bridge.kit.place import excerpt

MAX_CHILDREN = 100_000
"""How many children of one znode are read: the first ones by name."""

JAVA_LIMIT = 1_048_575
"""Bytes that the names of a znode's children may have, each and four more, for clients that are written in Java."""

Parts = tuple[str, ...]


class Failure(NamedTuple):
    """Why a node cannot be read; `never`: it never was."""

    since: float
    word: str
    what: str
    never: bool


@dataclass(slots=True)
class Inner:
    """A node whose children are listed: a level of the tree, a service, or a branch of one."""

    path: str
    parts: Parts
    branch: Branch | None = None
    names: frozenset[str] | None = None
    size: int = 0
    """Bytes of the names, as clients count them."""


@dataclass(slots=True)
class ServiceNode:
    """The znode of a service; `children` are those of which all is known that has to be."""

    found: Found
    children: dict[ChildKey, Child] = field(default_factory=dict)
    members: dict[str, set[ChildKey]] = field(default_factory=dict)
    """By branch, all that are to be known."""
    passed: int = 0
    """Children that are called as no member is."""


class Leaf(NamedTuple):
    """A child of a service whose data are to be known, and how it is asked for them."""

    node: ServiceNode
    key: ChildKey
    get: Get


class Mirror:
    """One tree. `changed` are paths of services that may say something else than before, until somebody has looked."""

    def __init__(self, tree: Tree, dialect: Dialect, *, ours: bool = False, founded: bool = False) -> None:
        """`ours`: we write there, and what hands do to records is seen at once.

        `founded`: its root is made by us who write; where it is not there the tree is empty, and not unknown.
        """
        self.tree = tree
        self._ours = ours
        self._founded = founded
        self._rooted = False
        self.dialect = dialect
        self.nodes: dict[str, ServiceNode] = {}
        """By their paths, those of services."""
        self.changed: set[str] = set()
        self.failures: dict[str, Failure] = {}
        """By the path of the node."""
        self.problems: dict[str, Problem] = {}
        """By the path of the node: names that no service can have, lists that are too long."""
        self._branches = {branch.path: branch for branch in dialect.branches}
        self._inner: dict[str, Inner] = {tree.root: Inner(tree.root, ())}
        self._levels: set[str] = set() if tree.depth == 0 else {tree.root}
        self._leaves: dict[str, Leaf] = {}
        self._wanted: dict[Operation, None] = {}
        self._vanished: set[str] = set()
        """What stood in a list and was not there; the list is asked for again."""
        if tree.depth == 0 and (found := tree.find(())) is not None:
            self.nodes[tree.root] = ServiceNode(found)

    @property
    def parts(self) -> int:
        """How many things are read separately: the levels of the tree and the services."""
        return len(self.nodes) + len(self._levels)

    @property
    def rooted(self) -> bool:
        """Whether the root was there when it was last looked at."""
        return self._rooted

    @property
    def empty(self) -> list[str]:
        """The nodes below the root that have no children, sorted."""
        return sorted(path for path, inner in self._inner.items() if inner.names == frozenset() and inner.parts)

    def knows(self, path: str) -> bool:
        """Whether this is a node whose children are listed."""
        return path in self._inner and (path != self.tree.root or self._rooted)

    def size(self, path: str) -> int:
        """How many bytes the names of a node's children have, as clients count them; 0 of one that is not known."""
        return self._inner[path].size if path in self._inner else 0

    def part(self, path: str) -> str:
        """Which of them a node belongs to."""
        if path in self._inner:
            return path if self._inner[path].branch is None else _above(path)
        return self._leaves[path].node.found.path

    def again(self) -> None:
        """All is to be read anew; what is known stands until there is an answer."""
        self._vanished.clear()
        self._wanted = {Children(path, watch=True): None for path in self._inner}
        self._wanted.update(dict.fromkeys(leaf.get for leaf in self._leaves.values()))

    def retry(self) -> None:
        """What could not be read is to be tried again."""
        for path in self.failures:
            self.mark(path)

    def mark(self, path: str) -> None:
        """Something may have happened to this node; one that is not known is nobody's."""
        if path in self._inner:
            self._wanted[Children(path, watch=True)] = None
        if path in self._leaves:
            self._wanted[self._leaves[path].get] = None

    def wants(self) -> list[Operation]:
        """What is to be asked next; nothing when all is known."""
        return list(self._wanted)

    def take(self, asked: Operation, answer: Answer, now: float) -> None:
        """What was answered; `now` is in seconds, monotonic. What is not wanted any more says nothing."""
        if asked not in self._wanted:
            return
        del self._wanted[asked]
        match asked, answer:
            case Children(path), Listing(names):
                self._succeed(path)
                self._rooted |= path == self.tree.root
                self._listed(self._inner[path], names)
            case Get(path), Node():
                self._succeed(path)
                self._read(path, answer)
            case Exists(path), Refused():
                self._fail(path, answer, now, never=self._inner[path].names is None)
            case Exists(path), there:
                if there is not None:
                    self.mark(path)
            case Children(path) | Get(path), Refused(word) if word == NO_NODE and path != self.tree.root:
                self._vanished.add(path)
                self.mark(_above(path))
            case Children(path), Refused(word):
                if word == NO_NODE:
                    self._rooted = False
                    self._wanted[Exists(path, watch=True)] = None
                if word == NO_NODE and (self._ours or self._founded):
                    self._succeed(path)
                    self._listed(self._inner[path], ())
                else:
                    self._fail(path, answer, now, never=self._inner[path].names is None)
            case Get(path), Refused():
                node, key, _ = self._leaves[path]
                self._fail(path, answer, now, never=key not in node.children)
            case _:
                raise AssertionError(f"{asked} cannot be answered by {answer!r}")

    def _succeed(self, path: str) -> None:
        self.failures.pop(path, None)

    def _fail(self, path: str, why: Refused, now: float, *, never: bool) -> None:
        before = self.failures.get(path)
        since = before.since if before is not None else now
        self.failures[path] = Failure(since, why.word, why.what, never)

    def _listed(self, inner: Inner, listed: tuple[str, ...]) -> None:
        inner.size = sum(len(name.encode()) + 4 for name in listed)
        names = self._bounded(inner, listed)
        before, inner.names = inner.names or frozenset(), names
        if inner.branch is not None:
            self._members(self.nodes[_above(inner.path)], inner.branch, names)
        elif len(inner.parts) == self.tree.depth:
            self._service(self.nodes[inner.path], names)
        else:
            for name in before - names:
                self._drop(_below(inner.path, name))
            for name in sorted(names - before):
                self._level(_below(inner.path, name), (*inner.parts, name))
        for path in [path for path in self._vanished if _above(path) == inner.path]:
            self._vanished.discard(path)
            self.mark(path)  # if it is still known, it was made again meanwhile

    def _level(self, path: str, parts: Parts) -> None:
        """A node that is new in the list above it: a further level, or a service."""
        if not self.tree.admits(len(parts) - 1, parts[-1]):
            return
        if len(parts) == self.tree.depth:
            try:
                found = self.tree.find(parts)
            except ValueError as error:
                self.problems[path] = Problem("name", shown(path), f"{error}; it is left out")
                return
            if found is None:
                return
            self.nodes[path] = ServiceNode(found)
            self.changed.add(path)
        else:
            self._levels.add(path)
        self._inner[path] = Inner(path, parts)
        self.mark(path)

    def _service(self, node: ServiceNode, names: frozenset[str]) -> None:
        for branch in self._branches.values():
            if not branch.path:
                self._members(node, branch, names)
                continue
            path = _below(node.found.path, branch.path)
            if branch.path not in names:
                self._members(node, branch, frozenset())
                self._drop(path)
            elif path not in self._inner:
                self._inner[path] = Inner(path, self._inner[node.found.path].parts, branch)
                self.mark(path)

    def _members(self, node: ServiceNode, branch: Branch, names: frozenset[str]) -> None:
        at = _below(node.found.path, branch.path) if branch.path else node.found.path
        keys = {ChildKey(branch.path, name) for name in names if self.dialect.is_member(branch.path, name)}
        known = node.members.get(branch.path, set())
        node.members[branch.path] = keys
        if not branch.path and node.passed != (passed := len(names) - len(keys)):
            node.passed = passed
            self.changed.add(node.found.path)
        for key in known - keys:
            node.children.pop(key, None)
            self._forget(_below(at, key.name))
            self.changed.add(node.found.path)
        for key in sorted(keys - known):
            if branch.data or (self._ours and self._is_marked(key)):  # no name says which session it ends with
                path = _below(at, key.name)
                self._leaves[path] = Leaf(node, key, Get(path, watch=self._ours or branch.changes))
                self.mark(path)
            else:
                node.children[key] = Child(branch.path, key.name)
                self.changed.add(node.found.path)

    def _is_marked(self, key: ChildKey) -> bool:
        return self.dialect.stamp(Child(*key)) is not None

    def _read(self, path: str, read: Node) -> None:
        node, key, _ = self._leaves[path]
        stat = read.stat
        data = read.data[: MAX_DATA + 1]  # of what is longer nothing is read, and no more is kept than shows that it is
        child = Child(*key, data, stat.created, stat.version, stat.session, stat.children)
        if node.children.get(key) != child:
            node.children[key] = child
            self.changed.add(node.found.path)

    def _drop(self, path: str) -> None:
        """A node that is no longer in the list above it, and all that is below it."""
        inner = self._inner.pop(path, None)
        self._forget(path)
        if inner is None or inner.branch is not None:
            return
        node = self.nodes.pop(path, None)
        if node is None:
            self._levels.discard(path)
            for name in inner.names or ():
                self._drop(_below(path, name))
            return
        self.changed.add(path)
        for branch, keys in node.members.items():
            at = _below(path, branch) if branch else path
            for key in keys:
                self._forget(_below(at, key.name))
            if branch:
                self._drop(at)

    def _forget(self, path: str) -> None:
        leaf = self._leaves.pop(path, None)
        if leaf is not None:
            self._wanted.pop(leaf.get, None)
        self._wanted.pop(Children(path, watch=True), None)
        self.failures.pop(path, None)
        self.problems.pop(path, None)

    def _bounded(self, inner: Inner, names: tuple[str, ...]) -> frozenset[str]:
        path = inner.path
        self.problems.pop(path, None)
        if len(names) > MAX_CHILDREN:
            what = f"has {len(names):,} children; the first {MAX_CHILDREN:,} by name are read, the others left out"
            self.problems[path] = Problem("bound", shown(path), what, count=len(names) - MAX_CHILDREN)
            return frozenset(sorted(names)[:MAX_CHILDREN])
        if inner.size > JAVA_LIMIT:
            what = (
                f"the names of its {len(names):,} children come to {inner.size:,} bytes: clients written in Java take "
                f"{JAVA_LIMIT:,} (jute.maxbuffer), and lose their connection; spread them over several znodes"
            )
            self.problems[path] = Problem("bound", shown(path), what)
        return frozenset(names)


def shown(path: str) -> str:
    """A path as a message says it: on one line, and not too long."""
    return path if len(path) <= 300 and path.isprintable() else excerpt(path, 300)


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path != "/" else f"/{name}"


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "/"
