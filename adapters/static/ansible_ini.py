"""Ansible's INI inventories, as far as they speak for themselves.

Not read: `group_vars` and `host_vars` beside the file, plug-ins and `ansible_group_priority`. Who uses them lets
Ansible read the inventory, and gives the bridge what `ansible-inventory --list` says. Templates and vaults stay closed
there too.
"""

import re
import shlex
from collections.abc import Iterator

from adapters.static import ansible_hosts
from adapters.static.ansible import Inventory, Vars
from adapters.static.records import Flaw, FlawError

_SECTION = re.compile(r"\[([^\[\]:\s]{1,253})(?::([a-z]+))?\]\s*(?:[#;].*)?")
_LOOKS = re.compile(r"\[[A-Za-z_][-.\w]*(?::(?:vars|children))?\][ \t]*(?:[#;].*)?")
_TREE = re.compile(r"---|[-{\[\"']|[^\s:=]+:(?:\s|$)")
_PLAIN = re.compile(r"[^'\"\\#]*")


def is_ini(text: str, where: str, *, else_tree: bool = False) -> bool:
    """Whether a text looks like one: by the name of its file, or its lines down to the first section.

    With `else_tree` what is no tree is one, a mere list of hosts too.
    """
    if where.endswith((".json", ".yaml", ".yml")):
        return False
    if where.endswith((".ini", ".cfg")):
        return True
    for line in text.splitlines():
        said = line.strip()
        if said and said[0] not in "#;":
            if _LOOKS.fullmatch(said):
                return True
            if _TREE.match(said):
                return False
    return else_tree


def read(text: str, wanted: frozenset[str]) -> Inventory:
    """The inventory, of its variables the wanted ones; a flaw's path is the number of its line.

    FlawError when the file cannot be trusted. No line is repeated in a message: it may hold a secret.
    """
    inventory = Inventory()
    inventory.group("ungrouped")
    group, part = "ungrouped", "hosts"
    for number, line in _lines(text):
        path = (number,)
        if line.startswith("["):
            section = _SECTION.fullmatch(line)
            if section is not None:
                group, part = section[1], section[2] or "hosts"
                if part not in ("hosts", "vars", "children"):
                    raise FlawError(path, f"a section [{group}:{part}] is not known; there are `vars` and `children`")
                inventory.group(group)
                continue
        if part == "vars":
            _vars(inventory.group_vars.setdefault(group, {}), line, wanted, number)
        elif part == "children":
            inventory.child(group, _child(line, number), path)
        else:
            _host(inventory, group, line, wanted, number)
    return inventory


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        said = line.strip()
        if said and said[0] not in "#;":
            yield number, said


def _host(inventory: Inventory, group: str, line: str, wanted: frozenset[str], number: int) -> None:
    try:
        pattern, *rest = _words(line)
        if "=" in pattern:
            raise FlawError((number,), f"a variable where hosts stand; is a line [{group}:vars] missing before it?")
        hosts = ansible_hosts.expand(pattern)
    except ValueError as error:
        inventory.flaws.append(Flaw((number,), "host", str(error), "the line is left out"))
        return
    said: Vars = {}
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            raise FlawError((number,), "after a host stand variables of the form name=value")
        if key in wanted:
            said[key] = value
    for host in hosts:
        inventory.host(group, host, (number,))
        if said:
            inventory.host_vars.setdefault(host, {}).update(said)


def _words(line: str) -> list[str]:
    if _PLAIN.fullmatch(line):
        return line.split()
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        raise ValueError("a quote is not closed") from None


def _vars(said: Vars, line: str, wanted: frozenset[str], number: int) -> None:
    key, equals, value = line.partition("=")
    if not equals:
        raise FlawError((number,), "in a section of variables stand lines of the form name=value")
    if key.strip() in wanted:
        value = re.sub(r"\s+#.*", "", value).strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        said[key.strip()] = value


def _child(line: str, number: int) -> str:
    name = line.partition("#")[0].strip()
    if not name or "=" in name or any(sign.isspace() for sign in name):
        raise FlawError((number,), "in a section of children stand the names of groups, one a line")
    return name
