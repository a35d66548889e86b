"""How Ansible writes many hosts in one word: `web[01:03].example`, `db-[a:c]`, `rack[1:9:4]`, and an SSH port."""

import re
from string import ascii_letters

from adapters.static.ansible import MAX_HOSTS
from bridge.kit.place import excerpt

MAX_NAME = 253

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"([0-9]{0,9}|[a-zA-Z]):([0-9]{1,9}|[a-zA-Z])(?::([0-9]{1,9}))?", re.ASCII)
_PORT = re.compile(r":[0-9]{1,5}", re.ASCII)


def expand(pattern: str) -> list[str]:
    """The names of the hosts that are meant; a port after them is that of SSH, and dropped. ValueError when none is."""
    if len(pattern) > MAX_NAME + 64:
        raise ValueError(f"{excerpt(pattern)} is too long for a host")
    names = [""]
    rest = pattern
    at = 0
    for brackets in _BRACKETS.finditer(pattern):
        found = _RANGE.fullmatch(brackets[1])
        if found is None:
            if brackets[1].count(":") > 1:
                continue  # an IPv6 address
            raise ValueError(f"{excerpt(pattern)}: [{brackets[1]}] is not a range such as [01:20] or [a:f]")
        inner = _values(pattern, *found.groups())
        if len(names) * len(inner) > MAX_HOSTS:
            raise ValueError(f"{excerpt(pattern)} means more than {MAX_HOSTS:,} hosts")
        between = pattern[at : brackets.start()]
        names = [f"{name}{between}{value}" for name in names for value in inner]
        at = brackets.end()
        rest = pattern[at:]
    return [_without_port(f"{name}{rest}") for name in names]


def _values(pattern: str, first: str, last: str, step: str | None) -> list[str]:
    every = int(step or 1)
    letters = first.isalpha()
    if letters != last.isalpha() or every < 1:
        raise ValueError(f"{excerpt(pattern)}: a range goes from number to number or from letter to letter")
    if letters:
        begin, end = ascii_letters.index(first), ascii_letters.index(last)
    else:
        first = first or "0"
        begin, end = int(first), int(last)
        if len(first) > 1 and first[0] == "0" and len(first) != len(last):
            raise ValueError(f"{excerpt(pattern)}: numbers with leading zeros are of one length")
    if begin > end:
        raise ValueError(f"{excerpt(pattern)}: the range ends before it begins")
    if (end - begin) // every >= MAX_HOSTS:
        raise ValueError(f"{excerpt(pattern)} means more than {MAX_HOSTS:,} hosts")
    numbers = range(begin, end + 1, every)
    if letters:
        return [ascii_letters[number] for number in numbers]
    width = len(first) if first[0] == "0" else 0
    return [f"{number:0{width}}" for number in numbers]


def _without_port(name: str) -> str:
    if name.startswith("["):
        inner, closing, port = name[1:].partition("]")
        if not closing or (port and not _PORT.fullmatch(port)):
            raise ValueError(f"{excerpt(name)} is neither a host nor [address]:port")
        return inner
    if name.count(":") == 1:
        name, _, port = name.partition(":")
        if not _PORT.fullmatch(f":{port}"):
            raise ValueError(f"{excerpt(port)} is not a port")
    if not name:
        raise ValueError("a host without a name")
    return name
