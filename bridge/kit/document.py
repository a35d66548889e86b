"""A YAML or JSON text as plain values that still know their lines."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from bridge.errors import ConfigError
from bridge.kit import strict_json, strict_yaml
from bridge.kit.place import Node, dotted

MAX_CHARACTERS = 16 * 1024 * 1024
MAX_DEPTH = 64


class Document:
    """One document: `value` is made of dicts, lists, texts, numbers, booleans and None; do not write into it."""

    __slots__ = ("_places", "_tree", "value", "where")

    def __init__(self, value: Any, where: str, places: Callable[[], Node]) -> None:
        """`places` finds the positions; it is called when one is first asked for, which is when something is wrong."""
        self.value = value
        self.where = where
        self._places = places
        self._tree: Node | None = None

    def line(self, path: Sequence[str | int] = ()) -> int:
        """The line, from 1, of what stands at `path`, or of the last part of `path` that is there."""
        if self._tree is None:
            self._tree = self._places()
        node = self._tree
        for part in path:
            inner = node.children.get(part)
            if inner is None:
                break
            node = inner
        return node.line

    def place(self, path: Sequence[str | int] = ()) -> str:
        """`file:line: services[3].ports`, as a message begins."""
        place = f"{self.where}:{self.line(path)}"
        return f"{place}: {dotted(path)}" if path else place


def load(text: str, where: str, tags: strict_yaml.Tags | None = None) -> Document:
    """Read YAML (`bridge.kit.strict_yaml` says which) or JSON; `where` is the name of its file, as messages say it.

    What begins with `{` or `[` is tried as JSON first, which is thirty times quicker. `tags` says what becomes of
    values with a tag of YAML; others are refused.
    An empty text is a document whose value is None. ConfigError names file, line, and what to do.
    """
    if (document := _json(text, where)) is not None:
        return document
    value = strict_yaml.read(text, where, MAX_DEPTH, tags or {})
    return Document(value, where, lambda: strict_yaml.places(text, where, MAX_DEPTH))


def load_all(text: str, where: str) -> Document:
    """The same for a text of several documents: the value is the list of theirs."""
    if (one := _json(text, where)) is not None:
        return Document([one.value], where, lambda: Node(1, {0: strict_json.places(text)}))
    value = strict_yaml.read_all(text, where, MAX_DEPTH)
    return Document(value, where, lambda: strict_yaml.all_places(text, where, MAX_DEPTH))


def _json(text: str, where: str) -> Document | None:
    """The text as JSON, None when it is to be read as YAML."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{where}: has {len(text):,} characters, and {MAX_CHARACTERS:,} are read; split it")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return Document(strict_json.read(text, where, MAX_DEPTH), where, lambda: strict_json.places(text))
        except json.JSONDecodeError as error:
            if where.endswith(".json"):
                raise ConfigError(
                    f"{where}:{error.lineno}: is not JSON: {error.msg}; is the file half written?"
                ) from None
    elif where.endswith(".json") and text.strip():
        raise ConfigError(f"{where}:1: is not JSON: it begins with neither {{ nor [")
    return None
