"""A native inventory as people write it: what all endpoints of a service share stands at the service.

The same services give the same text. Protocols of ports, and who holds or passed on an endpoint, are not said in it.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from adapters.static.native import LOCALITY
from bridge.model import NOWHERE, Endpoint, Locality, Port, Service

_PLAIN = re.compile(r"[A-Za-z][-A-Za-z0-9_./]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
"""What some readers of YAML take for something else than text."""


def text(services: Iterable[Service]) -> str:
    """The inventory in YAML, services by name."""
    lines = []
    for service in _sorted(services):
        said = value(service)
        endpoints = said.pop("endpoints")
        first = True
        for key, inner in said.items():
            lines.append(f"  {'-' if first else ' '} {key}: {_flow(inner)}")
            first = False
        lines.append("    endpoints:" if endpoints else "    endpoints: []")
        lines += [f"      - {_flow(endpoint)}" for endpoint in endpoints]
    return "\n".join(("services:", *lines, "")) if lines else "services: []\n"


def document(services: Iterable[Service]) -> dict[str, Any]:
    """The same as plain values."""
    return {"services": [value(service) for service in _sorted(services)]}


def value(service: Service) -> dict[str, Any]:
    """One service, its keys in the order in which people write them."""
    endpoints = service.endpoints
    said: dict[str, Any] = {"name": str(service.name)}
    shared: dict[str, Any] = {}
    for key, of in (("ports", lambda one: one.ports), ("locality", lambda one: one.locality), ("network", _network)):
        found = {of(endpoint) for endpoint in endpoints}
        if len(found) == 1:
            (shared[key],) = found
    said |= _ports(shared["ports"]) if "ports" in shared else {}
    said |= _locality(shared.get("locality", NOWHERE))
    if shared.get("network"):
        said["network"] = shared["network"]
    if service.metadata:
        said["metadata"] = dict(service.metadata)
    said["endpoints"] = [_endpoint(endpoint, shared) for endpoint in endpoints]
    return said


def _sorted(services: Iterable[Service]) -> list[Service]:
    return sorted(services, key=lambda service: service.name)


def _network(endpoint: Endpoint) -> str:
    return endpoint.network


def _endpoint(endpoint: Endpoint, shared: dict[str, Any]) -> str | dict[str, Any]:
    said: dict[str, Any] = {}
    if "ports" not in shared:
        said |= _ports(endpoint.ports)
    if endpoint.weight != 1:
        said["weight"] = endpoint.weight
    if endpoint.health is not None:
        said["health"] = endpoint.health.name.lower()
    if "locality" not in shared:
        said |= _locality(endpoint.locality)
    if "network" not in shared and endpoint.network:
        said["network"] = endpoint.network
    if endpoint.metadata:
        said["metadata"] = dict(endpoint.metadata)
    return {"address": endpoint.address, **said} if said else endpoint.address


def _ports(ports: tuple[Port, ...]) -> dict[str, Any]:
    if len(ports) == 1 and not ports[0].name:
        return {"port": ports[0].number}
    return {"ports": {port.name: port.number for port in ports}}


def _locality(locality: Locality) -> dict[str, Any]:
    said = {key: part for key, part in zip(LOCALITY, locality, strict=True) if part}
    return {"locality": said} if said else {}


def _flow(said: Any) -> str:
    if isinstance(said, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(inner)}" for key, inner in said.items()) + "}"
    if isinstance(said, int):
        return str(said)
    if _PLAIN.fullmatch(said) and said.lower() not in _WORDS:
        return str(said)
    return json.dumps(said, ensure_ascii=not said.isprintable())
