"""What all sources together say: the catalog.

Identity is the address and a port number within a service: endpoints that share one are one instance, and their
ports are united. For its fields a native record beats another bridge's, and then the source listed first; its health
is the worst that anybody with an opinion reports. Where a native record stands, other bridges' copies of it say
nothing: two bridges would tell each other for ever what neither of them sees any more.

A merge costs what changed since the one before, and services that nothing touched are the same objects. It equals a
merge from nothing but in one point that no single moment can tell: a held endpoint is left out when another service
*comes* to use its address and port, not when the two have always shared them, for then the hold is an alias that is
missing, and leaving it out would delete it without evidence. A merge from nothing believes in aliases.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bridge.model import Endpoint, EndpointId, Health, Port, Service, ServiceName, Services, SourceName
from bridge.table import Table, changed, share


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


class Group(NamedTuple):
    """A service's endpoints that are told as one source's, sorted by id."""

    source: SourceName
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """A service as all sources together say it.

    `groups` are in the order of the configuration, and none is empty; `also` names, for each endpoint that several
    sources know, those that did not win, sorted by id; `copies` those of them that have it from another bridge only,
    where the winner has it natively; `reused` are the held endpoints that were left out because another service uses
    their address and port now.
    """

    name: ServiceName
    groups: tuple[Group, ...] = ()
    also: tuple[tuple[EndpointId, tuple[SourceName, ...]], ...] = ()
    reused: tuple[EndpointId, ...] = ()
    copies: tuple[tuple[EndpointId, tuple[SourceName, ...]], ...] = ()

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them, group by group."""
        for group in self.groups:
            yield from group.endpoints


class Uses(NamedTuple):
    """Who is at which address and port, over all sources: what tells a reused address from a held one.

    `observed` counts the services that are seen there, once for each source; `held` names those whose held endpoint
    has its primary port there, likewise; `shared` names those of `held` beside which another service was seen there
    when the hold began, and ever since.
    """

    observed: Table[EndpointId, int]
    held: Table[EndpointId, tuple[ServiceName, ...]]
    shared: Table[EndpointId, tuple[ServiceName, ...]]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The merge of all sources; `waiting` are those that were not yet seen and have no snapshot."""

    services: Table[ServiceName, Merged]
    waiting: frozenset[SourceName]
    uses: Uses = field(repr=False)


EMPTY = Catalog(Table(), frozenset(), Uses(Table(), Table(), Table()))


def merge(inputs: Inputs, previous: tuple[Inputs, Catalog] | None) -> Catalog:
    """The catalog of `inputs`; `previous` saves the work for what is as it was."""
    before, catalog = previous if previous and _order(previous[0]) == _order(inputs) else (_NOTHING, EMPTY)
    touched: set[ServiceName] = set()
    users = _Users(catalog.uses, from_nothing=catalog is EMPTY)
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
        merged = _service(name, inputs, uses)
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

    def __init__(self, uses: Uses, *, from_nothing: bool) -> None:
        self._uses = uses
        self._from_nothing = from_nothing
        self._observed: dict[EndpointId, int] = {}  # change of the count
        self._held: dict[EndpointId, list[ServiceName]] = {}  # the new list
        self._own: dict[tuple[EndpointId, ServiceName], int] = {}  # what a new hold's service was seen there itself

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
                own = sum(key == endpoint.id for key in _seen_at(gone))
                self._own[endpoint.id, name] = self._own.get((endpoint.id, name), 0) + own

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
        observed = self._uses.observed.with_(counts)
        return Uses(observed, held, self._shared(observed, held)), reopened

    def _shared(
        self, observed: Table[EndpointId, int], held: Table[EndpointId, tuple[ServiceName, ...]]
    ) -> Table[EndpointId, tuple[ServiceName, ...]]:
        """The holds beside which others were seen from the first, brought up to date."""
        shared: dict[EndpointId, tuple[ServiceName, ...] | None] = {}
        for key in {*self._held, *self._observed}:
            names: set[ServiceName] = set()
            if key in observed:
                names.update(self._uses.shared.get(key, ()))
                before = self._uses.observed.get(key, 0)
                names.update(
                    name
                    for name in self._held.get(key, ())
                    if name not in self._uses.held.get(key, ())
                    and (self._from_nothing or before > self._own.get((key, name), 0))
                )
                names.intersection_update(held.get(key, ()))
            shared[key] = tuple(sorted(names)) or None
        return self._uses.shared.with_(shared)


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


def _service(name: ServiceName, inputs: Inputs, uses: Uses) -> Merged | None:
    """What all sources together say of one service; None when none knows it."""
    told = [(one, one.services[name]) for one in inputs.sources if name in one.services]
    if not told:
        return None
    apart = len(told) == 1 and all(len(e.ports) == 1 and not e.held for e in told[0][1].endpoints)
    if apart:
        source, service = told[0]
        return Merged(name, (Group(source.source, service.endpoints),) if service.endpoints else ())
    grouped: dict[SourceName, list[Endpoint]] = {}
    also: list[tuple[EndpointId, tuple[SourceName, ...]]] = []
    reused: list[EndpointId] = []
    copies: list[tuple[EndpointId, tuple[SourceName, ...]]] = []
    for members in _instances(told):
        winner = min(members, key=lambda member: member.endpoint.via != "")  # the first of equals
        native = [member for member in members if not member.endpoint.via]
        endpoint = _united(winner.endpoint, native or members)
        if all(member.endpoint.held for member in members) and any(
            member.endpoint.id in uses.observed and name not in uses.shared.get(member.endpoint.id, ())
            for member in members
        ):
            reused.append(endpoint.id)
            continue
        grouped.setdefault(winner.source.source, []).append(endpoint)
        others = tuple(dict.fromkeys(m.source.source for m in members if m.source is not winner.source))
        if others:
            also.append((endpoint.id, others))
        if native and len(native) < len(members):
            known = {member.source.source for member in native}
            if copied := tuple(other for other in others if other not in known):
                copies.append((endpoint.id, copied))
    groups = tuple(
        Group(one.source, tuple(sorted(grouped[one.source], key=_by_id)))
        for one in inputs.sources
        if one.source in grouped
    )
    return Merged(name, groups, tuple(sorted(also)), tuple(sorted(reused)), tuple(sorted(copies)))


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


def _united(winner: Endpoint, members: Sequence[_Member]) -> Endpoint:
    """The winner with everybody's ports, and with the health and the mark that they come to together."""
    if len(members) == 1:
        return winner
    held = all(member.endpoint.held for member in members)
    ports: dict[int, Port] = {port.number: port for port in winner.ports}
    fresh: list[Health] = []
    stale: list[Health] = []
    for _, source, endpoint in members:
        for port in endpoint.ports:
            ports.setdefault(port.number, port)
        if endpoint.health is not None and (held or not endpoint.held):
            (stale if source.stale else fresh).append(endpoint.health)
    health = max(fresh or stale, default=None)
    united = tuple(ports.values()) if len(ports) > len(winner.ports) else winner.ports
    if united is winner.ports and health is winner.health and held is winner.held:
        return winner
    return replace(winner, ports=united, health=health, held=held)
