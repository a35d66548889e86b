"""A service as instances of a Consul, one an endpoint, and what of it has no place there.

Pure. A record's content is canonical JSON of the fields that we own of the instance and of its one check; in the
catalog it carries our mark besides.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from adapters.consul import extras
from adapters.consul.objects import COMMON, EXTRAS, PREFIX, VIA
from bridge.adapter import Problem, Record, RecordKey
from bridge.kit import address, names, tags
from bridge.kit.mark import owner_name
from bridge.kit.place import excerpt
from bridge.model import NOWHERE, Endpoint, Health, Locality, Metadata, Port, Service, ServiceName

HEAVIEST: Final = 65_535
LONGEST: Final = 512
"""Bytes of a value of meta; Consul refuses more."""

_META = re.compile(r"(?!consul-)[A-Za-z0-9_-]{1,128}", re.ASCII)

_PASSING, _WARNING, _CRITICAL = "passing", "warning", "critical"
_STATUS: Final[Mapping[Health | None, str]] = {
    None: _PASSING, Health.HEALTHY: _PASSING, Health.DEGRADED: _WARNING, Health.DRAINING: _CRITICAL,
    Health.UNHEALTHY: _CRITICAL,
}  # fmt: skip

Lacks = Counter[tuple[str, str]]
"""Kinds and sentences of what is left out, and how many endpoints each is about."""


class Form(NamedTuple):
    """How services are called and what their instances carry: those of `namespace` keep their names.

    `spelled` are the names that were given by the operator, as they are spelled there.
    """

    namespace: str
    spelled: Mapping[ServiceName, str]
    tags: tuple[str, ...]


def fit(form: Form, service: Service) -> tuple[tuple[Record, ...], tuple[Problem, ...]]:
    """The records that say the service, sorted by key, and what they do not say.

    Each takes the name that the service has there.
    """
    where = f"{str(service.name)[:150]!r}"
    try:
        spelled = spell(form, service.name)
    except ValueError as error:
        return (), (Problem("name", where, f"{error}; it is not written", service.name),)
    lacks: Lacks = Counter()
    records = []
    for endpoint in service.endpoints:
        try:
            content = said(form, spelled, endpoint, lacks)
        except ValueError as error:
            lacks["endpoint", f"{error}; the endpoint is left out"] += 1
            continue
        records.append(Record(key(service.name, endpoint), service.name, content, names=taken(spelled)))
    if service.metadata:
        lacks["unsaid", "a Consul has no place for metadata of a service; left out"] += 1
    problems = tuple(
        Problem(kind, str(service.name), what, service.name, count) for (kind, what), count in sorted(lacks.items())
    )
    return tuple(sorted(records, key=lambda record: record.key)), problems


def key(service: ServiceName, endpoint: Endpoint) -> RecordKey:
    """Of the record that says the endpoint; it is the instance's id too."""
    return RecordKey(f"{service.namespace}~{service.name}~{endpoint.id}")


def of_key(text: str) -> ServiceName | None:
    """The service that a key is of, None when it is none of ours."""
    namespace, _, rest = text.partition("~")
    name, tilde, _ = rest.partition("~")
    try:
        return ServiceName(names.label(namespace), names.label(name)) if tilde else None
    except ValueError:
        return None


def spell(form: Form, service: ServiceName) -> str:
    """What a service is called there: a DNS label, which two services may share; ValueError when it has no name."""
    names.label(service.namespace)
    names.label(service.name)
    own = form.spelled.get(service)
    if own is not None:
        return own
    text = service.name if service.namespace == form.namespace else f"{service.name}-{service.namespace}"
    return text if len(text) <= names.MAX_LABEL else names.digested(text)


def taken(spelled: str) -> tuple[RecordKey, ...]:
    """The name that no other service of ours may have there; Consul makes no difference between large and small."""
    return (RecordKey(spelled.lower()),)


