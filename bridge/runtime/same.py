"""Registries of one configuration that are one and the same, reached in several ways."""

from collections.abc import Mapping

from bridge.model import SourceName
from bridge.runtime.latest import Latest
from bridge.runtime.reading import Reading

Readings = Mapping[SourceName, Latest[Reading]]


def same(readings: Readings, registry: SourceName) -> tuple[SourceName, ...]:
    """The others that are this one, as far as they were read; sorted."""
    servers = _servers(readings, registry)
    return tuple(
        name for name in sorted(readings) if name != registry and not servers.isdisjoint(_servers(readings, name))
    )


def beside(readings: Readings, registry: SourceName) -> str:
    """Which other one that is this one is written too, "" for none."""
    them = (readings[name].value for name in same(readings, registry))
    return next((one.source for one in them if one.observation is not None and one.observation.held), "")


def _servers(readings: Readings, name: SourceName) -> frozenset[str]:
    observation = readings[name].value.observation
    return observation.servers if observation is not None else frozenset()
