"""A service as the records of a dialect, one an endpoint, and what of it has no place there.

Addresses are written as IP literals: a host name that does not resolve keeps a whole set of Finagle's pending.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from adapters.zookeeper.dialects.dialect import Places, Said, Spelled, Written
from bridge.adapter import Problem, Record, RecordKey
from bridge.kit import address, mark, names
from bridge.kit.place import excerpt
from bridge.model import NOWHERE, Endpoint, Health, Locality, Metadata, Port, Service, ServiceName

Lacks = Counter[tuple[str, str]]
"""Kinds and sentences of what is left out, and how many endpoints each is about."""

_UNSAID = "unsaid"
_NAMES = "names of ports"


def fit(
    dialect: Written, spelled: Spelled, service: Service, called: Callable[[Record], str]
) -> tuple[tuple[Record, ...], tuple[Problem, ...]]:
    """The records that say the service, by the keys of its endpoints, and what they do not say.

    `called` is what the znode of a record is called, or will be: a weight that stands apart names the one that it is
    of, and comes before it, so that this never stands there without.
    Where the dialect has no word for an endpoint that is not to be used, only the others are listed, unless all are so.
    """
    lacks: Lacks = Counter()
    records: dict[RecordKey, tuple[Record, ...]] = {}
    for endpoint in _listed(dialect, service.endpoints, lacks):
        sayable = reduced(dialect, endpoint, lacks)
        if sayable is None:
            continue
        try:
            said = dialect.say(spelled, sayable)
        except ValueError as error:
            lacks["endpoint", f"{error}; the endpoint is left out"] += 1
            continue
        record = _record(service.name, said)
        records[record.key] = (record,)
        if dialect.apart and sayable.weight != 1:
            weight = dialect.weigh(said, called(record), sayable.weight)
            records[record.key] = (_record(service.name, weight), record)
    if service.metadata:
        lacks[_UNSAID, "metadata of the service"] += 1
    ordered = chain.from_iterable(records[its] for its in sorted(records))
    return tuple(ordered), tuple(_told(dialect, service.name, lacks))


def _record(service: ServiceName, said: Said) -> Record:
    return Record(key(service, said.stem), service, said.content)


def key(service: ServiceName, stem: str) -> RecordKey:
    """Of the record that says the endpoint of that stem."""
    return RecordKey(f"{service}/{stem}")


def stem_of(key: RecordKey) -> str:
    """What `key` was made of."""
    return key.split("/", 2)[2]


def reduced(dialect: Written, said: Endpoint, lacks: Lacks) -> Endpoint | None:
    """The endpoint as it is read back, None when it cannot be said; what it loses is counted in `lacks`."""
    try:
        if address.parse(said.address) != said.address:
            raise ValueError(f"{excerpt(said.address)} is not written as an address is")
        ports = _ports(dialect, said.ports, lacks)
        for owner in said.via.split(" ") if said.via else ():
            mark.owner_name(owner)
    except ValueError as error:
        lacks["endpoint", f"{error}; the endpoint is left out"] += 1
        return None
    health = dialect.health(said.health)
    if said.health is Health.DEGRADED and health is None:
        lacks[_UNSAID, "health"] += 1
    weight = min(max(said.weight, 1), dialect.heaviest)
    if Places.WEIGHT not in dialect.places:
        weight = 1
        if said.weight != 1:
            lacks[_UNSAID, "weight"] += 1
    elif weight != said.weight:
        lacks["weight", f"a weight is not between 1 and {dialect.heaviest}; the nearest one is written"] += 1
    return replace(
        said,
        ports=ports,
        health=health,
        locality=_locality(dialect, said.locality, lacks),
        network=_network(dialect, said.network, lacks),
        weight=weight,
        held=False,
        metadata=_metadata(dialect, said.metadata, lacks),
    )


def _listed(dialect: Written, endpoints: tuple[Endpoint, ...], lacks: Lacks) -> tuple[Endpoint, ...]:
    usable = tuple(one for one in endpoints if dialect.health(one.health) is not Health.UNHEALTHY)
    if endpoints and not usable:
        lacks[_UNSAID, "health"] += len(endpoints)
    return usable or endpoints


def _ports(dialect: Written, said: tuple[Port, ...], lacks: Lacks) -> tuple[Port, ...]:
    """ValueError when the first one will not do: by it the endpoint is known."""
    kept: list[Port] = []
    for port in said:
        if not 1 <= port.number <= 65_535 or port.protocol != "TCP":
            if not kept:
                raise ValueError(f"port {port.number} of {excerpt(port.protocol)} has no place in {dialect.name}")
            lacks["port", f"port {port.number} of {excerpt(port.protocol)} has no place; it is left out"] += 1
            continue
        if port.app_protocol:
            lacks[_UNSAID, "what ports speak"] += 1
        kept.append(Port(_name(port.name, lacks), port.number))
    if not kept:
        raise ValueError("has no port")
    sayable = dialect.ports(tuple(kept))
    if len(sayable) < len(kept):
        lacks[_UNSAID, "further ports"] += 1
    names_ = {port.name for port in sayable}
    if any(port.name not in names_ and any(port.number == one.number for one in sayable) for port in kept):
        lacks[_UNSAID, _NAMES] += 1
    return sayable


def _name(said: str, lacks: Lacks) -> str:
    try:
        return names.port_name(said) if said else ""
    except ValueError as error:
        lacks["port", f"{error}; the name is left out"] += 1
        return ""


def _locality(dialect: Written, said: Locality, lacks: Lacks) -> Locality:
    if said == NOWHERE:
        return said
    if Places.LOCALITY not in dialect.places:
        lacks[_UNSAID, "locality"] += 1
        return NOWHERE
    kept = Locality(*(part if _is_word(part) else "" for part in said))
    if kept != said:
        lacks["locality", "a locality is too long, or has control characters; it is left out"] += 1
    return kept


def _network(dialect: Written, said: str, lacks: Lacks) -> str:
    if said and Places.NETWORK not in dialect.places:
        lacks[_UNSAID, "network"] += 1
        return ""
    if not _is_word(said):
        lacks["network", f"network {excerpt(said)} is too long, or has control characters; it is left out"] += 1
        return ""
    return said


def _metadata(dialect: Written, said: Metadata, lacks: Lacks) -> Metadata:
    if not said:
        return said
    if Places.METADATA not in dialect.places:
        lacks[_UNSAID, "metadata"] += 1
        return ()
    kept: list[tuple[str, str]] = []
    for pair in said[: names.MAX_METADATA]:
        try:
            names.metadata((pair,))
            if dialect.reserved(pair[0]):
                raise ValueError(f"metadata {excerpt(pair[0])} is a word of {dialect.name}, and none of metadata")
        except ValueError as error:
            lacks["metadata", f"{error}; it is left out"] += 1
            continue
        kept.append(pair)
    if len(said) > names.MAX_METADATA:
        lacks["metadata", f"more than {names.MAX_METADATA} pairs of metadata; the last are left out"] += 1
    return tuple(kept)


@lru_cache(maxsize=4096)
def _is_word(text: str) -> bool:
    return len(text) <= names.MAX_KEY and text.isprintable()


def _told(dialect: Written, service: ServiceName, lacks: Lacks) -> list[Problem]:
    """One problem for all that there is no place for, and one for each thing that will not do."""
    told = [
        Problem(kind, str(service), what, service, count)
        for (kind, what), count in sorted(lacks.items())
        if kind != _UNSAID
    ]
    if unsaid := {what: count for (kind, what), count in sorted(lacks.items()) if kind == _UNSAID}:
        what = f"{dialect.name} has no place for {', '.join(unsaid)}; left out"
        if _NAMES in unsaid:
            key = "dubbo: {protocol: http}" if dialect.name.startswith("dubbo") else "ports: {default: http}"
            what += f"; where all are called alike, write such as `{key}`"
        told.append(Problem(_UNSAID, str(service), what, service, max(unsaid.values())))
    return told
