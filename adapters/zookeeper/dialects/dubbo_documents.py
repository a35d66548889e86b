"""Dubbo's overrides as they are written since 2.7: a document of YAML for a service or an application.

`com.ex.Foo:1.0.0:g.configurators` is that of an interface in a version and a group, of which none leaves its place
empty (`com.ex.Foo::.configurators`), and `shop.configurators` that of an application. What is said for the side of the
provider, providers say of themselves; what is said for that of the consumer, each consumer heeds. (Dubbo's
`ConfigParser`, `AbstractConfigurator` and `DynamicConfiguration.getRuleKey`.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dubbo_url import ANY_HOST
from adapters.zookeeper.dialects.overrides import ANYWHERE, EVERY, MAX_WEIGHT, Address, Override, Provider, ServiceKey
from bridge.kit import fields
from bridge.kit.place import excerpt

FOLDER: Final = "config/dubbo"
"""Where documents stand below Dubbo's own root."""

SUFFIX: Final = ".configurators"
SERVICE: Final = "service"
APPLICATION: Final = "application"
_PROVIDER: Final = "provider"
_CONSUMER: Final = "consumer"


@dataclass(frozen=True, slots=True)
class Document:
    """What is said of those of a service, or else of an application.

    `provider` is what providers heed themselves, `consumer` what all consumers do. `narrow` are the places in it that
    mean some services of an application only, `remarks` parts that nobody here can judge, each a sentence.
    """

    name: str
    service: ServiceKey | None
    provider: tuple[Override, ...] = ()
    consumer: tuple[Override, ...] = ()
    narrow: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def of_service(interface: str, version: str, group: str) -> str:
    """What the document of a service is called."""
    return f"{interface}:{version}:{group}{SUFFIX}"


def of_application(application: str) -> str:
    """The same of an application."""
    return f"{application}{SUFFIX}"


def order(document: Document) -> tuple[bool, str]:
    """That of an application comes before that of a service, which has the last word."""
    return document.service is not None, document.name


def is_about(document: Document, provider: Provider) -> bool:
    """Whether it is that of the provider's application, or of its version and group of the service that it names."""
    if document.service is None:
        return document.name == of_application(provider.application)
    return document.service[1:] == provider.service[1:]


def read(name: str, data: bytes) -> Document:
    """A document by its name; ValueError when it cannot be understood, and then nothing in it counts."""
    whose = name.removesuffix(SUFFIX)
    service = _service(whose) if ":" in whose else None
    if not data.strip():
        return Document(name, service)
    said = words.mapping(words.yaml_value(words.text_of(data)), "the document")
    _about(said, whose, service)
    enabled = _truth(said.get("enabled", True), "enabled")
    configs = said.get("configs")
    if not isinstance(configs, list):
        raise ValueError(f"configs {excerpt(configs)} is not a list")  # noqa: TRY004  # told like the rest
    found = _Found(service is None)
    for number, one in enumerate(configs):
        found.add(f"configs[{number}]", one, enabled)
    provider, consumer = tuple(found.provider), tuple(found.consumer)
    return Document(name, service, provider, consumer, tuple(found.narrow), tuple(found.remarks))


