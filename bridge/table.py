"""An immutable mapping whose versions share what they have in common.

A whole view of ten thousand services changes by one service at a time. A `Table` keeps its entries in
1,024 shards, in 32 groups of 32; a new version copies the shards and groups that a change touches and shares the
others, so that both making a version and finding what differs between two of them cost what changed, not what there
is. (One row of 1,024 was compared in 34 µs, which every room pays for every change; the groups in 2 µs.)

Sharing is speed, never correctness: every consumer gives the same answer when nothing is shared.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARDS = 1024
_MASK = SHARDS - 1
_BITS = 5  # of the number of a shard, for its place in its group
_PLACE = (1 << _BITS) - 1
_NOTHING: dict[Any, Any] = {}  # never written: a shard is copied before its first entry
_EMPTY: tuple[tuple[dict[Any, Any], ...], ...] = ((_NOTHING,) * (_PLACE + 1),) * (SHARDS >> _BITS)
_ABSENT = object()


class Table(Mapping[K, V]):
    """An immutable mapping of hashable keys to values; iteration order is not defined: sort where it shows."""

    __slots__ = ("_groups", "_len")

    _groups: tuple[tuple[dict[K, V], ...], ...]
    _len: int

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        """Take the entries of `entries`; another Table is shared, not copied."""
        if not entries:
            self._groups, self._len = _EMPTY, 0
        elif isinstance(entries, Table):
            self._groups, self._len = entries._groups, entries._len
        else:
            groups = [list(group) for group in _EMPTY]
            for key, value in entries.items():
                number = hash(key) & _MASK
                group = groups[number >> _BITS]
                shard = group[number & _PLACE]
                if shard is _NOTHING:
                    group[number & _PLACE] = {key: value}
                else:
                    shard[key] = value
            self._groups, self._len = tuple(map(tuple, groups)), len(entries)

    def with_(self, changes: Mapping[K, V | None]) -> Self:
        """A version with `changes` applied, where None removes; `self` if nothing differs by identity."""
        touched: dict[int, list[dict[K, V]]] = {}
        length = self._len
        for key, value in changes.items():
            number = hash(key) & _MASK
            place = number & _PLACE
            standing = self._groups[number >> _BITS]
            group = touched.get(number >> _BITS)
            shard = (group or standing)[place]
            had = shard.get(key, _ABSENT)
            if had is value or (value is None and had is _ABSENT):
                continue
            if group is None:
                group = touched[number >> _BITS] = list(standing)
            if shard is standing[place] or shard is _NOTHING:  # emptied a moment ago: nobody writes into that
                shard = group[place] = dict(shard)
            if value is None:
                del shard[key]
                length -= 1
                if not shard:
                    group[place] = _NOTHING
            else:
                shard[key] = value
                length += had is _ABSENT
        if not touched:
            return self
        groups = list(self._groups)
        for number, group in touched.items():
            groups[number] = tuple(group)
        version = object.__new__(type(self))
        version._groups, version._len = tuple(groups), length
        return version

    def __getitem__(self, key: K) -> V:
        number = hash(key) & _MASK
        return self._groups[number >> _BITS][number & _PLACE][key]

    def get(self, key: K, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        number = hash(key) & _MASK
        return self._groups[number >> _BITS][number & _PLACE].get(key, default)

    def __contains__(self, key: object) -> bool:
        number = hash(key) & _MASK
        return key in self._groups[number >> _BITS][number & _PLACE]

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[K]:
        for group in self._groups:
            for shard in group:
                if shard:
                    yield from shard

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Table):
            return self._len == other._len and self._groups == other._groups  # tuples compare by identity first
        return Mapping.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]  # equal to dicts, which have none

    def __repr__(self) -> str:
        return f"Table({dict(self)!r})"


def changed(old: Table[K, V], new: Table[K, V]) -> list[K]:
    """The keys whose value is another object in `new` than in `old`, those that came or went included.

    Costs what changed and 32 pointer comparisons, and 32 more for each group of shards that a change touched.
    """
    keys: list[K] = []
    for standing, group in zip(old._groups, new._groups, strict=True):
        if standing is group:
            continue
        for before, after in zip(standing, group, strict=True):
            if before is after:
                continue
            if [*before] == [*after]:  # as where values were replaced: no key needs to be looked up
                keys += [
                    key for key, was, now in zip(after, before.values(), after.values(), strict=True) if was is not now
                ]
                continue
            keys += [key for key, value in after.items() if before.get(key, _ABSENT) is not value]
            keys += [key for key in before if key not in after]
    return keys


def share(old: Table[K, V], new: Mapping[K, V]) -> Table[K, V]:
    """A Table equal to `new` in which every value (and shard) equal to its predecessor in `old` is that object."""
    if new is old:
        return old
    if isinstance(new, Table):
        differing = changed(old, new)
        if not differing:
            return old
    else:
        differing = [key for key, value in new.items() if old.get(key, _ABSENT) is not value]
        if len(new) != len(old) or differing:
            differing += [key for key in old if key not in new]
    changes: dict[K, V | None] = {}
    for key in differing:
        value = new.get(key)
        if value is None or key not in old or old[key] != value:
            changes[key] = value
    return old.with_(changes)
