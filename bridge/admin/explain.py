"""Why Envoy was told what it was told about one service: sources, guard, merge, policy, names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from bridge.admin import shapes
from bridge.merge import Catalog, Merged
from bridge.model import Endpoint, EndpointId, ServiceName, SourceName
from bridge.runtime.reading import Reading
from bridge.traffic import ANY, Assignment, Label, Policy, default_port, ports, view
from bridge.xds.names import Names


class Telling(NamedTuple):
    """How services are told: names, policies, the default port served so far, and who asks; the latter two may be none.

    `asked` gives the names that streams ask for of a service: how many do, and which version they are told.
    """

    names: Names
    policies: Callable[[ServiceName], Policy]
    served: Callable[[ServiceName], Label | None]
    asked: Callable[[ServiceName], Mapping[str, tuple[int, str]]]


def explain(
    name: ServiceName, readings: Sequence[Reading], catalog: Catalog, telling: Telling, now: float
) -> dict[str, Any] | None:
    """All of it as plain values; None when no source knows the service and nobody asks for it.

    `sources`: as `shapes.explained`. `merged`: groups by source, with `also` and `reused` (held, but in use by another
    service now). `policy`: what `services:` comes to. `told`: for each name its port, hosts with the health that
    Envoy hears, and how many streams ask for it.
    """
    merged = catalog.services.get(name)
    sources = shapes.explained(readings, name, now)
    asked = telling.asked(name)
    if merged is None and not sources and not asked:
        return None
    policy = telling.policies(name)
    return {
        "service": str(name),
        "waiting": sorted(catalog.waiting),
        "sources": sources,
        "merged": None if merged is None else _merged(merged, readings, now),
        "policy": asdict(policy),
        "told": _told(name, merged, policy, telling, asked),
    }


def _merged(merged: Merged, readings: Sequence[Reading], now: float) -> dict[str, Any]:
    also = dict(merged.also)

    def row(source: SourceName, one: Endpoint) -> dict[str, Any]:
        others = also.get(one.id, ())
        known = shapes.checked(readings, merged.name, one.id, (source, *others), now)
        return shapes.endpoint(merged.name, source, one, others, known)

    return {
        "groups": [
            {
                "source": group.source,
                "endpoints": [row(group.source, one) for one in group.endpoints],
            }
            for group in merged.groups
        ],
        "reused": [str(one) for one in merged.reused],
    }


def _told(
    name: ServiceName, merged: Merged | None, policy: Policy, telling: Telling, asked: Mapping[str, tuple[int, str]]
) -> list[dict[str, Any]]:
    """The names that the service has by itself, the default one first, then what else is asked for."""
    default: Label = ""
    wanted: dict[str, Label] = {}
    if merged is not None:
        default = default_port(merged, policy, telling.served(name))
        for port in ports(merged, default):
            try:
                wanted.setdefault(telling.names.write(name, "" if port == default else port), port)
            except ValueError:  # the template has no place for it
                continue
    for text in sorted(asked):
        parsed = telling.names.parse(text)
        if parsed is not None:
            wanted.setdefault(text, default if parsed.port == "" else parsed.port)
    rows = []
    for text, port in wanted.items():
        streams, version = asked.get(text, (0, ""))
        seen = Assignment() if merged is None else view(merged, port, ANY, default)
        rows.append(
            {
                "name": text,
                "port": port,
                "streams": streams,
                "version": version,
                "endpoints": [
                    {
                        "endpoint": str(EndpointId(host.address, host.port)),
                        "health": shapes.health(host.health),
                        "weight": host.weight,
                        "locality": shapes.locality(place.locality),
                        "priority": place.priority,
                    }
                    for place in seen.places
                    for host in place.hosts
                ],
            }
        )
    return rows
