"""What of ours stands on our nodes, as its writer sees it: records, what they say, and names that others took.

Pure. What was written before by an owner of ours stands on that one's nodes, and is moved when it is written anew. What
stands on two nodes, or on one that is not to be, says so in its content: so it is written anew.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from adapters.consul.fit import content, of_key, taken
from adapters.consul.objects import FORMAT, KEY, OWNER, VIA, instance_of, stamp_of
from adapters.consul.selection import Selection
from adapters.consul.translate import BadError, Scope, endpoint
from bridge.adapter import Holding, Record, RecordKey
from bridge.kit.mark import Mark
from bridge.model import NOWHERE, Endpoint, EndpointId, Health, ServiceName

CHECK: Final = "registry-bridge:"
"""What the id of an instance's check begins with; it has no definition, so that no monitor of Consul's runs it."""

_MARK: Final = (OWNER, KEY, FORMAT)

_PLAIN: Final = Scope(
    Selection(("*",), frozenset(), (), True), NOWHERE, "", NOWHERE, "", "", Health.DEGRADED, frozenset()
)


class Place(NamedTuple):
    """Where a record's instance is, and in which state it and its check are; `check` is 0 without one.

    A record's revision is all of its places.
    """

    node: str
    service: int
    check: int


@dataclass(frozen=True, slots=True)
class Stands:
    """A node as it stands there; `index` is its own, 0 where it is not there, `marked` whether it has our mark.

    `foreign` says who has the name, "" where it is ours or free; `ids` are those of everybody's instances on it.
    """

    index: int
    marked: bool
    foreign: str
    ids: frozenset[str] = frozenset()


NOT_THERE: Final = Stands(0, False, "")


class Owned(NamedTuple):
    """What was found on one node, by service: records, what they say, and the keys that others have."""

    records: Mapping[ServiceName, Mapping[RecordKey, Record]]
    endpoints: Mapping[ServiceName, Mapping[EndpointId, Endpoint]]
    taken: Mapping[ServiceName, Mapping[RecordKey, str]]


NOTHING: Final = Owned({}, {}, {})


class Parsed(NamedTuple):
    """What an instance and its check were understood as.

    `of` is None where the id is no key of ours; `holder` says who else has it.
    """

    of: ServiceName | None
    holder: str = ""
    record: Record | None = None
    endpoint: Endpoint | None = None


@dataclass(slots=True)
class Known:
    """One node as it was last told, by id, and what that was understood as."""

    services: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    parsed: Mapping[str, Parsed] = field(default_factory=dict)

    def same(self, its: str, service: Mapping[str, Any], check: Mapping[str, Any] | None) -> Parsed | None:
        """What it was understood as, if it is as it was."""
        for before, now in ((self.services.get(its), service), (self.checks.get(its), check)):
            if before is not now and before != now:
                return None
        return self.parsed.get(its)


def stands(said: Any, checks: Any, mark: Mark) -> Stands:
    """Whose a node is, by its mark, or where that is lost by those of its instances."""
    node = said.get("Node") if isinstance(said, dict) else None
    if not isinstance(node, dict):
        return NOT_THERE
    index = node.get("ModifyIndex")
    index = index if isinstance(index, int) else 0
    meta = node.get("Meta")
    owner = meta.get(OWNER) if isinstance(meta, dict) else None
    services = _services(said)
    foreign = ""
    if owner is not None and owner not in (mark.owner, *mark.former):
        foreign = f"the owner {owner}"
    elif node.get("ID") or any(one.get("CheckID") == "serfHealth" for one in _maps(checks)):
        foreign = "an agent of Consul"
    elif owner is None and not any(mark.owns(stamp_of(_meta(one))) for one in services.values()):
        foreign = "somebody without a mark"
    return Stands(index, owner == mark.owner and not foreign, foreign, frozenset(services))


def owned(name: str, said: Any, checks: Any, mark: Mark, known: Known) -> Owned:
    """What stands on the node of that name; `known` saves the work for what is as it was, and changes no answer."""
    services = _services(said)
    by_id = {
        its.removeprefix(CHECK): one for one in _maps(checks) if (its := str(one.get("CheckID"))).startswith(CHECK)
    }
    records: dict[ServiceName, dict[RecordKey, Record]] = {}
    endpoints: dict[ServiceName, dict[EndpointId, Endpoint]] = {}
    foreign: dict[ServiceName, dict[RecordKey, str]] = {}
    parsed: dict[str, Parsed] = {}
    for its, service in sorted(services.items()):
        check = by_id.get(its)
        one = parsed[its] = known.same(its, service, check) or _parsed(name, its, service, check, mark)
        if one.of is None:
            continue
        if one.record is None:
            foreign.setdefault(one.of, {})[RecordKey(its)] = one.holder
            continue
        records.setdefault(one.of, {})[one.record.key] = one.record
        if one.endpoint is not None:
            endpoints.setdefault(one.of, {}).setdefault(one.endpoint.id, one.endpoint)
    known.services, known.checks, known.parsed = services, by_id, parsed
    return Owned(records, endpoints, foreign)


def differing(old: Owned, new: Owned) -> set[ServiceName]:
    """The services of which the two do not say the same."""
    found: set[ServiceName] = set()
    for before, after in zip(old, new, strict=True):
        found |= {service for service in before.keys() | after.keys() if before.get(service) != after.get(service)}
    return found


def holding(
    homes: Sequence[Owned], beyond: Sequence[Owned], former: Sequence[Owned], service: ServiceName
) -> Holding | None:
    """All nodes together, those that we write first, then those of ours `beyond` them, then those of owners of before:
    of what has several places the first one counts. None where there is nothing."""
    found: dict[RecordKey, list[Record]] = {}
    endpoints: dict[EndpointId, Endpoint] = {}
    for one in (*homes, *beyond, *former):
        for key, record in one.records.get(service, {}).items():
            found.setdefault(key, []).append(record)
        endpoints = {**one.endpoints.get(service, {}), **endpoints}
    foreign = {key: who for one in homes for key, who in one.taken.get(service, {}).items() if key not in found}
    if not found and not foreign:
        return None
    astray = {key for one in beyond for key in one.records.get(service, {})}
    return Holding(
        tuple(_joined(found[key], key in astray) for key in sorted(found)),
        tuple(endpoints[its] for its in sorted(endpoints)),
        tuple(sorted(foreign.items())),
    )


def places(record: Record) -> tuple[Place, ...]:
    """Where a record was seen; none where it never was."""
    said = record.revision
    return said if isinstance(said, tuple) and all(isinstance(one, Place) for one in said) else ()


def _joined(them: Sequence[Record], astray: bool) -> Record:
    """One record in all its places; its content is another than any that is wanted where it is not to stay so."""
    first = them[0]
    if len(them) == 1 and not astray:
        return first
    where = tuple(place for one in them for place in places(one))
    said = json.loads(first.content)
    return replace(
        first, content=content(said["Service"], said["Status"], [place.node for place in where]), revision=where
    )


def _parsed(node: str, its: str, service: Mapping[str, Any], check: Mapping[str, Any] | None, mark: Mark) -> Parsed:
    of = of_key(its)
    if of is None:
        return Parsed(None)
    stamp = stamp_of(_meta(service))
    if not mark.owns(stamp):
        return Parsed(of, "somebody without a mark" if stamp is None else f"the owner {stamp.owner}")
    names = taken(str(service.get("Service")))
    record = Record(RecordKey(its), of, _content(service, check), (_place(node, service, check),), names)
    return Parsed(of, "", record, _endpoint(service, check))


def _content(service: Mapping[str, Any], check: Mapping[str, Any] | None) -> bytes:
    """Canonical, as `fit` makes it, of whatever stands there."""
    weights = service.get("Weights")
    weights = weights if isinstance(weights, dict) else {}
    tags = service.get("Tags")
    projected = {
        "Service": service.get("Service"),
        "Address": service.get("Address"),
        "Port": service.get("Port") or 0,
        "Tags": sorted(map(str, tags)) if isinstance(tags, list) else [],
        "Meta": {key: value for key, value in _meta(service).items() if key not in _MARK},
        "Weights": {key: weights.get(key, 1) for key in ("Passing", "Warning")},
    }
    return content(projected, None if check is None else str(check.get("Status")))


def _place(node: str, service: Mapping[str, Any], check: Mapping[str, Any] | None) -> Place:
    indices = (one.get("ModifyIndex") if one is not None else 0 for one in (service, check))
    return Place(node, *(index if isinstance(index, int) else 0 for index in indices))


def _endpoint(service: Mapping[str, Any], check: Mapping[str, Any] | None) -> Endpoint | None:
    """What an instance says, None where a hand left nothing that can be understood."""
    try:
        one = instance_of({"Service": service, "Checks": [check] if check is not None else []})
        made = endpoint(one, _PLAIN)
    except (ValueError, BadError):
        return None
    return replace(made, via=_meta(service).get(VIA, ""))


def _services(said: Any) -> Mapping[str, Mapping[str, Any]]:
    found = said.get("Services") if isinstance(said, dict) else None
    return {its: one for its, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}


def _meta(service: Mapping[str, Any]) -> dict[str, str]:
    meta = service.get("Meta")
    return {str(key): str(value) for key, value in meta.items()} if isinstance(meta, dict) else {}


def _maps(said: Any) -> Iterable[Mapping[str, Any]]:
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
