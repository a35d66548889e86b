"""Services that the bridge makes for what it exports: without a selector, with a port for each of the endpoints'.

Of such a Service we own its ports and its mark, and nothing else: what the cluster and its operators add stays.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from adapters.kubernetes.objects import FORMAT, OWNER, TARGET, Key, KubeService, ServicePort
from bridge.adapter import RecordKey, Target
from bridge.kit import names
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Port, ServiceName

KIND: Final = "service"
PROTOCOLS: Final = frozenset({"TCP", "UDP", "SCTP"})
UNNAMED: Final = "default"
"""What a port without a name is called beside others: a Service of several ports needs names for all."""

_QUALIFIED = re.compile(
    r"(?:[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII
)


class Made(NamedTuple):
    """A Service as its record says it."""

    headless: bool
    ports: tuple[ServicePort, ...]


class _Spelled(NamedTuple):
    name: str
    protocol: str


class Ports(NamedTuple):
    """The ports that a Service is to have, and what of the endpoints' ports has no place there, told."""

    ports: tuple[ServicePort, ...]
    lacks: tuple[str, ...]


def record_key(name: ServiceName) -> RecordKey:
    """Sorts after those of slices, so that the slices of a Service are removed before it."""
    return RecordKey(f"{KIND}/{name.namespace}/{name.name}")


def spell(port: Port) -> _Spelled:
    """How an endpoint's port is called in Kubernetes, where names are labels; ValueError when it cannot be."""
    if port.protocol not in PROTOCOLS:
        raise ValueError(f"{excerpt(port.protocol)} is no protocol of Kubernetes; it has TCP, UDP and SCTP")
    return _Spelled(_label(port.name) if port.name else UNNAMED, port.protocol)


@lru_cache(maxsize=4096)
def _label(text: str) -> str:
    try:
        return names.label(text)
    except ValueError:
        return names.normalised(text)


def app_protocol(text: str) -> str:
    """`text` itself where Kubernetes takes it, else nothing."""
    return text if _QUALIFIED.fullmatch(text) else ""


def ports(endpoints: Sequence[Endpoint], there: Sequence[ServicePort]) -> Ports:
    """The ports of a Service before these endpoints; each name keeps the number that it has `there`.

    Else a port's number is that of most of its endpoints, the lowest of them: what clients of the Service connect to,
    whatever numbers its endpoints listen at.
    """
    numbers: dict[_Spelled, Counter[int]] = {}
    apps: dict[_Spelled, str] = {}
    unnamed: set[_Spelled] = set()
    lacks: dict[str, None] = {}
    for port in (port for endpoint in endpoints for port in endpoint.ports):
        try:
            spelled = spell(port)
        except ValueError as error:
            lacks[f"{error}; the port is left out"] = None
            continue
        numbers.setdefault(spelled, Counter())[port.number] += 1
        apps[spelled] = apps.get(spelled) or app_protocol(port.app_protocol)
        if not port.name:
            unnamed.add(spelled)
    standing = {_Spelled(port.name or UNNAMED, port.protocol): port.number for port in there}
    taken = {(one.protocol, number) for one, number in standing.items() if one in numbers}
    made: dict[str, ServicePort] = {}
    for one, counts in numbers.items():
        by_use = sorted(counts, key=lambda number, counts=counts: (-counts[number], number))  # type: ignore[misc]
        free = (number for number in by_use if (one.protocol, number) not in taken)
        number = standing.get(one) or next(free, 0)
        if one.name in made:
            lacks[f"port {excerpt(one.name)} is of {one.protocol} and of another protocol; one is left out"] = None
        elif not number:
            lacks[f"port {excerpt(one.name)} has the number of another one; it is left out"] = None
        else:
            taken.add((one.protocol, number))
            name = "" if one in unnamed and len(numbers) == 1 else one.name
            made[one.name] = ServicePort(name, one.protocol, number, 0, apps[one])
    return Ports(tuple(made.values()), tuple(lacks))


def seen(said: KubeService) -> Made:
    """A Service of ours as it stands there."""
    return Made(said.headless, tuple(port._replace(node_port=0) for port in said.ports))


def encode(made: Made) -> bytes:
    """The content of its record: a line for the Service, and one for each port."""
    head = {"service": "headless" if made.headless else "with a cluster IP"}
    return "\n".join([json.dumps(head), *(json.dumps(_port(one)) for one in made.ports)]).encode()


def decode(content: bytes) -> Made:
    """What `encode` was given."""
    head, *rows = map(json.loads, content.split(b"\n"))
    found = [
        ServicePort(one.get("name", ""), one["protocol"], one["port"], 0, one.get("appProtocol", "")) for one in rows
    ]
    return Made(head["service"] == "headless", tuple(found))


def body(made: Made, key: Key, stamp: Stamp, target: Target) -> dict[str, Any]:
    """The object that makes it, as the API takes it."""
    spec: dict[str, Any] = {"type": "ClusterIP", "ports": [_port(one) for one in made.ports]}
    if made.headless:
        spec["clusterIP"] = "None"
    else:
        spec["ipFamilyPolicy"] = "PreferDualStack"
    return _marked({"apiVersion": "v1", "kind": "Service", "metadata": key._asdict(), "spec": spec}, stamp, target)


def replaced(there: Mapping[str, Any], made: Made, stamp: Stamp, target: Target) -> dict[str, Any]:
    """The object that stands there, with our ports and our mark; all else is as it was."""
    spec = dict(there["spec"])
    before = {(one.get("name", ""), one.get("protocol", "TCP")): one for one in spec.get("ports") or ()}
    kept = [_kept(before.get((one.name, one.protocol), {}), one) for one in made.ports]
    return _marked({**there, "spec": {**spec, "ports": kept}}, stamp, target)


def _kept(before: Mapping[str, Any], port: ServicePort) -> dict[str, Any]:
    """A port with the node port that it was given."""
    kept = {"nodePort": before["nodePort"]} if before.get("nodePort") else {}
    return {**_port(port), **kept}


def _marked(said: dict[str, Any], stamp: Stamp, target: Target) -> dict[str, Any]:
    metadata = dict(said["metadata"])
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != TARGET}
    metadata["labels"] = {**labels, OWNER: stamp.owner, **({TARGET: target} if target else {})}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), FORMAT: str(stamp.format)}
    return {**said, "metadata": metadata}


def _port(port: ServicePort) -> dict[str, Any]:
    made: dict[str, Any] = {"name": port.name, "port": port.number, "protocol": port.protocol}
    if port.app_protocol:
        made["appProtocol"] = port.app_protocol
    return made
