"""The services that a cluster says, kept up at the cost of what changes."""

from collections.abc import Collection, Iterator

from adapters.kubernetes import modes
from adapters.kubernetes.objects import KubeService
from adapters.kubernetes.parts import Scope
from adapters.kubernetes.seen import Seen
from adapters.kubernetes.selection import Selection, misunderstood
from adapters.kubernetes.translate import Translated
from bridge.adapter import Problem
from bridge.model import Service, ServiceName, Services
from bridge.table import Table


class Reading:
    """`services` and `problems` are as of the last `update`."""

    def __init__(self, seen: Seen, selection: Selection, scope: Scope) -> None:
        self.services: Services = Table()
        self._seen = seen
        self._selection = selection
        self._scope = scope
        self._translated: dict[ServiceName, Translated] = {}
        self._problems: dict[ServiceName, tuple[Problem, ...]] = {}
        self._told: tuple[Problem, ...] | None = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of all services, by their names."""
        if self._told is None:
            self._told = tuple(one for name in sorted(self._problems) for one in self._problems[name])
        return self._told

    def update(self, names: Collection[ServiceName]) -> Iterator[None]:
        """Read these anew, a step a service, so that whoever iterates may pause between; all count at the end."""
        changes: dict[ServiceName, Service | None] = {}
        for name in names:
            service = self._seen.service(name)
            changes[name] = None if service is None else self._read(name, service)
            if service is None:
                self._forget(name)
            yield
        self.services = self.services.with_(changes)

    def _read(self, name: ServiceName, service: KubeService) -> Service | None:
        word = misunderstood(service)
        problems: tuple[Problem, ...] = () if word is None else (word,)
        if not self._selection.admits(service):
            self._forget(name)
            self._tell(name, problems)
            return None
        slices = self._seen.slices(name)
        before = self._translated.get(name)
        translated = modes.read(service, slices, self._seen.nodes, self._scope, before)
        self._translated[name] = translated
        self._tell(name, (*problems, *translated.problems))
        return translated.service

    def _forget(self, name: ServiceName) -> None:
        self._translated.pop(name, None)
        self._tell(name, ())

    def _tell(self, name: ServiceName, problems: tuple[Problem, ...]) -> None:
        if problems != self._problems.get(name, ()):
            self._told = None
            self._problems[name] = problems
            if not problems:
                del self._problems[name]
