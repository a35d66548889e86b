"""What hands and programs have in one registry, read once: bridges' records are left out, and names stay names."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from bridge.adapter import Observation, Probe, Probing, Source
from bridge.app import marked, opened
from bridge.cli import once
from bridge.config import Config
from bridge.errors import ConfigError, Unavailable
from bridge.model import Endpoint, Health, Service, ServiceName
from bridge.runtime.clock import SystemClock

Wheres = Sequence[tuple[str, str]]
"""Keys of metadata, each with a glob over what an endpoint has under it; all have to match."""


class Natives(NamedTuple):
    """The services with the endpoints that match, all that the registry said, and how others look at these."""

    services: Mapping[ServiceName, Service]
    said: Observation
    probes: Sequence[Probe]


def natives(config: Config, registry: str, wheres: Wheres) -> Natives:
    """What is in a registry; Unavailable when it said nothing.

    Only health that was not good is kept: an inventory's word is for good, and this was of one moment.
    """
    chosen = tuple(one for one in config.registries if one.name == registry)
    if not chosen:
        known = ", ".join(one.name for one in config.registries)
        raise ConfigError(f"{config.path}: {registry!r} is no registry of this configuration; known are {known}")
    once.quiet()
    (source,) = opened(replace(config, registries=chosen), SystemClock(), marked(config, once.ONLOOKER))
    said, probes = asyncio.run(_first(registry, source.source, config.root.start.wait))
    found: dict[ServiceName, Service] = {}
    for name, service in sorted(said.services.items()):
        endpoints = [_lasting(one) for one in service.endpoints if not one.via and _matches(one, wheres)]
        if endpoints:
            found[name] = Service.of(name, endpoints, service.metadata)
    there = {(name, one.id) for name, service in found.items() for one in service.endpoints}
    return Natives(found, said, [one for one in probes if (one.service, one.endpoint) in there])


async def _first(registry: str, source: Source, wait: float) -> tuple[Observation, Sequence[Probe]]:
    """The first view that is whole, and how others look at what is in it."""
    views = source.observe()
    unread = "nothing was said"
    try:
        async with asyncio.timeout(wait):
            async for view in views:
                missing = [part for part in view.unread if part.never]
                if not missing:
                    return view, await source.probes(view.services) if isinstance(source, Probing) else ()
                unread = missing[0].why
    except TimeoutError:
        pass
    raise Unavailable(f"{registry}: was not read whole within {wait:g} s (`start.wait`): {unread}")


def _matches(endpoint: Endpoint, wheres: Wheres) -> bool:
    said = dict(endpoint.metadata)
    return all(key in said and fnmatchcase(said[key], glob) for key, glob in wheres)


def _lasting(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, health=None) if endpoint.health is Health.HEALTHY else endpoint
