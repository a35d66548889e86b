"""What a sink should say.

Of the services that an export names, the endpoints that one of its sources knows, less those that the sink knows
natively itself, and less those that came from another bridge unless the export relays. Nobody's order or luck in the
merge matters: who won it gives an endpoint its fields, and everybody who knows it counts.
"""

from dataclasses import dataclass, replace
from typing import Literal

from bridge.adapter import Target
from bridge.kit.names import Pattern
from bridge.merge import Merged
from bridge.model import Endpoint, Service, ServiceName, Services, SourceName
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

    A hold writes nothing: a held endpoint is wanted as it was last seen, without its mark, so that its record keeps
    the state that it was written with. An endpoint without an opinion of its health keeps none, and one that came
    through other bridges keeps `via`.
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
            endpoints.append(replace(endpoint, held=False) if endpoint.held else endpoint)
    return Service.of(service.name, endpoints) if endpoints else None
