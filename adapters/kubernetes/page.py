"""A page of a list, object by object, so that a page of thousands neither stops the loop nor stands there twice."""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any, Final

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_scan: Final = json.JSONDecoder().raw_decode


class Page:
    """One answer to a list; `version` and `following`, the token of the next page or "", are known after `objects`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.version = ""
        self.following = ""

    def objects(self) -> Iterator[Any]:
        """Each of its items; ValueError when this is no list of an API server, or not the whole answer."""
        listed = False
        at = self._after("{", 0)
        while True:
            key, at = self._value(at)
            at = self._after(":", at)
            if key == "items":
                at = yield from self._items(at)
                listed = True
            else:
                value, at = self._value(at)
                if key == "metadata" and isinstance(value, dict):
                    self.version = str(value.get("resourceVersion") or "")
                    self.following = str(value.get("continue") or "")
            if not self._stands(",", at):
                break
            at = self._after(",", at)
        if self._skip(self._after("}", at)) != len(self._text):
            raise ValueError("something follows the list")
        if not listed or not self.version:
            raise ValueError("the list has no items, or no resourceVersion")

    def _items(self, at: int) -> Generator[Any, None, int]:
        if self._stands("n", at):
            return self._value(at)[1]  # null: nothing
        at = self._after("[", at)
        while not self._stands("]", at):
            value, at = self._value(at)
            yield value
            if not self._stands("]", at):
                at = self._after(",", at)
        return self._after("]", at)

    def _value(self, at: int) -> tuple[Any, int]:
        return _scan(self._text, self._skip(at))

    def _stands(self, sign: str, at: int) -> bool:
        return self._text.startswith(sign, self._skip(at))

    def _after(self, sign: str, at: int) -> int:
        if not self._stands(sign, at):
            raise ValueError(f"{sign} is missing in the list")
        return self._skip(at) + 1

    def _skip(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return at if found is None else found.end()