def said(form: Form, spelled: str, endpoint: Endpoint, lacks: Lacks) -> bytes:
    """The content that says an endpoint; ValueError when it cannot be said."""
    if address.parse(endpoint.address) != endpoint.address:
        raise ValueError(f"{excerpt(endpoint.address)} is not written as an address is")
    ports = _ports(endpoint.ports, lacks)
    for owner in endpoint.via.split(" ") if endpoint.via else ():
        owner_name(owner)
    weight = min(max(endpoint.weight, 1), HEAVIEST)
    if weight != endpoint.weight:
        lacks["weight", f"a weight is not between 1 and {HEAVIEST}; the nearest one is written"] += 1
    locality = Locality(*(part if _is_word(part) else "" for part in endpoint.locality))
    network = endpoint.network if _is_word(endpoint.network) else ""
    if (locality, network) != (endpoint.locality, endpoint.network):
        lacks["locality", "a locality or a network is too long, or has control characters; it is left out"] += 1
    meta = dict(_metadata(endpoint.metadata, lacks))
    own = tags.split(dict(endpoint.metadata).get(tags.KEY, ""))
    common = sorted({*form.tags}.difference(own))
    sayable = Endpoint(endpoint.address, ports, endpoint.health, locality, network)
    meta[EXTRAS] = extras.say(sayable)
    while _is_long(meta[EXTRAS]) and len(sayable.ports) > 1:
        lacks["port", "there are more ports than Consul has room for; the last are left out"] += 1
        sayable = replace(sayable, ports=sayable.ports[:-1])
        meta[EXTRAS] = extras.say(sayable)
    if _is_long(meta[EXTRAS]):
        lacks["locality", "a locality and a network have no room together; they are left out"] += 1
        meta[EXTRAS] = extras.say(replace(sayable, locality=NOWHERE, network=""))
    if endpoint.via:
        meta[VIA] = endpoint.via
    if own and not _is_long(told := tags.join(common)):
        meta[COMMON] = told
    return content(
        {
            "Service": spelled,
            "Address": endpoint.address,
            "Port": ports[0].number,
            "Tags": sorted({*own, *common}),
            "Meta": meta,
            "Weights": {"Passing": weight, "Warning": weight},
        },
        _STATUS[endpoint.health],
    )


def content(service: Mapping[str, Any], status: str | None, nodes: Sequence[str] = ()) -> bytes:
    """Canonical bytes of an instance's fields and its check's status, None without a check.

    `nodes` are those on which it stands, where it is not to stay so.
    """
    whole = {"Service": service, "Status": status, **({"Nodes": nodes} if nodes else {})}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _ports(ports: tuple[Port, ...], lacks: Lacks) -> tuple[Port, ...]:
    """ValueError when the first one will not do: by it the endpoint is known."""
    kept: list[Port] = []
    for port in ports:
        if not 1 <= port.number <= 65_535 or not _is_word(port.protocol) or not _is_word(port.app_protocol):
            if not kept:
                raise ValueError(f"port {excerpt(port.number)} of {excerpt(port.protocol)} has no place in a Consul")
            lacks["port", f"port {excerpt(port.number)} has no place; it is left out"] += 1
            continue
        try:
            kept.append(port._replace(name=names.port_name(port.name) if port.name else ""))
        except ValueError as error:
            lacks["port", f"{error}; the name is left out"] += 1
            kept.append(port._replace(name=""))
    if not kept:
        raise ValueError("has no port")
    return tuple(kept)


def _metadata(metadata: Metadata, lacks: Lacks) -> Metadata:
    kept: list[tuple[str, str]] = []
    for name, value in metadata:
        if name == tags.KEY:
            continue
        if not _META.fullmatch(name) or name.startswith(PREFIX) or _is_long(value) or not value.isprintable():
            lacks["metadata", f"metadata {excerpt(name)} has no place in the meta of a Consul; it is left out"] += 1
        elif len(kept) == names.MAX_METADATA - 8:
            lacks["metadata", "there is more metadata than Consul has room for; the last is left out"] += 1
        else:
            kept.append((name, value))
    return tuple(kept)


def _is_long(value: str) -> bool:
    return len(value.encode()) > LONGEST


def _is_word(text: str) -> bool:
    return len(text) <= names.MAX_KEY and text.isprintable()
