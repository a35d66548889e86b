"""What Nerve and those without a library say alike in one object of JSON: host, port, weight and a map of texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from adapters.zookeeper.dialects import pairs, words
from adapters.zookeeper.dialects.dialect import UNNAMED, Child, Places, PortNames, Written
from bridge.model import Endpoint, EndpointId, Health, Port


@dataclass(frozen=True)
class Weighed(Written):
    """`texts` is the key of the map; what has weight 0 is draining."""

    names: PortNames = UNNAMED

    texts: ClassVar[str]
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT | Places.METADATA

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.names.default, ports[0].number)

    def reserved(self, key: str) -> bool:
        return pairs.reserved(key, weighs=False)

    def stem(self, child: Child) -> str | None:
        return None

    def endpoint(self, where: EndpointId, said: Mapping[str, Any]) -> Endpoint:
        """The endpoint there, of which the object says so; ValueError when it cannot be understood."""
        weight = words.number(said.get("weight", 1), "weight", 0, words.MAX_WEIGHT)
        found = pairs.read(words.texts(said.get(self.texts) or {}, self.texts), weighs=False)
        return Endpoint(
            where.address,
            words.one_port(self.names.default, where.port),
            None if weight else Health.DRAINING,
            found.locality,
            found.network,
            weight or 1,
            found.via,
            metadata=found.metadata,
        )

    def fields(self, endpoint: Endpoint) -> dict[str, Any]:
        """The object that says an endpoint, without the mark."""
        said: dict[str, Any] = {"host": endpoint.address, "port": endpoint.ports[0].number}
        if endpoint.weight != 1:
            said["weight"] = endpoint.weight
        if texts := pairs.write(endpoint, weighs=False):
            said[self.texts] = texts
        return said
