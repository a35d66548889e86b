"""What is common to the formats: how their words become endpoints, and what is wrong with them."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from bridge.kit import names
from bridge.kit.place import Path, excerpt
from bridge.model import Endpoint, EndpointId, Health, Locality, Metadata, Port, Service, ServiceName

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


IGNORED = "ignored"
"""The kind of what a format says and nobody here needs: it costs no instance."""


class Group(NamedTuple):
    """Some endpoints of a service, as a foreign format has them; `spelled` is its name as it stood there."""

    name: ServiceName
    spelled: str
    endpoints: tuple[Endpoint, ...]


class Made(NamedTuple):
    """What became of a foreign format's text; `bad` of its `instances` are refused, and `flaws` say why."""

    groups: tuple[Group, ...]
    flaws: tuple[Flaw, ...]
    instances: int
    bad: int


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


def foreign_name(text: str, namespace: str) -> tuple[ServiceName, str]:
    """A foreign name made into labels, and as it stands, to tell two apart that come to the same labels.

    What stands before its last slash is the namespace. ValueError when it cannot be a name, or is rather a path.
    """
    before, slash, name = text.rpartition("/")
    if not slash:
        before = namespace
    elif any(part.strip() in ("", ".", "..") for part in text.split("/")):
        raise ValueError(f"{excerpt(text)} is a path, and not a name of the form namespace/name")
    made = names.normalised(name)
    return names.service_name(f"{names.normalised(before)}/{made}" if before else made), f"{before}/{name}"


def mapping(value: Any) -> dict[str, Any]:
    """`value` itself; ValueError when it is no mapping."""
    if not isinstance(value, dict):
        raise ValueError(f"{excerpt(value)} is not a mapping")  # noqa: TRY004  # operators' input, told like the rest
    return value


def several(value: Any, kind: str) -> list[Any]:
    """`value` itself, nothing for none; ValueError when it is no list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{kind} must be a list")  # noqa: TRY004  # operators' input, told like the rest
    return value


def text(value: Any, kind: str) -> str:
    """`value` itself; ValueError when it is no text."""
    if not isinstance(value, str):
        raise ValueError(f"{kind} {excerpt(value)} is not text")  # noqa: TRY004  # operators' input, told like the rest
    return value


def number_of(text: str, kind: str, lowest: int, highest: int) -> int:
    """A whole number that is written as text, in its bounds; ValueError names the kind of thing that it should be."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{kind} {excerpt(text)} is not a whole number")
    return number(int(text), kind, lowest, highest)


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
