"""Dubbo's providers of an interface: the name of a child is a URL, and says all.

A change is another URL, and so another child. The port is named by its protocol. One child that is no URL leaves a
consumer without anybody to call, so that what is written is parsed by Dubbo's own rules.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from adapters.zookeeper.dialects import dubbo_documents, dubbo_url, overrides, pairs, words
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
from adapters.zookeeper.dialects.dubbo_documents import Document
from adapters.zookeeper.dialects.dubbo_url import ANY_HOST, Url
from adapters.zookeeper.dialects.overrides import DEFAULT_WEIGHT, Address, Override, Provider, ServiceKey
from bridge.adapter import RecordKey
from bridge.kit import mark
from bridge.kit.mark import FORMAT, Stamp
from bridge.model import Endpoint, Port

PROVIDERS: Final = "providers"
CONFIGURATORS: Final = "configurators"
TOLD: Final = ("application", "group", "version")
"""Parameters that become metadata of what a bridge did not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInstance(Instance):
    """`shut` says that the URL itself takes it out, which no override undoes."""

    provider: Provider
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
        where = Address(words.host(url.host), words.port(url.port))
        if where.host == ANY_HOST:
            raise ValueError(f"{ANY_HOST} is nobody's address")
        service = ServiceKey(
            *map(sys.intern, (said.get("interface", url.path), said.get("version", ""), said.get("group", "")))
        )
        if not self._asked(self.group, service.group) or not self._asked(self.version, service.version):
            return None
        provider = Provider(
            where,
            service,
            sys.intern(said.get("application", "")),
            words.number_of(said["weight"], "weight", 0, overrides.MAX_WEIGHT) if "weight" in said else None,
            said["disabled"] == "true" if "disabled" in said else None,
        )
        stamp = _stamp(url)
        found = pairs.read({key: dubbo_url.value_of(one) for key, one in said.items() if _is_pair(key)}, weighs=False)
        told = {} if stamp else {key: said[key] for key in TOLD if said.get(key)}
        endpoint = Endpoint(
            where.host,
            words.one_port(url.protocol, where.port),
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
        """With the overrides, in Dubbo's order: a provider's own, then those below `configurators`, then consumers'."""
        old = [part for _, part in sorted(parts.items()) if isinstance(part, Override)]
        documents = sorted((part for part in parts.values() if isinstance(part, Document)), key=dubbo_documents.order)
        judged = {}
        for key, part in parts.items():
            if not isinstance(part, ProviderInstance):
                continue
            its = [one for one in documents if dubbo_documents.is_about(one, part.provider)]
            said = part.provider
            for layer in (*(one.provider for one in its), old, *(one.consumer for one in its)):
                said = overrides.apply(said, layer)
            judged[key] = part.endpoint, said._replace(disabled=part.shut or said.disabled)
        return Joined(overrides.told(judged))

    def heeds(self, node: str, parts: Iterable[Part]) -> frozenset[str]:
        """The documents of its versions and groups, and of the applications that provide it."""
        them = [part.provider for part in parts if isinstance(part, ProviderInstance)]
        services = {(one.service.version, one.service.group) for one in them}
        applications = {one.application for one in them if one.application}
        return frozenset(
            [dubbo_documents.of_service(node, *one) for one in services]
            + [dubbo_documents.of_application(one) for one in applications]
        )

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
