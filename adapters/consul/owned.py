"""What of ours stands on our nodes, as its writer sees it: records, what they say, and names that others took.

Pure. What was written before by an owner of ours stands on that one's node, and is moved when it is written anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from adapters.consul.fit import content, of_key
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


class Revision(NamedTuple):
    """Which instance a record is, and in which state it and its check are; `check` is 0 without one."""

    node: str
    service: int
    check: int


@dataclass(frozen=True, slots=True)
class Stands:
    """A node as it stands there; `index` is its own, 0 where it is not there, `marked` whether it has our mark.

    `foreign` says who has the name, "" where it is ours or free.
    """

    index: int
    marked: bool
    foreign: str


class Owned(NamedTuple):
    """What was found on one node: records by service, what they say, the keys that others have, and what each service
    is called."""

    records: Mapping[ServiceName, Mapping[RecordKey, Record]]
    endpoints: Mapping[ServiceName, Mapping[EndpointId, Endpoint]]
    taken: Mapping[ServiceName, Mapping[RecordKey, str]]
    called: Mapping[ServiceName, str]


class Parsed(NamedTuple):
    """An instance and its check as they stood there, and what they were understood as."""

    service: Mapping[str, Any]
    check: Mapping[str, Any] | None
    record: Record
    endpoint: Endpoint | None


Known = dict[str, Parsed]
"""Of one node, by id."""


def stands(said: Any, checks: Any, mark: Mark) -> Stands:
    """Whose a node is, by its mark, or where that is lost by those of its instances."""
    node = said.get("Node") if isinstance(said, dict) else None
    if not isinstance(node, dict):
        return Stands(0, False, "")
    index = node.get("ModifyIndex")
    index = index if isinstance(index, int) else 0
    meta = node.get("Meta")
    owner = meta.get(OWNER) if isinstance(meta, dict) else None
    ours = (mark.owner, *mark.former)
    if owner is not None and owner not in ours:
        return Stands(index, False, f"the owner {owner}")
    if node.get("ID") or any(one.get("CheckID") == "serfHealth" for one in _maps(checks)):
        return Stands(index, False, "an agent of Consul")
    if owner is None and not any(mark.owns(stamp_of(_meta(one))) for one in _services(said).values()):
        return Stands(index, False, "somebody without a mark")
    return Stands(index, owner == mark.owner, "")


def owned(name: str, said: Any, checks: Any, mark: Mark, known: Known) -> Owned:
    """What stands on the node of that name; `known` saves the work for what is as it was, and changes no answer."""
    by_check = {str(one.get("CheckID")): one for one in _maps(checks)}
    records: dict[ServiceName, dict[RecordKey, Record]] = {}
    endpoints: dict[ServiceName, dict[EndpointId, Endpoint]] = {}
    taken: dict[ServiceName, dict[RecordKey, str]] = {}
    called: dict[ServiceName, str] = {}
    before, after = dict(known), dict[str, Parsed]()
    for its, service in sorted(_services(said).items()):
        of = of_key(its)
        if of is None:
            continue
        key, meta = RecordKey(its), _meta(service)
        stamp = stamp_of(meta)
        if not mark.owns(stamp):
            taken.setdefault(of, {})[key] = "somebody without a mark" if stamp is None else f"the owner {stamp.owner}"
            continue
        check = by_check.get(f"{CHECK}{its}")
        last = before.get(its)
        if last is None or last.service != service or last.check != check:
            record = Record(key, of, _content(service, check), _revision(name, service, check))
            last = Parsed(service, check, record, _endpoint(service, check))
        after[its] = last
        records.setdefault(of, {})[key] = last.record
        called.setdefault(of, str(service.get("Service")))
        if last.endpoint is not None:
            endpoints.setdefault(of, {}).setdefault(last.endpoint.id, last.endpoint)
    known.clear()
    known.update(after)
    return Owned(records, endpoints, taken, called)


def holdings(found: Iterable[Owned]) -> dict[ServiceName, Holding]:
    """All nodes together, ours first: what an owner of before wrote counts where we have nothing of that key."""
    nodes = tuple(found)
    called = {service: spelled for one in reversed(nodes) for service, spelled in one.called.items()}
    holders: dict[str, ServiceName] = {}
    for service, spelled in called.items():
        holders[spelled] = min(service, holders.get(spelled, service))
    first = {service for one in nodes for service in (*one.records, *one.taken)}
    made = {}
    for service in first:
        records: dict[RecordKey, Record] = {}
        endpoints: dict[EndpointId, Endpoint] = {}
        taken: dict[RecordKey, str] = {}
        for one in reversed(nodes):
            records |= one.records.get(service, {})
            endpoints |= one.endpoints.get(service, {})
            taken = {**one.taken.get(service, {})}  # only what stands on our own node is in our way
        holder = holders[called[service]] if service in called else service
        made[service] = Holding(
            tuple(records[key] for key in sorted(records)),
            tuple(endpoints[its] for its in sorted(endpoints)),
            tuple(sorted((key, who) for key, who in taken.items() if key not in records)),
            None if holder == service else holder,
        )
    return made


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


def _revision(node: str, service: Mapping[str, Any], check: Mapping[str, Any] | None) -> Revision:
    indices = (one.get("ModifyIndex") if one is not None else 0 for one in (service, check))
    return Revision(node, *(index if isinstance(index, int) else 0 for index in indices))


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
