"""What the API says of services, endpoints, sources, problems and holds: plain values, ready for JSON.

Lengths of time are seconds. An endpoint is written `10.20.0.1:8080` or `[fd00::1]:8080`, a service `shop/payments`.
Everything is sorted by name; sources stand in the order of the configuration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.adapter import Problem
from bridge.checks import Opinion
from bridge.guard import Hold
from bridge.merge import Catalog, Merged
from bridge.model import Endpoint, EndpointId, Health, Locality, Service, ServiceName, SourceName
from bridge.runtime.reading import Reading
from bridge.xds.server import StreamStatus

Row = dict[str, Any]


class About(NamedTuple):
    """What the configuration says of a source."""

    kind: str
    required: bool


def service(merged: Merged) -> Row:
    """A line of `services`.

    `name`; `sources` that fill it; `endpoints`, and how many of them are `healthy` (or without an opinion), `held`;
    `ports`: name (number, where it has none) to the numbers in use.
    """
    endpoints = list(merged.endpoints())
    ports: dict[str, set[int]] = {}
    for endpoint in endpoints:
        for port in endpoint.ports:
            ports.setdefault(port.name or str(port.number), set()).add(port.number)
    return {
        "name": str(merged.name),
        "sources": sorted({group.source for group in merged.groups}),
        "endpoints": len(endpoints),
        "healthy": sum(not e.health and not e.held for e in endpoints),
        "held": sum(e.held for e in endpoints),
        "ports": {name: sorted(numbers) for name, numbers in sorted(ports.items())},
    }


def endpoint(
    of: ServiceName, source: SourceName, it: Endpoint, also: Sequence[SourceName] = (), checked: Row | None = None
) -> Row:
    """A line of `endpoints`.

    `service`, `endpoint`, the `source` that won and those who know it `also`; `health` is healthy, degraded, draining,
    unhealthy, or null where nobody has an opinion (told as healthy); `held` says that the source no longer lists it;
    `check` is what is known of it by checking it from here, null where it is not checked: as `check`.
    """
    return {
        "service": str(of),
        "endpoint": str(it.id),
        "source": source,
        "also": list(also),
        "health": health(it.health),
        "held": it.held,
        "check": checked,
        "weight": it.weight,
        "ports": {port.name or str(port.number): port.number for port in it.ports},
        "locality": locality(it.locality),
        "network": it.network,
        "via": it.via,
        "metadata": dict(it.metadata),
    }


def services(catalog: Catalog, wanted: str = "") -> Iterator[Row]:
    """All services of the catalog, or those whose name is or begins with `wanted`."""
    for name in sorted(catalog.services):
        if str(name).startswith(wanted):
            yield service(catalog.services[name])


def check(it: Opinion, now: float) -> Row:
    """What is known by checking: `health` (null until the first verdict), `for` how long, `what` was found."""
    return {"health": health(it.health), "for": round(now - it.since, 3), "what": str(it)}


def endpoints(
    catalog: Catalog, readings: Sequence[Reading], now: float, wanted: str = "", source: str = ""
) -> Iterator[Row]:
    """All endpoints of the catalog; of the services whose name is or begins with `wanted`, told by `source`."""
    for name in sorted(catalog.services):
        if not str(name).startswith(wanted):
            continue
        merged = catalog.services[name]
        also = dict(merged.also)
        for group in merged.groups:
            if not source or source == group.source or any(source in names for names in also.values()):
                for it in group.endpoints:
                    others = also.get(it.id, ())
                    if not source or source == group.source or source in others:
                        known = checked(readings, name, it.id, (group.source, *others), now)
                        yield endpoint(name, group.source, it, others, known)


def checked(
    readings: Iterable[Reading], of: ServiceName, it: EndpointId, sources: Sequence[SourceName], now: float
) -> Row | None:
    """What is known of an endpoint by checking it for one of these sources: the worst of it."""
    found = [
        opinion
        for reading in readings
        if reading.source in sources and (opinion := (reading.checks.get(of) or {}).get(it)) is not None
    ]
    return check(max(found, key=lambda one: one.health or 0), now) if found else None


def source(reading: Reading, about: About, now: float, frozen_until: float | None = None) -> Row:
    """A line of `sources`.

    `state`: waiting (not yet seen), stand-in (the snapshot speaks for it), synced, lost, denied; `age` of the last
    whole view; `lost_for` and `why`; what is believed: `services`, `endpoints`, `holds`; `flood`, `health_flood`,
    `frozen`: whether the guard is in that state, and `frozen_for` how much longer; `problems`, and `unread` parts,
    whose last good view stands; `how` it is followed, where its adapter has several ways; `checks`: how many endpoints
    are healthy, unhealthy and unknown by checking them from here.
    """
    verdict, observation = reading.verdict, reading.observation
    believed = reading.services
    age = now - reading.since if observation is not None else reading.age
    return {
        "name": reading.source,
        "kind": about.kind,
        "required": about.required,
        "state": reading.state,
        "age": None if age is None else round(age, 3),
        "lost_for": None if reading.lost is None else round(now - reading.lost, 3),
        "why": reading.why,
        "services": 0 if believed is None else len(believed),
        "endpoints": 0 if believed is None else sum(len(s.endpoints) for s in believed.values()),
        "holds": 0 if verdict is None else sum(map(len, verdict.holds.values())),
        "flood": verdict is not None and verdict.flood,
        "health_flood": verdict is not None and verdict.health_flood,
        "frozen": verdict is not None and verdict.frozen,
        "frozen_for": None if frozen_until is None else round(max(0.0, frozen_until - now), 3),
        "problems": sum(problem.count for problem in reading.problems),
        "unread": [
            {"part": part.part, "for": round(now - part.since, 3), "why": part.why}
            for part in (observation.unread if observation is not None else ())
        ],
        "how": "" if observation is None else observation.how,
        "checks": reading.counts._asdict(),
    }


def problem(source: str | None, it: Problem) -> Row:
    """A line of `problems`; `source` is null where it is the bridge's own (its configuration, a refused update)."""
    return {
        "source": source,
        "kind": it.kind,
        "service": None if it.service is None else str(it.service),
        "where": it.where,
        "what": it.what,
        "count": it.count,
    }


