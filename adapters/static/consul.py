"""Service definitions as a Consul agent reads them from files of JSON: `service`, or a list of `services`.

Keys are known in both spellings (`tagged_addresses`, `TaggedAddresses`). Only what says where an instance is gets read;
of the rest what somebody may expect to be heeded is named, once a file.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from adapters.static import records
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from adapters.static.spelling import snake, snake_key
from bridge.kit import address, tags
from bridge.kit.place import Path, excerpt
from bridge.model import Endpoint, Locality

_IGNORED = {
    "tagged_addresses": "only `address` is read",
    "check": "what is checked says `health:` of the registry",
    "checks": "what is checked says `health:` of the registry",
    "namespace": "namespaces come from the registry's configuration",
    "partition": "namespaces come from the registry's configuration",
}


def is_definition(value: Any) -> bool:
    """Whether a document can be nothing else: a native service has no `address`, and always `endpoints`."""
    if not isinstance(value, dict):
        return False
    one, many = (value.get(key, value.get(key.capitalize())) for key in ("service", "services"))
    if isinstance(one, dict):
        return "endpoints" not in one
    return (
        isinstance(many, list)
        and bool(many)
        and all(
            isinstance(said, dict) and "endpoints" not in said and ("address" in said or "Address" in said)
            for said in many
        )
    )


def read(value: Any, scope: Scope) -> Made:
    """Every definition in the file; FlawError when it is none of such."""
    groups: list[Group] = []
    flaws: list[Flaw] = []
    ignored: Counter[str] = Counter()
    instances = 0
    for path, said in _definitions(value):
        if not isinstance(said, dict):
            raise FlawError(path, "must be a mapping with `name`, `address` and `port`")
        known = _snake(said, path)
        kind = known.get("kind")
        if isinstance(kind, str) and kind not in ("", "typical"):
            ignored["kind"] += 1
            continue
        instances += 1
        for key in _IGNORED:
            if known.get(key):
                ignored[key] += 1
        try:
            groups.append(_group(known, scope))
        except _BadError as error:
            flaws.append(Flaw((*path, error.key), error.key, str(error), "the instance is left out"))
    bad = len(flaws)
    for key, count in sorted(ignored.items()):
        why = _IGNORED.get(key, "proxies and gateways are not services: left out")
        flaws.append(Flaw((), IGNORED, f"`{key}` is not read", why, count))
    return Made(tuple(groups), tuple(flaws), instances, bad)


class _BadError(ValueError):
    def __init__(self, key: str, error: object) -> None:
        super().__init__(str(error))
        self.key = key


def _definitions(value: Any) -> Iterator[tuple[Path, Any]]:
    if not isinstance(value, dict):
        raise FlawError((), "must be a mapping with `service` or `services`")
    found = False
    for key, said in value.items():
        match snake_key(key):
            case "service":
                found = True
                yield (key,), said
            case "services":
                found = True
                if not isinstance(said, list):
                    raise FlawError((key,), "must be a list; write [] for none")
                for index, one in enumerate(said):
                    yield (key, index), one
    if not found:
        raise FlawError((), "has neither `service` nor `services`")


def _snake(said: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        return snake(said)
    except ValueError as error:
        raise FlawError(path, str(error)) from None


def _group(said: dict[str, Any], scope: Scope) -> Group:
    key = "name"
    try:
        name, spelled = records.foreign_name(records.text(said.get("name"), "name"), scope.namespace)
        key = "address"
        if not said.get("address"):
            raise ValueError("is required: a file does not say at which node it is registered")
        where = address.host(records.text(said["address"], "address"))
        key = "port"
        port = records.number(said.get("port"), "port", 1, 65535)
        key = "weights"
        weight = 1
        if (weights := said.get("weights")) is not None:
            passing = snake(records.mapping(weights)).get("passing", 1)
            weight = records.number(passing, "weights.passing", 1, records.MAX_WEIGHT)
        key = "locality"
        place = _locality(said.get("locality"), scope.locality)
        key = "meta"
        pairs = dict(records.metadata(records.mapping(said.get("meta") or {})))
        key = tags.KEY
        listed = said.get("tags") or []
        if not isinstance(listed, list):
            raise ValueError(f"{excerpt(listed)} is not a list")  # noqa: TRY004  # operators' input, told like the rest
        if listed:
            pairs.setdefault(tags.KEY, tags.join(records.text(tag, "tag") for tag in listed))
        metadata = records.metadata(pairs)
    except ValueError as error:
        raise _BadError(key, error) from None
    ports = records.one_port("", port)
    return Group(name, spelled, (Endpoint(where, ports, None, place, scope.network, weight, metadata=metadata),))


def _locality(said: Any, default: Locality) -> Locality:
    if said is None:
        return default
    known = snake(records.mapping(said))
    region, zone = (
        records.word(known[key], key) if known.get(key) else fallback
        for key, fallback in (("region", default.region), ("zone", default.zone))
    )
    return records.locality(region, zone, default.sub_zone)
