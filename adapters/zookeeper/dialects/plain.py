"""The convention without a library: a child is called `host:port`, and may hold nothing, the same, or JSON.

Where name and data both say an address, they agree or nobody is believed. What is written holds JSON, where the mark
has a place.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from adapters.zookeeper.dialects import pairs, words
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
from bridge.model import Endpoint, EndpointId, Health, Port


@dataclass(frozen=True)
class Plain(Written):
    names: PortNames = UNNAMED

    name: ClassVar[str] = "plain"
    branches: ClassVar = (Branch(changes=True),)
    in_place: ClassVar[bool] = True
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT | Places.METADATA

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def read(self, child: Child) -> Part:
        named = _host_port(child.name)
        held, said = _held(child.data, named)
        where = named or held
        if where is None:
            raise ValueError("neither its name nor what it holds is of the form host:port")
        if named and held and named != held:
            raise ValueError(f"is called {named} and holds {held}; which of them is it?")
        weight = words.number(said.get("weight", 1), "weight", 0, words.MAX_WEIGHT)
        found = pairs.read(words.texts(said.get("metadata") or {}, "metadata"), weighs=False)
        return Instance(
            Endpoint(
                where.address,
                words.one_port(self.names.default, where.port),
                None if weight else Health.DRAINING,
                found.locality,
                found.network,
                weight or 1,
                found.via,
                metadata=found.metadata,
            )
        )

    def stamp(self, child: Child) -> Stamp | None:
        return words.stamp_in(child.data)

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.names.default, ports[0].number)

    def reserved(self, key: str) -> bool:
        return pairs.reserved(key, weighs=False)

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        said: dict[str, Any] = {"host": endpoint.address, "port": endpoint.ports[0].number}
        if endpoint.weight != 1:
            said["weight"] = endpoint.weight
        if metadata := pairs.write(endpoint, weighs=False):
            said["metadata"] = metadata
        return Said(str(endpoint.id), words.compact(said))

    def node(self, said: Said, owner: str) -> Node:
        instance = words.json_object(said.content)
        instance["metadata"] = pairs.marked(instance.get("metadata", {}), owner, said.stem)
        return Node("", said.stem, words.compact(instance))

    def content(self, child: Child) -> bytes:
        stamp = self.stamp(child)
        try:
            said = words.json_object(child.data)
        except ValueError:
            return child.data
        metadata = said.get("metadata")
        if isinstance(metadata, dict) and metadata.get(pairs.MARK) == str(stamp):
            del metadata[pairs.MARK]
            if not metadata:
                del said["metadata"]
        return words.compact(said)

    def stem(self, child: Child) -> str | None:
        where = _host_port(child.name)
        return child.name if where is not None and str(where) == child.name else None


def host_port(text: str) -> EndpointId:
    """`host:port`, cut at the last colon, IPv6 with brackets or without; ValueError when it is none."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{excerpt(text)} is not of the form host:port")
    return EndpointId(words.host(host), words.number_of(port, "port", 1, 65_535))


def _host_port(text: str) -> EndpointId | None:
    try:
        return host_port(text)
    except ValueError:
        return None


def _held(data: bytes, named: EndpointId | None) -> tuple[EndpointId | None, dict[str, Any]]:
    """What the data say; a text in nobody's form says nothing where the name has said it all."""
    text = words.text_of(data).strip()
    if not text.startswith("{"):
        return (_host_port(text) if named else host_port(text)) if text else None, {}
    said = words.json_object(data)
    host = next((said[key] for key in ("host", "address", "ip") if said.get(key) is not None), None)
    if host is None and said.get("port") is None and named is not None:
        return None, said
    return EndpointId(words.host(host), words.port(said.get("port"))), said
