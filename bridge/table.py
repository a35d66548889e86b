"""An immutable mapping whose versions share what they have in common.

A whole view of ten thousand services changes by one service at a time. A `Table` keeps its entries in
1,024 shards; a new version copies the shards that a change touches and shares the others, so that both making
a version and finding what differs between two of them cost what changed, not what there is.

Sharing is speed, never correctness: every consumer gives the same answer when nothing is shared.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARDS = 1024
_MASK = SHARDS - 1
_NOTHING: dict[Any, Any] = {}  # never written: a shard is copied before its first entry
_EMPTY: tuple[dict[Any, Any], ...] = (_NOTHING,) * SHARDS
_ABSENT = object()


class Table(Mapping[K, V]):
    """An immutable mapping of hashable keys to values; iteration order is not defined: sort where it shows."""

    __slots__ = ("_len", "_shards")

    _shards: tuple[dict[K, V], ...]
    _len: int

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        """Take the entries of `entries`; another Table is shared, not copied."""
        if not entries:
            self._shards, self._len = _EMPTY, 0
        elif isinstance(entries, Table):
            self._shards, self._len = entries._shards, entries._len
        else:
            shards = list(_EMPTY)
            for key, value in entries.items():
                index = hash(key) & _MASK
                shard = shards[index]
                if shard is _NOTHING:
                    shards[index] = {key: value}
                else:
                    shard[key] = value
            self._shards, self._len = tuple(shards), len(entries)

    def with_(self, changes: Mapping[K, V | None]) -> Self:
        """A version with `changes` applied, where None removes; `self` if nothing differs by identity."""
        shards: list[dict[K, V]] | None = None
        length = self._len
        for key, value in changes.items():
            index = hash(key) & _MASK
            shard = (shards or self._shards)[index]
            had = shard.get(key, _ABSENT)
            if had is value or (value is None and had is _ABSENT):
                continue
            if shards is None:
                shards = list(self._shards)
            if shard is self._shards[index] or shard is _NOTHING:  # emptied a moment ago: nobody writes into that
                shard = shards[index] = dict(shard)
            if value is None:
                del shard[key]
                length -= 1
                if not shard:
                    shards[index] = _NOTHING
            else:
                shard[key] = value
                length += had is _ABSENT
        if shards is None:
            return self
        version = object.__new__(type(self))
        version._shards, version._len = tuple(shards), length
        return version

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) & _MASK][key]

    def get(self, key: K, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        return self._shards[hash(key) & _MASK].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) & _MASK]

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            if shard:
                yield from shard

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Table):
            return self._len == other._len and all(
                mine is its or mine == its for mine, its in zip(self._shards, other._shards, strict=True)
            )
        return Mapping.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]  # equal to dicts, which have none

    def __repr__(self) -> str:
        return f"Table({dict(self)!r})"


def changed(old: Table[K, V], new: Table[K, V]) -> list[K]:
    """The keys whose value is another object in `new` than in `old`, those that came or went included.

    Costs what changed and 1,024 pointer comparisons.
    """
    if old._shards is new._shards:
        return []
    keys: list[K] = []
    for before, after in zip(old._shards, new._shards, strict=True):
        if before is after:
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
