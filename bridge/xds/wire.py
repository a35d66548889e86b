"""Values to the bytes of Envoy's protocol, and back: the only room that knows protobuf.

What is made often is written by hand: a message is the concatenation of its fields, so that an answer is put together
from bytes that were made once. What is made or read seldom goes through the generated classes. xds-protos ships no
types, so this is also the one place where mypy is told to look away.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, NamedTuple

from envoy.config.cluster.v3 import cluster_pb2  # type: ignore[import-untyped]
from envoy.config.core.v3 import config_source_pb2  # type: ignore[import-untyped]
from envoy.service.discovery.v3 import discovery_pb2  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import status_pb2  # type: ignore[import-untyped]

from bridge.model import Health, Locality
from bridge.traffic import RETRIES, WEIGHTS, Assignment, ClusterPolicy, Host, Place
from bridge.xds.messages import CDS, EDS, ProtocolError, Request, Resource, Response


class WireError(ValueError):
    """A value that Envoy would refuse, or that cannot be written."""


class Node(NamedTuple):
    """Who asks, by its own word; read once a stream."""

    id: str = ""
    cluster: str = ""
    locality: Locality = Locality()
    user_agent_name: str = ""
    user_agent_version: str = ""


# Reading.


def request(data: bytes, delta: bool) -> Request:
    """A request of either protocol without its node; ProtocolError when it is none.

    Envoy sends its node, some 61 KB, in every request: it is stepped over, unread.
    """
    try:
        return (_read_delta if delta else _read_whole)(data)
    except _OddError:
        return _parsed(data, delta)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a discovery request cannot be read: {error}") from None


def node(data: bytes, delta: bool) -> Node:
    """The node of a request, empty when it has none; ProtocolError when it cannot be read."""
    try:
        told = _message(data, delta).node
    except DecodeError as error:
        raise ProtocolError(f"the node of a discovery request cannot be read: {error}") from None
    built, where = told.user_agent_build_version, told.locality
    version = told.user_agent_version
    if not version and told.HasField("user_agent_build_version"):
        version = f"{built.version.major_number}.{built.version.minor_number}.{built.version.patch}"
    locality = Locality(where.region, where.zone, where.sub_zone)
    return Node(told.id, told.cluster, locality, told.user_agent_name, version)


class _OddError(Exception):
    """Well-formed perhaps, but not in the way that clients write it: the generated classes are to judge."""


def _fields(data: bytes, skipped: int = 0) -> Iterator[tuple[int, bytes]]:
    """The numbers and contents of a message's fields, `skipped` left out; all must be strings or messages."""
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        if tag & 0x87 != 0x02 or tag < 8:  # no length-delimited field of a number below 16
            raise _OddError
        size = shift = 0
        while True:
            at += 1
            if at >= end or shift > 28:
                raise _OddError
            byte = data[at]
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        at += 1
        if at + size > end:
            raise _OddError
        if tag >> 3 != skipped:
            yield tag >> 3, data[at : at + size]
        at += size


_TYPES = {CDS.encode(): CDS, EDS.encode(): EDS}


def _type(content: bytes) -> str:
    return _TYPES.get(content) or content.decode()


def _read_whole(data: bytes) -> Request:
    type_url = nonce = version = ""
    names: list[str] = []
    error: str | None = None
    for number, content in _fields(data, skipped=2):
        if number == 3:
            names.append(content.decode())
        elif number == 4:
            type_url = _type(content)
        elif number == 5:
            nonce = content.decode()
        elif number == 1:
            version = content.decode()
        elif number == 6 and error is None:
            error = status_pb2.Status.FromString(content).message
        else:
            raise _OddError
    return Request(type_url, nonce, version, tuple(names), error=error)


def _read_delta(data: bytes) -> Request:
    type_url = nonce = ""
    subscribe: list[str] = []
    unsubscribe: list[str] = []
    initial: dict[str, str] = {}
    error: str | None = None
    for number, content in _fields(data, skipped=1):
        if number == 3:
            subscribe.append(content.decode())
        elif number == 4:
            unsubscribe.append(content.decode())
        elif number == 2:
            type_url = _type(content)
        elif number == 6:
            nonce = content.decode()
        elif number == 5:
            pair = {1: "", 2: ""}
            for part, text in _fields(content):
                if part not in pair:
                    raise _OddError
                pair[part] = text.decode()
            initial[pair[1]] = pair[2]
        elif number == 7 and error is None:
            error = status_pb2.Status.FromString(content).message
        else:
            raise _OddError
    return Request(
        type_url, nonce, subscribe=tuple(subscribe), unsubscribe=tuple(unsubscribe), initial=initial, error=error
    )


