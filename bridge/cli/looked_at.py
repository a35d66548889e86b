"""How others looked at the endpoints of a registry, as `health:` of the registry that takes its place."""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any

import yaml
from pydantic import ValidationError

from bridge.adapter import Probe
from bridge.kit.health import CheckSettings, TcpCheckSettings
from bridge.kit.strict import write_duration
from bridge.model import EndpointId, Service, ServiceName

_USUAL = TcpCheckSettings()


def looked_at(services: Mapping[ServiceName, Service], probes: Iterable[Probe]) -> Iterator[str]:
    """The lines of `health:`, a check for each service of which all endpoints were looked at in one way; the others.

    Nothing where nobody looked.
    """
    found: dict[ServiceName, list[Probe]] = {}
    for one in sorted(set(probes)):
        found.setdefault(one.service, []).append(one)
    if not found:
        return
    told = {name: _check(services[name], them) for name, them in found.items()}
    if any(told.values()):
        yield "health:  # of the registry that reads this: how these hosts are looked at there"
        yield from (f"  - {check}" for check in told.values() if check)
    for name, check in told.items():
        if not check:
            yield from (f"not said by a check of ours: {name}: {one.endpoint}: {one.said}" for one in found[name])


def _check(service: Service, probes: list[Probe]) -> str:
    """The one check that says all of these, "" where none does."""
    ways = {(one.kind, _port(one), one.path, one.interval, one.timeout) for one in probes}
    looked: set[EndpointId] = {one.endpoint for one in probes}
    if len(ways) != 1 or len(probes) != len(looked) or looked != {one.id for one in service.endpoints}:
        return ""
    ((kind, port, path, interval, timeout),) = ways
    if not kind:
        return ""
    how: dict[str, Any] = {"path": path, "expect": "200-299"} if path else {}
    how |= {"port": port} if port else {}
    how |= {"interval": write_duration(interval)} if interval != _USUAL.interval else {}
    how |= {"timeout": write_duration(min(timeout, interval))} if timeout != _USUAL.timeout else {}
    how |= {"tls": {}} if kind == "https" else {}
    said = {"services": [str(service.name)], "tcp" if kind == "tcp" else "http": how}
    try:
        CheckSettings.model_validate(said)
    except ValidationError:  # such as a path that no server is sent
        return ""
    return str(yaml.safe_dump(said, default_flow_style=True, width=inf, sort_keys=False)).strip()


def _port(one: Probe) -> int:
    """0 where it is the endpoint's own."""
    return 0 if one.port == one.endpoint.port else one.port
