"""Label selectors, as kubectl understands them: `team=payments,tier in (web, api),!canary,generation>3`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

from bridge.kit.place import excerpt

Operator = Literal["exists", "absent", "in", "notin", ">", "<"]

_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!<>(),]|[^ \t\r\n=!<>(),]+)", re.ASCII)
_BLANK = " \t\r\n"
_SIGNS: Final = frozenset(("==", "!=", "=", "!", "<", ">", "(", ")", ","))
_NAME = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_OPERATORS: Final[Mapping[str, Operator]] = {
    "=": "in", "==": "in", "!=": "notin", "in": "in", "notin": "notin", ">": ">", "<": "<",
}  # fmt: skip
_MOST: Final = 2**63 - 1


class Requirement(NamedTuple):
    """What one label has to be; `values` are none for its presence, and the one bound for an order."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "absent":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values  # nor need it be there
        number, bound = _number(value or ""), _number(min(self.values))
        if number is None or bound is None:
            return False
        return number > bound if self.operator == ">" else number < bound


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements that are all to be met; none admits everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError says what is expected where."""
        return cls(tuple(_Parser(text).requirements()))

    def admits(self, labels: Mapping[str, str]) -> bool:
        return all(one.met_by(labels) for one in self.requirements)


class _Parser:
    """Reads a selector token by token; "" is its end, and no token else."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = [*_TOKEN.findall(text.rstrip(_BLANK)), ""]
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._next or found:
            found.append(self._requirement())
            if not self._next:
                break
            self._take(",")
        return found

    def _requirement(self) -> Requirement:
        if self._next == "!":
            self._take("!")
            return Requirement(self._key(), "absent")
        key = self._key()
        if self._next in ("", ","):
            return Requirement(key, "exists")
        sign = self._next
        operator = _OPERATORS.get(sign)
        if operator is None:
            raise self._error("one of =, ==, !=, in, notin, <, > or a comma")
        self._take(sign)
        values = self._values() if sign in ("in", "notin") else frozenset((self._value(),))
        if operator in (">", "<") and _number(min(values)) is None:
            raise ValueError(f"{excerpt(self._text)} is no label selector: {key} is to be compared with a whole number")
        return Requirement(key, operator, values)

    def _key(self) -> str:
        word = self._word("a label")
        prefix, slash, name = word.rpartition("/")
        if not _NAME.fullmatch(name) or (slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix))):
            raise ValueError(f"{excerpt(self._text)} is no label selector: {excerpt(word)} cannot name a label")
        return word

    def _values(self) -> frozenset[str]:
        self._take("(")
        values = [self._value()]
        while self._next == ",":
            self._take(",")
            values.append(self._value())
        self._take(")")
        return frozenset(values)

    def _value(self) -> str:
        """A value, "" where there is none."""
        if self._next in ("", ",", ")"):
            return ""
        word = self._word("a value")
        if not _NAME.fullmatch(word):
            raise ValueError(f"{excerpt(self._text)} is no label selector: {excerpt(word)} cannot be a label's value")
        return word

    @property
    def _next(self) -> str:
        return self._tokens[self._at]

    def _word(self, kind: str) -> str:
        word = self._next
        if word in _SIGNS or not word:
            raise self._error(kind)
        self._at += 1
        return word

    def _take(self, sign: str) -> None:
        if self._next != sign:
            raise self._error("a comma or its end" if sign == "," else repr(sign))
        self._at += 1

    def _error(self, expected: str) -> ValueError:
        found = excerpt(self._next) if self._next else "its end"
        return ValueError(
            f"{excerpt(self._text)} is no label selector: {expected} is expected, and {found} stands there"
        )


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) <= 63):
        return None
    number = int(text)
    return number if number <= _MOST else None
