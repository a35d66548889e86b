"""nginx's `upstream` blocks: their servers.

Not followed are includes and variables.
"""

import re
from collections.abc import Iterator, Sequence

from adapters.static import records
from adapters.static.convert.converted import BACKUP, Converted, at_line, converted, ignored, made, scope
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from bridge.kit import address
from bridge.kit.place import excerpt
from bridge.model import Endpoint

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<sign>[;{}])
    |"(?P<double>(?:[^"\\]|\\.)*)"
    |'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<word>(?:\$\{[^}\n]*\}|\\.|[^\s;{}"'\\\#])(?:\$\{[^}\n]*\}|\\.|[^\s;{}\\])*)""",
    re.VERBOSE | re.DOTALL,
)


def convert(text: str, where: str, namespace: str) -> Converted:
    """The servers of every upstream; ConfigError names the line at which the text cannot be understood."""
    return converted(where, at_line(where), lambda: _read(text, scope(namespace)))


def _read(text: str, scope_: Scope) -> Made:
    groups: list[Group] = []
    flaws: list[Flaw] = []
    others: set[str] = set()
    blocks: list[str] = []
    name, endpoints = "", list[Endpoint]()
    for line, sign, words in _statements(text):
        match sign:
            case "{":
                blocks.append(words[0] if words else "")
                if blocks[-1] == "upstream":
                    name, endpoints = words[1] if len(words) > 1 else "", []
            case "}":
                if words:
                    raise FlawError((line,), "a `;` is missing before this `}`")
                if not blocks:
                    raise FlawError((line,), "a `}` that closes nothing")
                if blocks.pop() == "upstream":
                    try:
                        groups.append(Group(*records.foreign_name(name, scope_.namespace), tuple(endpoints)))
                    except ValueError as error:
                        flaws.append(Flaw((line,), "name", str(error), "the upstream is left out"))
            case _ if not words:
                continue
            case _ if words[0] == "include":
                flaws.append(Flaw((line,), IGNORED, "another file is included", "convert it too"))
            case _ if blocks[-1:] != ["upstream"]:
                continue
            case _ if words[0] == "server":
                try:
                    endpoints.append(_endpoint(words[1:], others, scope_))
                except ValueError as error:
                    flaws.append(Flaw((line,), "server", f"{name}: {error}"[:300], "the server is left out"))
            case _:
                others.add(words[0][:40])
    if blocks:
        raise FlawError((text.count("\n") + 1,), "a block is not closed; is the file half written?")
    return made(groups, [*flaws, *ignored({word for word in others if word.isprintable()}, "upstreams")])


def _statements(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """The line on which a statement ends, by which sign, and its words."""
    at, line = 0, 1
    words: list[str] = []
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise FlawError((line,), "a quote is not closed, or a sign stands alone; is the file half written?")
        at = token.end()
        if token["sign"]:
            yield line, token["sign"], words
            words = []
        elif token["space"] is None:
            words.append(next(said for said in (token["double"], token["single"], token["word"]) if said is not None))
        line += token[0].count("\n")
    if words:
        raise FlawError((line,), "the last statement is not closed by `;`; is the file half written?")


def _endpoint(words: Sequence[str], others: set[str], scope_: Scope) -> Endpoint:
    if not words:
        raise ValueError("a server without an address")
    weight, backup = 1, False
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if key == "weight" and equals:
            weight = records.number_of(value, "weight", 1, records.MAX_WEIGHT)
        elif word == "backup":
            backup = True
        elif word == "down":
            raise ValueError(f"{excerpt(words[0])} is marked as down")
        else:
            others.add(key[:40])
    where, port = _address(words[0])
    return Endpoint(where, records.one_port("", port), BACKUP if backup else None, scope_.locality, "", weight)


def _address(text: str) -> tuple[str, int]:
    if text.startswith("unix:"):
        raise ValueError(f"{excerpt(text)} is no address of the network")
    if "$" in text:
        raise ValueError(f"{excerpt(text)} is a variable; write it out")
    if text.startswith("[") and text.endswith("]"):
        return address.host(text[1:-1]), 80
    return address.host_port(text) if ":" in text else (address.host(text), 80)
