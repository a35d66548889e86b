"""An inventory's text cut into one block a service, so that an edit costs the reading of what it touched.

Only the plain shape is cut: `services:` and its list in block style. Of anything else `cut` says None, and the text is
read whole. What is cut reads the same: by induction the reader stands at each block's first character as it would at
the start of a document, because no line inside a block begins at or left of its `-`, nothing refers from one block to
another, and each block by itself is a list of exactly one value. Whoever reads a block and finds otherwise reads the
text whole.
"""

import re
from typing import NamedTuple

_HEAD = re.compile(r"(?:[ ]*(?:#[^\n]*)?\n)*services:[ ]*(?:#[^\n]*)?\n(?:[ ]*(?:#[^\n]*)?\n)*(?=( *)-[ \n])")
_TAIL = re.compile(r"[A-Za-z_]+:(?:[ \n]|$)")
_ALIASES_AND_BREAKS = "&\t\r\x85\u2028\u2029\ufeff"
_MARKERS = ("\n---", "\n...", "\n%")


class Block(NamedTuple):
    """The text of one service, with its `-`, and the number of characters before it."""

    text: str
    start: int


class Cut(NamedTuple):
    """The blocks in their order, and what follows them: further keys of the inventory."""

    blocks: tuple[Block, ...]
    tail: str


def cut(text: str) -> Cut | None:
    """The blocks of an inventory, None when it is not of the plain shape."""
    head = _HEAD.match(text)
    if head is None or any(map(text.__contains__, _ALIASES_AND_BREAKS)) or any(map(text.__contains__, _MARKERS)):
        return None
    indent = head[1]
    blocks = []
    start, end = head.end(), len(text)
    # every further line that begins at or left of the list's column, and is neither empty nor a comment
    edge = re.compile(rf"\n {{0,{len(indent)}}}(?=[^ \n#])")
    for line in edge.finditer(text, start):
        at, mark = line.start() + 1, line.end()
        if mark - at == len(indent) and text[mark] == "-" and text[mark + 1 : mark + 2] in (" ", "\n", ""):
            blocks.append(Block(text[start:at], start))
            start = at
        elif mark == at and _TAIL.match(text, at):
            end = at
            break
        else:
            return None
    blocks.append(Block(text[start:end], start))
    return Cut(tuple(blocks), text[end:])