def _message(data: bytes, delta: bool) -> Any:
    kind = discovery_pb2.DeltaDiscoveryRequest if delta else discovery_pb2.DiscoveryRequest
    return kind.FromString(data)


def _parsed(data: bytes, delta: bool) -> Request:
    try:
        message = _message(data, delta)
    except DecodeError as why:
        raise ProtocolError(f"a discovery request cannot be read: {why}") from None
    error = message.error_detail.message if message.HasField("error_detail") else None
    if delta:
        return Request(
            message.type_url,
            message.response_nonce,
            subscribe=tuple(message.resource_names_subscribe),
            unsubscribe=tuple(message.resource_names_unsubscribe),
            initial=dict(message.initial_resource_versions),
            error=error,
        )
    return Request(
        message.type_url, message.response_nonce, message.version_info, tuple(message.resource_names), error=error
    )


# Writing: parts.


_SHORT = tuple(bytes((number,)) for number in range(0x80))


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _SHORT[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _field(number: int, content: bytes) -> bytes:
    """A string or a message as a field of a number below 16; nothing at all when it is empty."""
    return b"%c%b%b" % (number << 3 | 2, _varint(len(content)), content) if content else b""


def _any(type_url: str, content: bytes) -> bytes:
    return _field(1, type_url.encode()) + _field(2, content)


# Writing: resources. Each is a serialized google.protobuf.Any; equal values give equal bytes.


def assignment(name: str, told: Assignment) -> bytes:
    """A ClusterLoadAssignment; WireError when Envoy would refuse it."""
    places = [_field(2, _place(place)) for place in told.places]
    _check(told)
    return _ASSIGNMENT + _field(2, b"".join([_field(1, _name(name)), *places]))


_ASSIGNMENT = _field(1, EDS.encode())
_HEALTH = {Health.HEALTHY: 1, Health.UNHEALTHY: 2, Health.DRAINING: 3, Health.DEGRADED: 5}  # core.v3.HealthStatus


_INET, _INET6 = int(AF_INET), int(AF_INET6)


def _tail(port: int, health: Health, weight: int) -> tuple[bytes, bytes]:
    """What follows an address: the rest of SocketAddress, and the fields of LbEndpoint behind its endpoint."""
    if not 1 <= port <= 65535:
        raise WireError(f"port {port} is not between 1 and 65535")
    if weight < 1:
        raise WireError(f"weight {weight} is less than 1")
    counted = _varint(weight)
    return b"\x18" + _varint(port), b"\x10%c\x22%c\x08%b" % (_HEALTH[health], 1 + len(counted), counted)


def _hosts(hosts: Sequence[Host]) -> tuple[bytes, int]:
    """The lb_endpoints fields of LocalityLbEndpoints, and what they weigh.

    WireError for a host that Envoy would refuse. An address is so short that every length is one byte.

    Most hosts differ in nothing but their address, so what stands around one is made once for all that are alike.
    """
    parts: list[bytes] = []
    heads: dict[int, bytes] = {}  # by the length of the address
    port, health, weight, number, standing, tail = 0, None, 0, b"", b"", b""
    before, weighs = "", 0
    for text, its_port, its_health, its_weight in hosts:
        if text <= before and (text < before or its_port <= port):
            raise WireError(f"{text}:{its_port} stands twice in a locality, or not in its place")
        before = text
        weighs += its_weight
        if its_port != port or its_health is not health or its_weight != weight:
            port, health, weight = its_port, its_health, its_weight
            try:
                number, standing = _tail(port, health, weight)
            except WireError as error:
                raise WireError(f"{text}:{port}: {error}") from None
            heads, tail = {}, number + standing
        try:
            inet_pton(_INET6 if ":" in text else _INET, text)
        except (OSError, ValueError):
            raise WireError(f"{text!r} is not an IP address") from None
        address = text.encode()
        head = heads.get(len(address))
        if head is None:
            size = len(address) + len(number) + 2  # of SocketAddress, within Address, within Endpoint
            head = heads[len(address)] = b"\x12%c\x0a%c\x0a%c\x0a%c\x12%c" % (
                size + 6 + len(standing),
                size + 4,
                size + 2,
                size,
                len(address),
            )
        parts += (head, address, tail)
    return b"".join(parts), weighs


@lru_cache(maxsize=4096)
def _locality(locality: Locality) -> bytes:
    """The locality field of LocalityLbEndpoints, which is there even when nothing is known (rule 12)."""
    content = b"".join([_field(number, text.encode()) for number, text in enumerate(locality, 1)])
    return b"\x0a%b%b" % (_varint(len(content)), content)


def _place(place: Place) -> bytes:
    hosts, weighs = _hosts(place.hosts)
    if not hosts:
        raise WireError(f"locality {'/'.join(place.locality)!r} has no hosts")
    if weighs != place.weight:
        raise WireError(f"locality {'/'.join(place.locality)!r} does not weigh what its hosts weigh")
    priority = b"\x28" + _varint(place.priority) if place.priority else b""
    return b"".join([_locality(place.locality), hosts, _field(3, b"\x08" + _varint(weighs)), priority])


def _name(name: str) -> bytes:
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{name!a} is no text: {error.reason}") from None
    if not encoded:
        raise WireError("a resource has no name")
    return encoded


def _check(told: Assignment) -> None:
    """Refuse what Envoy refuses of all localities together, so that it never comes to that (rules 10 and 12)."""
    sums: dict[int, int] = {}
    count = 0
    for place in told.places:
        sums[place.priority] = sums.get(place.priority, 0) + place.weight
        count += len(place.hosts)
    # Within a locality the order tells whether one stands twice.
    if len(told.places) > 1 and len({host[:2] for place in told.places for host in place.hosts}) != count:
        raise WireError("an address and port stands twice")
    if len({(place.priority, place.locality) for place in told.places}) != len(told.places):
        raise WireError("a locality stands twice in a priority")
    if sums and (max(sums.values()) > WEIGHTS or sorted(sums) != list(range(len(sums))) or len(sums) > 128):
        raise WireError(f"priorities {sorted(sums)} have gaps, are more than 128, or weigh more than {WEIGHTS}")


def cluster(name: str, policy: ClusterPolicy) -> bytes:
    """A Cluster whose endpoints are asked for under its own name on the stream that told it."""
    first, eds_config, rest = _cluster(policy)
    named = _name(name)
    return _any(CDS, _field(1, named) + first + _field(3, eds_config + _field(2, named)) + rest)


_LB = {
    "round_robin": cluster_pb2.Cluster.ROUND_ROBIN,
    "least_request": cluster_pb2.Cluster.LEAST_REQUEST,
    "random": cluster_pb2.Cluster.RANDOM,
    "ring_hash": cluster_pb2.Cluster.RING_HASH,
    "maglev": cluster_pb2.Cluster.MAGLEV,
}


@lru_cache(maxsize=1024)
def _cluster(policy: ClusterPolicy) -> tuple[bytes, bytes, bytes]:
    """What clusters of one policy have in common: the type, where endpoints come from, and all the rest."""
    source = config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3
    )
    message = cluster_pb2.Cluster(connect_timeout=_duration(policy.connect_timeout), lb_policy=_LB[policy.lb])
    message.circuit_breakers.thresholds.add().max_retries.value = RETRIES
    outliers = policy.outlier_detection
    if outliers is not None:
        detection = message.outlier_detection
        detection.consecutive_5xx.value = outliers.consecutive_5xx
        detection.interval.CopyFrom(_duration(outliers.interval))
        detection.base_ejection_time.CopyFrom(_duration(outliers.base_ejection_time))
        detection.max_ejection_percent.value = outliers.max_ejection_percent
        # A percentage of a small service is less than one host; only nought is meant as none.
        detection.always_eject_one_host.value = outliers.max_ejection_percent > 0
    kind = cluster_pb2.Cluster(type=cluster_pb2.Cluster.EDS)
    return _bytes(kind), _field(1, _bytes(source)), _bytes(message)


def _duration(seconds: float) -> Duration:
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def _bytes(message: Any) -> bytes:
    written: bytes = message.SerializeToString(deterministic=True)
    return written


# Writing: responses.


def frame(response: Response, delta: bool, identifier: str) -> bytes:
    """A response of either protocol; `identifier` names this control plane."""
    head = _field(1, response.version.encode())
    tail = _field(4, response.type_url.encode()) + _field(5, response.nonce.encode())
    if not delta:
        bodies = [part for one in response.resources for part in (b"\x12", _varint(len(one.body)), one.body)]
        return b"".join([head, *bodies, tail, _control_plane(6, identifier)])
    removed = [_field(6, name.encode()) for name in response.removed]
    return b"".join([head, *map(_resource, response.resources), tail, *removed, _control_plane(7, identifier)])


def _resource(one: Resource) -> bytes:
    """A resources field of DeltaDiscoveryResponse; never with a time to live, which crashes Envoy (rule 11)."""
    return _field(2, _field(1, one.version.encode()) + _field(2, one.body) + _field(3, one.name.encode()))


@lru_cache(maxsize=16)
def _control_plane(number: int, identifier: str) -> bytes:
    return _field(number, _field(1, identifier.encode()))
