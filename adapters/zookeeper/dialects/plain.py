"""The convention without a library: a child is called `host:port`, and may hold nothing, the same, or JSON.

Where name and data both say an address, they agree or nobody is believed. What is written holds JSON, where the mark
has a place.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from adapters.zookeeper.dialects import pairs, words
from adapters.zookeeper.dialects.dialect import Branch, Child, Instance, Node, Part, Said, Spelled
from adapters.zookeeper.dialects.weighed import Weighed
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Endpoint, EndpointId


@dataclass(frozen=True)
class Plain(Weighed):
    name: ClassVar[str] = "plain"
    texts: ClassVar[str] = "metadata"
    branches: ClassVar = (Branch(changes=True),)
    in_place: ClassVar[bool] = True

    def read(self, child: Child) -> Part:
        named = _host_port(child.name)
        held, said = _held(child.data, named)
        where = named or held
        if where is None:
            raise ValueError("neither its name nor what it holds is of the form host:port")
        if named and held and named != held:
            raise ValueError(f"is called {named} and holds {held}; which of them is it?")
        return Instance(self.endpoint(where, said))

    def stamp(self, child: Child) -> Stamp | None:
        return words.stamp_in(child.data)

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        return Said(str(endpoint.id), words.compact(self.fields(endpoint)))

    def node(self, said: Said, owner: str) -> Node:
        instance = words.json_object(said.content)
        instance[self.texts] = pairs.marked(instance.get(self.texts, {}), owner, said.stem)
        return Node("", said.stem, words.compact(instance))

    def content(self, child: Child) -> bytes:
        try:
            said = words.json_object(child.data)
        except ValueError:
            return child.data
        return words.compact(pairs.unmarked(said, self.texts, self.stamp(child)))

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
