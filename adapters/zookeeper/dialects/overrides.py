"""What Dubbo's configurators say of providers: weights, and who is disabled.

`override://0.0.0.0/com.ex.Foo?disabled=true` means all of a group and version, `override://10.0.0.1:20880/…` one
provider; `absent://` holds where the provider says nothing itself. What is meant for some consumers only is passed
over. Since 2.7 they are documents (`dubbo_documents`), beside which Dubbo's admin writes these for those of before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import Final, NamedTuple, TypeVar

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dubbo_url import ANY_HOST, Url
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Health

MAX_WEIGHT: Final = 10_000_000
DEFAULT_WEIGHT: Final = 100
EVERY: Final = "*"
K = TypeVar("K")


class Address(NamedTuple):
    """ANY_HOST is everybody's host, and 0 every port."""

    host: str
    port: int


ANYWHERE: Final = Address(ANY_HOST, 0)


class ServiceKey(NamedTuple):
    """An interface in a version and a group, each "" where there is none."""

    interface: str
    version: str = ""
    group: str = ""


class Provider(NamedTuple):
    """By what an override knows a provider, and what it may change; None where the provider says nothing."""

    address: Address
    service: ServiceKey
    application: str = ""
    weight: int | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Of those at `addresses` it means whom all the rest is said of too, where an empty set is anybody.

    `group` and `version` may be `*`; a None changes nothing.
    """

    addresses: frozenset[Address]
    providers: frozenset[Address] = frozenset()
    services: frozenset[ServiceKey] = frozenset()
    applications: frozenset[str] = frozenset()
    group: str = EVERY
    version: str = EVERY
    absent: bool = False
    priority: int = 0
    weight: int | None = None
    disabled: bool | None = None


def read(url: Url) -> Override | None:
    """None for what changes no provider for everybody; ValueError when it cannot be understood."""
    said = url.params
    if url.protocol not in ("override", "absent"):
        raise ValueError(f"{excerpt(url.protocol)} is neither override nor absent")
    for_some = said.get("application", EVERY) != EVERY or any(key.startswith("~") for key in said)
    consumers_host = url.port == 0 and url.host != ANY_HOST
    of_document = bool(said.get("compatible_config"))  # says less than the document itself, and is not heeded since 2.7
    if for_some or consumers_host or of_document or said.get("enabled") == "false":
        return None
    weight = words.number_of(said["weight"], "weight", 0, MAX_WEIGHT) if "weight" in said else None
    disabled = said["disabled"] == "true" if "disabled" in said else None
    if weight is None and disabled is None:
        return None
    return Override(
        addresses=frozenset([Address(url.host, url.port)]),
        group=said.get("group", ""),
        version=said.get("version", ""),
        absent=url.protocol == "absent",
        priority=words.number_of(said.get("priority", "0"), "priority", 0, 10**9),
        weight=weight,
        disabled=disabled,
    )


def apply(provider: Provider, overrides: Iterable[Override]) -> Provider:
    """The provider after all overrides that mean it, the more special ones last, and of equal ones the later."""
    meant = [(host, one) for one in overrides if (host := _host(provider, one.addresses)) and _means(one, provider)]
    said = provider
    for _, one in sorted(meant, key=lambda each: (each[0], each[1].priority)):
        if one.weight is not None and not (one.absent and said.weight is not None):
            said = said._replace(weight=one.weight)
        if one.disabled is not None and not (one.absent and said.disabled is not None):
            said = said._replace(disabled=one.disabled)
    return said


def told(judged: Mapping[K, tuple[Endpoint, Provider]]) -> dict[K, Endpoint]:
    """The endpoints as their providers say: who is disabled or weighs nothing is draining.

    Weights are the smallest whole numbers of one proportion, the default 100 among them.
    """
    weights = {key: DEFAULT_WEIGHT if to.weight is None else to.weight for key, (_, to) in judged.items()}
    unit = gcd(DEFAULT_WEIGHT, *weights.values())
    endpoints = {}
    for key, (endpoint, to) in judged.items():
        health = Health.DRAINING if to.disabled or weights[key] == 0 else endpoint.health
        weight = min(max(weights[key] // unit, 1), words.MAX_WEIGHT)
        endpoints[key] = replace(endpoint, weight=weight, health=health)
    return endpoints


def _means(one: Override, provider: Provider) -> bool:
    return (
        one.group in (EVERY, provider.service.group)
        and one.version in (EVERY, provider.service.version)
        and (not one.providers or _host(provider, one.providers) is not None)
        and (not one.services or provider.service in one.services)
        and (not one.applications or provider.application in one.applications)
    )


def _host(provider: Provider, among: frozenset[Address]) -> str | None:
    """Under which host these addresses mean the provider, its own before everybody's; None when they do not."""
    port = provider.address.port
    hosts = (provider.address.host, ANY_HOST)
    return next((host for host in hosts if (host, port) in among or (host, 0) in among), None)
