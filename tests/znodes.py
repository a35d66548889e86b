"""A tree of znodes in memory, that answers as a server does, and tells what watches would."""

from collections.abc import Iterable

from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.operations import (
    NO_AUTH,
    NO_NODE,
    Answer,
    Children,
    Exists,
    Get,
    Listing,
    Node,
    Operation,
    Refused,
    Stat,
)


class Znodes:
    """Nodes by their paths; `closed` are those that may not be read, `fired` those whose watches were set off."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {"/": b""}
        self.closed: set[str] = set()
        self.fired: set[str] = set()
        self.asked: list[Operation] = []
        self._zxid = 0
        self._stats: dict[str, Stat] = {"/": Stat(0, 0, 0, 0)}
        self._watched: dict[str, set[str]] = {"children": set(), "data": set()}

    def make(self, path: str, data: bytes = b"", session: int = 0) -> None:
        """A node, with those above it; it belongs to a session where one is named."""
        above = path.rpartition("/")[0] or "/"
        if above not in self.data:
            self.make(above)
        self._zxid += 1
        self.data[path] = data
        self._stats[path] = Stat(0, self._zxid, session, 0)
        self._fire("data", path)
        self._fire("children", above)

    def write(self, path: str, data: bytes) -> None:
        self._zxid += 1
        self.data[path] = data
        before = self._stats[path]
        self._stats[path] = before._replace(version=before.version + 1)
        self._fire("data", path)

    def remove(self, path: str) -> None:
        """A node and all below it."""
        for name in self.names(path):
            self.remove(f"{path}/{name}")
        self._zxid += 1
        del self.data[path], self._stats[path]
        self._fire("data", path)
        self._fire("children", path)
        self._fire("children", path.rpartition("/")[0] or "/")

    def names(self, path: str) -> list[str]:
        before = path.rstrip("/") + "/"
        below = (one[len(before) :] for one in self.data if one.startswith(before))
        return [one for one in below if one and "/" not in one]

    def answer(self, asked: Operation) -> Answer:
        self.asked.append(asked)
        match asked:
            case Exists(path, watch):
                self._watch("data", path, watch)
                return self._stats.get(path)
            case Children(path) | Get(path) if path not in self.data:
                return Refused(NO_NODE, "there is no such node")
            case Children(path) | Get(path) if path in self.closed:
                return Refused(NO_AUTH, "we may not")
            case Children(path, watch):
                self._watch("children", path, watch)
                return Listing(tuple(self.names(path)), self._stats[path])
            case Get(path, watch):
                self._watch("data", path, watch)
                return Node(self.data[path], self._stats[path])
            case _:
                raise AssertionError(asked)

    def follow(self, mirrors: Iterable[Mirror], now: float = 0.0) -> None:
        """Let the mirrors hear what was set off, and ask until nothing is wanted any more."""
        for mirror in mirrors:
            for path in self.fired:
                mirror.mark(path)
        self.fired.clear()
        for mirror in mirrors:
            while wanted := mirror.wants():
                for operation in wanted:
                    mirror.take(operation, self.answer(operation), now)

    def _watch(self, kind: str, path: str, watch: bool) -> None:
        if watch:
            self._watched[kind].add(path)

    def _fire(self, kind: str, path: str) -> None:
        if path in self._watched[kind]:
            self._watched[kind].discard(path)
            self.fired.add(path)
