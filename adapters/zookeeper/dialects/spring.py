"""Spring Cloud's instances: Curator's, with a payload that has metadata, and in them the status.

Status changes in place. What a load balancer of Spring does not use (anything but `UP` or nothing) is draining. `zone`
and `weight` are the words of its own load balancers.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import pairs, payloads, words
from adapters.zookeeper.dialects.dialect import Instance, Part, Places, Spelled
from bridge.model import Endpoint, Health, Port

STATUS: Final = "instance_status"


@dataclass(frozen=True)
class Spring(payloads.Payloads):
    """What is written says how its URI is made: without, its clients have none."""

    name: ClassVar[str] = "spring"
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT | Places.METADATA
    kind: ClassVar[str] = payloads.SPRING
    bare: ClassVar[bool] = True

    def told(self, endpoint: Endpoint, metadata: dict[str, str]) -> Part:
        status = metadata.pop(STATUS, "").strip()
        found = pairs.read(metadata, weighs=True)
        out = found.weight == 0 or (status and status.upper() != "UP")
        return Instance(
            replace(
                endpoint,
                health=Health.DRAINING if out else endpoint.health,
                locality=found.locality,
                network=found.network,
                weight=found.weight or 1,
                metadata=found.metadata,
            )
        )

    def instance(self, service: Spelled, endpoint: Endpoint, stem: str) -> dict[str, Any]:
        return super().instance(service, endpoint, stem) | {"uriSpec": {"parts": _uri(endpoint.address)}}

    def metadata(self, endpoint: Endpoint) -> dict[str, str]:
        status = "OUT_OF_SERVICE" if endpoint.health is Health.DRAINING else "UP"
        return {STATUS: status, **pairs.write(replace(endpoint, via=""), weighs=True)}

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.names.default, ports[0].number)  # with sslPort, its clients would go there instead

    def health(self, health: Health | None) -> Health | None:
        return Health.DRAINING if health in (Health.DRAINING, Health.UNHEALTHY) else None

    def reserved(self, key: str) -> bool:
        return key == STATUS or pairs.reserved(key, weighs=True)


def _uri(address: str) -> list[dict[str, Any]]:
    """`{scheme}://{address}:{port}`, with brackets where a URI needs them."""
    before, behind = ("://[", "]:") if ":" in address else ("://", ":")
    parts = (("scheme", True), (before, False), ("address", True), (behind, False), ("port", True))
    return [{"value": value, "variable": variable} for value, variable in parts]
