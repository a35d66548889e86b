"""Dubbo's instances of an application: Curator's, with a payload that says which interfaces it serves by a revision.

A consumer resolves a revision at the instance itself, or, where the storage type is `remote`, in a znode beside. What
is written is of that type, so that no instance needs to be asked; the znode, and that each interface is mapped to the
application, stand `beside` the instances and have to be there before them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import md5
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import dubbo_documents, overrides, pairs, payloads, words
from adapters.zookeeper.dialects.dialect import Beside, ChildKey, Instance, Joined, Part, Places, Said, Spelled
from adapters.zookeeper.dialects.dubbo_documents import Document
from adapters.zookeeper.dialects.overrides import Address, Provider, ServiceKey
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Port

REVISION: Final = "dubbo.metadata.revision"
STORAGE: Final = "dubbo.metadata.storage-type"
ENDPOINTS: Final = "dubbo.endpoints"
NONE: Final = "0"
"""The revision of an application that serves nothing."""


@dataclass(frozen=True)
class DubboApp(payloads.Payloads):
    """`interfaces`, with their group and version, are what an application that is written serves; `root` is Dubbo's."""

    protocol: str = "dubbo"
    interfaces: tuple[str, ...] = ()
    group: str = ""
    version: str = ""
    root: str = "/dubbo"

    name: ClassVar[str] = "dubbo-app"
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.METADATA
    kind: ClassVar[str] = payloads.DUBBO
    bare: ClassVar[bool] = False

    def told(self, endpoint: Endpoint, metadata: dict[str, str]) -> Part:
        if metadata.get(REVISION, NONE) == NONE:
            return None
        found = pairs.read({key: one for key, one in metadata.items() if not _is_dubbos(key)}, weighs=False)
        ports = self._arranged(endpoint.ports[0].number, _protocols(metadata.get(ENDPOINTS)))
        return Instance(
            replace(endpoint, ports=ports, locality=found.locality, network=found.network, metadata=found.metadata)
        )

    def join(self, parts: Mapping[ChildKey, Part]) -> Joined:
        """With what the application's document has its providers say of all their services, as their metadata do."""
        joined = super().join(parts)
        documents = [part for part in parts.values() if isinstance(part, Document)]
        if not documents:
            return joined
        said = [one for document in documents for one in document.provider if not one.services]
        judged = {
            key: (endpoint, overrides.apply(Provider(Address(*endpoint.id), ServiceKey("")), said))
            for key, endpoint in joined.endpoints.items()
        }
        remarks = [
            f"{document.name}: {at}: names some services, and an instance has all of them; it is not applied"
            for document in documents
            for at in document.narrow
        ]
        return Joined(overrides.told(judged), (*joined.remarks, *remarks))

    def heeds(self, node: str, parts: Iterable[Part]) -> frozenset[str]:
        return frozenset([dubbo_documents.of_application(node)])

    def metadata(self, endpoint: Endpoint) -> dict[str, str]:
        served = [{"port": port.number, "protocol": port.name} for port in endpoint.ports]
        return {
            ENDPOINTS: words.compact(served).decode(),
            STORAGE: "remote",
            **pairs.write(replace(endpoint, via=""), weighs=False),
        }

    def instance(self, service: Spelled, endpoint: Endpoint, stem: str) -> dict[str, Any]:
        made = super().instance(service, endpoint, stem) | {"sslPort": None}
        made["payload"]["metadata"] = {REVISION: self._revision(service), **made["payload"]["metadata"]}
        return made

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        if not self.interfaces:
            raise ValueError("an application of Dubbo is written only if `interfaces:` says what it serves")
        return super().say(service, endpoint)

    def beside(self, service: Spelled) -> tuple[Beside, ...]:
        about = {"app": service.name, "revision": self._revision(service), "services": self._services()}
        resolved = Beside(f"{self.root}/metadata/{service.name}/{about['revision']}", words.compact(about))
        mapped = (
            Beside(f"{self.root}/mapping/{one}", service.name.encode(), one_of_many=True) for one in self.interfaces
        )
        return (resolved, *mapped)

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.protocol, ports[0].number)

    def reserved(self, key: str) -> bool:
        return _is_dubbos(key) or pairs.reserved(key, weighs=False)

    def _arranged(self, first: int, protocols: Mapping[str, int]) -> tuple[Port, ...]:
        """The port of the instance, by the name of its protocol, and those of its other protocols."""
        primary = next((name for name, number in protocols.items() if number == first), self.protocol)
        rest = [Port(name, number) for name, number in protocols.items() if name != primary]
        return words.interned((Port(primary, first), *(rest if self.names.additional else ())))

    def _services(self) -> dict[str, Any]:
        """By the keys under which a consumer looks: group/interface:version:protocol."""
        before, behind = f"{self.group}/" if self.group else "", f":{self.version}" if self.version else ""
        version = {key: said for key, said in (("group", self.group), ("version", self.version)) if said}
        return {
            f"{before}{one}{behind}:{self.protocol}": {
                "name": one,
                **version,
                "protocol": self.protocol,
                "path": one,
                "params": {"side": "provider", "interface": one, **version},
            }
            for one in sorted(self.interfaces)
        }

    def _revision(self, service: Spelled) -> str:
        return md5(words.compact([service.name, self._services()]), usedforsecurity=False).hexdigest()


def _protocols(value: str | None) -> dict[str, int]:
    """Ports by protocol, as they stand in a text of JSON."""
    said = words.json_value(value) if value else []
    if not isinstance(said, list):
        raise ValueError(f"{ENDPOINTS} {excerpt(said)} is not a list")  # noqa: TRY004  # told like the rest
    found: dict[str, int] = {}
    for one in said:
        served = words.mapping(one, ENDPOINTS)
        found.setdefault(words.text(served.get("protocol"), "protocol"), words.port(served.get("port")))
    return found


def _is_dubbos(key: str) -> bool:
    return key.startswith("dubbo.") or key in ("meta-v", "timestamp")
