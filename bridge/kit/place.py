"""Where something stands in a text, as a message says it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

Path = tuple[str | int, ...]
"""The keys and indices that lead to a value from the top of its document."""


class Node(NamedTuple):
    """The line, from 1, on which a value (or its key) stands, and the same for what is inside it."""

    line: int
    children: dict[str | int, "Node"]


def dotted(path: Sequence[str | int]) -> str:
    """`services[3].ports.http`; a key that is no plain word stands in brackets and quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]{1,60}", part):
            text += f".{part}" if text else part
        else:
            text += f"[{excerpt(part)}]"
    return text


def in_a_line(error: Exception) -> str:
    """What is wrong, of an error that says several things a line each."""
    return "; ".join(str(error).split("\n"))


def excerpt(value: object, longest: int = 60) -> str:
    """A value as a message may repeat it: on one line, quoted, and cut after `longest` characters."""
    if isinstance(value, str):
        return repr(value) if len(value) <= longest else f"{value[:longest]!r}…"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"
