"""Spring Cloud's instances: Curator's, with a payload that has metadata, and in them the status.

Status changes in place. What a load balancer of Spring does not use (anything but `UP` or nothing) is draining.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import named, pairs, words
from adapters.zookeeper.dialects.curator import CLASS, Curator
from adapters.zookeeper.dialects.dialect import Child, Instance, Node, Part, Places, Said, Spelled
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health, Port

INSTANCE: Final = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance"
DUBBO: Final = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"
STATUS: Final = "instance_status"
URI: Final = {
    "parts": [
        {"value": "scheme", "variable": True},
        {"value": "://", "variable": False},
        {"value": "address", "variable": True},
        {"value": ":", "variable": False},
        {"value": "port", "variable": True},
    ]
}
"""`{scheme}://{address}:{port}`; without it an instance has no URI."""


@dataclass(frozen=True)
class Spring(Curator):
    """Instances of Dubbo's under the same root are let pass: they are no instances of Spring's."""

    name: ClassVar[str] = "spring"
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT | Places.METADATA

    def read(self, child: Child) -> Part:
        part = super().read(child)
        if not isinstance(part, Instance):
            return part
        said = words.json_object(child.data).get("payload")
        if said is None:
            return part
        kind = words.mapping(said, "payload").get(CLASS)
        if kind == DUBBO:
            return None
        if kind != INSTANCE:
            raise ValueError(f"payload is of class {excerpt(kind)}, and a reader of Spring Cloud takes {INSTANCE} only")
        return Instance(_with(part.endpoint, words.texts(said.get("metadata") or {}, "metadata")))

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.names.default, ports[0].number)  # with sslPort, its clients would go there instead

    def health(self, health: Health | None) -> Health | None:
        return Health.DRAINING if health in (Health.DRAINING, Health.UNHEALTHY) else None

    def reserved(self, key: str) -> bool:
        return key == STATUS or pairs.reserved(key, weighs=True)

    def instance(self, service: Spelled, endpoint: Endpoint, stem: str) -> dict[str, Any]:
        status = "OUT_OF_SERVICE" if endpoint.health is Health.DRAINING else "UP"
        metadata = {STATUS: status, **pairs.write(endpoint, weighs=True)}
        metadata.pop(pairs.VIA, None)  # stands in the name
        payload = {CLASS: INSTANCE, "id": stem, "name": service.name, "metadata": metadata}
        return super().instance(service, endpoint, stem) | {"payload": payload, "uriSpec": URI}

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


def _with(endpoint: Endpoint, said: dict[str, str]) -> Endpoint:
    status = said.get(STATUS, "").strip()
    found = pairs.read({key: one for key, one in said.items() if key != STATUS}, weighs=True)
    out = (status and status.upper() != "UP") or found.weight == 0
    return Endpoint(
        endpoint.address,
        endpoint.ports,
        Health.DRAINING if out else endpoint.health,
        found.locality,
        found.network,
        found.weight or 1,
        endpoint.via,
        metadata=found.metadata,
    )
