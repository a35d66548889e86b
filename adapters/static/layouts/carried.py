"""What a file can carry of a service; the rest is left out, and told."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from adapters.static import records
from bridge.kit import address, mark, names
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Locality, Metadata, Port, Service

_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_APP_PROTOCOL = re.compile(r"[!-+\--~]{1,128}", re.ASCII)  # no comma: it separates ports


class Lack(NamedTuple):
    """Something that cannot be said; `kind` as a Problem's, `endpoint` "" where it is of the service."""

    kind: str
    what: str
    endpoint: str = ""


Tell = Callable[[str, str], None]


def carried(service: Service, *, only_tcp: bool) -> tuple[Service | None, tuple[Lack, ...]]:
    """The service as every layout can say it, None when its name cannot be; and what is left out.

    `only_tcp` says that the layout has no place for the protocols of ports.
    """
    lacks: list[Lack] = []
    try:
        names.label(service.name.namespace)
        names.label(service.name.name)
    except ValueError as error:
        return None, (Lack("name", f"{error}; the service is left out"),)
    kept: list[Endpoint] = []
    for endpoint in service.endpoints:

        def tell(kind: str, what: str, endpoint: Endpoint = endpoint) -> None:
            lacks.append(Lack(kind, what, str(endpoint.id)))

        one = _endpoint(endpoint, only_tcp, tell)
        if one is not None:
            kept.append(one)
    metadata = _metadata(service.metadata, lambda kind, what: lacks.append(Lack(kind, what)))
    if not lacks and all(one is other for one, other in zip(kept, service.endpoints, strict=True)):
        return service, ()
    united = records.unite(kept)
    lacks += [Lack("duplicate", "stands twice; the first counts", str(double)) for double in united.doubles]
    return Service.of(service.name, united.endpoints, metadata), tuple(lacks)


def _endpoint(said: Endpoint, only_tcp: bool, tell: Tell) -> Endpoint | None:
    try:
        if address.parse(said.address) != said.address:
            raise ValueError(f"{excerpt(said.address)} is not written as an address is")
    except ValueError as error:
        tell("address", f"{error}; the endpoint is left out")
        return None
    ports, why = _ports(said.ports, only_tcp)
    for one in dict.fromkeys(why):
        tell("port", one)
    if not ports:
        tell("port", "no port is left; the endpoint is left out")
        return None
    locality = _locality(said.locality)
    if locality != said.locality:
        tell("locality", "its locality is too long, or has control characters; it is left out")
    network = said.network if _is_word(said.network) else ""
    if network != said.network:
        tell("network", f"network {excerpt(said.network)} cannot be written; it is left out")
    via = said.via if _is_path(said.via) else ""
    if via != said.via:
        tell("via", f"{excerpt(said.via)} names no bridges; the endpoint is left out")
        return None
    weight = min(max(said.weight, 1), records.MAX_WEIGHT)
    if weight != said.weight:
        tell("weight", f"weight {said.weight} is not between 1 and {records.MAX_WEIGHT}; taken as {weight}")
    metadata = _metadata(said.metadata, tell)
    if (ports, locality, network, weight, metadata, said.held) == (
        said.ports,
        said.locality,
        said.network,
        said.weight,
        said.metadata,
        False,
    ):
        return said
    return replace(said, ports=ports, locality=locality, network=network, weight=weight, metadata=metadata, held=False)


@lru_cache(maxsize=4096)
def _ports(said: tuple[Port, ...], only_tcp: bool) -> tuple[tuple[Port, ...], tuple[str, ...]]:
    kept: list[Port] = []
    why: list[str] = []
    for port in said:
        try:
            if port.name:
                names.port_name(port.name)
            if not 1 <= port.number <= 65535:
                raise ValueError(f"port {port.number} is not between 1 and 65535")
            if port.protocol not in _PROTOCOLS or (only_tcp and port.protocol != "TCP"):
                raise ValueError(f"port {port.number} is of {excerpt(port.protocol)}, which has no place here")
        except ValueError as error:
            why.append(f"{error}; it is left out")
            continue
        if only_tcp:
            if any(port.name == other.name for other in kept):
                why.append(f"two ports are named {excerpt(port.name)}, which one name cannot say; the first counts")
                continue
            if port.app_protocol:
                why.append("what its ports speak has no place here; it is left out")
                port = port._replace(app_protocol="")
        elif port.app_protocol and not _APP_PROTOCOL.fullmatch(port.app_protocol):
            why.append(f"port {port.number}: {excerpt(port.app_protocol)} is left out")
            port = port._replace(app_protocol="")
        kept.append(port)
    return (said if tuple(kept) == said else tuple(kept)), tuple(why)


@lru_cache(maxsize=4096)
def _locality(said: Locality) -> Locality:
    return said if all(map(_is_word, said)) else Locality(*(part if _is_word(part) else "" for part in said))


@lru_cache(maxsize=4096)
def _is_word(text: str) -> bool:
    return len(text) <= names.MAX_KEY and text.isprintable()


@lru_cache(maxsize=4096)
def _is_path(via: str) -> bool:
    try:
        return all(mark.owner_name(owner) for owner in via.split(" ")) if via else True
    except ValueError:
        return False


def _metadata(said: Metadata, tell: Tell) -> Metadata:
    try:
        return names.metadata(said)
    except ValueError as error:
        tell("metadata", f"{error}; what will not do is left out")
    kept: list[tuple[str, str]] = []
    for pair in said[: names.MAX_METADATA]:
        try:
            kept += names.metadata((pair,))
        except ValueError:
            continue
    return tuple(kept)
