"""Which service has a record's key, where the names of several come to the same one."""

from collections.abc import Iterable, Mapping, Sequence

from bridge.adapter import Record, RecordKey
from bridge.model import ServiceName


class Keys:
    """The keys of one target. Whose record stands there has the key; else who wanted it first keeps it.

    `freed` gathers the services that have to be planned again, since a key that they wanted is another's now, or
    nobody's.
    """

    def __init__(self) -> None:
        self.freed: set[ServiceName] = set()
        self._of: dict[RecordKey, ServiceName] = {}
        self._standing: dict[ServiceName, frozenset[RecordKey]] = {}
        self._wanted: dict[ServiceName, frozenset[RecordKey]] = {}
        self._rivals: dict[RecordKey, set[ServiceName]] = {}

    def stand(self, standing: Mapping[ServiceName, Iterable[RecordKey]]) -> None:
        """The records of these services now stand under these keys."""
        for name, keys in standing.items():
            before, now = self._standing.get(name, _NONE), frozenset(keys)
            _keep(self._standing, name, now)
            for key in sorted(before - now - self._wanted.get(name, _NONE)):
                self._leave(name, key)
        for name in standing:
            for key in sorted(self._standing.get(name, _NONE)):
                other = self._of.get(key, name)
                if other != name and key in self._standing.get(other, _NONE):
                    continue  # two records under one key: no adapter should say so
                if other != name:
                    self._rivals.setdefault(key, set()).add(other)
                    self.freed.add(other)
                self._of[key] = name

    def take(self, name: ServiceName, keys: Iterable[RecordKey]) -> dict[RecordKey, ServiceName]:
        """`name` wants these keys; which of them it cannot have, and who has those."""
        before, now = self._wanted.get(name, _NONE), frozenset(keys)
        _keep(self._wanted, name, now)
        for key in sorted(before - now - self._standing.get(name, _NONE)):
            self._leave(name, key)
        lost = {}
        for key in sorted(now):
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


_NONE: frozenset[RecordKey] = frozenset()


def _keep(them: dict[ServiceName, frozenset[RecordKey]], name: ServiceName, keys: frozenset[RecordKey]) -> None:
    if keys:
        them[name] = keys
    else:
        them.pop(name, None)


def taken(records: Sequence[Record]) -> tuple[RecordKey, ...]:
    """The keys of records, and the names that they take."""
    return tuple(dict.fromkeys(key for one in records for key in (one.key, *one.names)))
