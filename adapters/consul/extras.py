"""What a bridge says of an endpoint that Consul has no field for: one value of meta, beside the mark.

Canonical JSON, so that equal endpoints are equal text. What another bridge wrote is input: ValueError when it is none.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bridge.kit import fields
from bridge.kit.place import excerpt
from bridge.model import NOWHERE, Endpoint, Health, Locality, Port

DRAINING: Final = "draining"


class Extras(NamedTuple):
    """`ports` are all of them, the primary one first; empty where nothing was said."""

    ports: tuple[Port, ...] = ()
    draining: bool = False
    locality: Locality = NOWHERE
    network: str = ""


NOTHING: Final = Extras()


def say(endpoint: Endpoint) -> str:
    """The value for an endpoint."""
    said: dict[str, Any] = {"ports": [_port(port) for port in endpoint.ports]}
    if endpoint.health is Health.DRAINING:
        said["health"] = DRAINING
    if endpoint.locality != NOWHERE:
        said["locality"] = list(endpoint.locality)
    if endpoint.network:
        said["network"] = endpoint.network
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def read(text: str) -> Extras:
    """What a value says, NOTHING for none."""
    if not text:
        return NOTHING
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"what a bridge says beside the mark is no JSON: {excerpt(text)}") from None
    if not isinstance(said, dict):
        raise ValueError(f"what a bridge says beside the mark is no mapping: {excerpt(text)}")  # noqa: TRY004  # likewise
    return Extras(
        tuple(_port_of(one) for one in fields.several(said, "ports")),
        said.get("health") == DRAINING,
        Locality(*_words(said, "locality", 3)) if said.get("locality") else NOWHERE,
        _word(said.get("network") or ""),
    )


def _port(port: Port) -> list[Any]:
    """As short as it can be said."""
    said: list[Any] = [port.name, port.number]
    if port.app_protocol:
        return [*said, port.protocol, port.app_protocol]
    return said if port.protocol == "TCP" else [*said, port.protocol]


def _port_of(said: Any) -> Port:
    if not isinstance(said, list) or not 2 <= len(said) <= 4:
        raise ValueError(f"a port is {excerpt(said)}")
    name, number, *more = said
    return Port(_word(name), fields.number(number, "port", 1, 65535), *map(_word, more))


def _words(said: Mapping[str, Any], key: str, number: int) -> list[str]:
    words = fields.several(said, key)
    if len(words) != number:
        raise ValueError(f"{key}: {excerpt(words)} is not {number} words")
    return [_word(one) for one in words]


def _word(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 256 or not value.isprintable():
        raise ValueError(f"{excerpt(value)} is no word")
    return value
