"""What a registry may say: addresses, namespaces, names and bounds.

What is refused is one problem and leaves its neighbours alone: a bad address costs its endpoint, a bad port name
only the name, a bad piece of metadata that piece. Nothing here removes more than it names.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from bridge.adapter import Problem
from bridge.kit.address import Allow, is_literal, parse, refused
from bridge.kit.names import Namespaces
from bridge.model import Endpoint, Locality, Metadata, Port, Service, ServiceName, Services
from bridge.table import Table, changed

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PORT = re.compile(r"(?![0-9]+$)[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_TEXT = 253  # characters of a zone, a network, an owner
_SHOWN = 20  # problems of one service that are told one by one, the rest as a number
_SHOWN_ALL = 500  # and of a source


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a registry may say; `key`, `value` and `metadata` (the sum of a record) are characters."""

    services: int
    endpoints: int  # of a service
    ports: int  # of an endpoint
    weight: int
    pairs: int
    key: int
    value: int
    metadata: int


@dataclass(frozen=True, slots=True)
class ScreenPolicy:
    """What the operator allows one source to say."""

    addresses: Allow | None
    allow_loopback: bool
    namespaces: Namespaces
    bounds: Bounds


class Screened(NamedTuple):
    """What is left: `services`.

    `judged` is what was looked at of the `said` services; `found` are the problems service by service, `problems` what
    of them is told, sorted.
    """

    judged: Services
    said: int
    policy: ScreenPolicy
    services: Services
    found: Table[ServiceName, tuple[Problem, ...]]
    problems: tuple[Problem, ...]


def screen(said: Services, policy: ScreenPolicy, previous: Screened | None) -> Screened:
    """Let through what `policy` allows; `previous` saves the work for what is as it was, and changes no answer."""
    if previous is None or previous.policy != policy:
        previous = Screened(Table(), 0, policy, Table(), Table(), ())
    judged = _first(said, policy.bounds.services)
    services: dict[ServiceName, Service | None] = {}
    found: dict[ServiceName, tuple[Problem, ...] | None] = {}
    for name in changed(previous.judged, judged):
        service = judged.get(name)
        if service is None:
            services[name] = found[name] = None
        else:
            services[name], problems = _service(service, policy, previous.services.get(name))
            found[name] = problems or None
    all_found = previous.found.with_(found)
    same = all_found is previous.found and len(said) == previous.said
    problems = previous.problems if same else _told(all_found, len(said), policy.bounds.services)
    return Screened(judged, len(said), policy, previous.services.with_(services), all_found, problems)


def _first(said: Services, bound: int) -> Services:
    """The first so many by name: what comes on top of them is refused."""
    return said if len(said) <= bound else Table({name: said[name] for name in sorted(said)[:bound]})


def _told(found: Table[ServiceName, tuple[Problem, ...]], services: int, bound: int) -> tuple[Problem, ...]:
    told: list[Problem] = []
    if services > bound:
        what = f"{services} services are more than {bound}; those last by name are left out"
        told.append(Problem("bound", "the whole registry", what, count=services - bound))
    for name in sorted(found):
        told += found[name]
    if len(told) <= _SHOWN_ALL:
        return tuple(told)
    rest = told[_SHOWN_ALL:]
    more = Problem("more", "the whole registry", "further problems of its services", count=sum(p.count for p in rest))
    return (*told[:_SHOWN_ALL], more)


def _service(
    service: Service, policy: ScreenPolicy, before: Service | None
) -> tuple[Service | None, tuple[Problem, ...]]:
    name = service.name
    why = _name(name, policy.namespaces)
    if why:
        return None, (Problem("name", _quoted(str(name)), f"{why}; the service is left out", None),)
    found = _Found(name, policy.bounds)
    endpoints = service.endpoints
    if len(endpoints) > policy.bounds.endpoints:
        found.add("bound", "", f"more than {policy.bounds.endpoints} endpoints; the last are left out")
        endpoints = endpoints[: policy.bounds.endpoints]
    passed = {id(one) for one in before.endpoints} if before is not None else frozenset[int]()
    kept: list[Endpoint] = []
    ids: set[tuple[str, int]] = set()
    for said in endpoints:
        endpoint = said if id(said) in passed else _endpoint(said, policy, found)
        if endpoint is None:
            continue
        key = endpoint.address, endpoint.ports[0].number
        if key in ids:
            found.add("duplicate", str(endpoint.id), "stands twice; the first counts")
            continue
        ids.add(key)
        kept.append(endpoint)
    metadata = _metadata(service.metadata, "", found)
    if metadata == service.metadata and len(kept) == len(service.endpoints) and all(map(_is, kept, service.endpoints)):
        return service, found.told()
    return Service.of(name, kept, metadata), found.told()


def _is(one: Endpoint, other: Endpoint) -> bool:
    return one is other


def _name(name: ServiceName, namespaces: Namespaces) -> str:
    """Why the service may not be called so, "" when it may."""
    for part, said in (("namespace", name.namespace), ("name", name.name)):
        if not _LABEL.fullmatch(said):
            return f"the {part} is not a DNS label: at most 63 of a-z, 0-9 and -, neither first nor last a -"
    return namespaces.refuse(name.namespace)


