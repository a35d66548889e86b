"""Our EndpointSlices: their names, what a record says of one, and the object that the API has of it.

A record's content is JSON, a line for the slice and then one for each endpoint, so that a difference of two reads
well. It is canonical, and holds what we own of the object: what somebody else puts there shows as a difference.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Self

from adapters.kubernetes import extras
from adapters.kubernetes.extras import Extra
from adapters.kubernetes.objects import (
    EXTRAS,
    FORMAT,
    HEADLESS,
    MANAGED_BY,
    MANAGER,
    OWNER,
    SERVICE_NAME,
    TARGET,
    Conditions,
    Key,
    KubeSlice,
    Row,
)
from bridge.adapter import RecordKey, Target
from bridge.kit.mark import Stamp
from bridge.model import Port

KIND: Final = "endpointslice"

READY: Final[Conditions] = (True, True, False)
DRAINING: Final[Conditions] = (False, True, True)
UNREADY: Final[Conditions] = (False, False, False)

_STATES: Final[Mapping[Conditions, str]] = {READY: "ready", DRAINING: "draining", UNREADY: "unready"}
_CONDITIONS: Final = {state: conditions for conditions, state in _STATES.items()}
_NAME = re.compile(r"(.+)-([0-9a-f]{8})-(0|[1-9][0-9]{0,5})", re.ASCII)


class Revision(NamedTuple):
    """What a write has to name: which object, and which version of it."""

    uid: str
    version: str


class Name(NamedTuple):
    """A slice's name, taken apart; `writer` is a digest of who writes what into it."""

    service: str
    writer: str
    number: int

    def __str__(self) -> str:
        return f"{self.service}-{self.writer}-{self.number}"


@lru_cache(maxsize=4096)
def writer(owner: str, target: Target, family: str) -> str:
    """Digest of whose slices these are; an object's family cannot be changed, so that each has names of its own."""
    return blake2b("\n".join((owner, target, family)).encode(), digest_size=4).hexdigest()


def name_of(text: str) -> Name | None:
    """The parts of a name that a bridge would give, None where it is none."""
    match = _NAME.fullmatch(text)
    return Name(match[1], match[2], int(match[3])) if match else None


def record_key(key: Key) -> RecordKey:
    return RecordKey(f"{KIND}/{key.namespace}/{key.name}")


