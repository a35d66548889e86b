"""Finagle's ServerSets: a member is a znode of JSON, or in old ones of Thrift, and vectors beside it give weights.

Members and vectors are read once, so that a change is a new one. `additionalEndpoints` name the ports; one of them that
is the `serviceEndpoint` too names the primary port. Both keys are always written: the old reader gives up on a set
without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import pairs, thrift, vectors, words
from adapters.zookeeper.dialects.dialect import (
    UNNAMED,
    Child,
    ChildKey,
    Instance,
    Joined,
    Node,
    Part,
    Places,
    PortNames,
    Said,
    Spelled,
    Written,
)
from adapters.zookeeper.dialects.vectors import Vector
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health, Port

PREFIX: Final = "member_"
SHARD: Final = "shard"
_THRIFT: Final = (b"\x00", b"\x08", b"\x0b", b"\x0c", b"\x0d")
_INT32: Final = 2**31 - 1
_WEIGHT: Final = "~weight"
"""Ends the stem of a vector of ours, which begins with that of its member."""


@dataclass(frozen=True)
class ServerSet(Written):
    """A shard is metadata here, in both directions."""

    names: PortNames = UNNAMED

    name: ClassVar[str] = "serverset"
    in_place: ClassVar[bool] = False
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT | Places.METADATA
    apart: ClassVar[bool] = True

    def is_member(self, branch: str, name: str) -> bool:
        return name.startswith((PREFIX, vectors.PREFIX))

    def read(self, child: Child) -> Part:
        if child.name.startswith(vectors.PREFIX):
            return vectors.read(child.data)
        said = thrift.member(child.data) if child.data.startswith(_THRIFT) else words.json_object(child.data)
        where, number = _endpoint(said.get("serviceEndpoint"), "serviceEndpoint")
        further, remarks = _further(said.get("additionalEndpoints"), where)
        found = pairs.read(words.texts(said.get("metadata") or {}, "metadata"), weighs=False)
        metadata = dict(found.metadata)
        if said.get(SHARD) is not None:
            metadata[SHARD] = str(words.number(said[SHARD], SHARD, -_INT32 - 1, _INT32))
        endpoint = Endpoint(
            where,
            self._arranged(number, further),
            _health(said.get("status")),
            found.locality,
            found.network,
            via=found.via,
            metadata=words.metadata(metadata),
        )
        return Instance(endpoint, remarks)

    def join(self, parts: Mapping[ChildKey, Part]) -> Joined:
        """With their weights: what gets none is draining."""
        joined = super().join(parts)
        rules = {key: part for key, part in sorted(parts.items()) if isinstance(part, Vector)}
        remarks = tuple(f"{key}: {why}" for key, vector in rules.items() for why in vector.passed)
        if not any(vector.rules for vector in rules.values()):
            return Joined(joined.endpoints, remarks)
        weights = vectors.weights({key: _member(key, one) for key, one in joined.endpoints.items()}, rules.values())
        weighted = {}
        for key, endpoint in joined.endpoints.items():
            weight = weights[key]
            health = endpoint.health if weight else max(endpoint.health or Health.DRAINING, Health.DRAINING)
            weighted[key] = replace(endpoint, weight=weight or 1, health=health)
        return Joined(weighted, remarks)

    def stamp(self, child: Child) -> Stamp | None:
        return words.stamp_in(child.data)

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        further: dict[str, int] = {}
        for port in ports:
            if port.name:
                further.setdefault(port.name, port.number)
        return self._arranged(ports[0].number, further)

    def reserved(self, key: str) -> bool:
        return pairs.reserved(key, weighs=False)

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        metadata = pairs.write(endpoint, weighs=False)
        named = {port.name: port.number for port in endpoint.ports if port.name} if self.names.additional else {}
        said: dict[str, Any] = {
            "serviceEndpoint": {"host": endpoint.address, "port": endpoint.ports[0].number},
            "additionalEndpoints": {name: {"host": endpoint.address, "port": port} for name, port in named.items()},
            "status": "ALIVE",
        }
        if _is_shard(metadata.get(SHARD, "")):
            said[SHARD] = int(metadata.pop(SHARD))
        if metadata:
            said["metadata"] = metadata
        content = words.compact(said)
        return Said(f"{endpoint.id}~{words.digest(content)}", content)

    def weigh(self, said: Said, member: str, weight: int) -> Said:
        return Said(f"{said.stem}{_WEIGHT}", vectors.write(member, weight))

    def node(self, said: Said, owner: str) -> Node:
        """What it says is in the name too: a reader that missed the end of a znode takes one of that name for it.

        The name ends with digits alone: old readers pass over a member that has others (Aurora's, in Java), or give up
        on the set (Twitter's, in Python, which also writes the number out again: so it begins with no zero).
        """
        made = words.json_object(said.content)
        made["metadata"] = pairs.marked(made.get("metadata", {}), owner, said.stem)
        prefix = vectors.PREFIX if said.stem.endswith(_WEIGHT) else PREFIX
        number = int(words.digest(owner, said.stem, said.content), 16)
        return Node("", f"{prefix}1{number:020}", words.compact(made), numbered=True)

    def content(self, child: Child) -> bytes:
        try:
            said = words.json_object(child.data)
        except ValueError:
            return child.data
        return words.compact(pairs.unmarked(said, "metadata", self.stamp(child)))

    def stem(self, child: Child) -> str | None:
        return None

    def _arranged(self, first: int, further: Mapping[str, int]) -> tuple[Port, ...]:
        """The primary port, by the name that it has among the further ones, and these."""
        default = self.names.default
        if not self.names.additional:
            return words.one_port(default, first)
        aliases = [name for name, number in further.items() if number == first]
        if default in aliases or (not aliases and default not in further):
            primary = default
        else:
            primary = aliases[0] if aliases else ""
        rest = [Port(name, number) for name, number in further.items() if name != primary]
        return words.interned((Port(primary, first), *rest))


def _member(key: ChildKey, endpoint: Endpoint) -> vectors.Member:
    return vectors.Member(key.name, str(endpoint.id), dict(endpoint.metadata).get(SHARD, ""))


def _endpoint(value: Any, kind: str) -> tuple[str, int]:
    said = words.mapping(value, kind) if value is not None else {}
    return words.host(said.get("host"), f"{kind}.host"), words.port(said.get("port"), f"{kind}.port")


def _further(value: Any, where: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Ports by name, and what cannot be one."""
    further: dict[str, int] = {}
    remarks = []
    for name, said in words.mapping(value or {}, "additionalEndpoints").items():
        try:
            host, number = _endpoint(said, f"additionalEndpoints {excerpt(name)}")
            if host != where:
                raise ValueError(f"additionalEndpoints {excerpt(name)} is at {host}, and the member at {where}")
        except ValueError as error:
            remarks.append(f"{error}; this port is left out")
            continue
        further[name] = number
    return further, tuple(remarks)


def _health(status: Any) -> Health | None:
    """ALIVE is what whoever joins says of itself: no more of an opinion than being there."""
    if status == "ALIVE":
        return None
    return Health.DRAINING if status == "STOPPING" else Health.UNHEALTHY


def _is_shard(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 10 and str(int(text)) == text
