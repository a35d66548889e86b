"""Entries of `/v1/health/service/NAME`, as a Consul says them."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.consul.objects import Broken, Instance, instances_of
from adapters.consul.selection import Selection
from adapters.consul.translate import Scope, Translated, translate
from bridge.model import NOWHERE, Endpoint, Health, Locality, ServiceName

PAY = ServiceName("shop", "pay")
ALL = Selection(("*",), frozenset(), (), False)
PLACES = Locality("region", "zone", "sub_zone")


def entry(
    its: str = "pay-1", address: str = "10.7.0.2", port: int | None = 8443, *, node: Mapping[str, Any] | None = None,
    checks: Sequence[Mapping[str, str]] | None = (), **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """One instance; `more` are fields of the service, `node` of its node."""
    service: dict[str, Any] = {"ID": its, "Service": "pay", "Address": address, "Tags": None, "Meta": None, **more}
    if port is not None:
        service["Port"] = port
    return {
        "Node": {"Node": "vm-7", "Address": "10.7.0.1", "Meta": None, "TaggedAddresses": None, **(node or {})},
        "Service": service,
        "Checks": None if checks is None else [{"CheckID": "c", "ServiceID": its, **one} for one in checks],
    }


def parsed(*said: Any) -> list[Instance | Broken]:
    """As they are kept."""
    return list(instances_of(list(said)))


def scope(**more: Any) -> Scope:
    """What a configuration says that says little."""
    plain = Scope(ALL, NOWHERE, "", PLACES, "", "", Health.DEGRADED, frozenset())
    return plain._replace(**more)


def told(*said: Any, **more: Any) -> Translated:
    """What the entries come to."""
    return translate(PAY, "pay", parsed(*said), scope(**more))


def endpoints(*said: Any, **more: Any) -> tuple[Endpoint, ...]:
    """Their endpoints."""
    service = told(*said, **more).service
    return service.endpoints if service is not None else ()


def only(*said: Any, **more: Any) -> Endpoint:
    """The one endpoint that they are."""
    (one,) = endpoints(*said, **more)
    return one
