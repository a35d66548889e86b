"""Curator's service discovery: an instance is a znode of JSON.

One record that its readers cannot understand hides a whole service from some of them, and old ones refuse any field
that they do not know: so what is written is what Curator itself writes, its payload null, and the mark in the id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import named, words
from adapters.zookeeper.dialects.dialect import (
    UNNAMED,
    Branch,
    Child,
    Instance,
    Node,
    Part,
    Places,
    PortNames,
    Said,
    Spelled,
    Written,
)
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health, Metadata, Port

TYPES: Final = ("DYNAMIC", "STATIC", "PERMANENT", "DYNAMIC_SEQUENTIAL")
HTTPS: Final = "https"
CLASS: Final = "@class"


@dataclass(frozen=True)
class Curator(Written):
    """`ephemeral` says what the records that are written are."""

    names: PortNames = UNNAMED
    ephemeral: bool = False

    name: ClassVar[str] = "curator"
    branches: ClassVar = (Branch(changes=True),)
    in_place: ClassVar[bool] = True
    vanishes: ClassVar[bool] = True  # who registers there makes containers, which servers delete
    places: ClassVar[Places] = Places.NONE

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def read(self, child: Child) -> Part:
        if not child.data and child.children:
            return None  # the parent of a service whose name has a slash
        said = words.json_object(child.data)
        known(said)
        return self.understand(said, named.via_of(self.stamp(child)))

    def understand(self, said: Mapping[str, Any], via: str) -> Part:
        """What the fields of an instance say; ValueError when they will not do."""
        where = words.host(said.get("address"), "address")
        health = Health.DRAINING if said.get("enabled") is False else None
        metadata = self.payload(said.get("payload"))
        return Instance(Endpoint(where, self._ports(said), health, via=via, metadata=metadata))

    def payload(self, said: Any) -> Metadata:
        """The texts in a payload of whatever class."""
        if not isinstance(said, dict):
            return ()
        return words.metadata({key: one for key, one in said.items() if isinstance(one, str) and key != CLASS})

    def _ports(self, said: Mapping[str, Any]) -> tuple[Port, ...]:
        plain, ssl = number(said.get("port"), "port"), number(said.get("sslPort"), "sslPort")
        if plain is None and ssl is None:
            raise ValueError("has neither port nor sslPort")
        if plain is None or ssl is None or not self.names.additional:
            return words.one_port(self.names.default, plain) if plain is not None else words.one_port(HTTPS, ssl or 0)
        return words.interned((Port(self.names.default, plain), Port(HTTPS, ssl)))

    def stamp(self, child: Child) -> Stamp | None:
        return named.stamp(child.name)

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        first = words.one_port(self.names.default, ports[0].number)
        ssl = next((port for port in ports[1:] if port.name == HTTPS and port.protocol == "TCP"), None)
        return (*first, Port(HTTPS, ssl.number)) if ssl and self.names.additional else first

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        stem = named.stem(endpoint)
        return Said(stem, words.compact(self.instance(service, endpoint, stem)))

    def instance(self, service: Spelled, endpoint: Endpoint, stem: str) -> dict[str, Any]:
        """The fields in the order in which Curator writes them."""
        return {
            "name": service.name,
            "id": stem,
            "address": endpoint.address,
            "port": endpoint.ports[0].number,
            "sslPort": endpoint.ports[1].number if len(endpoint.ports) > 1 else None,
            "payload": None,
            "registrationTimeUTC": 0,
            "serviceType": "DYNAMIC" if self.ephemeral else "STATIC",
            "uriSpec": None,
        }

    def node(self, said: Said, owner: str) -> Node:
        name = named.name(said.stem, owner)
        return Node("", name, words.compact(words.json_object(said.content) | {"id": name}))

    def content(self, child: Child) -> bytes:
        try:
            said = words.json_object(child.data)
        except ValueError:
            return child.data
        stamp = self.stamp(child)
        if stamp is not None and said.get("id") == child.name:
            said["id"] = stamp.key
        return words.compact(said)

    def stem(self, child: Child) -> str | None:
        return None


def known(said: Mapping[str, Any]) -> None:
    """ValueError where a reader of Curator would give up on the whole service."""
    words.text(said.get("name"), "name")
    kind = said.get("serviceType")
    if kind is not None and kind not in TYPES:
        raise ValueError(f"serviceType {excerpt(kind)} is none of {', '.join(TYPES)}")
    when = said.get("registrationTimeUTC")
    if when is not None and type(when) is not int and not (isinstance(when, str) and when.isascii() and when.isdigit()):
        raise ValueError(f"registrationTimeUTC {excerpt(when)} is not a number of milliseconds")
    if said.get("id"):
        words.text(said["id"], "id")


def number(value: Any, kind: str) -> int | None:
    """A port as Curator reads it: a number, also as text or with a fraction of nothing; null or "" for none."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return words.number_of(value, kind, 1, 65_535)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return words.port(value, kind)
