"""The native inventory: services, their defaults, and their endpoints.

A key that is not known, or a list where a mapping should be, says that the file is not what it was meant to be: the
file fails. A value that will not do costs its endpoint, or, in a service's own fields, its service.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from adapters.static import records
from adapters.static.records import Flaw, FlawError, Scope
from bridge.kit import address, mark, names
from bridge.kit.place import Path, excerpt
from bridge.kit.settings import nearest
from bridge.model import Endpoint, Health, Locality, Metadata, Port, Service

DOCUMENT = ("services", "count", "mark")
SERVICE = ("name", "port", "ports", "locality", "network", "metadata", "endpoints")
ENDPOINT = ("address", "port", "ports", "health", "zone", "locality", "network", "weight", "via", "metadata")
LOCALITY = ("region", "zone", "sub_zone")

_ENDPOINT = frozenset(ENDPOINT)
_LOCALITY = frozenset(LOCALITY)

Ports = tuple[Port, ...]


class Made(NamedTuple):
    """What became of one service's block: `bad` of its `instances` are refused, and `flaws` say why."""

    service: Service | None
    flaws: tuple[Flaw, ...]
    instances: int
    bad: int


class _Defaults(NamedTuple):
    ports: Ports
    locality: Locality
    network: str


def read(value: Any, scope: Scope) -> Made:
    """One service as it stands under `services:`; FlawError when the file cannot be trusted."""
    if not isinstance(value, dict):
        raise FlawError((), "must be a mapping of keys, with `name` and `endpoints`")
    _known(value, SERVICE, ())
    items = value.get("endpoints")
    if not isinstance(items, list):
        raise FlawError(("endpoints",), "must be a list; write [] for none")
    if "name" not in value:
        raise FlawError(("name",), "is required; add it")
    for key in ("ports", "locality", "metadata"):
        if not isinstance(value.get(key, {}), dict):
            raise FlawError((key,), "must be a mapping")
    _known(value.get("locality", {}), LOCALITY, ("locality",))
    at = "name"
    try:
        name = names.service_name(records.word(value["name"], "name"), scope.namespace)
        at = "ports" if "ports" in value else "port"
        ports = _ports(value, ())
        at = "locality"
        place = _locality(value, scope.locality)
        at = "network"
        network = records.word(value["network"], "network") if "network" in value else scope.network
        at = "metadata"
        metadata = records.metadata(value["metadata"]) if "metadata" in value else ()
    except ValueError as error:
        for index, item in enumerate(items):
            _structure(item, index)
        lost = max(len(items), 1)
        return Made(None, (Flaw((at,), at, str(error), "the service is left out", lost),), lost, lost)
    defaults = _Defaults(ports, place, network)
    flaws: list[Flaw] = []
    endpoints: list[Endpoint] = []
    for index, item in enumerate(items):
        try:
            endpoints.append(_endpoint(item, defaults))
        except _BadError as error:
            _structure(item, index)
            path = ("endpoints", index, error.key) if error.key else ("endpoints", index)
            flaws.append(Flaw(path, error.key or "address", str(error), "the endpoint is left out"))
    bad = len(flaws)
    try:
        service = Service.of(name, endpoints, metadata)
    except ValueError:
        united = records.unite(endpoints)
        service = Service.of(name, united.endpoints, metadata)
        flaws += [
            Flaw(("endpoints",), "duplicate", f"{name}: endpoint {double} stands twice", "the first counts")
            for double in united.doubles
        ]
    return Made(service, tuple(flaws), len(items), bad)


class _BadError(ValueError):
    """An endpoint that will not do; `key` is its key at fault."""

    def __init__(self, key: str, error: object) -> None:
        super().__init__(str(error))
        self.key = key