@dataclass(frozen=True, slots=True)
class Line:
    """One endpoint of a slice.

    `extra` is what is said of it where the API has no field; `node`, `pod` and `region` are never ours.
    """

    address: str
    conditions: Conditions
    zone: str = ""
    hints: tuple[str, ...] = ()
    extra: Extra = extras.NOTHING
    node: str = ""
    pod: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice as a record says it: `uid` is that of the Service, `lines` are sorted by address.

    `garbage` is an annotation of ours that says nothing, or something of endpoints that are not here.
    """

    service: str
    uid: str
    headless: bool
    family: str
    ports: tuple[Port, ...]
    lines: tuple[Line, ...]
    garbage: str = ""

    @classmethod
    def of(
        cls,
        service: str,
        uid: str,
        *,
        headless: bool,
        family: str,
        ports: tuple[Port, ...],
        lines: Iterable[Line],
    ) -> Self:
        """A slice of these endpoints."""
        return cls(service, uid, headless, family, ports, tuple(sorted(lines, key=_by_address)))


def seen(said: KubeSlice) -> Slice:
    """A slice of ours as it stands there."""
    decoded = extras.decode(said.extras)
    addresses = {row.address for row in said.rows}
    bad = decoded.flaws or decoded.extras.keys() - addresses
    return Slice(
        said.service,
        said.owner,
        said.headless,
        said.family,
        said.ports,
        tuple(sorted((_line(row, decoded.extras) for row in said.rows), key=_by_address)),
        said.extras if bad else "",
    )


def encode(said: Slice) -> bytes:
    """The content of its record."""
    head: dict[str, Any] = {
        "slice": said.family,
        "service": said.service,
        "uid": said.uid,
        "ports": [_port(one) for one in said.ports],
    }
    if said.headless:
        head["headless"] = True
    if said.garbage:
        head["garbage"] = said.garbage
    return "\n".join([_dumped(head), *(_dumped(_words(line)) for line in said.lines)]).encode()


@lru_cache(maxsize=512)
def decode(content: bytes) -> Slice:
    """What `encode` was given."""
    head, *rows = map(json.loads, content.split(b"\n"))
    ports = tuple(
        Port(one.get("name", ""), one["port"], one["protocol"], one.get("appProtocol", "")) for one in head["ports"]
    )
    found = extras.decode(_dumped({row["address"]: row["extra"] for row in rows if "extra" in row})).extras
    return Slice(
        head["service"],
        head["uid"],
        head.get("headless", False),
        head["slice"],
        ports,
        tuple(_unworded(row, found) for row in rows),
        head.get("garbage", ""),
    )


def body(said: Slice, key: Key, stamp: Stamp, target: Target, replaces: Revision | None) -> dict[str, Any]:
    """The object that says so, as the API takes it; `replaces` is what it stands in for."""
    labels = {SERVICE_NAME: said.service, MANAGED_BY: MANAGER, OWNER: stamp.owner}
    if target:
        labels[TARGET] = target
    if said.headless:
        labels[HEADLESS] = ""
    annotations = {FORMAT: str(stamp.format)}
    if extra := extras.encode({line.address: line.extra for line in said.lines}):
        annotations[EXTRAS] = extra
    owner = {
        "apiVersion": "v1",
        "kind": "Service",
        "name": said.service,
        "uid": said.uid,
        "blockOwnerDeletion": False,
    }
    metadata: dict[str, Any] = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    if replaces is not None:
        metadata |= {"uid": replaces.uid, "resourceVersion": replaces.version}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": said.family,
        "ports": [_port(one) for one in said.ports],
        "endpoints": [_endpoint(line) for line in said.lines],
    }


def _line(row: Row, said: Mapping[str, Extra]) -> Line:
    extra = said.get(row.address, extras.NOTHING)
    return Line(row.address, row.conditions, row.zone, row.hints, extra, row.node, row.pod, row.region)


def _by_address(line: Line) -> str:
    return line.address


def _words(line: Line) -> dict[str, Any]:
    words: dict[str, Any] = {"address": line.address, "is": _STATES.get(line.conditions, line.conditions)}
    places = (("zone", line.zone), ("node", line.node), ("pod", line.pod), ("region", line.region))
    words |= {key: value for key, value in places if value}
    if line.hints:
        words["hints"] = line.hints
    if line.extra != extras.NOTHING:
        words["extra"] = _said(line.extra)
    return words


@lru_cache(maxsize=16384)
def _said(extra: Extra) -> Any:
    """As the annotation says it of one address."""
    return json.loads(extras.encode({"": extra}))[""]


def _unworded(words: Mapping[str, Any], said: Mapping[str, Extra]) -> Line:
    state = words["is"]
    return Line(
        sys.intern(words["address"]),
        _CONDITIONS[state] if isinstance(state, str) else tuple(state),
        words.get("zone", ""),
        tuple(words.get("hints", ())),
        said.get(words["address"], extras.NOTHING),
        words.get("node", ""),
        words.get("pod", ""),
        words.get("region", ""),
    )


def _endpoint(line: Line) -> dict[str, Any]:
    ready, serving, terminating = line.conditions
    made: dict[str, Any] = {
        "addresses": [line.address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }
    if line.zone:
        made["zone"] = line.zone
    if line.hints:
        made["hints"] = {"forZones": [{"name": zone} for zone in line.hints]}
    return made


def _port(port: Port) -> dict[str, Any]:
    made: dict[str, Any] = {"name": port.name, "port": port.number, "protocol": port.protocol}
    if port.app_protocol:
        made["appProtocol"] = port.app_protocol
    return made


def _dumped(said: Any) -> str:
    return json.dumps(said, separators=(", ", ": "))
