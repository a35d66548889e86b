"""Records as those write them who register there themselves, in each dialect."""

import json
import secrets
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from bridge.model import Endpoint


class Native(NamedTuple):
    """A znode below a service's; the server puts digits behind its name where it is `sequential`."""

    name: str
    data: bytes
    sequential: bool = False


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _id(endpoint: Endpoint) -> str:
    return str(endpoint.id)


def _curator(service: str, endpoint: Endpoint, payload: Any = None) -> Native:
    said = {
        "name": service, "id": _id(endpoint), "address": endpoint.address, "port": endpoint.ports[0].number,
        "sslPort": None, "payload": payload, "registrationTimeUTC": 1700000000000, "serviceType": "DYNAMIC",
        "uriSpec": None,
    }  # fmt: skip
    return Native(_id(endpoint), _json(said))


def _spring(service: str, endpoint: Endpoint) -> Native:
    kind = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance"
    payload = {"@class": kind, "id": "application-1", "name": service, "metadata": {"instance_status": "UP"}}
    return _curator(service, endpoint, payload)


def _dubbo_app(service: str, endpoint: Endpoint) -> Native:
    port = endpoint.ports[0]
    metadata = {
        "dubbo.endpoints": json.dumps([{"port": port.number, "protocol": port.name}]),
        "dubbo.metadata.revision": "dbd77eec7b7a7fd9ac6aa27c8d4ea58a",
        "dubbo.metadata.storage-type": "local",
    }
    kind = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"
    return _curator(service, endpoint, {"@class": kind, "id": _id(endpoint), "name": service, "metadata": metadata})


def _serverset(service: str, endpoint: Endpoint) -> Native:
    further = {port.name: {"host": endpoint.address, "port": port.number} for port in endpoint.ports}
    first = {"host": endpoint.address, "port": endpoint.ports[0].number}
    said = {"serviceEndpoint": first, "additionalEndpoints": further, "status": "ALIVE"}
    return Native("member_", _json(said), sequential=True)


def _nerve(service: str, endpoint: Endpoint) -> Native:
    said = {"host": endpoint.address, "port": endpoint.ports[0].number, "name": f"i-{endpoint.address}"}
    return Native(f"i-{endpoint.address}_", _json(said), sequential=True)


def _dubbo(service: str, endpoint: Endpoint) -> Native:
    port = endpoint.ports[0]
    url = (
        f"{port.name}://{endpoint.address}:{port.number}/{service}?category=providers&interface={service}&side=provider"
    )
    return Native(f"providers/{quote_plus(url)}", b"127.0.0.1")


def _plain(service: str, endpoint: Endpoint) -> Native:
    return Native(_id(endpoint), b"")


def _party(service: str, endpoint: Endpoint) -> Native:
    return Native(f"{secrets.token_hex(16)}__party__", _id(endpoint).encode())


def _kingpin(service: str, endpoint: Endpoint) -> Native:
    return Native(f"{secrets.token_hex(16)}-{_id(endpoint)}", b"")


def _solr(service: str, endpoint: Endpoint) -> Native:
    return Native(f"{_id(endpoint)}_solr", b"")


def _kafka(service: str, endpoint: Endpoint) -> Native:
    host, port = endpoint.address, endpoint.ports[0].number
    number = int.from_bytes(ip_address(host).packed)
    said = {"version": 5, "host": host, "port": port, "endpoints": [f"PLAINTEXT://{host}:{port}"], "rack": None}
    return Native(str(number), _json(said))


NATIVES: Mapping[str, Callable[[str, Endpoint], Native]] = {
    "curator": _curator,
    "spring": _spring,
    "dubbo-app": _dubbo_app,
    "serverset": _serverset,
    "nerve": _nerve,
    "dubbo": _dubbo,
    "plain": _plain,
    "party": _party,
    "kingpin": _kingpin,
    "solr": _solr,
    "kafka": _kafka,
}
GARBAGE: Mapping[str, Native] = {
    "serverset": Native("member_", b"{", sequential=True),
    "dubbo": Native("providers/garbage", b""),
    "party": Native(f"{'0' * 32}__party__", b"\xff"),
    "kingpin": Native(f"{'0' * 32}-nowhere", b""),
}
"""What nobody can understand; for others any name with any data will do."""
