"""Small values for tests, written as one would say them."""

from collections.abc import Iterable

from bridge.adapter import Holding, Holdings, Observation, Problem, Record, RecordKey
from bridge.model import NOWHERE, Endpoint, EndpointId, Health, Locality, Metadata, Port, Service, ServiceName, Services
from bridge.table import Table


def name(text: str) -> ServiceName:
    return ServiceName.parse(text)


def eid(text: str) -> EndpointId:
    """`10.0.0.1:80` or `[::1]:80`."""
    address, _, port = text.rpartition(":")
    return EndpointId(address.strip("[]"), int(port))


def endpoint(
    text: str,
    *,
    health: Health | None = None,
    port: str = "http",
    more: Iterable[Port] = (),
    locality: Locality = NOWHERE,
    network: str = "",
    weight: int = 1,
    via: str = "",
    held: bool = False,
    metadata: Metadata = (),
) -> Endpoint:
    """`endpoint("10.0.0.1:80")`; `more` are its further ports."""
    address, number = eid(text)
    return Endpoint(address, (Port(port, number), *more), health, locality, network, weight, via, held, metadata)


def service(text: str, *endpoints: str | Endpoint, metadata: Metadata = ()) -> Service:
    """`service("shop/payments", "10.0.0.1:80", endpoint("10.0.0.2:80", weight=3))`."""
    return Service.of(name(text), [endpoint(e) if isinstance(e, str) else e for e in endpoints], metadata)


def services(*them: Service) -> Services:
    return Table({one.name: one for one in them})


def observation(*them: Service, read: int = 1, problems: tuple[Problem, ...] = ()) -> Observation:
    return Observation(services(*them), read, problems)


def hosts(number: int, port: int = 80, net: str = "10.0") -> list[str]:
    """`number` different addresses with a port, `10.0.0.1:80` first."""
    return [f"{net}.{i // 250}.{i % 250 + 1}:{port}" for i in range(number)]


def record(key: str, of: str, content: str = "", revision: int | None = None) -> Record:
    """`record("payments", "shop/payments", "what it says")`."""
    return Record(RecordKey(key), name(of), content.encode(), revision)


def held(one: Service) -> Holding:
    """What a sink has of ours when it says `one` with one record an endpoint."""
    records = [record(f"{one.name}/{e.id}", str(one.name), repr(e)) for e in one.endpoints]
    return Holding(tuple(sorted(records, key=lambda r: r.key)), one.endpoints)


def holdings(*them: Service) -> Holdings:
    return Table({one.name: held(one) for one in them})
