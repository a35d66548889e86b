"""What is common to the formats: how their words become endpoints, and what is wrong with them."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from bridge.kit import names
from bridge.kit.place import Path, excerpt
from bridge.model import Endpoint, EndpointId, Health, Locality, Metadata, Port, Service

MAX_WEIGHT = 65_535

HEALTH = {health.name.lower(): health for health in Health}


class Scope(NamedTuple):
    """What the registry's configuration says of everything in it."""

    namespace: str
    locality: Locality
    network: str


class Flaw(NamedTuple):
    """Something that was refused: where, from the top of a service or a document, and what to do about it.

    `kind` is a `Problem`'s; `then` is what happens for it, and `costs` how many instances are left out.
    """

    path: Path
    kind: str
    what: str
    then: str
    costs: int = 1


class FlawError(Exception):
    """A flaw that nothing around it can be trusted with: the file fails whole."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(what)
        self.path = path
        self.what = what


class United(NamedTuple):
    """Endpoints of one service without doubles, and which ones stood there twice."""

    endpoints: tuple[Endpoint, ...]
    doubles: tuple[EndpointId, ...]


def unite(endpoints: Iterable[Endpoint]) -> United:
    """Of two with one id the first one counts."""
    kept: dict[EndpointId, Endpoint] = {}
    doubles = []
    for endpoint in endpoints:
        key = endpoint.id
        if key in kept:
            doubles.append(key)
        else:
            kept[key] = endpoint
    return United(tuple(kept.values()), tuple(doubles))


def join(first: Service, second: Service) -> tuple[Service, tuple[EndpointId, ...]]:
    """Two views of one service as one; the first one's fields count. Also which endpoints both have."""
    united = unite((*first.endpoints, *second.endpoints))
    return Service.of(first.name, united.endpoints, first.metadata or second.metadata), united.doubles


def number(value: Any, kind: str, lowest: int, highest: int) -> int:
    """A whole number in its bounds; ValueError names the kind of thing that it should be."""
    if type(value) is not int:
        raise ValueError(f"{kind} {excerpt(value)} is not a whole number")
    if not lowest <= value <= highest:
        raise ValueError(f"{kind} {excerpt(value)} is not between {lowest} and {highest}")
    return value


def word(value: Any, kind: str) -> str:
    """A short text for a locality or a network; ValueError when it is none."""
    if not isinstance(value, str):
        raise ValueError(f"{kind} {excerpt(value)} is not text; put it into quotes")  # noqa: TRY004  # told like the rest
    return _word(value, kind)


@lru_cache(maxsize=4096)
def _word(value: str, kind: str) -> str:
    if not value or len(value) > names.MAX_KEY or not value.isprintable():
        raise ValueError(f"{kind} {excerpt(value)} is empty, too long, or has control characters")
    return value


def metadata(value: Mapping[str, Any]) -> Metadata:
    """Sorted pairs of text; a whole number is the text that it was written as. ValueError names the key."""
    pairs = []
    for key, said in value.items():
        if type(said) is int:
            said = str(said)
        elif not isinstance(said, str):
            raise ValueError(f"metadata {excerpt(key)}: {excerpt(said)} is not text; put it into quotes")
        pairs.append((key, said))
    pairs.sort()
    return _metadata(tuple(pairs))


@lru_cache(maxsize=16384)
def _metadata(pairs: Metadata) -> Metadata:
    return names.metadata(pairs)


@lru_cache(maxsize=16384)
def one_port(name: str, port: int) -> tuple[Port, ...]:
    """The same object each time, as are all of the values that endpoints share."""
    return (Port(name, port),)


@lru_cache(maxsize=16384)
def interned(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    return ports


@lru_cache(maxsize=16384)
def locality(region: str, zone: str, sub_zone: str) -> Locality:
    return Locality(region, zone, sub_zone)
