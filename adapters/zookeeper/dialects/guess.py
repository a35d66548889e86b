"""Which dialect a few children of a service look like, for whoever writes a configuration."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple

from adapters.zookeeper.dialects import nerve, party, payloads, plain, serverset, solr, vectors, words
from adapters.zookeeper.dialects.curator import CLASS
from adapters.zookeeper.dialects.dialect import Child
from adapters.zookeeper.dialects.known import Name

DUBBO_BRANCHES: Final = frozenset({"providers", "consumers", "configurators", "routers"})
_BESIDE: Final = frozenset({"spring", "dubbo-app"})  # they keep to one root, and pass over each other's instances
_BARE: Final = "bare"
_Looks = Name | Literal["bare"]
"""`bare` is an instance without a payload, Curator's or Spring Cloud's."""


class Guess(NamedTuple):
    """A dialect, and how many of the children look like it."""

    dialect: Name
    children: int


def guess(children: Iterable[Child], said: str = "curator") -> tuple[Guess, ...]:
    """What they look like, most of them first; none when nothing is known about any.

    `said` is what a configuration says. Instances without a payload go with those that have one, and where there are
    none with what is said.
    """
    found: Counter[Name] = Counter()
    bare = 0
    for child in children:
        match _looks_like(child):
            case None:
                continue
            case "bare":
                bare += 1
            case name:
                found[name] += 1
    if bare:
        of_spring = found["spring"] or (said == "spring" and not found["curator"])
        found["spring" if of_spring else "curator"] += bare
    ranked = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Guess(name, number) for name, number in ranked if number)


def suits(said: str, guesses: Iterable[Guess]) -> bool:
    """Whether most look like the dialect that is said, of those that its readers do not pass over."""
    heeded = [one.dialect for one in guesses if {one.dialect, said} != _BESIDE]
    return heeded[:1] == [said]


def _looks_like(child: Child) -> _Looks | None:
    for looks, name in _BY_NAME:
        if looks(child.name):
            return name
    try:
        return _by_data(child.name, words.json_object(child.data))
    except ValueError:
        return "plain" if _is_address(child.name) or _is_address(child.data.decode("utf-8", "replace")) else None


def _by_data(name: str, said: dict[str, Any]) -> _Looks | None:
    if "address" in said and said.keys() & {"serviceType", "sslPort", "payload", "uriSpec", "registrationTimeUTC"}:
        payload = said.get("payload")
        if payload is None:
            return _BARE
        kind = payload.get(CLASS) if isinstance(payload, dict) else None
        return "spring" if kind == payloads.SPRING else "dubbo-app" if kind == payloads.DUBBO else "curator"
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
