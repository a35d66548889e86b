"""How consul-esm looks at instances, by the definitions of their checks.

Pure: what `/v1/health/service/NAME` says in, values out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.consul.objects import instance_of
from bridge.adapter import Probe
from bridge.kit import address
from bridge.model import EndpointId, ServiceName

_KINDS: Final = ("HTTP", "TCP", "UDP", "GRPC", "H2PING", "OSService")
_MORE: Final = ("Header", "Body", "TLSServerName", "TLSSkipVerify", "TCPUseTLS")
"""What a definition may ask for besides, and no check of ours does."""

INTERVAL: Final = 30.0
TIMEOUT: Final = 10.0
"""Seconds that count where a definition does not say."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def definition(check: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    """What is looked at for a check, and where; "" where somebody else says how it is."""
    said = check.get("Definition")
    if isinstance(said, dict):
        for kind in _KINDS:
            if said.get(kind):
                return kind, str(said[kind]), said
    return "", "", {}


def probes(service: ServiceName, said: Any) -> Iterator[Probe]:
    """The checks of all instances of a service that have a definition; what cannot be understood has none."""
    for entry in said if isinstance(said, list) else ():
        try:
            one = instance_of(entry)
            where = EndpointId(address.host(one.address or one.node.address), one.ports[0].number)
        except (ValueError, IndexError):
            continue
        for check in entry.get("Checks") or ():
            kind, at, how = definition(check)
            if kind:
                yield _probe(service, where, kind, at, how)


def _probe(service: ServiceName, endpoint: EndpointId, kind: str, at: str, how: Mapping[str, Any]) -> Probe:
    interval, timeout = _seconds(how.get("Interval")) or INTERVAL, _seconds(how.get("Timeout")) or TIMEOUT
    told = f"{kind} {at} every {interval:g} s"
    made = Probe(service, endpoint, told, "", 0, "", interval, timeout)
    if any(how.get(key) for key in _MORE) or how.get("Method") not in (None, "", "GET"):
        return made
    try:
        parts = urlsplit(at if kind == "HTTP" else f"tcp://{at}")
        host, port = address.host(parts.hostname or ""), parts.port
    except ValueError:
        return made
    if host != endpoint.address or parts.scheme not in ("tcp", "http", "https") or kind not in ("TCP", "HTTP"):
        return made
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}" if kind == "HTTP" else ""
    port = port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return made._replace(kind=parts.scheme, port=port, path=path) if port else made


def _seconds(text: Any) -> float:
    """A time as Go writes it: `1m30s`; 0 where it is none."""
    found = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text) if isinstance(text, str) else []
    return sum(float(number) * _UNITS[unit] for number, unit in found)
