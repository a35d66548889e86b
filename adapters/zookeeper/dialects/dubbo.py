"""Dubbo's providers of an interface: the name of a child is a URL, and says all.

A change is another URL, and so another child. The port is named by its protocol. One child that is no URL leaves a
consumer without anybody to call, so that what is written is parsed by Dubbo's own rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import ClassVar, Final

from adapters.zookeeper.dialects import dubbo_url, overrides, pairs, words
from adapters.zookeeper.dialects.dialect import (
    Branch,
    Child,
    ChildKey,
    Instance,
    Joined,
    Node,
    Part,
    Places,
    Said,
    Spelled,
    Written,
)
from adapters.zookeeper.dialects.dubbo_url import ANY_HOST, Url
from adapters.zookeeper.dialects.overrides import Override
from bridge.adapter import RecordKey
from bridge.kit import mark
from bridge.kit.mark import FORMAT, Stamp
from bridge.model import Endpoint, Health, Port

PROVIDERS: Final = "providers"
CONFIGURATORS: Final = "configurators"
DEFAULT_WEIGHT: Final = 100
TOLD: Final = ("application", "group", "version")
"""Parameters that become metadata of what a bridge did not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInstance(Instance):
    """`shut` says that the URL itself takes it out, which no override undoes."""

    provider: overrides.Provider
    shut: bool


@dataclass(frozen=True)
class Dubbo(Written):
    """`group` and `version` are those of the providers that are read, None for all, and that are written."""

    protocol: str = "dubbo"
    group: str | None = None
    version: str | None = None
    ephemeral: bool = False

    name: ClassVar[str] = "dubbo"
    branches: ClassVar = (Branch(PROVIDERS, data=False), Branch(CONFIGURATORS, data=False))
    in_place: ClassVar[bool] = False
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT
    heaviest: ClassVar[int] = 10_000

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def read(self, child: Child) -> Part:
        url = Url.of(child.name)
        if child.branch == CONFIGURATORS:
            return None if url.protocol == "empty" else overrides.read(url)
        said = url.params
        if url.protocol == "empty" or said.get("category", PROVIDERS) != PROVIDERS:
            return None
        provider = overrides.Provider(
            words.host(url.host),
            words.port(url.port),
            said.get("group", ""),
            said.get("version", ""),
            words.number_of(said["weight"], "weight", 0, overrides.MAX_WEIGHT) if "weight" in said else None,
            said["disabled"] == "true" if "disabled" in said else None,
        )
        if provider.host == ANY_HOST:
            raise ValueError(f"{ANY_HOST} is nobody's address")
        if not self._asked(self.group, provider.group) or not self._asked(self.version, provider.version):
            return None
        stamp = _stamp(url)
        found = pairs.read({key: dubbo_url.value_of(one) for key, one in said.items() if _is_pair(key)}, weighs=False)
        told = {} if stamp else {key: said[key] for key in TOLD if said.get(key)}
        endpoint = Endpoint(
            provider.host,
            words.one_port(url.protocol, provider.port),
            None,
            found.locality,
            found.network,
            (provider.weight or DEFAULT_WEIGHT) // DEFAULT_WEIGHT or 1,
            found.via,
            metadata=words.metadata(told),
        )
        shut = said.get("enabled") == "false"
        return ProviderInstance(endpoint, provider=provider, shut=shut)

    def join(self, parts: Mapping[ChildKey, Part]) -> Joined:
        """With the overrides; weights are the smallest whole numbers of one proportion, the default 100 among them."""
        said = [part for _, part in sorted(parts.items()) if isinstance(part, Override)]
        judged = {
            key: (part, overrides.apply(part.provider, said))
            for key, part in parts.items()
            if isinstance(part, ProviderInstance)
        }
        weights = {key: DEFAULT_WEIGHT if to.weight is None else to.weight for key, (_, to) in judged.items()}
        unit = gcd(DEFAULT_WEIGHT, *weights.values())
        endpoints = {}
        for key, (part, to) in judged.items():
            out = part.shut or to.disabled or weights[key] == 0
            weight = min(max(weights[key] // unit, 1), words.MAX_WEIGHT)
            endpoints[key] = replace(part.endpoint, weight=weight, health=Health.DRAINING if out else None)
        return Joined(endpoints)

    def stamp(self, child: Child) -> Stamp | None:
        try:
            return _stamp(Url.of(child.name)) if child.branch == PROVIDERS else None
        except ValueError:
            return None

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.protocol, ports[0].number)

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        params = {"category": PROVIDERS, "interface": service.name, "side": "provider"}
        params["dynamic"] = str(self.ephemeral).lower()
        params |= {key: said for key, said in (("group", self.group), ("version", self.version)) if said}
        if endpoint.weight != 1:
            params["weight"] = str(endpoint.weight * DEFAULT_WEIGHT)
        params |= {key: dubbo_url.value(one) for key, one in pairs.write(endpoint, weighs=False).items()}
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        url = Url(self.protocol, host, endpoint.ports[0].number, service.name, dict(sorted(params.items())))
        return Said(_stem(url), str(url).encode())

    def node(self, said: Said, owner: str) -> Node:
        url = Url.of(dubbo_url.encode(said.content.decode()))
        marked = url._replace(params={**url.params, pairs.MARK: f"{FORMAT}~{owner}"})
        return Node(PROVIDERS, dubbo_url.encode(str(marked)), b"")

    def content(self, child: Child) -> bytes:
        return str(_unmarked(Url.of(child.name))).encode()

    def stem(self, child: Child) -> str | None:
        return None

    def _asked(self, wanted: str | None, said: str) -> bool:
        return wanted is None or wanted == said


def _is_pair(key: str) -> bool:
    return key in pairs.PLACE or key == pairs.MARK or key.startswith(f"{pairs.MARK}.")


def _stamp(url: Url) -> Stamp | None:
    """The mark in a parameter, None when there is none that could be a bridge's."""
    form, _, owner = url.params.get(pairs.MARK, "").partition("~")
    try:
        mark.owner_name(owner)
        return Stamp(owner, RecordKey(_stem(_unmarked(url))), words.number_of(form, "format", 0, 999_999))
    except ValueError:
        return None


def _unmarked(url: Url) -> Url:
    return url._replace(params={key: one for key, one in url.params.items() if key != pairs.MARK})


def _stem(url: Url) -> str:
    return f"{url.host}:{url.port}~{words.digest(str(url))}"
