"""What a registry says, with the health that its checks found: the worse of both counts."""

from dataclasses import replace
from typing import NamedTuple

from bridge.checks.values import Opinions
from bridge.model import Endpoint, Service, ServiceName, Services
from bridge.table import Table, changed


class Judged(NamedTuple):
    """The services as the registry says them, what is known by checking, and what they come to together."""

    said: Services = Table()
    opinions: Opinions = Table()
    services: Services = Table()


def judged(said: Services, opinions: Opinions, before: Judged) -> Judged:
    """Each endpoint with the worse of its own health and its opinion; no opinion changes nothing.

    Costs what changed since `before`, which must be what this made of others, or empty. What is the same as before is
    the same object.
    """
    names = {*changed(before.said, said), *changed(before.opinions, opinions)}
    changes = {name: _together(name, said, opinions, before.services) for name in names}
    return Judged(said, opinions, before.services.with_(changes))


def _together(name: ServiceName, said: Services, opinions: Opinions, before: Services) -> Service | None:
    service: Service | None = said.get(name)
    known = opinions.get(name)
    if service is None or not known:
        return service
    standing: Service | None = before.get(name)
    old = {one.id: one for one in standing.endpoints} if standing is not None else {}
    endpoints: list[Endpoint] = []
    for one in service.endpoints:
        opinion = known.get(one.id)
        health = one.health
        if opinion is not None and opinion.health is not None:
            health = opinion.health if health is None else max(health, opinion.health)
        endpoint = one if health is one.health else replace(one, health=health)
        same = old.get(one.id)
        endpoints.append(same if same is not None and same == endpoint else endpoint)
    made = replace(service, endpoints=tuple(endpoints))
    if standing is not None and standing == made:
        return standing
    return service if made == service else made
