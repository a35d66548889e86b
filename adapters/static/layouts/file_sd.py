"""Groups of targets as Prometheus reads them, one a line.

Prometheus sees the service and the zone as labels; all else is in labels that begin with `__meta_`, which it offers to
relabelling and drops, so that a change of health makes no new time series. Every endpoint is listed, also one that is
draining or unhealthy: who scrapes wants to see it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from adapters.static import records
from adapters.static.file_sd import Labels
from adapters.static.layouts import words
from adapters.static.layouts.header import GROUP, comment
from adapters.static.layouts.layout import Layout, Lines
from bridge.errors import ConfigError
from bridge.kit import address, names
from bridge.kit.document import load
from bridge.kit.mark import Stamp
from bridge.kit.place import excerpt
from bridge.model import NOWHERE, Endpoint, Locality, Metadata, Service

_PREFIX = f"{GROUP}_"
_SERVICE = f"{_PREFIX}service"
_METADATA = f"{_PREFIX}metadata_"
_OF_SERVICE = f"{_PREFIX}service_metadata_"
_KEY = re.compile(r'(?:- )?\{"labels": \{"' + _SERVICE + r'": "([a-z0-9/-]+)"', re.ASCII)


class FileSd(Layout):
    """JSON, or YAML whose every line holds a group in JSON; `shown` are the labels that Prometheus keeps."""

    name = "file_sd"

    def __init__(self, shown: Labels, *, as_json: bool) -> None:
        self._shown = shown
        self._json = as_json
        self._dash = "" if as_json else "- "
        self.comma = "," if as_json else ""

    def head(self, stamp: Stamp, *, empty: bool) -> Lines:
        if not self._json:
            return (*comment(stamp, self.name), "[]") if empty else comment(stamp, self.name)
        return ("[", _line({GROUP: str(stamp)}, []) + ("" if empty else ","))

    @property
    def foot(self) -> Lines:
        return ("]",) if self._json else ("# end",)

    def key(self, line: str) -> str:
        found = _KEY.match(line)
        return found[1] if found else ""

    def lines(self, service: Service) -> Lines:
        groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for endpoint in service.endpoints:
            groups.setdefault(tuple(self._labels(service, endpoint).items()), []).append(str(endpoint.id))
        return tuple(self._dash + _line(dict(labels), targets) for labels, targets in groups.items())

    def read(self, lines: Sequence[str]) -> Service:
        groups = []
        for line in lines:
            try:
                groups.append(json.loads(line.removeprefix(self._dash)))
            except json.JSONDecodeError as error:
                raise ValueError(f"is not JSON: {error.msg}") from None
        return _service(groups)

    def again(self, text: str) -> Iterable[Service]:
        try:
            groups = load(text, self.name).value
        except ConfigError as error:
            raise ValueError(str(error)) from None
        gathered: dict[str, list[Any]] = {}
        for group in groups if isinstance(groups, list) else ():
            labels = _mapping(group).get("labels")
            if GROUP not in _mapping(labels):
                gathered.setdefault(str(_mapping(labels).get(_SERVICE)), []).append(group)
        return [_service(its) for its in gathered.values()]

    def _labels(self, service: Service, endpoint: Endpoint) -> dict[str, str]:
        labels = {self._shown.service: str(service.name), f"{_PREFIX}ports": words.ports(endpoint.ports)}
        if endpoint.locality.zone:
            labels[self._shown.zone] = endpoint.locality.zone
        if endpoint.locality != NOWHERE:
            labels[f"{_PREFIX}locality"] = "/".join(map(words.escaped, endpoint.locality))
        if endpoint.health is not None:
            labels[f"{_PREFIX}health"] = endpoint.health.name.lower()
        if endpoint.network:
            labels[f"{_PREFIX}network"] = endpoint.network
        if endpoint.weight != 1:
            labels[f"{_PREFIX}weight"] = str(endpoint.weight)
        if endpoint.via:
            labels[f"{_PREFIX}via"] = endpoint.via
        for prefix, pairs in ((_METADATA, endpoint.metadata), (_OF_SERVICE, service.metadata)):
            for key, value in pairs:
                labels[prefix + words.label(key)] = value
        return {_SERVICE: str(service.name), **dict(sorted(labels.items()))}


def _line(labels: dict[str, str], targets: list[str]) -> str:
    return json.dumps({"labels": labels, "targets": targets}, ensure_ascii=False)


def _service(groups: Sequence[Any]) -> Service:
    """All groups of one service; ValueError when a bridge cannot have written them."""
    endpoints = [tuple(_endpoints(_mapping(group))) for group in groups]
    if not endpoints:
        raise ValueError("has no group")
    labels = _mapping(groups[0]["labels"])
    name = names.service_name(str(labels.get(_SERVICE)))
    return Service.of(name, chain.from_iterable(endpoints), _metadata(labels, _OF_SERVICE))


def _endpoints(group: dict[str, Any]) -> Iterable[Endpoint]:
    labels, targets = _mapping(group.get("labels")), group.get("targets")
    if not isinstance(targets, list) or not all(isinstance(one, str) for one in (*targets, *labels.values())):
        raise ValueError("has no list of targets, or a label that is no text")
    ports = words.ports_of(labels.get(f"{_PREFIX}ports", ""))
    region, zone, sub_zone = _places(labels.get(f"{_PREFIX}locality", "//"))
    health = labels.get(f"{_PREFIX}health")
    if health is not None and health not in records.HEALTH:
        raise ValueError(f"{excerpt(health)} is none of {', '.join(records.HEALTH)}")
    for target in targets:
        where, port = address.host_port(target)
        if port != ports[0].number:
            raise ValueError(f"{excerpt(target)} has another port than its labels say, {ports[0].number}")
        yield Endpoint(
            where,
            ports,
            None if health is None else records.HEALTH[health],
            Locality(region, zone, sub_zone),
            labels.get(f"{_PREFIX}network", ""),
            records.number_of(labels.get(f"{_PREFIX}weight", "1"), "weight", 1, records.MAX_WEIGHT),
            labels.get(f"{_PREFIX}via", ""),
            metadata=_metadata(labels, _METADATA),
        )


def _places(text: str) -> tuple[str, str, str]:
    parts = text.split("/")
    if len(parts) != 3:
        raise ValueError(f"{excerpt(text)} is not of the form region/zone/sub_zone")
    return words.unescaped(parts[0]), words.unescaped(parts[1]), words.unescaped(parts[2])


def _metadata(labels: dict[str, str], prefix: str) -> Metadata:
    pairs = sorted((words.key_of(key[len(prefix) :]), said) for key, said in labels.items() if key.startswith(prefix))
    return names.metadata(tuple(pairs))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{excerpt(value)} is not a mapping")  # noqa: TRY004  # somebody's edit, told like the rest
    return value