def _endpoint(item: Any, defaults: _Defaults) -> Endpoint:
    if isinstance(item, str):
        return _short(item, defaults)
    if not isinstance(item, dict):
        raise _BadError("", f"{excerpt(item)} is neither an address nor a mapping with one")
    if not item.keys() <= _ENDPOINT:
        raise _BadError("", "has an unknown key")
    key = "address"
    health: Health | None = None
    weight = 1
    via = ""
    metadata: Metadata = ()
    place, network, ports = defaults.locality, defaults.network, defaults.ports
    try:
        said = item.get("address")
        if type(said) is not str:
            raise ValueError("an address is required" if said is None else f"{excerpt(said)} is not an address")
        where = address.host(said)
        for key, value in item.items():
            match key:
                case "address":
                    pass
                case "weight":
                    weight = records.number(value, "weight", 1, records.MAX_WEIGHT)
                case "zone":
                    place = records.locality(place.region, records.word(value, "zone"), place.sub_zone)
                case "health":
                    if not isinstance(value, str) or value not in records.HEALTH:
                        raise ValueError(f"{excerpt(value)} is none of {', '.join(records.HEALTH)}")
                    health = records.HEALTH[value]
                case "metadata":
                    metadata = records.metadata(_mapping(value))
                case "network":
                    network = records.word(value, "network")
                case "via":
                    via = _path(value)
                case "locality":
                    if "zone" in item:
                        raise ValueError("`zone` stands beside it; write the zone into the locality")
                    place = _locality(item, defaults.locality)
                case _:
                    ports = _ports(item, defaults.ports)
    except ValueError as error:
        raise _BadError(key, error) from None
    if not ports:
        raise _BadError("", "has no port; write `ports: {http: 8080}` at the service or here")
    return Endpoint(where, ports, health, place, network, weight, via, metadata=metadata)


def _short(text: str, defaults: _Defaults) -> Endpoint:
    """`10.20.0.1`, or with its own primary port `10.20.0.1:8081`."""
    ports = defaults.ports
    try:
        if text.count(":") == 1 or text.startswith("["):
            where, port = address.host_port(text)
            ports = _with_primary(ports, port)
        else:
            where = address.host(text)
    except ValueError as error:
        raise _BadError("", error) from None
    if not ports:
        raise _BadError("", "has no port; write `ports: {http: 8080}` at the service")
    return Endpoint(where, ports, None, defaults.locality, defaults.network)


def _ports(value: Mapping[str, Any], defaults: Ports) -> Ports:
    """Ports in the order written, the first one primary; over `defaults`, name by name, where null takes one away."""
    if "ports" not in value:
        if "port" not in value:
            return defaults
        return _with_primary(defaults, records.number(value["port"], "port", 1, 65535))
    if "port" in value:
        raise ValueError("`port` and `ports` stand beside each other; write one of them")
    said = _mapping(value["ports"])
    numbers = {port.name: port.number for port in defaults}
    for name, port in said.items():
        if port is None and name in numbers:
            del numbers[name]
        else:
            numbers[names.port_name(name) if name else ""] = records.number(port, f"port {name}:", 1, 65535)
    return records.interned(tuple(Port(name, port) for name, port in numbers.items()))


def _with_primary(ports: Ports, port: int) -> Ports:
    if not ports:
        return records.one_port("", port)
    return records.interned((ports[0]._replace(number=port), *ports[1:]))


def _locality(value: Mapping[str, Any], defaults: Locality) -> Locality:
    if "locality" not in value:
        return defaults
    said = _mapping(value["locality"])
    if not said.keys() <= _LOCALITY:
        raise ValueError("has an unknown key")
    return records.locality(
        *(
            records.word(said[key], key) if key in said else default
            for key, default in zip(LOCALITY, defaults, strict=True)
        )
    )


def _path(value: Any) -> str:
    """The owners of the bridges that an endpoint came through, with a blank between two."""
    if not isinstance(value, str):
        raise ValueError(f"{excerpt(value)} names no bridges")  # noqa: TRY004  # operators' input, told like the rest
    return " ".join(mark.owner_name(owner) for owner in value.split(" "))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{excerpt(value)} is not a mapping")  # noqa: TRY004  # operators' input, told like the rest
    return value


def _structure(item: Any, index: int) -> None:
    """Told of an endpoint that will not do: is it a slip in a value, or in the shape of the file?"""
    if isinstance(item, dict):
        _known(item, ENDPOINT, ("endpoints", index))
        if isinstance(item.get("locality"), dict):
            _known(item["locality"], LOCALITY, ("endpoints", index, "locality"))


def _known(value: Mapping[str, Any], keys: tuple[str, ...], path: Path) -> None:
    for key in value:
        if key not in keys:
            raise FlawError((*path, key), f"unknown key; {nearest(key, keys)}")
