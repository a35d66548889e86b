"""What is kept of a Consul's services: parsed once at the door, immutable and interned.

Raw JSON in, values out; ValueError when an entry cannot be understood. Fields are those of `/v1/health/service/NAME`,
of which a catalog takes nearly anything: lists may be null, a port missing, a status any word. Nothing is decided here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from adapters.consul import extras
from adapters.consul.extras import NOTHING, Extras
from bridge.adapter import RecordKey
from bridge.kit import fields
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Locality, Metadata, Port

PREFIX: Final = "registry-bridge-"
OWNER: Final = f"{PREFIX}owner"
KEY: Final = f"{PREFIX}key"
FORMAT: Final = f"{PREFIX}format"
VIA: Final = f"{PREFIX}via"
EXTRAS: Final = f"{PREFIX}endpoint"
COMMON: Final = f"{PREFIX}tags"
"""Under which an instance of a bridge's has those of its tags that the endpoint has not, but the export for all: where
it is missing the endpoint has none.
"""

YIELDS: Final = f"{PREFIX}yields:"
"""What the id of a check begins with that an operator adds to an instance which is to go for one of ours: the owner
and the id of the instance follow. Its readers, and who else checks it, see no difference."""

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
    `yields` is the owner for a record of whom it is to go, "" for none.
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
    yields: str

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
    entry = fields.a_mapping(said, "an entry")
    service = fields.mapping(entry, "Service")
    meta = fields.pairs(service, "Meta")
    weights = fields.mapping(service, "Weights")
    kind = fields.word(service.get("Kind") or "")
    its = fields.text(service.get("ID") or service.get("Service") or "", "ID")
    checks = fields.several(entry, "Checks")
    return Instance(
        fields.interned(_node(fields.mapping(entry, "Node"))),
        its,
        fields.text(service.get("Address") or "", "Address"),
        fields.interned(_ports(service)),
        tuple(_tagged(tag, one) for tag, one in sorted(fields.mapping(service, "TaggedAddresses").items())),
        fields.interned(tuple(sorted({fields.word(one) for one in fields.several(service, "Tags")}))),
        fields.interned(meta),
        status_of(checks),
        _number(weights.get("Passing", 1), "Weights.Passing"),
        _number(weights.get("Warning", 1), "Weights.Warning"),
        _locality(service),
        "" if kind == "typical" else kind,
        bool(service.get("SocketPath")),
        stamp_of(dict(meta)),
        extras.read(dict(meta).get(EXTRAS, "")) if OWNER in dict(meta) else NOTHING,
        _yields(its, checks),
    )


def servers_of(said: Any) -> Iterator[str]:
    """The ids of the nodes of a service's entries: nobody else's nodes have them."""
    for entry in said if isinstance(said, list) else ():
        node = entry.get("Node") if isinstance(entry, dict) else None
        its = node.get("ID") if isinstance(node, dict) else None
        if isinstance(its, str) and its:
            yield its


def yielding(owner: str, its: str = "") -> str:
    """The id of the check that lets the instance of that id go; of a node, that it goes when nothing is left on it."""
    return f"{YIELDS}{owner}:{its}"


def _yields(its: str, checks: Iterable[Any]) -> str:
    for check in checks:
        name = str(fields.a_mapping(check, "Checks").get("CheckID") or "")
        if name.startswith(YIELDS):
            owner, _, of = name.removeprefix(YIELDS).partition(":")
            if of == its:
                return owner
    return ""


def status_of(checks: Iterable[Any]) -> Status:
    """The worst that the checks of the node and of the instance say; without checks it passes.

    A status that is none of Consul's counts as critical, as it does for Consul.
    """
    worst = Status.PASSING
    for check in checks:
        one = fields.a_mapping(check, "Checks")
        name = str(one.get("CheckID") or "")
        if name == NODE_MAINTENANCE or name.startswith(SERVICE_MAINTENANCE):
            return Status.MAINTENANCE
        worst = max(worst, _STATUS.get(str(one.get("Status")), Status.CRITICAL))
    return worst


_STATUS: Final[Mapping[str, Status]] = {"passing": Status.PASSING, "warning": Status.WARNING}


def tags_of(said: Any) -> dict[str, frozenset[str]]:
    """The names of services with the tags of all their instances; ValueError when it is no mapping of them."""
    return {
        name: fields.interned(frozenset(fields.word(tag) for tag in tags or ()))
        for name, tags in fields.a_mapping(said, "the list of services").items()
        if isinstance(tags, list | None)
    }


def _node(said: Mapping[str, Any]) -> Node:
    return Node(
        fields.word(said.get("Node") or ""),
        fields.text(said.get("Address") or "", "Node.Address"),
        fields.pairs(said, "TaggedAddresses"),
        fields.pairs(said, "Meta"),
        _locality(said),
    )


def _ports(service: Mapping[str, Any]) -> tuple[Port, ...]:
    """From `Port`, or from the several `Ports` that Consul 1.22 knows; the default one first."""
    several = [fields.a_mapping(one, "Ports") for one in fields.several(service, "Ports")]
    if several:
        several.sort(key=lambda one: not one.get("Default"))
        return tuple(
            Port(fields.word(one.get("Name") or ""), fields.number(one.get("Port"), "port", 1, 65535))
            for one in several
        )
    if not service.get("Port"):
        return ()
    return (Port("", fields.number(service["Port"], "port", 1, 65535)),)


def _tagged(tag: str, said: Any) -> Tagged:
    one = fields.a_mapping(said, f"TaggedAddresses.{tag}")
    port = one.get("Port") or 0
    return Tagged(
        fields.word(tag),
        fields.text(one.get("Address") or "", f"TaggedAddresses.{tag}"),
        fields.number(port, "port", 0, 65535),
    )


def _locality(said: Mapping[str, Any]) -> Locality:
    place = fields.mapping(said, "Locality")
    return fields.interned(Locality(fields.word(place.get("Region") or ""), fields.word(place.get("Zone") or "")))


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


def _number(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key}: {excerpt(value)} is not a number from 0 on")
    return value
