"""What is kept of a Consul's services: parsed once at the door, immutable and interned.

Raw JSON in, values out; ValueError when an entry cannot be understood. Fields are those of `/v1/health/service/NAME`,
of which a catalog takes nearly anything: lists may be null, a port missing, a status any word. Nothing is decided here.
"""

import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from adapters.consul import extras
from adapters.consul.extras import NOTHING, Extras
from bridge.adapter import RecordKey
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Locality, Metadata, Port

T = TypeVar("T", bound=Hashable)

PREFIX: Final = "registry-bridge-"
OWNER: Final = f"{PREFIX}owner"
KEY: Final = f"{PREFIX}key"
FORMAT: Final = f"{PREFIX}format"
VIA: Final = f"{PREFIX}via"
EXTRAS: Final = f"{PREFIX}endpoint"

NODE_MAINTENANCE: Final = "_node_maintenance"
SERVICE_MAINTENANCE: Final = "_service_maintenance:"


class Status(IntEnum):
    """Best to worst, as Consul itself puts an instance's checks together."""

    PASSING = 0
    WARNING = 1
    CRITICAL = 2
    MAINTENANCE = 3


class Tagged(NamedTuple):
    """One of an instance's further addresses, such as `wan`; port 0 where it has none of its own."""

    tag: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Node:
    """Where an instance is registered."""

    name: str
    address: str
    tagged: Metadata
    meta: Metadata
    locality: Locality


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a service: named by its node and its `id` there.

    `address` is "" where the node's counts; `ports` begin with the default one and are empty where there is none.
    `kind` is "" for what is no proxy and no gateway; `passing` and `warning` are its weights in these states.
    """

    node: Node
    id: str
    address: str
    ports: tuple[Port, ...]
    tagged: tuple[Tagged, ...]
    tags: tuple[str, ...]
    meta: Metadata
    status: Status
    passing: int
    warning: int
    locality: Locality
    kind: str
    socket: bool
    stamp: Stamp | None
    extras: Extras

    @property
    def key(self) -> tuple[str, str]:
        return self.node.name, self.id


class Broken(NamedTuple):
    """An entry that cannot be understood, and why."""

    where: str
    why: str


def instances_of(said: Any) -> Iterator[Instance | Broken]:
    """The entries of a service; ValueError when it is no list of them at all."""
    if said is None:
        return
    if not isinstance(said, list):
        raise ValueError(f"{excerpt(said)} is not a list of instances")  # noqa: TRY004  # told like the rest
    for number, one in enumerate(said):
        try:
            yield instance_of(one)
        except ValueError as error:
            yield Broken(_where(one, number), str(error))


def instance_of(said: Any) -> Instance:
    """One entry: a node, a service and its checks."""
    entry = _a_mapping(said, "an entry")
    service = _mapping(entry, "Service")
    meta = _pairs(service, "Meta")
    weights = _mapping(service, "Weights")
    kind = _word(service.get("Kind") or "")
    return Instance(
        _interned(_node(_mapping(entry, "Node"))),
        _text(service.get("ID") or service.get("Service") or "", "ID"),
        _text(service.get("Address") or "", "Address"),
        _interned(_ports(service)),
        tuple(_tagged(tag, one) for tag, one in sorted(_mapping(service, "TaggedAddresses").items())),
        _interned(tuple(sorted({_word(one) for one in _list(service, "Tags")}))),
        _interned(meta),
        status_of(_list(entry, "Checks")),
        _number(weights.get("Passing", 1), "Weights.Passing"),
        _number(weights.get("Warning", 1), "Weights.Warning"),
        _locality(service),
        "" if kind == "typical" else kind,
        bool(service.get("SocketPath")),
        stamp_of(dict(meta)),
        extras.read(dict(meta).get(EXTRAS, "")) if OWNER in dict(meta) else NOTHING,
    )


def status_of(checks: Iterable[Any]) -> Status:
    """The worst that the checks of the node and of the instance say; without checks it passes.

    A status that is none of Consul's counts as critical, as it does for Consul.
    """
    worst = Status.PASSING
    for check in checks:
        one = _a_mapping(check, "Checks")
        name = str(one.get("CheckID") or "")
        if name == NODE_MAINTENANCE or name.startswith(SERVICE_MAINTENANCE):
            return Status.MAINTENANCE
        worst = max(worst, _STATUS.get(str(one.get("Status")), Status.CRITICAL))
    return worst


_STATUS: Final[Mapping[str, Status]] = {"passing": Status.PASSING, "warning": Status.WARNING}


def tags_of(said: Any) -> dict[str, frozenset[str]]:
    """The names of services with the tags of all their instances; ValueError when it is no mapping of them."""
    return {
        name: _interned(frozenset(_word(tag) for tag in tags or ()))
        for name, tags in _a_mapping(said, "the list of services").items()
        if isinstance(tags, list | None)
    }


def _node(said: Mapping[str, Any]) -> Node:
    return Node(
        _word(said.get("Node") or ""),
        _text(said.get("Address") or "", "Node.Address"),
        _pairs(said, "TaggedAddresses"),
        _pairs(said, "Meta"),
        _locality(said),
    )


def _ports(service: Mapping[str, Any]) -> tuple[Port, ...]:
    """From `Port`, or from the several `Ports` that Consul 1.22 knows; the default one first."""
    several = [_a_mapping(one, "Ports") for one in _list(service, "Ports")]
    if several:
        several.sort(key=lambda one: not one.get("Default"))
        return tuple(Port(_word(one.get("Name") or ""), _port(one.get("Port"))) for one in several)
    if not service.get("Port"):
        return ()
    return (Port("", _port(service["Port"])),)


def _tagged(tag: str, said: Any) -> Tagged:
    one = _a_mapping(said, f"TaggedAddresses.{tag}")
    port = one.get("Port") or 0
    return Tagged(_word(tag), _text(one.get("Address") or "", f"TaggedAddresses.{tag}"), _port(port) if port else 0)


def _locality(said: Mapping[str, Any]) -> Locality:
    place = _mapping(said, "Locality")
    return _interned(Locality(_word(place.get("Region") or ""), _word(place.get("Zone") or "")))


def stamp_of(meta: Mapping[str, str]) -> Stamp | None:
    """The mark of the bridge that wrote the instance."""
    if OWNER not in meta:
        return None
    said = meta.get(FORMAT, "")
    return Stamp(meta[OWNER], RecordKey(meta.get(KEY, "")), int(said) if said.isdecimal() and len(said) < 7 else 0)


def _where(said: Any, number: int) -> str:
    """What an entry that cannot be understood may be called."""
    node, service = (said.get(key) if isinstance(said, dict) else None for key in ("Node", "Service"))
    names = [one.get(key) if isinstance(one, dict) else None for one, key in ((node, "Node"), (service, "ID"))]
    known = [excerpt(one).strip("'") for one in names if isinstance(one, str) and one]
    return "/".join(known) or f"entry {number}"


def _mapping(said: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = said.get(key)
    return {} if value is None else _a_mapping(value, key)


def _a_mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{key}: {excerpt(value)} is not a mapping")  # noqa: TRY004  # told like the rest
    return value


def _list(said: Mapping[str, Any], key: str) -> list[Any]:
    value = said.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key}: {excerpt(value)} is not a list")  # noqa: TRY004  # told like the rest
    return value


def _pairs(said: Mapping[str, Any], key: str) -> Metadata:
    return tuple(sorted((_word(name), _text(value, f"{key}.{name}")) for name, value in _mapping(said, key).items()))


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key}: {excerpt(value)} is not text")  # noqa: TRY004  # told like the rest
    return value


def _word(value: Any) -> str:
    """Text that many objects share."""
    return sys.intern(_text(value, "a name"))


def _number(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key}: {excerpt(value)} is not a number from 0 on")
    return value


def _port(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError(f"port {excerpt(value)} is not between 1 and 65535")
    return value


@lru_cache(maxsize=65536)
def _one(value: Hashable) -> Hashable:
    return value


def _interned(value: T) -> T:
    """The one object that stands for all equal to it."""
    same: Callable[[T], T] = _one  # type: ignore[assignment]  # it returns what it is given
    return same(value)
