"""What all sources together say: the catalog.

Identity is the address and a port number within a service: endpoints that share one are one instance, and their
ports are united. For its fields a native record beats another bridge's, and then the source listed first; its health
is the worst that anybody with an opinion reports.

A merge costs what changed since the one before. `merge(new, (old, merge(old, None))) == merge(new, None)`, and
services that nothing touched are the same objects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bridge.model import Endpoint, EndpointId, Health, Port, Service, ServiceName, Services, SourceName
from bridge.table import Table, changed, share

Opinions = Table[ServiceName, Mapping[EndpointId, Health]]
"""What health checkers found."""


@dataclass(frozen=True, slots=True)
class Input:
    """One source as merge sees it.

    `seen` is False while it has neither had a whole view nor a snapshot to stand in for one; `stale` says that it has
    been lost for more than 60 s.
    """

    source: SourceName
    services: Services
    seen: bool = True
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """All sources, in the order of the configuration."""

    sources: tuple[Input, ...]
    opinions: Opinions = field(default_factory=Table)


class Group(NamedTuple):
    """A service's endpoints that are told as one source's, sorted by id."""

    source: SourceName
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """A service as all sources together say it.

    `groups` are in the order of the configuration, and none is empty; `also` names, for each endpoint that several
    sources know, those that did not win, sorted by id; `reused` are the held endpoints that were left out because
    another service uses their address and port now.
    """

    name: ServiceName
    groups: tuple[Group, ...] = ()
    also: tuple[tuple[EndpointId, tuple[SourceName, ...]], ...] = ()
    reused: tuple[EndpointId, ...] = ()

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them, group by group."""
        for group in self.groups:
            yield from group.endpoints


