"""Envoy's ClusterLoadAssignments: alone, in a list, in a discovery response, in clusters of a bootstrap, in a dump.

Names as the bridge itself gives them (`shop/payments:grpc`) become ports of one service again. Fields are known in both
spellings of JSON.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from adapters.static import records
from adapters.static.convert.converted import BACKUP, Converted, converted, ignored, made, scope
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from adapters.static.spelling import snake
from bridge.kit import address, names
from bridge.kit.document import load
from bridge.kit.place import Path, excerpt
from bridge.model import Endpoint, Health, Locality

_HEALTH = {
    "UNKNOWN": None,
    "HEALTHY": Health.HEALTHY,
    "UNHEALTHY": Health.UNHEALTHY,
    "DRAINING": Health.DRAINING,
    "TIMEOUT": Health.UNHEALTHY,
    "DEGRADED": Health.DEGRADED,
}
_LOCALITY = ("region", "zone", "sub_zone")


def convert(text: str, where: str, namespace: str) -> Converted:
    """The endpoints of every assignment; ConfigError when the text has none."""
    document = load(text, where)
    return converted(where, document.place, lambda: _read(document.value, scope(namespace)))


class _Where(NamedTuple):
    """What a locality's entry says of its endpoints."""

    locality: Locality
    priority: int


def _read(value: Any, scope_: Scope) -> Made:
    groups: dict[tuple[str, str], _Service] = {}
    flaws: list[Flaw] = []
    others: set[str] = set()
    found = 0
    for path, said in _assignments(value, ()):
        found += 1
        try:
            name = records.text(said.get("cluster_name"), "cluster_name")
            before, colon, port = name.rpartition(":")
            base, port = (before, port) if colon and (port.isdigit() or _is_port(port)) else (name, "")
            service, spelled = records.foreign_name(base, scope_.namespace)
            port = "" if port.isdigit() else port
        except ValueError as error:
            flaws.append(Flaw(path, "name", str(error), "the assignment is left out"))
            continue
        others |= said.keys() & {"policy", "named_endpoints"}
        key = (str(service), spelled)
        group = groups.setdefault(key, _Service(Group(service, spelled, ())))
        for at, endpoint in _endpoints(said, path, port, others, flaws):
            try:
                group.add(endpoint)
            except ValueError as error:
                flaws.append(Flaw(at, "port", str(error), "the endpoint is left out"))
    if not found:
        raise FlawError((), "has no ClusterLoadAssignment: `cluster_name` and `endpoints`")
    return made([group.group() for group in groups.values()], [*flaws, *ignored(others, "assignments")])


def _is_port(text: str) -> bool:
    try:
        return bool(names.port_name(text))
    except ValueError:
        return False


class _Service:
    """A service whose ports may be spread over assignments."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._endpoints: dict[tuple[str, int], Endpoint] = {}
        self._by_address: dict[str, tuple[str, int]] = {}

    def add(self, endpoint: Endpoint) -> None:
        """One more, or one more port of one that is there; ValueError when neither."""
        port = endpoint.ports[0]
        key = self._by_address.get(endpoint.address)
        before = self._endpoints.get(key) if key is not None else None
        if key is None or before is None or not port.name:
            if (endpoint.address, port.number) in self._endpoints:
                raise ValueError(f"{endpoint.id} stands twice")
            self._endpoints[endpoint.address, port.number] = endpoint
            self._by_address.setdefault(endpoint.address, (endpoint.address, port.number))
            return
        if any(one.name == port.name for one in before.ports):
            raise ValueError(f"{endpoint.address} has two ports named {excerpt(port.name)}")
        self._endpoints[key] = replace(before, ports=records.interned((*before.ports, port)))

    def group(self) -> Group:
        return self._group._replace(endpoints=tuple(self._endpoints.values()))


def _assignments(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every assignment in the places where Envoy has them."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _assignments(one, (*path, index))
        return
    if not isinstance(value, dict):
        return
    try:
        said = snake(value)
    except ValueError as error:
        raise FlawError(path, str(error)) from None
    if "cluster_name" in said:
        yield path, said
        return
    for key, inner in value.items():
        match next(iter(snake({key: None}))):
            case "load_assignment" if isinstance(inner, dict):
                yield from _assignments(
                    inner if _named(inner) else {"cluster_name": said.get("name"), **inner}, (*path, key)
                )
            case "resources" | "static_resources" | "clusters" | "configs" | "endpoint_config" | "cluster":
                yield from _assignments(inner, (*path, key))
            case "static_endpoint_configs" | "dynamic_endpoint_configs" | "static_clusters" | "dynamic_active_clusters":
                yield from _assignments(inner, (*path, key))


def _named(said: dict[str, Any]) -> bool:
    return "cluster_name" in said or "clusterName" in said


def _endpoints(
    said: dict[str, Any], path: Path, port: str, others: set[str], flaws: list[Flaw]
) -> Iterator[tuple[Path, Endpoint]]:
    groups = said.get("endpoints") or []
    if not isinstance(groups, list):
        raise FlawError((*path, "endpoints"), "must be a list")
    for index, group in enumerate(groups):
        at: Path = (*path, "endpoints", index)
        try:
            known = snake(records.mapping(group))
            place = _locality(known.get("locality"))
            priority = records.number(known.get("priority") or 0, "priority", 0, 128)
            items = records.several(known.get("lb_endpoints"), "lb_endpoints")
        except ValueError as error:
            flaws.append(Flaw(at, "locality", str(error), "its endpoints are left out"))
            continue
        if priority:
            what = f"priority {priority}: an inventory has none"
            flaws.append(Flaw(at, IGNORED, what, "its endpoints are written as degraded", len(items)))
        if known.get("load_balancing_weight") is not None:
            others.add("load_balancing_weight of localities")
        for number, item in enumerate(items):
            here = (*at, "lb_endpoints" if "lb_endpoints" in group else "lbEndpoints", number)
            try:
                yield here, _endpoint(item, _Where(place, priority), port, others)
            except ValueError as error:
                flaws.append(Flaw(here, "endpoint", str(error), "the endpoint is left out"))


def _endpoint(item: Any, where: _Where, port: str, others: set[str]) -> Endpoint:
    said = snake(records.mapping(item))
    others |= said.keys() & {"metadata", "endpoint_name"}
    inner = snake(records.mapping(said.get("endpoint")))
    others |= inner.keys() & {"health_check_config", "hostname", "additional_addresses"}
    socket = snake(records.mapping(inner.get("address"))).get("socket_address")
    if socket is None:
        raise ValueError("has no `socket_address`: nothing else is an address of the network")
    told = snake(records.mapping(socket))
    if told.get("protocol") not in (None, "TCP"):
        raise ValueError(f"protocol {excerpt(told['protocol'])} is not TCP")
    host = address.host(records.text(told.get("address"), "address"))
    number = records.number(told.get("port_value"), "port", 1, 65535)
    status = said.get("health_status", "UNKNOWN")
    if not isinstance(status, str) or status not in _HEALTH:
        raise ValueError(f"health_status {excerpt(status)} is none of {', '.join(_HEALTH)}")
    health = _HEALTH[status]
    if where.priority:
        health = max(health or Health.HEALTHY, BACKUP)
    weight = said.get("load_balancing_weight")
    weight = 1 if weight is None else records.number(weight, "load_balancing_weight", 1, records.MAX_WEIGHT)
    return Endpoint(host, records.one_port(port, number), health, where.locality, "", weight)


def _locality(value: Any) -> Locality:
    said = snake(records.mapping(value or {}))
    return records.locality(*(records.word(said[key], key) if said.get(key) else "" for key in _LOCALITY))
