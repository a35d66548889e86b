"""EndpointSlices of Kubernetes that stand in a file, one document or item each."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from adapters.static import records
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from bridge.kit import address, names
from bridge.kit.place import Path, excerpt
from bridge.model import Endpoint, Health, Port, ServiceName

API = "discovery.k8s.io/v1"
LABEL = "kubernetes.io/service-name"

_TYPES = ("IPv4", "IPv6", "FQDN")


def is_slice(value: Any) -> bool:
    """Whether a document is an EndpointSlice, or a list that has one."""
    if not isinstance(value, dict):
        return False
    if value.get("kind") in ("List", "EndpointSliceList"):
        items = value.get("items")
        return isinstance(items, list) and (value["kind"] != "List" or any(map(is_slice, items)))
    return value.get("kind") == "EndpointSlice" and str(value.get("apiVersion")).startswith("discovery.k8s.io/")


def read(documents: list[Any], scope: Scope) -> Made:
    """Every slice in the documents, whose other objects are named; FlawError when the file cannot be trusted."""
    groups: list[Group] = []
    flaws: list[Flaw] = []
    others: Counter[str] = Counter()
    instances = bad = found = 0
    for path, said in _objects(documents):
        if said.get("kind") != "EndpointSlice" or said.get("apiVersion") != API:
            others[f"{said.get('apiVersion')} {said.get('kind')}"[:100]] += 1
            continue
        found += 1
        slice_ = _Slice(said, path, scope)
        group = slice_.read()
        if group is not None:
            groups.append(group)
        flaws += slice_.flaws
        instances += slice_.instances
        bad += slice_.bad
    if not found and others:
        raise FlawError((), f"has no EndpointSlice of {API}, but {', '.join(map(excerpt, sorted(others)[:5]))}")
    for kind, count in sorted(others.items()):
        flaws.append(Flaw((), IGNORED, f"{excerpt(kind)} is no EndpointSlice of {API}", "it is not read", count))
    return Made(tuple(groups), tuple(flaws), instances, bad)


def _objects(documents: list[Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for number, document in enumerate(documents):
        if document is None:
            continue  # between two lines of `---`
        if not isinstance(document, dict):
            raise FlawError((number,), f"{excerpt(document)} is not an object of Kubernetes")
        if "items" in document and document.get("kind") in ("List", "EndpointSliceList"):
            items = document["items"]
            if not isinstance(items, list):
                raise FlawError((number, "items"), "must be a list; write [] for none")
            for index, item in enumerate(items):
                if not isinstance(item, dict):
                    raise FlawError((number, "items", index), f"{excerpt(item)} is not an object of Kubernetes")
                yield (number, "items", index), item
        else:
            yield (number,), document


class _Slice:
    """One slice; `flaws` and their numbers gather while it is read."""

    def __init__(self, said: dict[str, Any], path: Path, scope: Scope) -> None:
        self.flaws: list[Flaw] = []
        self.bad = 0
        self._said = said
        self._path = path
        self._scope = scope
        items = said.get("endpoints")
        if items is None:
            items = []  # so Kubernetes writes an empty list
        if not isinstance(items, list):
            raise FlawError((*path, "endpoints"), "must be a list; write [] for none")
        self._items = items
        self.instances = len(items)

    def read(self) -> Group | None:
        key: tuple[str, ...] = ("metadata",)
        try:
            metadata = records.mapping(self._said.get("metadata"))
            key = ("metadata", "labels", LABEL)
            name = records.mapping(metadata.get("labels") or {}).get(LABEL)
            if not isinstance(name, str):
                raise ValueError("is to name the service, and does not")  # noqa: TRY004  # told like the rest
            namespace = metadata.get("namespace", self._scope.namespace)
            if not isinstance(namespace, str):
                raise ValueError(f"namespace {excerpt(namespace)} is not text")  # noqa: TRY004  # told like the rest
            if not namespace:
                raise ValueError("metadata.namespace is not there; write it, or `namespace:` in the registry")
            service = ServiceName(names.label(namespace), names.label(name))
            key = ("addressType",)
            kind = self._said.get("addressType")
            if kind not in _TYPES:
                raise ValueError(f"{excerpt(kind)} is none of {', '.join(_TYPES)}")
            key = ("ports",)
            ports = self._ports()
        except ValueError as error:
            self.bad = self.instances
            lost = max(self.instances, 1)
            self.flaws.append(Flaw((*self._path, *key), key[-1], str(error), "the slice is left out", lost))
            return None
        endpoints = []
        for index, item in enumerate(self._items):
            try:
                endpoints.append(self._endpoint(item, kind, ports))
            except ValueError as error:
                path = (*self._path, "endpoints", index)
                self.flaws.append(Flaw(path, "address", str(error), "the endpoint is left out"))
                self.bad += 1
        return Group(service, str(service), tuple(endpoints))

    def _ports(self) -> tuple[Port, ...]:
        said = self._said.get("ports")
        if not isinstance(said, list) or not said:
            if self._items:
                raise ValueError("there are none, which means any port; write them")
            return ()
        ports: dict[str, Port] = {}
        for index, one in enumerate(said):
            port = records.mapping(one)
            protocol = port.get("protocol") or "TCP"
            if protocol != "TCP":
                path = (*self._path, "ports", index)
                self.flaws.append(Flaw(path, IGNORED, f"protocol {excerpt(protocol)}", "only TCP ports are read"))
                continue
            name = port.get("name") or ""
            if name != "":
                names.port_name(records.text(name, "port name"))
            if port.get("port") is None:
                raise ValueError("a port without a number means any; write it")
            number = records.number(port["port"], "port", 1, 65535)
            if name in ports:
                raise ValueError(f"two ports are named {excerpt(name)}")
            ports[name] = Port(name, number, "TCP", records.text(port.get("appProtocol") or "", "appProtocol"))
        if not ports and self._items:
            raise ValueError("none of them is TCP")
        return records.interned(tuple(ports.values()))

    def _endpoint(self, said: Any, kind: str, ports: tuple[Port, ...]) -> Endpoint:
        addresses = records.mapping(said).get("addresses")
        if not isinstance(addresses, list) or not addresses:
            raise ValueError("addresses: must be a list of at least one")
        text = records.text(addresses[0], "address")
        where = address.host(text) if kind == "FQDN" else address.parse(text)
        if kind != "FQDN" and (":" in where) != (kind == "IPv6"):
            raise ValueError(f"{excerpt(text)} is not of addressType {kind}")
        place = self._scope.locality
        if said.get("zone"):
            place = records.locality(place.region, records.word(said["zone"], "zone"), place.sub_zone)
        return Endpoint(where, ports, _health(said.get("conditions")), place, self._scope.network)


def _health(conditions: Any) -> Health | None:
    """What the conditions say; without any, the endpoint is there and has no opinion."""
    said = records.mapping(conditions or {})
    ready, serving, terminating = (_truth(said, key) for key in ("ready", "serving", "terminating"))
    if serving is None:
        serving = ready
    if terminating:
        return Health.DRAINING if serving else Health.UNHEALTHY
    if ready is None and serving is None:
        return None
    return Health.UNHEALTHY if ready is False or serving is False else Health.HEALTHY


def _truth(said: dict[str, Any], key: str) -> bool | None:
    value = said.get(key)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"conditions.{key} {excerpt(value)} is neither true nor false")
    return value
