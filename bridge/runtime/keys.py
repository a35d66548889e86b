"""Which service has a record's key, where the names of several come to the same one."""

from collections.abc import Iterable

from bridge.adapter import RecordKey
from bridge.model import ServiceName


class Keys:
    """The keys of one target. Whose record stands there has the key; else who wanted it first keeps it.

    `freed` gathers the services that have to be planned again, since a key that they wanted is another's now, or
    nobody's.
    """

    def __init__(self) -> None:
        self.freed: set[ServiceName] = set()
        self._of: dict[RecordKey, ServiceName] = {}
        self._mine: dict[ServiceName, frozenset[RecordKey]] = {}  # what stands there and what is wanted
        self._rivals: dict[RecordKey, set[ServiceName]] = {}

    def stand(self, name: ServiceName, keys: Iterable[RecordKey]) -> None:
        """Records of `name` stand under these keys."""
        for key in keys:
            other = self._of.get(key)
            if other is not None and other != name:
                self._rivals.setdefault(key, set()).add(other)
                self.freed.add(other)
            self._of[key] = name

    def take(
        self, name: ServiceName, wanted: Iterable[RecordKey], standing: Iterable[RecordKey]
    ) -> dict[RecordKey, ServiceName]:
        """`name` wants these keys; which of them it cannot have, and who has those."""
        wanted = frozenset(wanted)
        mine, before = wanted.union(standing), self._mine.get(name, frozenset())
        for key in sorted(before - mine):
            self._leave(name, key)
        if mine:
            self._mine[name] = mine
        else:
            self._mine.pop(name, None)
        lost = {}
        for key in sorted(wanted):
            other = self._of.setdefault(key, name)
            if other != name:
                lost[key] = other
                self._rivals.setdefault(key, set()).add(name)
        return lost

    def _leave(self, name: ServiceName, key: RecordKey) -> None:
        rivals = self._rivals.get(key, set())
        rivals.discard(name)
        if self._of.get(key) == name:
            del self._of[key]
            self.freed |= rivals
            self._rivals.pop(key, None)
        elif not rivals:
            self._rivals.pop(key, None)
