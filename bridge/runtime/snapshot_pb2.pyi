from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Snapshot(_message.Message):
    __slots__ = ("header", "services", "checksum")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    header: Header
    services: _containers.RepeatedCompositeFieldContainer[Service]
    checksum: bytes
    def __init__(self, header: _Optional[_Union[Header, _Mapping]] = ..., services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ..., checksum: _Optional[bytes] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("format", "source", "wall")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WALL_FIELD_NUMBER: _ClassVar[int]
    format: int
    source: str
    wall: float
    def __init__(self, format: _Optional[int] = ..., source: _Optional[str] = ..., wall: _Optional[float] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("namespace", "name", "endpoints", "metadata")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    metadata: _containers.RepeatedCompositeFieldContainer[Pair]
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., metadata: _Optional[_Iterable[_Union[Pair, _Mapping]]] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("address", "ports", "health", "region", "zone", "sub_zone", "network", "weight", "via", "held", "metadata")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    SUB_ZONE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    address: str
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    health: int
    region: str
    zone: str
    sub_zone: str
    network: str
    weight: int
    via: str
    held: bool
    metadata: _containers.RepeatedCompositeFieldContainer[Pair]
    def __init__(self, address: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., health: _Optional[int] = ..., region: _Optional[str] = ..., zone: _Optional[str] = ..., sub_zone: _Optional[str] = ..., network: _Optional[str] = ..., weight: _Optional[int] = ..., via: _Optional[str] = ..., held: _Optional[bool] = ..., metadata: _Optional[_Iterable[_Union[Pair, _Mapping]]] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("name", "number", "protocol", "app_protocol")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    APP_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    protocol: str
    app_protocol: str
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., protocol: _Optional[str] = ..., app_protocol: _Optional[str] = ...) -> None: ...

class Pair(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
