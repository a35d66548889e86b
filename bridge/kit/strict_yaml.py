"""The strict half of YAML 1.2.

Only these plain words are more than text: `true`, `false`, `null` (and `~`, and nothing at all) and decimal numbers.
`no`, `on`, `22:22`, `0777`, `1_000`, `0x1F`, `.nan` and `2026-01-01` are the texts that they look like, and a schema
that wants something else says so. Keys are always text. Duplicate keys, tags, merge keys, keys that are no scalars
and second documents are refused (unless asked for: `tags`, `read_all`); depth and what aliases stand for are bounded.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from bridge.errors import ConfigError
from bridge.kit.place import Node, excerpt

MAX_EXPANDED = 10_000
"""How many values all aliases of a document may stand for together."""

Tags = Mapping[str, Callable[[Any], Any]]
"""What becomes of a value that has a tag."""

_NO_TAGS: Tags = {}

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_MAY_BE_MORE = frozenset("-0123456789tTfFnN~")


def read(text: str, where: str, max_depth: int, tags: Tags = _NO_TAGS) -> Any:
    """The value of the one document in `text`, None for an empty one; ConfigError names file and line."""
    return _Reader(text, where, max_depth, tags).document()


def read_all(text: str, where: str, max_depth: int) -> list[Any]:
    """The values of all documents in `text`; ConfigError names file and line."""
    return _Reader(text, where, max_depth, _NO_TAGS).documents()


def places(text: str, where: str, max_depth: int) -> Node:
    """Where each part of the document stands; the text must be one that `read` accepts."""
    return _Reader(text, where, max_depth, _NO_TAGS).nodes()


def all_places(text: str, where: str, max_depth: int) -> Node:
    """Where each document stands, by its number, and each part of it; the text must be one that `read_all` accepts."""
    return _Reader(text, where, max_depth, _NO_TAGS).all_nodes()


class _Reader:
    """Reads events of libyaml, whose own composer recurses without a bound."""

    def __init__(self, text: str, where: str, max_depth: int, tags: Tags) -> None:
        self._text = text
        self._where = where
        self._max_depth = max_depth
        self._tags = tags
        self._anchors: dict[str, Any] = {}
        self._expanded = 0
        try:
            self._event: Callable[[], Any] = CParser(text).get_event
        except UnicodeEncodeError:
            raise ConfigError(f"{where}: holds half a surrogate pair, which is no character; remove it") from None

    def document(self) -> Any:
        try:
            event = self._first()
            if event is None:
                return None
            value = self._value(event, 0)
            self._event()  # the document's end
            event = self._event()
        except yaml.YAMLError as error:
            self._explain(error)
        if type(event) is not StreamEndEvent:
            self._refuse(event, "a second document begins here; write one document a file")
        return value

    def documents(self) -> list[Any]:
        values = []
        try:
            self._event()  # the stream's start
            while type(self._event()) is DocumentStartEvent:
                values.append(self._value(self._event(), 0))
                self._anchors.clear()
                self._event()  # the document's end
        except yaml.YAMLError as error:
            self._explain(error)
        return values

    def all_nodes(self) -> Node:
        children: dict[str | int, Node] = {}
        self._event()  # the stream's start
        while type(self._event()) is DocumentStartEvent:
            event = self._event()
            children[len(children)] = self._node(event, event.start_mark.line + 1)
            self._event()  # the document's end
        return Node(1, children)

    def nodes(self) -> Node:
        event = self._first()
        return Node(1, {}) if event is None else self._node(event, event.start_mark.line + 1)

    def _first(self) -> Any:
        """The first event of the document, None when there is none."""
        self._event()  # the stream's start
        event = self._event()
        return self._event() if type(event) is DocumentStartEvent else None

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            value = event.value
            if event.implicit[0] and (not value or value[0] in _MAY_BE_MORE):
                value = _resolve(value)
        elif kind is AliasEvent:
            return self._alias(event)
        elif depth > self._max_depth:
            self._refuse(event, f"is nested more than {self._max_depth} deep; write it flatter")
        else:
            value = self._mapping(depth) if kind is MappingStartEvent else self._sequence(depth)
        if event.tag is not None:
            if event.tag not in self._tags:
                self._refuse(event, f"tag {excerpt(event.tag)} is not read; remove it, and put text into quotes")
            value = self._tags[event.tag](value)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        get = self._event
        while True:
            event = get()
            if type(event) is not ScalarEvent:
                if type(event) is MappingEndEvent:
                    return value
                self._refuse(event, "a key must be plain text; put it into quotes")
            key = event.value
            if key in value:
                self._refuse(event, f"key {excerpt(key)} stands twice; remove one of them")
            if event.tag is not None or event.anchor is not None or (key == "<<" and event.implicit[0]):
                self._refuse(event, "merge keys, and tags or anchors of keys, are not read; write the values out")
            event = get()
            if type(event) is ScalarEvent and event.tag is None and event.anchor is None:  # most are
                inner = event.value
                if event.implicit[0] and (not inner or inner[0] in _MAY_BE_MORE):
                    inner = _resolve(inner)
                value[key] = inner
            else:
                value[key] = self._value(event, depth + 1)

    def _sequence(self, depth: int) -> list[Any]:
        value: list[Any] = []
        while type(event := self._event()) is not SequenceEndEvent:
            value.append(self._value(event, depth + 1))
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:  # not yet whole, if it stands inside itself
            self._refuse(
                event, f"alias {excerpt(event.anchor)} stands for nothing that is whole before it; write the value out"
            )
        value = self._anchors[event.anchor]
        waiting = [value]
        while waiting and self._expanded <= MAX_EXPANDED:
            inner = waiting.pop()
            self._expanded += 1
            if isinstance(inner, dict):
                waiting += inner.values()
            elif isinstance(inner, list):
                waiting += inner
        if self._expanded > MAX_EXPANDED:
            self._refuse(event, f"the aliases stand for more than {MAX_EXPANDED:,} values; write them out")
        return value

    def _node(self, event: Any, line: int) -> Node:
        children: dict[str | int, Node] = {}
        if type(event) is MappingStartEvent:
            while type(key := self._event()) is not MappingEndEvent:
                children[key.value] = self._node(self._event(), key.start_mark.line + 1)
        elif type(event) is SequenceStartEvent:
            while type(inner := self._event()) is not SequenceEndEvent:
                children[len(children)] = self._node(inner, inner.start_mark.line + 1)
        return Node(line, children)

    def _refuse(self, event: Any, what: str) -> NoReturn:
        raise ConfigError(f"{self._where}:{event.start_mark.line + 1}: {what}")

    def _explain(self, error: yaml.YAMLError) -> NoReturn:
        if isinstance(error, ReaderError):
            line = self._text.encode()[: error.position].count(b"\n") + 1
            raise ConfigError(f"{self._where}:{line}: {error.reason}; remove the character") from None
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            what = f"{error.problem}, {error.context}" if error.context else str(error.problem)
            line = error.problem_mark.line + 1
            raise ConfigError(f"{self._where}:{line}: is not YAML: {what}; is the file half written?") from None
        raise ConfigError(f"{self._where}: is not YAML: {error}") from None


def _resolve(word: str) -> Any:
    if not word:
        return None
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word):
        return float(word)
    return word
