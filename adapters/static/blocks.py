"""An inventory's text cut into one block a service, so that an edit costs the reading of what it touched.

Only the plain shape is cut: `services:` and its list in block style. Of anything else `cut` says None, and the text is
read whole. What is cut reads the same, by induction: the reader stands at each block's first character as it would at
the start of a document, because no line inside a block begins at or left of its `-` (`is_whole` sees to that), nothing
refers from one block to another, and each block by itself is a list of exactly one value. Who finds a block otherwise
reads the text whole.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_EMPTY = r"(?:[ ]*(?:#[^\n]*)?\n)*"
_HEAD = re.compile(rf"{_EMPTY}services:(?:[ ]+#[^\n]*|[ ]*)\n{_EMPTY}( *)- ")
_TAIL = re.compile(r"\n(?=[A-Za-z_]+:(?:[ \n]|$))")
_ALIASES_AND_BREAKS = "&\t\r\x85\u2028\u2029\ufeff"


class Cut(NamedTuple):
    """The services' texts without their `- ` and last line break, the column of the `-`, and what follows them."""

    blocks: Sequence[str]
    column: int
    start: int
    tail: str

    def starts(self) -> list[int]:
        """At which character of the whole text each block begins."""
        at, starts = self.start, []
        for block in self.blocks:
            starts.append(at)
            at += len(block) + self.column + 3
        return starts


def cut(text: str) -> Cut | None:
    """The blocks of an inventory, None when it is not of the plain shape."""
    head = _HEAD.match(text)
    if head is None or not text.endswith("\n") or any(map(text.__contains__, _ALIASES_AND_BREAKS)):
        return None
    column = len(head[1])
    blocks = text[head.end() : -1].split(f"\n{head[1]}- ")
    tail = _TAIL.search(blocks[-1])
    if tail is None:
        return Cut(blocks, column, head.end(), "")
    blocks[-1], rest = blocks[-1][: tail.start()], blocks[-1][tail.end() :] + "\n"
    return Cut(blocks, column, head.end(), rest)


def is_whole(block: str, column: int) -> bool:
    """Whether every line of a block begins right of its `-`, but for empty lines and comments."""
    return re.search(rf"\n {{0,{column}}}(?=[^ \n#])", block) is None


def document(block: str, column: int) -> str:
    """The block by itself, as a list of one value, where it stood in its lines."""
    return f"{' ' * column}- {block}\n"
