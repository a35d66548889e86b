"""How a service is written in JSON; pure."""

import json
from collections.abc import Iterable
from typing import Any

from bridge.adapter import Claim, Problem
from bridge.kit import address, mark, names
from bridge.model import Endpoint, Health, Port, Service


def encode(endpoints: Iterable[Endpoint]) -> bytes:
    """Canonical: equal endpoints give equal bytes."""
    rows = [
        {
            "address": one.address,
            "ports": {port.name: port.number for port in one.ports},
            "health": one.health.name.lower() if one.health is not None else None,
            "via": one.via,
        }
        for one in endpoints
    ]
    return json.dumps(rows, indent=1).encode()


def decode(rows: Any) -> tuple[Endpoint, ...]:
    """What `encode` wrote, or an operator; ValueError says what is wrong."""
    try:
        return tuple(_endpoint(row) for row in rows)
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"is no list of endpoints: {error!r}") from None


def _endpoint(row: dict[str, Any]) -> Endpoint:
    ports = tuple(Port(names.port_name(name) if name else "", int(number)) for name, number in row["ports"].items())
    if not ports or not all(1 <= port.number <= 65_535 for port in ports):
        raise ValueError("an endpoint needs ports between 1 and 65535")
    health = Health[row["health"].upper()] if row.get("health") else None
    via = " ".join(mark.owner_name(owner) for owner in row.get("via", "").split())
    return Endpoint(address.parse(row["address"]), ports, health, via=via)


def encode_claim(claim: Claim) -> bytes:
    fields = ("owner", "deployment", "term", "beat", "tombstone")
    return json.dumps({field: getattr(claim, field) for field in fields}).encode()


def decode_claim(value: dict[str, Any], revision: str) -> Claim:
    """What `encode_claim` wrote; ValueError says what is wrong."""
    try:
        owner, deployment = mark.owner_name(value["owner"]), mark.owner_name(value["deployment"])
        return Claim(owner, deployment, int(value["term"]), float(value["beat"]), value["tombstone"] is True, revision)
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"is no claim: {error!r}") from None


def sayable(service: Service) -> tuple[tuple[Endpoint, ...], list[Problem]]:
    """The endpoints as JSON has words for them, and a Problem for all that is left out."""
    said: list[Endpoint] = []
    problems: list[Problem] = []
    for one in service.endpoints:
        plain = Endpoint(one.address, _ports(one), one.health, via=one.via)
        if plain != one:
            what = "has more than an address, named TCP ports and a health; the rest is left out"
            problems.append(Problem("field", f"{str(service.name)[:150]!r}", f"endpoint {one.id} {what}", service.name))
        if plain.ports:
            said.append(plain)
    return Service.of(service.name, {one.id: one for one in said}.values()).endpoints, problems


def _ports(one: Endpoint) -> tuple[Port, ...]:
    numbers = {port.name: port.number for port in reversed(one.ports) if port.protocol == "TCP"}
    return tuple(Port(name, number) for name, number in reversed(numbers.items()))
