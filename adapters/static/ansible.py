"""Which services an Ansible inventory holds: groups of it, as the configuration maps them.

Of all its variables only two are ever looked at, `ansible_host` and the one that the configuration names for the port;
the others may hold secrets. No value of a variable is repeated in a message.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from adapters.static import records
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from bridge.kit import address
from bridge.kit.place import Path, excerpt
from bridge.model import Endpoint, ServiceName

HOST = "ansible_host"
VAULT = "__ansible_vault"
IMPLICIT = ("all", "ungrouped")
"""Groups that are always there; a pattern never means them, their own name does."""

MAX_HOSTS = 100_000

Vars = dict[str, Any]


class Groups(NamedTuple):
    """What the configuration says: patterns of groups and the services that they are, and where ports come from."""

    services: tuple[tuple[str, str], ...]
    port: str
    default_port: int | None

    @property
    def wanted(self) -> frozenset[str]:
        """The variables that are looked at."""
        return frozenset({HOST, self.port} - {""})

    def service(self, group: str) -> str | None:
        """The service that a group is, by the pattern that says most; None when it is none."""
        best: tuple[tuple[bool, int, str], str] | None = None
        for pattern, service in self.services:
            exact = pattern == group
            if exact or (group not in IMPLICIT and fnmatchcase(group, pattern)):
                order = (exact, len(pattern) - pattern.count("*") - pattern.count("?"), pattern)
                if best is None or order > best[0]:
                    best = order, service
        if best is None:
            return None
        if "{group}" in best[1] and "/" in group:
            raise ValueError(f"{excerpt(group)} cannot stand for {{group}} in a service's name")
        return best[1].replace("{group}", group)


@dataclass(slots=True)
class Inventory:
    """Hosts, groups and variables as they are written; `hosts` and `members` know where each stands."""

    hosts: dict[str, Path] = field(default_factory=dict)
    members: dict[str, dict[str, Path]] = field(default_factory=dict)
    children: dict[str, dict[str, Path]] = field(default_factory=dict)
    host_vars: dict[str, Vars] = field(default_factory=dict)
    group_vars: dict[str, Vars] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)

    def group(self, name: str) -> None:
        """Make sure that the group is there."""
        self.members.setdefault(name, {})
        self.children.setdefault(name, {})

    def host(self, group: str, name: str, path: Path) -> None:
        """Put a host into a group; FlawError when there are too many."""
        self.hosts.setdefault(name, path)
        self.members[group].setdefault(name, path)
        if len(self.hosts) > MAX_HOSTS:
            raise FlawError(path, f"there are more than {MAX_HOSTS:,} hosts; split the inventory")

    def child(self, group: str, name: str, path: Path) -> None:
        """Put a group into a group."""
        self.group(name)
        self.children[group].setdefault(name, path)


def read(inventory: Inventory, groups: Groups, scope: Scope) -> Made:
    """The services of an inventory; FlawError when it holds no host, or groups that hold themselves."""
    if not inventory.hosts and not inventory.flaws:
        raise FlawError((), "has no hosts: so Ansible says that an inventory is missing or cannot be read")
    tree = _Tree(inventory)
    flaws = list(inventory.flaws)
    hosts: dict[tuple[ServiceName, str], dict[str, None]] = {}
    for group in tree.names:
        try:
            service = groups.service(group)
            if service is None:
                continue
            found = records.foreign_name(service, scope.namespace)
        except ValueError as error:
            flaws.append(Flaw((), "name", f"group {excerpt(group)}: {error}", "it is left out"))
            continue
        hosts.setdefault(found, {}).update(dict.fromkeys(tree.hosts(group)))
    if not hosts:
        some = ", ".join(map(excerpt, tree.names[:10]))
        flaws.append(Flaw((), IGNORED, f"none of its groups is in `ansible.groups`: {some}", "it says no service"))
    made: list[Group] = []
    told: set[str] = set()
    instances = bad = len(inventory.flaws)
    for (name, spelled), its in hosts.items():
        endpoints = []
        for host in its:
            instances += 1
            try:
                endpoints.append(_endpoint(host, tree.vars(host), groups, scope))
            except ValueError as error:
                bad += 1
                if host not in told:
                    told.add(host)
                    what = f"host {excerpt(host)}: {error}"
                    flaws.append(Flaw(inventory.hosts[host], "host", what, "the host is left out"))
        made.append(Group(name, spelled, tuple(endpoints)))
    return Made(tuple(made), tuple(flaws), instances, bad)


def _endpoint(host: str, said: Vars, groups: Groups, scope: Scope) -> Endpoint:
    where = host
    if said.get(HOST) is not None:
        where = _text(said[HOST], HOST)
        try:
            where = address.host(where)
        except ValueError:
            raise ValueError(f"{HOST} is neither an IP address nor a host name") from None
    else:
        where = address.host(host)
    port = groups.default_port
    value = said.get(groups.port) if groups.port else None
    if value is not None:
        text = _text(value, groups.port)
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= 65535):
            raise ValueError(f"{groups.port} is not a port between 1 and 65535")
        port = int(text)
    if port is None:
        raise ValueError(f"has no {groups.port}, and `ansible.port` has no default")
    return Endpoint(where, records.one_port("", port), None, scope.locality, scope.network)


def _text(value: Any, name: str) -> str:
    """What a variable says, as long as it says it by itself."""
    if isinstance(value, dict) and VAULT in value:
        raise ValueError(f"{name} is in a vault, which is not opened here")
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} is neither text nor a number")  # noqa: TRY004  # operators' input, told like the rest
    if "{{" in value or "{%" in value:
        raise ValueError(f"{name} is a template, which is filled in when a play runs; write the value out")
    if value.startswith("$ANSIBLE_VAULT"):
        raise ValueError(f"{name} is in a vault, which is not opened here")
    return value


class _Tree:
    """Who is in whom, groups below groups."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._parents: dict[str, set[str]] = {name: set() for name in inventory.members}
        for name, children in inventory.children.items():
            for child in children:
                self._parents[child].add(name)
        self.names = sorted({*inventory.members, *IMPLICIT})
        self._depth = self._depths()
        self._of: dict[str, set[str]] = {host: set() for host in inventory.hosts}
        for name, members in inventory.members.items():
            for host in members:
                self._of[host].add(name)
        self._merged: dict[frozenset[str], Vars] = {}

    def _depths(self) -> dict[str, int]:
        """How deep below `all` each group stands at most; FlawError names one that is below itself."""
        depth = {name: 0 if name == "all" else 1 for name in self._parents}
        waiting = {name: len(parents) for name, parents in self._parents.items()}
        free = [name for name, count in waiting.items() if not count]
        for name in free:  # grows meanwhile
            for child in self._inventory.children[name]:
                depth[child] = max(depth[child], depth[name] + 1)
                waiting[child] -= 1
                if not waiting[child]:
                    free.append(child)
        if len(free) < len(waiting):
            name, child = min(
                (name, child)
                for name, children in self._inventory.children.items()
                for child in children
                if waiting[name] and waiting[child]
            )
            path = self._inventory.children[name][child]
            raise FlawError(path, f"group {excerpt(child)} is below itself; take it out somewhere")
        return depth

    def hosts(self, group: str) -> Iterable[str]:
        """All hosts of the group and of the groups below it."""
        if group == "all":
            return self._inventory.hosts
        if group == "ungrouped":
            return [host for host, groups in self._of.items() if groups <= set(IMPLICIT)]
        found: dict[str, None] = {}
        seen = {group}
        below = [group]
        for name in below:  # grows meanwhile
            found.update(dict.fromkeys(self._inventory.members[name]))
            new = [child for child in self._inventory.children[name] if child not in seen]
            seen.update(new)
            below += new
        return found

    def vars(self, host: str) -> Vars:
        """The host's own variables, over those of its groups, of which the deepest counts, then the last by name."""
        own = self._inventory.host_vars.get(host, {})
        if not self._inventory.group_vars:
            return own
        groups = frozenset(self._of[host])
        if groups not in self._merged:
            self._merged[groups] = self._of_groups(groups)
        return self._merged[groups] | own

    def _of_groups(self, groups: frozenset[str]) -> Vars:
        above = {"all", *groups}
        waiting = list(groups)
        for name in waiting:  # grows meanwhile
            new = self._parents[name] - above
            above |= new
            waiting += new
        merged: Vars = {}
        said: Mapping[str, Vars] = self._inventory.group_vars
        for name in sorted(above, key=lambda name: (self._depth.get(name, 0), name)):
            merged |= said.get(name, {})
        return merged
