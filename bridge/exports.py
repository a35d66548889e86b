"""What a sink should say.

Of the services that an export names, the endpoints that one of its sources knows, less those that the sink knows
natively itself, and less those that came from another bridge unless the export relays. Nobody's order or luck in the
merge matters: who won it gives an endpoint its fields, and everybody who knows it counts.

To a sink a hold is no write at all: what is held stays where it stands, and comes to stand nowhere.
"""

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from bridge.adapter import Holding, Holdings, Target
from bridge.kit.names import Pattern
from bridge.merge import Merged
from bridge.model import Endpoint, EndpointId, Service, ServiceName, Services, SourceName
from bridge.table import Table, changed

Mode = Literal["sync", "upsert-only", "dry-run"]
"""Whether what is no longer wanted is removed, stays for good, or nothing is written at all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many endpoints may go at once: the larger of `floor` and the fraction `at_once` of ours, in `per` seconds."""

    at_once: float
    floor: int
    per: float


@dataclass(frozen=True, slots=True)
class Export:
    """One thing that is written: what of the catalog goes there, and how.

    `sources` are the registries whose endpoints go there. `owner` is this bridge's: what has come through it is never
    passed on, so that nothing circulates between bridges that relay.
    """

    target: Target
    services: tuple[Pattern, ...]
    sources: tuple[SourceName, ...]
    mode: Mode
    limits: Limits
    relay: bool
    owner: str


Wants = tuple[Table[ServiceName, Merged], Services]
"""The services of a catalog, and what is wanted of them."""


def wants(
    catalog: Table[ServiceName, Merged], export: Export, registry: SourceName, previous: Wants | None
) -> Services:
    """All that the sink `registry` should say; `previous`, of the same export, saves the work for what is as it was.

    Services of which nothing is wanted are left out. Those that come to the same as before are the same objects.
    """
    before, said = previous or (Table(), Table())
    changes: dict[ServiceName, Service | None] = {}
    for name in changed(before, catalog):
        merged = catalog.get(name)
        want = None if merged is None else wanted(merged, export, registry)
        if want != said.get(name):
            changes[name] = want
    return said.with_(changes)


def wanted(service: Merged, export: Export, registry: SourceName) -> Service | None:
    """What the sink `registry` should say of one service, None when nothing.

    What is held is wanted as it was last seen, with its mark: `tell` knows whether it may be said. An endpoint without
    an opinion of its health keeps none, and one that came through other bridges keeps `via`.
    """
    if not any(pattern.matches(service.name) for pattern in export.services):
        return None
    also, copies = dict(service.also), dict(service.copies)
    endpoints: list[Endpoint] = []
    for group in service.groups:
        for endpoint in group.endpoints:
            knowers = {group.source, *also.get(endpoint.id, ())}
            native = knowers.difference(copies.get(endpoint.id, ())) if not endpoint.via else frozenset[SourceName]()
            told = knowers if export.relay else native
            if registry in native or told.isdisjoint(export.sources) or export.owner in endpoint.via.split():
                continue
            endpoints.append(endpoint)
    return Service.of(service.name, endpoints) if endpoints else None


class Told(NamedTuple):
    """What a sink is told: `services`, of which nothing is held any more, and what it came from."""

    wants: Services
    holdings: Holdings
    services: Services


UNTOLD = Told(Table(), Table(), Table())


def tell(wants: Services, holdings: Holdings, previous: Told, rewritten: Container[ServiceName] = ()) -> Told:
    """`wants` for a sink that has `holdings`, without the marks of holds, and without what is held and not there.

    What is held is told as it was last seen, so that its record keeps the state that it was written with. Of the
    services that are being `rewritten` it counts as there from one look to the next: its record may be between two
    places. `previous` is what was told before; services that come to the same are the same objects.
    """
    changes: dict[ServiceName, Service | None] = {}
    for name in {*changed(previous.wants, wants), *changed(previous.holdings, holdings)}:
        want, before = wants.get(name), previous.services.get(name)
        if want is not None and any(endpoint.held for endpoint in want.endpoints):
            moved = _moved(previous.wants.get(name), before) if name in rewritten else frozenset()
            want = _standing(want, holdings.get(name), moved)
        if want != before:
            changes[name] = want
    return Told(wants, holdings, previous.services.with_(changes))


def _moved(want: Service | None, told: Service | None) -> frozenset[EndpointId]:
    """What was held, and told all the same."""
    if want is None or told is None:
        return frozenset()
    held = {endpoint.id for endpoint in want.endpoints if endpoint.held}
    return frozenset(endpoint.id for endpoint in told.endpoints if endpoint.id in held)


def _standing(want: Service, holding: Holding | None, moved: Container[EndpointId]) -> Service | None:
    """What is seen of a service, and what is held and stands there; None when that is nothing."""
    endpoints = holding.endpoints if holding is not None else ()
    there = {(endpoint.address, port.number) for endpoint in endpoints for port in endpoint.ports}
    said = [
        replace(one, held=False) if one.held else one
        for one in want.endpoints
        if not one.held or one.id in moved or any((one.address, port.number) in there for port in one.ports)
    ]
    return replace(want, endpoints=tuple(said)) if said else None
