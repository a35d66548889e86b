"""A file of blocks: a header, the lines of each service, an end.

A file is cut by its lines, not parsed: so an edit, by whomever, touches the block that it is in, and a line that is
broken breaks no neighbour. A block's text is its record's content. What stands between blocks, or is missing at the
end, counts to the block beside it, so that writing that block again puts it right.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from adapters.static.layouts.carried import Lack, carried
from adapters.static.layouts.header import Header
from bridge.kit.mark import Stamp
from bridge.model import Service

Lines = tuple[str, ...]


class Layout(ABC):
    """How one format says services in lines; pure."""

    name: ClassVar[str]
    only_tcp: ClassVar[bool] = False
    comma: str = ""
    """What separates two lines besides the line break."""

    @abstractmethod
    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        """The lines before the first block; `empty` when there will be none."""

    @property
    @abstractmethod
    def foot(self) -> Lines:
        """The lines after the last block."""

    @abstractmethod
    def lines(self, service: Service) -> Lines:
        """The block of a service that is `carried`, none when the format has nothing to say of it."""

    @abstractmethod
    def key(self, line: str) -> str:
        """The service whose block a line is of, "" when the line does not say."""

    @abstractmethod
    def read(self, lines: Sequence[str]) -> Service:
        """What a block says; ValueError when it cannot be understood."""

    def again(self, text: str) -> Iterable[Service]:
        """The services of a file that somebody laid out anew; ValueError when it cannot be understood."""
        raise ValueError(f"{self.name}: there is no other way to lay it out")

    def names(self, lines: Sequence[str]) -> Iterable[str]:
        """What a block takes for itself, and no other block may have besides its key."""
        return ()

    def fit(self, service: Service) -> tuple[Lines, tuple[Lack, ...]]:
        """The block of any service, and what it does not say; no lines when it says nothing."""
        said, lacks = carried(service, only_tcp=self.only_tcp)
        return (self.lines(said) if said is not None and said.endpoints else ()), lacks

    def whole(self, stamp: Stamp, blocks: Mapping[str, Sequence[str]]) -> str:
        """The text of the file, the blocks in the order of their keys."""
        body = [line for key in sorted(blocks) for line in blocks[key] if line]
        head = self.head(stamp, empty=not body)
        if self.comma:
            body = [f"{line}{self.comma}" for line in body[:-1]] + body[-1:]
        return "\n".join((*head, *body, *self.foot)) + "\n"


class Block(NamedTuple):
    """One service's lines as they stand; `service` is what they say, None when they cannot be understood: `why`."""

    content: str
    service: Service | None
    why: str = ""


class View(NamedTuple):
    """A file that some bridge wrote."""

    header: Header
    blocks: Mapping[str, Block]
    complete: bool = True
    """Whether it ends as it should."""


def cut(text: str, header: Header, layout: Layout, before: View | None = None) -> View:
    """The blocks of a text with that header, in that layout; those that are as `before` are the same objects."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    head, foot = layout.head(header.stamp, empty=False), layout.foot
    empty = layout.head(header.stamp, empty=True)
    begin = next((len(one) for one in (head, empty) if tuple(lines[: len(one)]) == one), 0)
    complete = not foot or tuple(lines[-len(foot) :]) == foot
    body = lines[begin : len(lines) - len(foot) if complete else len(lines)]
    if layout.comma:
        body = [line.removesuffix(layout.comma) for line in body]
    strays: list[str] = [] if begin else [""]
    found: dict[str, list[str]] = {}
    last: list[str] = strays
    current = ""
    for line in body:
        key = layout.key(line)
        if key and key != current:
            last, current = found.setdefault(key, []), key
            if strays and last is not strays and len(found) == 1 and not last:
                last += strays
        last.append(line)
    if found and not complete:
        last.append("")
    known = before.blocks if before is not None else {}
    if not found and any(line.strip() for line in strays):
        found = _again(text, layout)
        complete = complete or bool(found)
    return View(header, {key: _block(key, block, layout, known) for key, block in found.items()}, complete)


def _again(text: str, layout: Layout) -> dict[str, list[str]]:
    try:
        return {str(service.name): list(layout.lines(service)) for service in layout.again(text)}
    except ValueError:
        return {}


def _block(key: str, lines: list[str], layout: Layout, known: Mapping[str, Block]) -> Block:
    content = "\n".join(lines)
    before = known.get(key)
    if before is not None and before.content == content:
        return before
    try:
        service = layout.read([line for line in lines if line])
    except ValueError as error:
        return Block(content, None, str(error))
    return Block(content, service) if str(service.name) == key else Block(content, None, f"says it is {service.name}")
