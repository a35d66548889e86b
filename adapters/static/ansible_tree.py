"""Ansible's inventories as trees: what `ansible-inventory --list` says, and those written in YAML.

Of the written ones the same is not read as of INI: `group_vars` and `host_vars` beside the file, plug-ins and
`ansible_group_priority`. Templates and vaults stay closed in all of them.
"""

from collections.abc import Mapping
from typing import Any

from adapters.static import ansible_hosts
from adapters.static.ansible import VAULT, Inventory, Vars
from adapters.static.records import Flaw, FlawError
from bridge.kit.place import Path, excerpt
from bridge.kit.settings import nearest
from bridge.kit.strict_yaml import Tags

GROUP = ("hosts", "children", "vars")

TAGS: Tags = {
    "!vault": lambda _: {VAULT: ""},
    "!vault-encrypted": lambda _: {VAULT: ""},
    "!unsafe": lambda value: value,
}
"""What becomes of the tags of Ansible: what is in a vault is forgotten at once."""


def is_tree(value: Any) -> bool:
    """Whether a document can be nothing else than such an inventory."""
    if not isinstance(value, dict) or not value:
        return False
    if isinstance(value.get("_meta"), dict) and "hostvars" in value["_meta"]:
        return True
    if not all(group is None or (isinstance(group, dict) and group.keys() <= set(GROUP)) for group in value.values()):
        return False
    return any(isinstance(group, dict) and ("hosts" in group or "children" in group) for group in value.values())


def read(value: Any, wanted: frozenset[str]) -> Inventory:
    """The inventory, of its variables the wanted ones; FlawError when it is none."""
    if not isinstance(value, dict):
        raise FlawError((), "is not an inventory: groups with `hosts`, `children` and `vars`")
    if isinstance(value.get("plugin"), str):
        raise FlawError(("plugin",), "is an inventory of a plug-in, which only Ansible reads: see `ansible.command`")
    inventory = Inventory()
    inventory.group("all")
    waiting: list[tuple[str, Any, Path]] = [(name, said, (name,)) for name, said in value.items() if name != "_meta"]
    for name, said, path in waiting:  # grows meanwhile
        inventory.group(name)
        if isinstance(said, list):
            said = {"hosts": said}
        if said is None:
            continue
        if not isinstance(said, dict):
            raise FlawError(path, f"a group must be a mapping with {', '.join(GROUP)}")
        for key in said:
            if key not in GROUP:
                raise FlawError((*path, key), f"unknown key of a group; {nearest(key, GROUP)}")
        _hosts(inventory, name, said.get("hosts"), wanted, (*path, "hosts"))
        if (picked := _picked(said.get("vars"), wanted, (*path, "vars"))) or name in inventory.group_vars:
            inventory.group_vars.setdefault(name, {}).update(picked)
        for child, inner, at in _children(said.get("children"), (*path, "children")):
            if name != "all":
                inventory.child(name, child, at)
            waiting.append((child, inner, at))
    meta = value.get("_meta")
    if meta is not None:
        hostvars = meta.get("hostvars") if isinstance(meta, dict) else None
        if not isinstance(hostvars, dict):
            raise FlawError(("_meta", "hostvars"), "must be a mapping of hosts")
        for host, said in hostvars.items():
            if picked := _picked(said, wanted, ("_meta", "hostvars", host)):
                inventory.host_vars.setdefault(host, {}).update(picked)
    return inventory


def _hosts(inventory: Inventory, group: str, said: Any, wanted: frozenset[str], path: Path) -> None:
    if isinstance(said, str):
        said = {said: None}
    if said is None:
        return
    if isinstance(said, list):  # as Ansible lists them: names, without ranges or ports
        for index, name in enumerate(said):
            if not isinstance(name, str):
                raise FlawError((*path, index), f"{excerpt(name)} is not the name of a host")
            inventory.host(group, name, (*path, index))
        return
    if not isinstance(said, dict):
        raise FlawError(path, "must be a mapping of hosts, or a list of their names")
    for pattern, inner in said.items():
        picked = _picked(inner, wanted, (*path, pattern))
        try:
            hosts = ansible_hosts.expand(pattern)
        except ValueError as error:
            inventory.flaws.append(Flaw((*path, pattern), "host", str(error), "it is left out"))
            continue
        for host in hosts:
            inventory.host(group, host, (*path, pattern))
            if picked:
                inventory.host_vars.setdefault(host, {}).update(picked)


def _children(said: Any, path: Path) -> list[tuple[str, Any, Path]]:
    if said is None:
        return []
    if isinstance(said, str):
        said = [said]
    if isinstance(said, list):
        if not all(isinstance(name, str) for name in said):
            raise FlawError(path, "must be a list of names of groups")
        return [(name, None, (*path, index)) for index, name in enumerate(said)]
    if not isinstance(said, dict):
        raise FlawError(path, "must be a mapping of groups, or a list of their names")
    return [(name, inner, (*path, name)) for name, inner in said.items()]


def _picked(said: Any, wanted: frozenset[str], path: Path) -> Vars:
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise FlawError(path, "must be a mapping of variables")
    return {key: said[key] for key in wanted if key in said}
