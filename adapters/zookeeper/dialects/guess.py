"""Which dialect a few children of a service look like, for whoever writes a configuration."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from adapters.zookeeper.dialects import nerve, party, payloads, plain, serverset, solr, vectors, words
from adapters.zookeeper.dialects.curator import CLASS
from adapters.zookeeper.dialects.dialect import Child
from adapters.zookeeper.dialects.known import Name

DUBBO_BRANCHES: Final = frozenset({"providers", "consumers", "configurators", "routers"})
_BARE: Final[Name] = "curator"


class Guess(NamedTuple):
    """A dialect, and how many of the children look like it."""

    dialect: Name
    children: int


def guess(children: Iterable[Child]) -> tuple[Guess, ...]:
    """What they look like, most of them first; none when nothing is known about any.

    Instances without a payload are Curator's or Spring Cloud's, and go with those that have one.
    """
    found: Counter[Name] = Counter()
    for child in children:
        name = _looks_like(child)
        if name is not None:
            found[name] += 1
    if found["spring"] and found[_BARE]:
        found["spring"] += found.pop(_BARE)
    ranked = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Guess(name, number) for name, number in ranked if number)


def _looks_like(child: Child) -> Name | None:
    for looks, name in _BY_NAME:
        if looks(child.name):
            return name
    try:
        return _by_data(child.name, words.json_object(child.data))
    except ValueError:
        return "plain" if _is_address(child.name) or _is_address(child.data.decode("utf-8", "replace")) else None


def _by_data(name: str, said: dict[str, Any]) -> Name | None:
    if "address" in said and said.keys() & {"serviceType", "sslPort", "payload", "uriSpec", "registrationTimeUTC"}:
        payload = said.get("payload")
        kind = payload.get(CLASS) if isinstance(payload, dict) else None
        return "spring" if kind == payloads.SPRING else "dubbo-app" if kind == payloads.DUBBO else _BARE
    if name.isdigit() and said.keys() & {"endpoints", "jmx_port"}:
        return "kafka"
    if _is_address(name):
        return "plain"
    return "nerve" if {"host", "port"} <= said.keys() else None


def _is_address(text: str) -> bool:
    try:
        plain.host_port(text)
    except ValueError:
        return False
    return True


_BY_NAME: Final[tuple[tuple[Callable[[str], object], Name], ...]] = (
    (DUBBO_BRANCHES.__contains__, "dubbo"),
    (lambda name: name.startswith((serverset.PREFIX, vectors.PREFIX)), "serverset"),
    (party.is_party, "party"),
    (party.is_shallow, "kingpin"),
    (nerve.is_encoded, "nerve"),
    (solr.is_live_node, "solr"),
)
