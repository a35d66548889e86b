"""JSON without duplicate keys, without NaN, and no deeper than it should be."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from bridge.errors import ConfigError
from bridge.kit.place import Node, excerpt

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _DuplicateKeyError(Exception):
    pass


def read(text: str, where: str, max_depth: int) -> Any:
    """The value of a JSON text; `NaN` and `Infinity` are texts, which no schema takes for a number.

    json.JSONDecodeError when it is no JSON at all, ConfigError for JSON that is refused.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=str)
    except _DuplicateKeyError:
        line, key = next(_duplicates(text))
        raise ConfigError(f"{where}:{line}: key {excerpt(key)} stands twice; remove one of them") from None
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise ConfigError(f"{where}:1: is nested more than {max_depth} deep; write it flatter") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise ConfigError(f"{where}:1: {error}; no number here is that long") from None
    if _deeper(value, max_depth):
        raise ConfigError(f"{where}:1: is nested more than {max_depth} deep; write it flatter")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{where}:1: holds half a surrogate pair, which is no character; remove it") from None
    return value


def places(text: str) -> Node:
    """Where each part of a JSON text stands; the text must be one that `read` accepts."""
    tokens = _tokens(text)
    return _place(*next(tokens), tokens)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _DuplicateKeyError
    return value


def _deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Lines, from 1, and tokens."""
    line, at = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        yield line, match[0]


def _place(line: int, mark: str, tokens: Iterator[tuple[int, str]]) -> Node:
    children: dict[str | int, Node] = {}
    if mark == "[":
        for at, inner in tokens:
            if inner == "]":
                break
            if inner != ",":
                children[len(children)] = _place(at, inner, tokens)
    elif mark == "{":
        for at, key in tokens:
            if key == "}":
                break
            if key != ",":
                next(tokens)  # the colon
                children[json.loads(key)] = _place(at, next(tokens)[1], tokens)
    return Node(line, children)


def _duplicates(text: str) -> Iterator[tuple[int, str]]:
    """Lines and keys of what stands a second time in its object."""
    seen: list[set[str] | None] = []  # one a level; None for a list
    before, key = "", ""
    for line, mark in chain(_tokens(text), [(0, "")]):
        if mark == "{":
            seen.append(set())
        elif mark == "[":
            seen.append(None)
        elif mark in ("}", "]"):
            seen.pop()
        elif mark == ":" and seen and (keys := seen[-1]) is not None:
            key = json.loads(before)
            if key in keys:
                yield line, key
            keys.add(key)
        before = mark
