"""Solr's live nodes, read only: the name of a child is all that it says, `10.0.0.1:8983_solr`."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import unquote

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dialect import UNNAMED, Branch, Child, Dialect, Instance, Part, PortNames
from bridge.model import Endpoint

_NODE: Final = re.compile(r"(.+?):([0-9]{1,5})_(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Solr(Dialect):
    """The path under which a node serves is its metadata `context`; nodes at the root have none."""

    names: PortNames = UNNAMED

    name: ClassVar[str] = "solr"
    branches: ClassVar = (Branch(data=False),)

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def read(self, child: Child) -> Part:
        found = _NODE.fullmatch(child.name)
        if found is None:
            raise ValueError("is not called host:port_context, as a live node of Solr is")
        ports = words.one_port(self.names.default, words.number_of(found[2], "port", 1, 65_535))
        context = unquote(found[3])
        metadata = words.metadata({"context": context}) if context else ()
        return Instance(Endpoint(words.host(found[1]), ports, metadata=metadata))


def is_live_node(name: str) -> bool:
    return _NODE.fullmatch(name) is not None
