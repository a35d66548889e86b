"""Kafka's brokers, as they stand in ZooKeeper before KRaft; read only: a controller adopts whatever stands there."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dialect import UNNAMED, Branch, Child, Dialect, Instance, Part, PortNames
from adapters.zookeeper.dialects.plain import host_port
from bridge.kit.place import excerpt
from bridge.model import Endpoint, EndpointId, Port

_LISTENER: Final = re.compile(r"([A-Za-z0-9_.-]{1,63})://(.+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Kafka(Dialect):
    """The ports of a broker are its listeners, by their names.

    The primary one is `listener`, or where none is named the one that `host` and `port` say, else the first. A listener
    at another host than that is left out.
    """

    names: PortNames = UNNAMED
    listener: str = ""

    name: ClassVar[str] = "kafka"
    branches: ClassVar = (Branch(changes=True),)

    def is_member(self, branch: str, name: str) -> bool:
        return name.isascii() and name.isdigit()

    def read(self, child: Child) -> Part:
        said = words.json_object(child.data)
        words.number(said.get("version"), "version", 1, 100)
        listeners = _listeners(said.get("endpoints"))
        name, first = self._primary(said, listeners)
        ports = [Port(name, first.port)]
        elsewhere = []
        for other, where in listeners.items():
            if where.address != first.address:
                elsewhere.append(other)
            elif self.names.additional and other != name:
                ports.append(Port(other, where.port))
        remarks = (f"{_some(elsewhere)}: at another host than {first.address}; left out",) if elsewhere else ()
        metadata = {"broker": child.name}
        if said.get("rack") is not None:
            metadata["rack"] = words.text(said["rack"], "rack")
        endpoint = Endpoint(first.address, words.interned(tuple(ports)), metadata=words.metadata(metadata))
        return Instance(endpoint, remarks if self.names.additional and not self.listener else ())

    def _primary(self, said: Mapping[str, Any], listeners: Mapping[str, EndpointId]) -> tuple[str, EndpointId]:
        if self.listener:
            if self.listener not in listeners:
                raise ValueError(f"has no listener {self.listener}; it has {_some(listeners) or 'none'}")
            return self.listener, listeners[self.listener]
        if said.get("host") and said.get("port") != -1:
            first = EndpointId(words.host(said["host"]), words.port(said.get("port")))
            return next((name for name, where in listeners.items() if where == first), self.names.default), first
        if not listeners:
            raise ValueError("has neither a host and port nor endpoints")
        return next(iter(listeners.items()))


def _some(names: Iterable[str]) -> str:
    """The first of them, as a message may repeat them."""
    return ", ".join(islice(names, 8))


def _listeners(value: Any) -> dict[str, EndpointId]:
    if value is None:
        return {}
    if not isinstance(value, list):
        raise ValueError(f"endpoints {excerpt(value)} is not a list")  # noqa: TRY004  # told like the rest
    found: dict[str, EndpointId] = {}
    for one in value:
        listener = _LISTENER.fullmatch(words.text(one, "endpoint"))
        if listener is None:
            raise ValueError(f"endpoint {excerpt(one)} is not of the form LISTENER://host:port")
        found[listener[1]] = host_port(listener[2])
    return found
