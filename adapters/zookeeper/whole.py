"""The services of all trees, put together at the cost of what changed."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adapters.zookeeper import members
from adapters.zookeeper.members import Members, Scope, Told
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.paths import Found, distinct
from bridge.adapter import Problem
from bridge.kit.mark import Mark
from bridge.model import Locality, Service, ServiceName, Services
from bridge.table import Table

Where = tuple[int, str]
"""The number of a tree, and the path of a service's node in it."""


class _Known(NamedTuple):
    found: Found
    members: Members
    told: Told


class Whole:
    """`services` are what others than us say in the trees that are mirrored.

    `locality` and `network` are those of what does not say its own; `mark` is ours, None where nothing is written.
    """

    def __init__(self, mirrors: Sequence[Mirror], locality: Locality, network: str, mark: Mark | None) -> None:
        self.services: Services = Table()
        self._mirrors = mirrors
        self._locality = locality
        self._network = network
        self._mark = mark
        self._known: dict[Where, _Known] = {}
        self._of: dict[ServiceName, set[Where]] = {}
        self._touched: dict[ServiceName, None] = {}
        self._problems: dict[ServiceName, tuple[Problem, ...]] = {}

    def updates(self) -> Iterator[None]:
        """Take up what changed in the mirrors, a service in each step; `services` are new after the last one."""
        for number, mirror in enumerate(self._mirrors):
            for path in sorted(mirror.changed):
                self._touched.update(dict.fromkeys(self._look((number, path), mirror)))
                mirror.changed.discard(path)
                yield
        if self._touched:
            self.services = self.services.with_({name: self._service(name) for name in self._touched})
            self._touched.clear()

    def problems(self) -> Iterator[Problem]:
        """Those of the trees, and then of the services by their names."""
        for mirror in self._mirrors:
            yield from (mirror.problems[path] for path in sorted(mirror.problems))
        for name in sorted(self._problems):
            yield from self._problems[name]

    def _look(self, where: Where, mirror: Mirror) -> list[ServiceName]:
        """Read one service's node again; the names of services that this touches."""
        before = self._known.pop(where, None)
        node = mirror.nodes.get(where[1])
        if node is None:
            if before is None:
                return []
            self._of[before.found.service].discard(where)
            return [before.found.service]
        found, known = node.found, before.members if before is not None else {}
        read = members.take(mirror.dialect, node.children.values(), known)
        self._known[where] = _Known(found, read, members.tell(mirror.dialect, read, self._scope(found), self._mark))
        self._of.setdefault(found.service, set()).add(where)
        return [found.service]

    def _scope(self, found: Found) -> Scope:
        place = Locality(*(own or base for own, base in zip(found.locality, self._locality, strict=True)))
        return Scope(found.service, found.path, place, self._network, found.metadata)

    def _service(self, name: ServiceName) -> Service | None:
        """The service as all of its nodes say it; one without instances is none, for many such are left behind."""
        self._problems.pop(name, None)
        places = sorted(self._of[name])
        if not places:
            del self._of[name]
            return None
        kept, misspelled = distinct(self._known[where].found for where in places)
        paths = {found.path for found in kept}
        them = [self._known[where].told for where in places if where[1] in paths]
        service, differing = members.service(name, them)
        problems = (*misspelled, *(problem for told in them for problem in told.problems), *differing)
        if problems:
            self._problems[name] = problems
        if not service.endpoints:
            return None
        stood = self.services.get(name)
        return stood if stood == service else service
