"""What Spring Cloud and Dubbo add to Curator's instances: a payload of a class of their own, with metadata.

A reader of one throws on an instance of the other, and on any other class. Both keep to one root, so that those of the
other are passed over, and nobody is told.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import named, pairs, words
from adapters.zookeeper.dialects.curator import CLASS, Curator
from adapters.zookeeper.dialects.dialect import Child, Instance, Node, Part, Said, Spelled
from bridge.kit.place import excerpt
from bridge.model import Endpoint

SPRING: Final = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance"
DUBBO: Final = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"


@dataclass(frozen=True)
class Payloads(Curator):
    """Curator's instances with a payload of the class `kind`; `bare` says that one without a payload counts too."""

    kind: ClassVar[str]
    bare: ClassVar[bool]

    @abstractmethod
    def told(self, endpoint: Endpoint, metadata: dict[str, str]) -> Part:
        """The instance, with what its metadata say; None when it is none that its readers would use."""

    @abstractmethod
    def metadata(self, endpoint: Endpoint) -> dict[str, str]:
        """The metadata of an endpoint, without the mark and without whom it came through."""

    def understand(self, said: Mapping[str, Any], via: str) -> Part:
        part = super().understand(said, via)
        payload = said.get("payload")
        if not isinstance(part, Instance) or payload is None:
            return part if self.bare else None
        kind = words.mapping(payload, "payload").get(CLASS)
        if kind != self.kind:
            if kind in (SPRING, DUBBO):
                return None
            raise ValueError(f"payload is of class {excerpt(kind)}, and a reader of {self.name} takes only {self.kind}")
        return self.told(part.endpoint, words.texts(payload.get("metadata") or {}, "metadata"))

    def instance(self, service: Spelled, endpoint: Endpoint, stem: str) -> dict[str, Any]:
        metadata = self.metadata(endpoint)
        payload = {CLASS: self.kind, "id": stem, "name": service.name, "metadata": metadata}
        return super().instance(service, endpoint, stem) | {"payload": payload}

    def node(self, said: Said, owner: str) -> Node:
        name = named.name(said.stem, owner)
        instance = words.json_object(said.content) | {"id": name}
        payload = instance["payload"]
        metadata = pairs.marked(payload["metadata"], owner, said.stem)
        instance["payload"] = payload | {"id": name, "metadata": metadata}
        return Node("", name, words.compact(instance))

    def content(self, child: Child) -> bytes:
        raw, stamp = super().content(child), self.stamp(child)
        try:
            said = words.json_object(raw)
            payload = words.mapping(said.get("payload"), "payload")
            metadata = words.mapping(payload.get("metadata"), "metadata")
        except ValueError:
            return raw
        if stamp is not None:
            if metadata.get(pairs.MARK) == str(stamp):
                del metadata[pairs.MARK]
            if payload.get("id") == child.name:
                payload["id"] = stamp.key
        return words.compact(said)
