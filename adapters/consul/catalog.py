"""What all parts say together, at the cost of what changed."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from adapters.consul.names import name, told_apart
from adapters.consul.objects import Instance
from adapters.consul.part import Part
from adapters.consul.translate import NAME, Scope, Translated, translate
from bridge.adapter import Problem
from bridge.model import Service, ServiceName, Services
from bridge.table import Table


class Catalog:
    """`services` are what others than us say; `own` names were given by the operator, the rest are in `namespace`."""

    def __init__(self, namespace: str, own: Mapping[str, ServiceName], scope: Scope) -> None:
        self._namespace = namespace
        self._own = own
        self._scope = scope
        self._services: Services = Table()
        self._named = name((), namespace, own)
        self._spelled: frozenset[str] = frozenset()
        self._told: dict[str, Translated] = {}
        self._yields: dict[str, tuple[Instance, ...]] = {}
        self._changes: dict[ServiceName, Service | None] = {}

    @property
    def services(self) -> Services:
        if self._changes:
            self._services = self._services.with_(self._changes)
            self._changes = {}
        return self._services

    def recall(self, services: Services) -> None:
        """These were told before this process: who was apart then stays it, whoever is there now."""
        them = ((service.name.name, dict(one.metadata)) for service in services.values() for one in service.endpoints)
        apart = told_apart((said[NAME], called) for called, said in them if NAME in said)
        self._named = self._named._replace(apart=apart)

    def names(self, spelled: Collection[str]) -> frozenset[str]:
        """Give names to all that there is; those of them that may be read."""
        wanted = frozenset(spelled)
        if wanted != self._spelled:
            before = self._named
            self._named = name(wanted, self._namespace, self._own, before.apart)
            self._spelled = wanted
            for text, service in before.by.items():
                if self._named.by.get(text) != service:
                    self.drop(text, service)
        return frozenset(self._named.by)

    def take(self, part: Part) -> None:
        """Read a part again."""
        service = self._named.by.get(part.name)
        if service is None or part.said is None:
            return
        made = translate(service, part.name, part.said, self._scope)
        stood = self._changes[service] if service in self._changes else self._services.get(service)
        self._told[part.name] = made
        if made.yields:
            self._yields[part.name.lower()] = made.yields
        else:
            self._yields.pop(part.name.lower(), None)
        if stood != made.service:
            self._changes[service] = made.service

    def drop(self, spelled: str, service: ServiceName) -> None:
        """A name that is no more, or is another now."""
        if self._told.pop(spelled, None) is not None:
            self._changes[service] = None
            self._yields.pop(spelled.lower(), None)

    def yields(self, names: Iterable[str]) -> tuple[Instance, ...]:
        """What goes for ours of the services that are called so, in lower case."""
        return tuple(one for name in names for one in self._yields.get(name, ()))

    def service(self, spelled: str) -> ServiceName | None:
        """What a name that is read comes to; None where it is not read."""
        return self._named.by.get(spelled)

    def knows(self, spelled: str) -> bool:
        """Whether a part of that name was taken."""
        return spelled in self._told

    def empty(self, spelled: str) -> bool:
        """Whether a part that was read says nothing."""
        told = self._told.get(spelled)
        return told is not None and told.service is None and not told.problems

    def problems(self) -> Iterator[Problem]:
        """Those of names, and then those of services, each in order."""
        yield from self._named.problems
        for spelled in sorted(self._told):
            yield from self._told[spelled].problems
