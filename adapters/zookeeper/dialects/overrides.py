"""What Dubbo's configurators say of providers: weights, and who is disabled.

`override://0.0.0.0/com.ex.Foo?disabled=true` means all of a group and version, `override://10.0.0.1:20880/…` one
provider; `absent://` holds where the provider says nothing itself. What is meant for some consumers only is passed
over.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dubbo_url import ANY_HOST, Url
from bridge.kit.place import excerpt

MAX_WEIGHT: Final = 10_000_000
_EVERY: Final = "*"


class Provider(NamedTuple):
    """By what an override knows a provider, and what it may change; None where the provider says nothing."""

    host: str
    port: int
    group: str
    version: str
    weight: int | None
    disabled: bool | None


@dataclass(frozen=True, slots=True)
class Override:
    """`port` is 0 for any; a None changes nothing."""

    host: str
    port: int
    group: str
    version: str
    absent: bool
    priority: int
    weight: int | None
    disabled: bool | None


def read(url: Url) -> Override | None:
    """None for what changes no provider for everybody; ValueError when it cannot be understood."""
    said = url.params
    if url.protocol not in ("override", "absent"):
        raise ValueError(f"{excerpt(url.protocol)} is neither override nor absent")
    for_some = said.get("application", _EVERY) != _EVERY or any(key.startswith("~") for key in said)
    consumers_host = url.port == 0 and url.host != ANY_HOST
    if for_some or consumers_host or said.get("enabled") == "false":
        return None
    weight = words.number_of(said["weight"], "weight", 0, MAX_WEIGHT) if "weight" in said else None
    disabled = said["disabled"] == "true" if "disabled" in said else None
    if weight is None and disabled is None:
        return None
    priority = words.number_of(said.get("priority", "0"), "priority", 0, 10**9)
    group, version = said.get("group", ""), said.get("version", "")
    return Override(url.host, url.port, group, version, url.protocol == "absent", priority, weight, disabled)


def apply(provider: Provider, overrides: Iterable[Override]) -> Provider:
    """The provider after all overrides that mean it, the more special ones last."""
    said = provider
    for one in sorted(overrides, key=lambda one: (one.host, one.priority, one.port)):
        if not _means(one, provider):
            continue
        if one.weight is not None and not (one.absent and said.weight is not None):
            said = said._replace(weight=one.weight)
        if one.disabled is not None and not (one.absent and said.disabled is not None):
            said = said._replace(disabled=one.disabled)
    return said


def _means(one: Override, provider: Provider) -> bool:
    return (
        one.host in (ANY_HOST, provider.host)
        and one.port in (0, provider.port)
        and one.group in (_EVERY, provider.group)
        and one.version in (_EVERY, provider.version)
    )