class Uses(NamedTuple):
    """Who is at which address and port, over all sources: what tells a reused address from a held one.

    `observed` counts the services that are seen there, once for each source; `held` names those whose held endpoint
    has its primary port there, likewise.
    """

    observed: Table[EndpointId, int]
    held: Table[EndpointId, tuple[ServiceName, ...]]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The merge of all sources; `waiting` are those that were not yet seen and have no snapshot."""

    services: Table[ServiceName, Merged]
    waiting: frozenset[SourceName]
    uses: Uses = field(repr=False)


EMPTY = Catalog(Table(), frozenset(), Uses(Table(), Table()))


def merge(inputs: Inputs, previous: tuple[Inputs, Catalog] | None) -> Catalog:
    """The catalog of `inputs`; `previous` saves the work for what is as it was."""
    before, catalog = previous if previous and _order(previous[0]) == _order(inputs) else (_NOTHING, EMPTY)
    touched: set[ServiceName] = set(changed(before.opinions, inputs.opinions))
    users = _Users(catalog.uses)
    for number, new in enumerate(inputs.sources):
        old = before.sources[number] if before.sources else Input(new.source, _NONE, stale=new.stale)
        for name in changed(old.services, new.services):
            users.move(name, old.services.get(name), new.services.get(name))
            touched.add(name)
        if old.stale is not new.stale:
            touched.update(new.services)
    uses, reopened = users.settle()
    changes: dict[ServiceName, Merged | None] = {}
    for name in touched | reopened:
        merged = _service(name, inputs, uses.observed)
        if merged != catalog.services.get(name):
            changes[name] = merged
    services = catalog.services.with_(changes)
    if previous and catalog is EMPTY:  # the sources are others than before, the services mostly not
        services = share(previous[1].services, services)
    waiting = frozenset(one.source for one in inputs.sources if not one.seen)
    return Catalog(services, waiting, uses)


_NOTHING = Inputs(())
_NONE: Services = Table()


def _order(inputs: Inputs) -> list[SourceName]:
    return [one.source for one in inputs.sources]


class _Users:
    """Gathers how a merge changes `Uses`."""

    def __init__(self, uses: Uses) -> None:
        self._uses = uses
        self._observed: dict[EndpointId, int] = {}  # change of the count
        self._held: dict[EndpointId, list[ServiceName]] = {}  # the new list

    def move(self, name: ServiceName, old: Service | None, new: Service | None) -> None:
        """One source says `new` of the service where it said `old`."""
        gone, come = _difference(old.endpoints if old else (), new.endpoints if new else ())
        observed = self._observed
        for key in _seen_at(gone):
            observed[key] = observed.get(key, 0) - 1
        for key in _seen_at(come):
            observed[key] = observed.get(key, 0) + 1
        for endpoint in gone:
            if endpoint.held:
                self._holders(endpoint.id).remove(name)
        for endpoint in come:
            if endpoint.held:
                self._holders(endpoint.id).append(name)

    def _holders(self, key: EndpointId) -> list[ServiceName]:
        if key not in self._held:
            self._held[key] = list(self._uses.held.get(key, ()))
        return self._held[key]

    def settle(self) -> tuple[Uses, set[ServiceName]]:
        """The new uses, and the services with a held endpoint where somebody came to be seen, or ceased to be."""
        held = self._uses.held.with_({key: tuple(sorted(names)) or None for key, names in self._held.items()})
        counts: dict[EndpointId, int | None] = {}
        reopened: set[ServiceName] = set()
        for key, difference in self._observed.items():
            if difference:
                was = self._uses.observed.get(key, 0)
                counts[key] = (was + difference) or None
                if not was or not counts[key]:
                    reopened.update(held.get(key, ()))
        return Uses(self._uses.observed.with_(counts), held), reopened


def _difference(
    old: tuple[Endpoint, ...], new: tuple[Endpoint, ...]
) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """The parts of both between the objects that they begin with and end with in common."""
    start, shorter = 0, min(len(old), len(new))
    while start < shorter and old[start] is new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] is new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


def _seen_at(endpoints: Iterable[Endpoint]) -> Iterator[EndpointId]:
    for endpoint in endpoints:
        if not endpoint.held:
            for number in {port.number for port in endpoint.ports}:
                yield EndpointId(endpoint.address, number)


def _service(name: ServiceName, inputs: Inputs, observed: Table[EndpointId, int]) -> Merged | None:
    """What all sources together say of one service; None when none knows it."""
    told = [(one, one.services[name]) for one in inputs.sources if name in one.services]
    if not told:
        return None
    opinions = inputs.opinions.get(name)
    apart = len(told) == 1 and not opinions and all(len(e.ports) == 1 and not e.held for e in told[0][1].endpoints)
    if apart:
        source, service = told[0]
        return Merged(name, (Group(source.source, service.endpoints),) if service.endpoints else ())
    grouped: dict[SourceName, list[Endpoint]] = {}
    also: list[tuple[EndpointId, tuple[SourceName, ...]]] = []
    reused: list[EndpointId] = []
    for members in _instances(told):
        winner = min(members, key=lambda member: member.endpoint.via != "")  # the first of equals
        endpoint = _united(winner.endpoint, members, opinions)
        if endpoint.held and any(member.endpoint.id in observed for member in members):
            reused.append(endpoint.id)
            continue
        grouped.setdefault(winner.source.source, []).append(endpoint)
        others = tuple(dict.fromkeys(m.source.source for m in members if m.source is not winner.source))
        if others:
            also.append((endpoint.id, others))
    groups = tuple(
        Group(one.source, tuple(sorted(grouped[one.source], key=_by_id)))
        for one in inputs.sources
        if one.source in grouped
    )
    return Merged(name, groups, tuple(sorted(also)), tuple(sorted(reused)))


class _Member(NamedTuple):
    rank: int  # by source, then by id
    source: Input
    endpoint: Endpoint


def _by_id(endpoint: Endpoint) -> EndpointId:
    return endpoint.id


def _instances(told: Sequence[tuple[Input, Service]]) -> list[list[_Member]]:
    """The endpoints, joined where they share the address and a port number; each instance's by rank."""
    instances: list[list[_Member]] = []
    at: dict[tuple[str, int], int] = {}
    everybody = ((source, endpoint) for source, service in told for endpoint in service.endpoints)
    for rank, (source, endpoint) in enumerate(everybody):
        keys = [(endpoint.address, port.number) for port in endpoint.ports]
        known = {at[key] for key in keys if key in at}
        mine = min(known, default=len(instances))
        if not known:
            instances.append([])
        for other in known - {mine}:  # what was apart is joined by this one
            for member in instances[other]:
                at.update(((endpoint.address, port.number), mine) for port in member.endpoint.ports)
            instances[mine] = sorted(instances[mine] + instances[other])
            instances[other] = []
        instances[mine].append(_Member(rank, source, endpoint))
        at.update(dict.fromkeys(keys, mine))
    return [members for members in instances if members]


def _united(winner: Endpoint, members: Sequence[_Member], opinions: Mapping[EndpointId, Health] | None) -> Endpoint:
    """The winner with everybody's ports, and with the health and the mark that they come to together."""
    if len(members) == 1 and not opinions:
        return winner
    held = all(member.endpoint.held for member in members)
    ports: dict[int, Port] = {port.number: port for port in winner.ports}
    fresh: list[Health] = []
    stale: list[Health] = []
    for _, source, endpoint in members:
        for port in endpoint.ports:
            ports.setdefault(port.number, port)
        if opinions and (found := opinions.get(endpoint.id)) is not None:
            fresh.append(found)
        if endpoint.health is not None and (held or not endpoint.held):
            (stale if source.stale else fresh).append(endpoint.health)
    health = max(fresh or stale, default=None)
    united = tuple(ports.values()) if len(ports) > len(winner.ports) else winner.ports
    if united is winner.ports and health is winner.health and held is winner.held:
        return winner
    return replace(winner, ports=united, health=health, held=held)
