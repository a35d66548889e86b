"""kazoo's parties: who takes part is a child that holds its identifier, or in a shallow party is called by it.

The identifier is `host:port` where a party is used to find services; Pinterest's kingpin does so with shallow ones, and
takes what stands behind the first hyphen of the name.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Final

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
from adapters.zookeeper.dialects.plain import host_port
from bridge.adapter import RecordKey
from bridge.kit.mark import FORMAT, Stamp
from bridge.model import Endpoint, Port

_PARTY: Final = "__party__"
_SHALLOW: Final = re.compile(r"[0-9a-f]{32}-(.+)", re.ASCII | re.DOTALL)
_OURS: Final = re.compile(r"registry_bridge~([0-9]{1,6})~([^~-]{1,63})~([^~-]*)-([!-~]+)", re.ASCII)


@dataclass(frozen=True)
class _Anybody(Written):
    """What both have in common: an address, a port, and through whom they came, all of it in the name."""

    names: PortNames = UNNAMED

    in_place: ClassVar[bool] = True
    places: ClassVar[Places] = Places.NONE

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.names.default, ports[0].number)

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        return Said(named.stem(endpoint), str(endpoint.id).encode())

    def stem(self, child: Child) -> str | None:
        return None

    def _endpoint(self, identifier: str, via: str) -> Endpoint:
        where = host_port(identifier)
        return Endpoint(where.address, words.one_port(self.names.default, where.port), via=via)


@dataclass(frozen=True)
class Party(_Anybody):
    name: ClassVar[str] = "party"

    def is_member(self, branch: str, name: str) -> bool:
        return is_party(name)

    def read(self, child: Child) -> Part:
        stamp = self.stamp(child)
        return Instance(self._endpoint(words.text_of(child.data), named.via_of(stamp)))

    def stamp(self, child: Child) -> Stamp | None:
        return named.stamp(child.name.removesuffix(_PARTY))

    def node(self, said: Said, owner: str) -> Node:
        return Node("", named.name(said.stem, owner) + _PARTY, said.content)

    def content(self, child: Child) -> bytes:
        return child.data


@dataclass(frozen=True)
class ShallowParty(_Anybody):
    """What a child holds is nobody's business; the mark stands before the hyphen, with `=` for those of an owner."""

    name: ClassVar[str] = "kingpin"
    branches: ClassVar = (Branch(data=False),)

    def is_member(self, branch: str, name: str) -> bool:
        return is_shallow(name)

    def read(self, child: Child) -> Part:
        return Instance(self._endpoint(child.name.partition("-")[2], named.via_of(self.stamp(child))))

    def stamp(self, child: Child) -> Stamp | None:
        found = _OURS.fullmatch(child.name)
        if found is None:
            return None
        via = found[3].replace("=", "-")
        return Stamp(found[2].replace("=", "-"), RecordKey(f"{found[4]}~{via}" if via else found[4]), int(found[1]))

    def node(self, said: Said, owner: str) -> Node:
        which, _, via = said.stem.partition("~")
        head = f"registry_bridge~{FORMAT}~{owner}~{via}".replace("-", "=")
        return Node("", f"{head}-{which}", b"")

    def content(self, child: Child) -> bytes:
        return child.name.partition("-")[2].encode()


def is_party(name: str) -> bool:
    """Whether somebody takes part in a party under that name."""
    return _PARTY in name


def is_shallow(name: str) -> bool:
    """The same of a shallow party."""
    return _SHALLOW.fullmatch(name) is not None or _OURS.fullmatch(name) is not None
