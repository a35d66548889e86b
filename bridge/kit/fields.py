"""What the fields of a JSON object say, taken at the door: null says nothing, and ValueError names what is amiss."""

import sys
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from bridge.kit.place import excerpt
from bridge.model import Metadata

T = TypeVar("T", bound=Hashable)


def mapping(said: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under `key`, empty where nothing is."""
    value = said.get(key)
    return {} if value is None else a_mapping(value, key)


def a_mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value` itself, where it is a mapping; `what` is what messages call it, here and below."""
    if not isinstance(value, dict):
        raise ValueError(f"{what}: {excerpt(value)} is not a mapping")  # noqa: TRY004  # told like the rest
    return value


def several(said: Mapping[str, Any], key: str) -> list[Any]:
    """The list under `key`, empty where nothing is."""
    value = said.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key}: {excerpt(value)} is not a list")  # noqa: TRY004  # told like the rest
    return value


def mappings(said: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The list of mappings under `key`, empty where nothing is."""
    return [a_mapping(one, key) for one in several(said, key)]


def pairs(said: Mapping[str, Any], key: str) -> Metadata:
    """The mapping of text to text under `key`, sorted; empty where nothing is."""
    return tuple(sorted((word(name), text(value, f"{key}.{name}")) for name, value in mapping(said, key).items()))


def text(value: Any, what: str) -> str:
    """`value` itself, where it is text."""
    if not isinstance(value, str):
        raise ValueError(f"{what}: {excerpt(value)} is not text")  # noqa: TRY004  # told like the rest
    return value


def word(value: Any) -> str:
    """Text that many objects share."""
    return sys.intern(text(value, "a name"))


def number(value: Any, what: str, lowest: int, highest: int) -> int:
    """`value` itself, where it is a whole number in these bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{what} {excerpt(value)} is not between {lowest} and {highest}")
    return value


def interned(value: T) -> T:
    """The one object that stands for all equal to it of its type."""
    same: Callable[[T], T] = _one  # type: ignore[assignment]  # it returns what it is given
    return same(value)


@lru_cache(maxsize=65536, typed=True)
def _one(value: Hashable) -> Hashable:
    return value