def _endpoint(said: Endpoint, policy: ScreenPolicy, found: "_Found") -> Endpoint | None:
    """`said` itself when nothing is wrong, a corrected one, or None."""
    address, why = _address(said.address, policy)
    if why:
        found.add("address", said.address, f"{why}; the endpoint is left out")
        return None
    ports, why = _ports(said.ports, policy.bounds.ports)
    if not ports:
        found.add("port", said.address, f"{why}; the endpoint is left out")
        return None
    if why:
        found.add("port", said.address, why)
    why = _place(said.locality, said.network, said.via)
    if why:
        found.add("text", said.address, f"{why}; the endpoint is left out")
        return None
    weight = min(max(said.weight, 1), policy.bounds.weight)
    if weight != said.weight:
        why = f"weight {said.weight} is not between 1 and {policy.bounds.weight}; taken as {weight}"
        found.add("weight", said.address, why)
    metadata = _metadata(said.metadata, said.address, found)
    if (address, ports, weight, metadata) == (said.address, said.ports, said.weight, said.metadata):
        return said
    return replace(said, address=address, ports=ports, weight=weight, metadata=metadata)


def _address(text: str, policy: ScreenPolicy) -> tuple[str, str]:
    """The canonical literal, and why it is refused or ""."""
    try:
        address = text if ":" not in text and is_literal(text) else parse(text)
    except ValueError as error:
        return "", str(error)
    why = refused(address, policy.allow_loopback)
    if not why and policy.addresses is not None and address not in policy.addresses:
        why = "is in none of the networks of `addresses:`"
    return address, f"{address} {why}" if why else ""


@lru_cache(maxsize=4096)
def _ports(ports: tuple[Port, ...], bound: int) -> tuple[tuple[Port, ...], str]:
    """The ports as they may be told, none when the endpoint cannot be; and what was wrong, or ""."""
    why = ""
    if len(ports) > bound:
        ports, why = ports[:bound], f"more than {bound} ports; the last are left out"
    for port in ports:
        if not 1 <= port.number <= 65535:
            return (), f"port {port.number} is not between 1 and 65535"
        if _bad(port.protocol) or _bad(port.app_protocol):
            return (), f"the protocol of port {port.number} has control characters or is too long"
    if not ports:
        return (), "no port"
    named = [not port.name or _PORT.fullmatch(port.name) is not None for port in ports]
    if all(named):
        return ports, why
    bad = next(port for port, good in zip(ports, named, strict=True) if not good)
    why = f"{_quoted(bad.name)} is no name of a port: letters, digits, `-`, `.`, `_`, not digits alone; taken without"
    return tuple(p if good else p._replace(name="") for p, good in zip(ports, named, strict=True)), why


@lru_cache(maxsize=4096)
def _place(locality: Locality, network: str, via: str) -> str:
    for what, text in zip(("region", "zone", "sub_zone", "network", "owner"), (*locality, network, via), strict=True):
        if _bad(text):
            return f"the {what} has control characters or more than {_TEXT} characters"
    return ""


def _bad(text: str) -> bool:
    return len(text) > _TEXT or _CONTROL.search(text) is not None


def _metadata(metadata: Metadata, at: str, found: "_Found") -> Metadata:
    if not metadata:
        return metadata
    kept, why = _pairs(metadata, found.bounds)
    if why:
        found.add("metadata", at, why)
    return kept


@lru_cache(maxsize=4096)
def _pairs(metadata: Metadata, bounds: Bounds) -> tuple[Metadata, str]:
    """What of it may be told, itself when all may, and what was wrong, or ""."""
    kept: list[tuple[str, str]] = []
    total, why = 0, ""
    for key, value in metadata:
        total += len(key) + len(value)
        if len(kept) == bounds.pairs or total > bounds.metadata:
            why = f"more metadata than {bounds.pairs} pairs or {bounds.metadata} characters; the last is left out"
            break
        if len(key) > bounds.key or len(value) > bounds.value:
            why = f"metadata {_quoted(key)} is longer than {bounds.key} and {bounds.value} characters; it is left out"
        elif _CONTROL.search(key) or _CONTROL.search(value):
            why = f"metadata {_quoted(key)} has control characters; it is left out"
        else:
            kept.append((key, value))
    return (tuple(kept), why) if why else (metadata, "")


class _Found:
    """The problems of one service: the first ones each, the rest as a number."""

    def __init__(self, service: ServiceName, bounds: Bounds) -> None:
        self.service = service
        self.bounds = bounds
        self._problems: list[Problem] = []
        self._more = 0

    def add(self, kind: str, at: str, what: str) -> None:
        """`at`: the endpoint that it is about, "" for the service itself."""
        if len(self._problems) < _SHOWN:
            where = f"{self.service}: {_quoted(at)}" if at else str(self.service)
            self._problems.append(Problem(kind, where, what, self.service))
        else:
            self._more += 1

    def told(self) -> tuple[Problem, ...]:
        if not self._more:
            return tuple(self._problems)
        return (*self._problems, Problem("more", str(self.service), "further problems", self.service, self._more))


def _quoted(text: str) -> str:
    """`text` as it may be shown anywhere: short, and no control characters."""
    text = text if len(text) <= 80 else f"{text[:77]}…"
    return _CONTROL.sub("\ufffd", text)
