"""The records of the memory registry: endpoints as canonical JSON, so many to a record."""

import json
from collections.abc import Iterable

from bridge.adapter import Holding, Record, RecordKey
from bridge.model import Endpoint, EndpointId, Health, Locality, Port, Service, ServiceName


def key(service: ServiceName, number: int) -> RecordKey:
    """The name of a service's record of that number."""
    return RecordKey(f"{service}#{number}")


def encode(endpoints: Iterable[Endpoint]) -> bytes:
    """Canonical: equal endpoints give equal bytes."""
    rows = [
        {
            "address": one.address,
            "ports": [list(port) for port in one.ports],
            "health": one.health.name if one.health is not None else None,
            "locality": list(one.locality),
            "network": one.network,
            "weight": one.weight,
            "via": one.via,
            "metadata": [list(pair) for pair in one.metadata],
        }
        for one in sorted(endpoints, key=lambda one: one.id)
    ]
    return json.dumps(rows, separators=(",", ":"), sort_keys=True).encode()


def decode(content: bytes) -> tuple[Endpoint, ...]:
    """What a record says; ValueError when it is none of ours."""
    try:
        return tuple(
            Endpoint(
                str(row["address"]),
                tuple(Port(*port) for port in row["ports"]),
                Health[row["health"]] if row["health"] is not None else None,
                Locality(*row["locality"]),
                str(row["network"]),
                int(row["weight"]),
                str(row["via"]),
                metadata=tuple((str(name), str(value)) for name, value in row["metadata"]),
            )
            for row in json.loads(content)
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"is no record of a memory registry: {error!r}") from None


def said(content: bytes) -> tuple[Endpoint, ...]:
    """What a record says, nothing where it cannot be read."""
    try:
        return decode(content)
    except ValueError:
        return ()


def fit(service: Service, holding: Holding, size: int) -> list[Record]:
    """The endpoints in records of at most `size`, in the order of their numbers; each stays in the record it is in."""
    numbers = {record.key: int(record.key.rpartition("#")[2]) for record in holding.records}
    packs: dict[int, dict[EndpointId, Endpoint]] = {}
    left = {one.id: one for one in service.endpoints}
    for record in holding.records:
        for old in said(record.content):
            if old.id in left and len(packs.setdefault(numbers[record.key], {})) < size:
                packs[numbers[record.key]][old.id] = left.pop(old.id)
    number = 0
    for each, endpoint in left.items():
        while len(packs.get(number, ())) >= size:
            number += 1
        packs.setdefault(number, {})[each] = endpoint
    if not service.endpoints:  # wanted so, though it says nothing
        packs = {min(numbers.values(), default=0): {}}
    return [
        Record(key(service.name, number), service.name, encode(packs[number].values()))
        for number in sorted(packs)
        if packs[number] or not service.endpoints
    ]
