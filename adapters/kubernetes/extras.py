"""What bridges say to each other of an endpoint, where an EndpointSlice has no field for it.

It stands in one annotation of the slice: canonical JSON, from each address that has something to say to that, so that
an endpoint comes out of Kubernetes as it went in:

    {"10.0.0.1":{"metadata":{"rack":"7"},"port":"admin:9000","region":"eu","via":"east","weight":3}}

What is as it is without a word is left out. Nothing in it makes an endpoint: garbage costs the word, not the endpoint.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bridge.errors import ConfigError
from bridge.kit import names, strict_json
from bridge.kit.mark import owner_name
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health, Metadata, Port

MOST: Final = 200_000
"""Characters of the annotation: an object's annotations come to at most 256 KiB, and others write there too."""

_TEXT = 253  # characters of a region, a sub-zone, a network, a way
_WEIGHT = 1_000_000
_PORT = re.compile(r"([^:]*):([1-9][0-9]{0,4})", re.ASCII)


class Extra(NamedTuple):
    """What is said of one endpoint besides the slice's own fields.

    `via` are the owners that it came through before the slice's own, joined by blanks. `port` is the name and the
    number of its primary port where that is not the slice's first one: "" and 0 where it is.
    """

    weight: int = 1
    region: str = ""
    sub_zone: str = ""
    network: str = ""
    degraded: bool = False
    via: str = ""
    port: tuple[str, int] = ("", 0)
    metadata: Metadata = ()


NOTHING: Final = Extra()


class Decoded(NamedTuple):
    """What is said, by address, and what of it could not be understood, a sentence each."""

    extras: Mapping[str, Extra]
    flaws: tuple[str, ...]


def extra(endpoint: Endpoint, ports: Sequence[Port], budget: int) -> tuple[Extra, tuple[str, ...]]:
    """What is to be said of an endpoint that stands in a slice with these ports, and what of it cannot be, told.

    What is longer than `budget` characters loses its metadata: a budget for each endpoint, and not one for all, keeps
    what is said of one independent of its neighbours. ValueError when it cannot be said through whom it came: what
    might go round and round must not be written.
    """
    if endpoint.via:
        _via(endpoint.via, "via")
    lacks: list[str] = []
    primary = endpoint.ports[0]
    said = Extra(
        min(max(endpoint.weight, 1), _WEIGHT),
        _told(endpoint.locality.region, "region", lacks),
        _told(endpoint.locality.sub_zone, "sub_zone", lacks),
        _told(endpoint.network, "network", lacks),
        endpoint.health is Health.DEGRADED,
        endpoint.via,
        ("", 0) if ports and primary.number == ports[0].number else (_name(primary.name), primary.number),
        endpoint.metadata,
    )
    try:
        names.metadata(said.metadata)
        if said.metadata and len(_dumped(_written(said))) > budget:
            raise ValueError(f"with its metadata it takes more than {budget} characters")
    except ValueError as error:
        lacks.append(f"{error}; its metadata is left out")
        said = said._replace(metadata=())
    return said, tuple(lacks)


def encode(extras: Mapping[str, Extra]) -> str:
    """The annotation, from what is said of each address; "" where nothing is."""
    said = {address: _written(one) for address, one in extras.items() if one != NOTHING}
    return _dumped(said) if said else ""


def decode(text: str) -> Decoded:
    """What an annotation says; an address of which garbage is said is left out, with a flaw."""
    if not text:
        return Decoded({}, ())
    if len(text) > MOST:
        return Decoded({}, (f"is {len(text)} characters long, more than {MOST}",))
    try:
        said = strict_json.read(text, "the annotation", 3)
    except json.JSONDecodeError as error:
        return Decoded({}, (f"is no JSON: {error.msg} at character {error.pos}",))
    except ConfigError as error:
        return Decoded({}, (str(error),))
    if not isinstance(said, dict):
        return Decoded({}, (f"{excerpt(said)} is not a mapping of addresses",))
    extras: dict[str, Extra] = {}
    flaws: list[str] = []
    for address, one in said.items():
        try:
            extras[address] = _read(one)
        except ValueError as error:
            flaws.append(f"{excerpt(address)}: {error}")
    return Decoded(extras, tuple(flaws))


def _dumped(said: Any) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _written(said: Extra) -> dict[str, Any]:
    written: dict[str, Any] = {
        "weight": said.weight if said.weight != 1 else None,
        "region": said.region,
        "sub_zone": said.sub_zone,
        "network": said.network,
        "health": "degraded" if said.degraded else None,
        "via": said.via,
        "port": f"{said.port[0]}:{said.port[1]}" if said.port[1] else None,
        "metadata": dict(said.metadata),
    }
    return {key: value for key, value in written.items() if value}


def _read(said: Any) -> Extra:
    if not isinstance(said, dict):
        raise ValueError(f"{excerpt(said)} is not a mapping")  # noqa: TRY004  # told like the rest
    found: dict[str, Any] = {}
    for key, value in said.items():
        reader = _READERS.get(key)
        if reader is None:
            raise ValueError(f"{excerpt(key)} is none of {', '.join(sorted(_READERS))}")
        found["degraded" if key == "health" else key] = reader(value, key)
    return Extra(**found)


def _weight(value: Any, key: str) -> int:
    if type(value) is not int or not 1 <= value <= _WEIGHT:
        raise ValueError(f"{key} {excerpt(value)} is not a whole number between 1 and {_WEIGHT}")
    return value


def _word(value: Any, key: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _TEXT or not value.isprintable():
        raise ValueError(f"{key} {excerpt(value)} is no text, too long, or has control characters")
    return value


def _told(text: str, key: str, lacks: list[str]) -> str:
    try:
        return _word(text, key) if text else ""
    except ValueError as error:
        lacks.append(f"{error}; it is left out")
        return ""


def _name(text: str) -> str:
    try:
        return names.port_name(text)
    except ValueError:
        return ""


def _degraded(value: Any, key: str) -> bool:
    if value != "degraded":
        raise ValueError(f'{key} {excerpt(value)} is not "degraded", the only one that stands here')
    return True


def _via(value: Any, key: str) -> str:
    way = _word(value, key)
    for owner in way.split(" "):
        owner_name(owner)
    return way


def _port(value: Any, key: str) -> tuple[str, int]:
    match = _PORT.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"{key} {excerpt(value)} is not of the form name:number")
    return names.port_name(match[1]) if match[1] else "", int(match[2])


def _metadata(value: Any, key: str) -> Metadata:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError(f"{key} {excerpt(value)} is not a mapping of text to text")
    return names.metadata(tuple(sorted(value.items())))


_READERS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "weight": _weight,
    "region": _word,
    "sub_zone": _word,
    "network": _word,
    "health": _degraded,
    "via": _via,
    "port": _port,
    "metadata": _metadata,
}