class _Found:
    """Gathers what the entries of a document say of weights and of who is disabled."""

    def __init__(self, of_application: bool) -> None:
        self.provider: list[Override] = []
        self.consumer: list[Override] = []
        self.narrow: list[str] = []
        self.remarks: list[str] = []
        self._of_application = of_application

    def add(self, at: str, entry: Any, enabled: bool) -> None:
        """One entry; ValueError says where in it."""
        said = words.mapping(entry, at)
        try:
            self._add(at, said, enabled)
        except ValueError as error:
            raise ValueError(f"{at}: {error}") from None

    def _add(self, at: str, said: Mapping[str, Any], enabled: bool) -> None:
        parameters = fields.mapping(said, "parameters")
        if not parameters:
            raise ValueError("parameters are missing, without which Dubbo heeds nothing of a document")
        if said.get("type") not in (None, "general"):  # such an entry has a switch of its own, and heeds no other
            enabled = _truth(said.get("enabled", False), "enabled")
        weight = _number(parameters["weight"], "weight", MAX_WEIGHT) if "weight" in parameters else None
        disabled = _truth(parameters["disabled"], "disabled") if "disabled" in parameters else None
        if not enabled or (weight is None and disabled is None):
            return
        side = said.get("side")
        addresses, applications = _addresses(said, "addresses"), frozenset(_names(said, "applications"))
        if why := self._unjudged(said, addresses, applications):
            self.remarks.append(f"{at}.{why}; it is not applied")
            return
        services = frozenset(map(_service, _names(said, "services"))) if self._of_application else frozenset()
        if services:
            self.narrow.append(f"{at}.services")
        override = Override(
            addresses=addresses if side == _PROVIDER and addresses else frozenset([ANYWHERE]),
            providers=_addresses(said, "providerAddresses"),
            services=services,
            applications=applications if side == _PROVIDER and not self._of_application else frozenset(),
            priority=_number(parameters.get("priority", 0), "priority", 10**9),
            weight=weight,
            disabled=disabled,
        )
        (self.provider if side == _PROVIDER else self.consumer).append(override)

    def _unjudged(self, said: Mapping[str, Any], addresses: frozenset[Address], applications: frozenset[str]) -> str:
        """Why an entry is not the same for whoever calls; "" when it is."""
        side = said.get("side")
        if side not in (_PROVIDER, _CONSUMER):
            return f"side: {excerpt(side)} is neither provider nor consumer, so that nobody heeds it"
        if side == _PROVIDER:
            return "match: it is for providers to judge, and what they register counts" if said.get("match") else ""
        if said.get("match"):
            return "match: it means certain consumers, or has conditions that are not judged here"
        if self._of_application:
            return "side: it means those who call from this application, and no others"
        if addresses and all(one.host != ANY_HOST for one in addresses):
            return "addresses: they name certain consumers, and not all"
        return "applications: they name certain consumers, and not all" if applications else ""


def _about(said: Mapping[str, Any], whose: str, service: ServiceKey | None) -> None:
    """ValueError when a document says that it is about something else than its name does."""
    scope, key = said.get("scope", SERVICE), words.text(said.get("key"), "key")
    expected = SERVICE if service is not None else APPLICATION
    if scope != expected:
        raise ValueError(f"scope {excerpt(scope)} in a document that is named after a {expected}")
    if key != whose if service is None else not _same(_service(key), service):
        raise ValueError(f"key {excerpt(key)} is another {expected} than that in its name")


def _same(said: ServiceKey, named: ServiceKey) -> bool:
    """Whether a key means the service, be it by its interface alone, as versions before 3 let pass."""
    return said.interface == named.interface and said.version in ("", named.version) and said.group in ("", named.group)


def _service(text: str) -> ServiceKey:
    """Of `group/interface:version`, as Dubbo writes it, or `interface:version:group`, as a name and its admin do."""
    before, _, rest = text.rpartition("/")
    interface, _, behind = rest.partition(":")
    version, _, group = behind.partition(":")
    return ServiceKey(interface, version, before or group)


def _addresses(said: Mapping[str, Any], key: str) -> frozenset[Address]:
    return frozenset(_address(one, key) for one in _texts(said, key))


def _address(text: str, kind: str) -> Address:
    """Of `10.0.0.1:20880`, `10.0.0.1`, `0.0.0.0:20880`, `[2001:db8::1]:20880` and the like."""
    host, colon, port = text.rpartition(":")
    try:
        if not colon or (":" in host and not host.endswith("]")):
            return Address(words.host(text), 0)
        if (host, port) == (ANY_HOST, EVERY):
            return ANYWHERE
        return Address(words.host(host), words.number_of(port, "port", 0, 65_535))
    except ValueError as error:
        raise ValueError(f"{kind}: {error}") from None


def _names(said: Mapping[str, Any], key: str) -> list[str]:
    """Those that a list is about, none where it is about all."""
    them = _texts(said, key)
    return [] if EVERY in them else them


def _texts(said: Mapping[str, Any], key: str) -> list[str]:
    return [fields.text(one, key) for one in fields.several(said, key)]


def _truth(value: Any, kind: str) -> bool:
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise ValueError(f"{kind} {excerpt(value)} is neither true nor false")


def _number(value: Any, kind: str, highest: int) -> int:
    return words.number_of(value, kind, 0, highest) if isinstance(value, str) else words.number(value, kind, 0, highest)
