"""How one endpoint is said in a slice of a Service: which slices it may stand in, its line there, what is left out."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from adapters.kubernetes import slices
from adapters.kubernetes.extras import MOST, Extra, encode, extra
from adapters.kubernetes.objects import Conditions, ServicePort
from adapters.kubernetes.services import UNNAMED, app_protocol, ports, spell
from adapters.kubernetes.slices import Line
from bridge.kit import address
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health, Port

_ZONE = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
_ADDRESS = 64  # characters of an annotation that an address takes, with its quotes

_CONDITIONS: Final[dict[Health | None, Conditions]] = {
    None: slices.READY,
    Health.HEALTHY: slices.READY,
    Health.DEGRADED: slices.READY,
    Health.DRAINING: slices.DRAINING,
    Health.UNHEALTHY: slices.UNREADY,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a Service asks of its endpoints: its ports and families (none: any), and its zones.

    `hints` says that its slices tell for which zone they are; `zoned` that an endpoint without a zone would end that
    for the others. `budget` is how many characters there are for what is said of each endpoint besides.
    """

    where: str
    ports: tuple[ServicePort, ...]
    families: tuple[str, ...]
    hints: bool
    zoned: bool
    budget: int

    @staticmethod
    def budget_of(size: int) -> int:
        """The budget of an endpoint, where a slice holds so many."""
        return MOST // size - _ADDRESS


class Group(NamedTuple):
    """What the endpoints of one slice have in common."""

    family: str
    ports: tuple[Port, ...]


class Lack(NamedTuple):
    """Something that is not said; `kind` as a Problem's."""

    kind: str
    what: str


class Said(NamedTuple):
    """An endpoint in a slice, and what of it is left out."""

    group: Group
    line: Line
    lacks: tuple[Lack, ...]


class UnsaidError(Exception):
    """An endpoint that cannot stand in a slice of this Service, and why."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.lack = Lack(kind, what)


def say(endpoint: Endpoint, terms: Terms) -> Said:
    """The endpoint as it stands in a slice; raises UnsaidError."""
    family = _family(endpoint.address, terms)
    lacks: list[Lack] = []
    of_slice = _ports(endpoint, terms, lacks)
    try:
        more, unsaid = extra(endpoint, of_slice, terms.budget)
    except ValueError as error:
        raise UnsaidError("via", f"{error}; the endpoint is left out") from None
    if _length(more) > terms.budget:
        raise UnsaidError("bound", "what is to be said of it is too long; lower `slice_size`, it is left out")
    lacks += [Lack("extra", one) for one in unsaid]
    zone = endpoint.locality.zone
    if zone and not _ZONE.fullmatch(zone):
        lacks.append(Lack("locality", f"zone {excerpt(zone)} is no value of a label; it is left out"))
        zone = ""
    if not zone and terms.zoned:
        raise UnsaidError(
            "locality",
            f"{terms.where} is routed by zones, and it has none, which would end that for all; "
            "give it a zone (`locality:` of its registry), it is left out",
        )
    line = Line(endpoint.address, _CONDITIONS[endpoint.health], zone, (zone,) if zone and terms.hints else (), more)
    return Said(Group(family, of_slice), line, tuple(lacks))


@lru_cache(maxsize=16384)
def _length(more: Extra) -> int:
    """Characters that are said of an endpoint."""
    return len(encode({"": more}))


def _family(text: str, terms: Terms) -> str:
    try:
        if address.parse(text) != text:
            raise ValueError(f"{excerpt(text)} is not written as an address is")
    except ValueError as error:
        raise UnsaidError("address", f"{error}; the endpoint is left out") from None
    if why := address.refused(text):
        raise UnsaidError("address", f"{why.partition(';')[0]}, which no slice may hold; the endpoint is left out")
    family = "IPv6" if ":" in text else "IPv4"
    if terms.families and family not in terms.families:
        raise UnsaidError(
            "family",
            f"is {family}, and {terms.where} is {' and '.join(terms.families)} only; "
            "write `ipFamilyPolicy: PreferDualStack` there, it is left out",
        )
    return family


def _ports(endpoint: Endpoint, terms: Terms, lacks: list[Lack]) -> tuple[Port, ...]:
    """The ports of the slice, named and ordered as the Service's are; the rest is told.

    A headless Service may have none: its slices then have those of the endpoints.
    """
    said = endpoint.ports
    offered = terms.ports or ports((endpoint,), ()).ports
    found: dict[str, Port] = {}
    for port in said:
        try:
            spelled = spell(port)
        except ValueError as error:
            lacks.append(Lack("port", f"port {port.number}: {error}; it is left out"))
            continue
        of = next((p for p in offered if (p.name or UNNAMED, p.protocol) == spelled), None)
        if of is not None and of.name not in found:
            found[of.name] = port
    if not found and len(offered) == 1 and (len(said) == 1 or not offered[0].name):
        only, primary = offered[0], said[0]
        if only.protocol == primary.protocol:
            found[only.name] = primary
    if not found:
        have = ", ".join(_told(port.name, port.protocol) for port in offered) or "none"
        mine = ", ".join(_told(port.name, port.protocol) for port in said)
        raise UnsaidError(
            "port",
            f"none of its ports ({mine}) is one of {terms.where} ({have}); name one alike, the endpoint is left out",
        )
    lacks += [
        Lack("port", f"port {_told(port.name, port.protocol)} is none of {terms.where}; add it there, it is left out")
        for port in said
        if port not in found.values() and port.protocol in ("TCP", "UDP", "SCTP")
    ]
    return tuple(
        Port(
            one.name,
            found[one.name].number,
            one.protocol,
            app_protocol(found[one.name].app_protocol) or one.app_protocol,
        )
        for one in offered
        if one.name in found
    )


def _told(name: str, protocol: str) -> str:
    return f"{excerpt(name) if name else 'without a name'}{'' if protocol == 'TCP' else f' {protocol}'}"