def problems(readings: Iterable[Reading], own: Iterable[Problem] = ()) -> list[Row]:
    """The bridge's own problems, then each source's."""
    rows = [problem(None, it) for it in own]
    for reading in readings:
        rows += [problem(reading.source, it) for it in reading.problems]
    return rows


def hold(source: SourceName, it: Hold, now: float) -> Row:
    """A line of `holds`: the source no longer lists `endpoint`, and why it stays; `for` is how long already."""
    return {
        "source": source,
        "service": str(it.service),
        "endpoint": str(it.endpoint.id),
        "for": round(now - it.since, 3),
        "health": health(it.endpoint.health),
        "why": it.why,
        "waits_for": it.wait,
    }


def holds(readings: Iterable[Reading], now: float) -> list[Row]:
    """Every hold, by source, service and endpoint."""
    return [
        hold(reading.source, it, now)
        for reading in readings
        if reading.verdict is not None
        for name in sorted(reading.verdict.holds)
        for it in reading.verdict.holds[name]
    ]


def xds_stream(it: StreamStatus, now: float) -> Row:
    """A line of `streams`.

    `peer`, `service` (ads, eds, cds), `protocol` (delta or sotw), `node`, `cluster` and `agent` as the client says;
    `for`: how long it has been open; `responses` and `bytes` sent; `types`: what is asked for and told of clusters and
    endpoints, with what was refused (`parked`: not sent again until it changes).
    """
    return {
        "peer": it.peer,
        "service": it.service,
        "protocol": "delta" if it.delta else "sotw",
        "node": it.node,
        "cluster": it.cluster,
        "agent": it.agent,
        "for": round(now - it.since, 3),
        "responses": it.responses,
        "bytes": it.sent,
        "types": [
            {
                "type": kind.type_url.rpartition(".")[2],
                "wildcard": kind.wildcard,
                "names": kind.names,
                "told": kind.told,
                "version": kind.version,
                "unacknowledged": kind.unacknowledged,
                "pending": kind.pending,
                "sent": kind.sent,
                "acks": kind.acks,
                "nacks": kind.nacks,
                "parked": [{"name": name, "version": version, "error": error} for name, version, error in kind.parked],
            }
            for kind in it.types
        ],
    }


def explained(readings: Iterable[Reading], name: ServiceName, now: float) -> list[Row]:
    """What each source says of a service, and what the guard made of it.

    For each source that knows or holds it: `says`, the endpoints of its last view; `believed`, those that the guard
    lets stand, the held among them; `holds` with why and what they wait for; `problems` about that service.
    """
    rows = []
    for reading in readings:
        said = reading.observation.services.get(name) if reading.observation is not None else None
        stands = reading.services.get(name) if reading.services is not None else None
        held = reading.verdict.holds.get(name, ()) if reading.verdict is not None else ()
        about = [problem(reading.source, it) for it in reading.problems if it.service == name]
        if said is None and stands is None and not held and not about:
            continue
        rows.append(
            {
                "source": reading.source,
                "state": reading.state,
                "says": _said(said, reading, now),
                "believed": _said(stands, reading, now),
                "holds": [hold(reading.source, it, now) for it in held],
                "problems": about,
            }
        )
    return rows


def _said(it: Service | None, reading: Reading, now: float) -> list[Row]:
    if it is None:
        return []
    source, known = reading.source, [reading]
    return [endpoint(it.name, source, one, (), checked(known, it.name, one.id, [source], now)) for one in it.endpoints]


def health(value: Health | None) -> str | None:
    return None if value is None else value.name.lower()


def locality(value: Locality) -> dict[str, str]:
    """Only the parts that are said."""
    return {key: part for key, part in value._asdict().items() if part}


def endpoint_id(text: str) -> EndpointId:
    """Read `10.20.0.1:8080` or `[fd00::1]:8080`; ValueError when it is neither."""
    address, colon, port = text.rpartition(":")
    if not (colon and address and port.isascii() and port.isdigit()):
        raise ValueError(f"{text!r} is not an endpoint of the form 10.20.0.1:8080 or [fd00::1]:8080")
    return EndpointId(address.removeprefix("[").removesuffix("]"), int(port))


def of_holds(readings: Mapping[SourceName, Reading]) -> Iterator[tuple[SourceName, Hold]]:
    """Every hold with its source, sorted."""
    for source, reading in readings.items():
        if reading.verdict is not None:
            for name in sorted(reading.verdict.holds):
                for it in reading.verdict.holds[name]:
                    yield source, it
