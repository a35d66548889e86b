"""A snapshot as bytes: services, with a header before and a checksum behind."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from bridge.model import NOWHERE, Endpoint, Health, Locality, Metadata, Port, Service, ServiceName, Services
from bridge.runtime import snapshot_pb2 as pb
from bridge.table import Table

FORMAT = 1

_DIGEST = 32
_TAIL = 2 + _DIGEST  # tag and length of the checksum's field, then the digest


class CorruptError(Exception):
    """Bytes that are no snapshot, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Header:
    """Of which source, and when (seconds since the epoch) it was last the truth."""

    source: str
    wall: float


def encode(source: str, wall: float, services: Services) -> Iterator[bytes]:
    """The file in pieces, a service each, in no order that means anything."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for piece in _messages(source, wall, services):
        digest.update(piece)
        yield piece
    yield pb.Snapshot(checksum=digest.digest()).SerializeToString()


def _messages(source: str, wall: float, services: Services) -> Iterator[bytes]:
    yield pb.Snapshot(header=pb.Header(format=FORMAT, source=source, wall=wall)).SerializeToString()
    for service in services.values():
        yield pb.Snapshot(services=[_service(service)]).SerializeToString()


def decode(file: bytes) -> tuple[Header, Services]:
    """Read what `encode` wrote; CorruptError, with the reason, when it is anything else."""
    body, tail = file[:-_TAIL], file[-_TAIL:]
    expected = pb.Snapshot(checksum=hashlib.blake2b(body, digest_size=_DIGEST).digest()).SerializeToString()
    if tail != expected:
        raise CorruptError("is damaged: its checksum does not fit")
    try:
        said = pb.Snapshot.FromString(body)
    except DecodeError as error:
        raise CorruptError(f"is no snapshot: {error}") from error
    if said.header.format != FORMAT:
        raise CorruptError(f"has format {said.header.format}; this bridge reads {FORMAT}")
    read = _Reader()
    try:
        services = Table({one.name: one for one in map(read.service, said.services)})
    except ValueError as error:
        raise CorruptError(f"makes no sense: {error}") from error
    return Header(said.header.source, said.header.wall), services


def _service(service: Service) -> pb.Service:
    return pb.Service(
        namespace=service.name.namespace,
        name=service.name.name,
        endpoints=[_endpoint(one) for one in service.endpoints],
        metadata=_pairs(service.metadata),
    )


def _endpoint(one: Endpoint) -> pb.Endpoint:
    return pb.Endpoint(
        address=one.address,
        ports=[
            pb.Port(name=port.name, number=port.number, protocol=port.protocol, app_protocol=port.app_protocol)
            for port in one.ports
        ],
        health=None if one.health is None else int(one.health),
        region=one.locality.region,
        zone=one.locality.zone,
        sub_zone=one.locality.sub_zone,
        network=one.network,
        weight=one.weight,
        via=one.via,
        held=one.held,
        metadata=_pairs(one.metadata),
    )


def _pairs(metadata: Metadata) -> list[pb.Pair]:
    return [pb.Pair(key=key, value=value) for key, value in metadata]


class _Reader:
    """Reads messages into values, equal parts into the same objects."""

    def __init__(self) -> None:
        self._ports: dict[tuple[Port, ...], tuple[Port, ...]] = {}
        self._places: dict[Locality, Locality] = {NOWHERE: NOWHERE}
        self._texts: dict[str, str] = {}
        self._metadata: dict[Metadata, Metadata] = {(): ()}

    def service(self, said: pb.Service) -> Service:
        name = ServiceName(self._text(said.namespace), said.name)
        return Service.of(name, map(self._endpoint, said.endpoints), self._pairs(said.metadata))

    def _endpoint(self, said: pb.Endpoint) -> Endpoint:
        if not said.ports:
            raise ValueError(f"endpoint {said.address} has no port")
        ports = tuple(Port(one.name, one.number, one.protocol, one.app_protocol) for one in said.ports)
        place = Locality(said.region, said.zone, said.sub_zone)
        return Endpoint(
            said.address,
            self._ports.setdefault(ports, ports),
            Health(said.health) if said.HasField("health") else None,
            self._places.setdefault(place, place),
            self._text(said.network),
            said.weight,
            self._text(said.via),
            said.held,
            self._pairs(said.metadata),
        )

    def _text(self, text: str) -> str:
        return self._texts.setdefault(text, text)

    def _pairs(self, said: Iterable[pb.Pair]) -> Metadata:
        pairs = tuple((one.key, one.value) for one in said)
        return self._metadata.setdefault(pairs, pairs)
