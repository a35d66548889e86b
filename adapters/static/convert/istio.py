"""Istio's ServiceEntries, and the WorkloadEntries that they select."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from adapters.static import records
from adapters.static.convert.converted import Converted, converted, ignored, made, scope
from adapters.static.records import IGNORED, Flaw, FlawError, Group, Made, Scope
from bridge.kit import address, names
from bridge.kit.document import load_all
from bridge.kit.place import Path, excerpt
from bridge.model import NOWHERE, Endpoint, Locality, Port, ServiceName

_API = "networking.istio.io/"
_RESOLUTIONS = ("STATIC", "DNS", "DNS_ROUND_ROBIN")
_UNSAID = {"serviceAccount"}


def convert(text: str, where: str, namespace: str) -> Converted:
    """The endpoints of every ServiceEntry; ConfigError when the text has none."""
    documents = load_all(text, where)
    return converted(where, documents.place, lambda: _read(documents.value, scope(namespace)))


class _Workload(NamedTuple):
    path: Path
    namespace: str
    labels: Mapping[str, Any]
    spec: dict[str, Any]


class _Port(NamedTuple):
    name: str
    target: int


def _read(documents: list[Any], scope_: Scope) -> Made:
    entries: list[tuple[Path, dict[str, Any]]] = []
    workloads: list[_Workload] = []
    kinds: Counter[str] = Counter()
    flaws: list[Flaw] = []
    for path, said in _objects(documents):
        kind = said.get("kind")
        istio = str(said.get("apiVersion")).startswith(_API)
        if istio and kind == "ServiceEntry":
            entries.append((path, said))
        elif istio and kind == "WorkloadEntry":
            try:
                workloads.append(_workload(said, path, scope_.namespace))
            except ValueError as error:
                flaws.append(Flaw(path, "workload", str(error), "the WorkloadEntry is left out"))
        else:
            kinds[str(kind)[:60]] += 1
    if not entries:
        raise FlawError((), f"has no ServiceEntry of {_API}; WorkloadEntries say no service by themselves")
    for kind, count in sorted(kinds.items()):
        flaws.append(Flaw((), IGNORED, f"{excerpt(kind)} is neither ServiceEntry nor WorkloadEntry", "left out", count))
    reader = _Reader(workloads, scope_.namespace, flaws)
    groups = [group for path, said in entries for group in reader.groups(said, path)]
    flaws += [
        Flaw(workload.path, "workload", "no ServiceEntry here selects it", "it is left out")
        for workload in workloads
        if workload.path not in reader.selected
    ]
    return made(groups, [*flaws, *ignored(reader.others, "endpoints")])


def _objects(documents: list[Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for number, document in enumerate(documents):
        items = document.get("items") if isinstance(document, dict) and document.get("kind") == "List" else None
        for path, one in (
            [((number, "items", index), item) for index, item in enumerate(items)]
            if isinstance(items, list)
            else [((number,), document)]
        ):
            if one is None:
                continue
            if not isinstance(one, dict):
                raise FlawError(path, f"{excerpt(one)} is not an object of Kubernetes")
            yield path, one


def _workload(said: dict[str, Any], path: Path, namespace: str) -> _Workload:
    metadata = records.mapping(said.get("metadata") or {})
    spec = records.mapping(said.get("spec"))
    labels = records.mapping(metadata.get("labels") or {}) | records.mapping(spec.get("labels") or {})
    return _Workload(path, _namespace(metadata, namespace), labels, spec)


def _namespace(metadata: dict[str, Any], default: str) -> str:
    return records.text(metadata.get("namespace") or default, "metadata.namespace")


class _Reader:
    """Reads one ServiceEntry after the other; `selected` and `others` gather meanwhile."""

    def __init__(self, workloads: Sequence[_Workload], namespace: str, flaws: list[Flaw]) -> None:
        self.selected: set[Path] = set()
        self.others: set[str] = set()
        self._workloads = workloads
        self._namespace = namespace
        self._flaws = flaws

    def groups(self, said: dict[str, Any], path: Path) -> list[Group]:
        """A service for each of its hosts."""
        try:
            namespace = _namespace(records.mapping(said.get("metadata") or {}), self._namespace)
            spec = records.mapping(said.get("spec"))
            resolution = spec.get("resolution", "NONE")
            if resolution not in _RESOLUTIONS:
                raise ValueError(f"resolution {excerpt(resolution)}: it has no endpoints of its own")
            ports = self._ports(spec.get("ports"), path)
            hosts = [records.text(host, "host") for host in records.several(spec.get("hosts"), "hosts")]
            endpoints = self._endpoints(spec, path, namespace, ports)
        except ValueError as error:
            self._flaws.append(Flaw((*path, "spec"), "service", str(error), "the ServiceEntry is left out"))
            return []
        groups = []
        for index, host in enumerate(hosts):
            try:
                name = _name(host, namespace)
                its = endpoints
                if not its and resolution != "STATIC":
                    its = [_endpoint({"address": host}, ports)]
            except ValueError as error:
                self._flaws.append(Flaw((*path, "spec", "hosts", index), "name", str(error), "the host is left out"))
            else:
                groups.append(Group(name, host, tuple(its)))
        return groups

    def _ports(self, said: Any, path: Path) -> list[_Port]:
        ports: list[_Port] = []
        for index, one in enumerate(records.several(said, "ports")):
            port = records.mapping(one)
            if str(port.get("protocol", "TCP")).upper() == "UDP":
                at = (*path, "spec", "ports", index)
                self._flaws.append(Flaw(at, IGNORED, "a port of UDP", "it is left out"))
                continue
            name = names.port_name(records.text(port.get("name"), "port name"))
            number = records.number(port.get("targetPort") or port.get("number"), "port", 1, 65535)
            if any(before.name == name for before in ports):
                raise ValueError(f"two ports are named {excerpt(name)}")
            ports.append(_Port(name, number))
        if not ports:
            raise ValueError("has no port of TCP")
        return ports

    def _endpoints(self, spec: dict[str, Any], path: Path, namespace: str, ports: Sequence[_Port]) -> list[Endpoint]:
        specs = [
            ((*path, "spec", "endpoints", index), one)
            for index, one in enumerate(records.several(spec.get("endpoints"), "endpoints"))
        ]
        selector = records.mapping(spec.get("workloadSelector") or {})
        labels = records.mapping(selector.get("labels") or {})
        if labels:
            for workload in self._workloads:
                if workload.namespace == namespace and labels.items() <= workload.labels.items():
                    self.selected.add(workload.path)
                    specs.append((workload.path, workload.spec))
        endpoints = []
        for at, one in specs:
            try:
                endpoints.append(_endpoint(one, ports))
                self.others |= one.keys() & _UNSAID
            except ValueError as error:
                self._flaws.append(Flaw(at, "endpoint", str(error), "the endpoint is left out"))
        return endpoints


def _name(host: str, namespace: str) -> ServiceName:
    """`payments.shop.svc.cluster.local` is payments in shop; of another name all of its labels are the name."""
    parts = host.split(".")
    if len(parts) >= 3 and parts[2] == "svc":
        return ServiceName(names.label(parts[1]), names.label(parts[0]))
    if "*" in host:
        raise ValueError(f"{excerpt(host)} stands for many hosts")
    if "/" in host:
        raise ValueError(f"{excerpt(host)} is no host name")
    return records.foreign_name(host, namespace)[0]


def _endpoint(said: Any, ports: Sequence[_Port]) -> Endpoint:
    spec = records.mapping(said)
    own = records.mapping(spec.get("ports") or {})
    its = tuple(
        Port(port.name, records.number(own.get(port.name, port.target), f"port {port.name}:", 1, 65535))
        for port in ports
    )
    weight = spec.get("weight")
    weight = 1 if weight is None else records.number(weight, "weight", 1, records.MAX_WEIGHT)
    network = records.word(spec["network"], "network") if spec.get("network") else ""
    metadata = records.metadata(records.mapping(spec.get("labels") or {}))
    where = address.host(records.text(spec.get("address"), "address"))
    place = _locality(spec.get("locality"))
    return Endpoint(where, records.interned(its), None, place, network, weight, metadata=metadata)


def _locality(said: Any) -> Locality:
    if not said:
        return NOWHERE
    region, zone, sub_zone, *more = [*records.text(said, "locality").split("/"), "", ""]
    if any(more):
        raise ValueError(f"locality {excerpt(said)} is not of the form region/zone/sub_zone")
    return records.locality(*(records.word(part, "locality") if part else "" for part in (region, zone, sub_zone)))
