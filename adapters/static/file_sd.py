"""The file_sd format of Prometheus: groups of targets with labels that say which service they are of."""

from functools import lru_cache
from typing import Any, NamedTuple

from adapters.static import records
from adapters.static.records import Flaw, FlawError, Group, Made, Scope
from bridge.kit import address
from bridge.kit.place import excerpt
from bridge.kit.settings import nearest
from bridge.model import Endpoint, Locality, Metadata, ServiceName

GROUP = ("targets", "labels")


class Labels(NamedTuple):
    """Which labels say what; "" where none does."""

    service: str
    zone: str
    weight: str


def read(value: list[Any], scope: Scope, labels: Labels) -> Made:
    """Every group in the file; FlawError when the file cannot be trusted."""
    groups: list[Group] = []
    flaws: list[Flaw] = []
    instances = bad = 0
    for index, said in enumerate(value):
        targets, its_labels = _parts(said, index)
        instances += len(targets)
        known = _known(targets, its_labels, scope, labels)
        if known is not None:
            groups.append(known)
            continue
        try:
            read_ = _Labels.read(its_labels, scope, labels)
        except _LabelError as error:
            then = "the group's targets are left out"
            flaws.append(Flaw((index, "labels", error.label), error.kind, str(error), then, len(targets)))
            bad += len(targets)
            continue
        endpoints: list[Endpoint] = []
        for at, target in enumerate(targets):
            try:
                endpoints.append(_endpoint(target, read_, scope))
            except ValueError as error:
                flaws.append(Flaw((index, "targets", at), "address", str(error), "the target is left out"))
                bad += 1
        groups.append(Group(read_.name, read_.spelled, tuple(endpoints)))
    return Made(tuple(groups), tuple(flaws), instances, bad)


def _known(targets: list[Any], said: dict[str, Any], scope: Scope, labels: Labels) -> Group | None:
    """The group, if all of it is text without a flaw: an edit changes few groups, and the others are read once."""
    if not all(type(one) is str for one in (*targets, *said.values())):
        return None
    try:
        return _flawless(tuple(targets), tuple(said.items()), scope, labels)
    except ValueError:
        return None


@lru_cache(maxsize=16_384)
def _flawless(targets: tuple[str, ...], said: tuple[tuple[str, str], ...], scope: Scope, labels: Labels) -> Group:
    read_ = _Labels.read(dict(said), scope, labels)
    return Group(read_.name, read_.spelled, tuple(_endpoint(target, read_, scope) for target in targets))


class _LabelError(ValueError):
    def __init__(self, label: str, kind: str, error: object) -> None:
        super().__init__(str(error))
        self.label = label
        self.kind = kind


class _Labels(NamedTuple):
    name: ServiceName
    spelled: str
    locality: Locality
    weight: int
    metadata: Metadata

    @classmethod
    def read(cls, said: dict[str, Any], scope: Scope, labels: Labels) -> "_Labels":
        label, kind = labels.service, "name"
        try:
            if label not in said:
                raise ValueError(f"the label {label!r} is to name the service, and is not there")
            name, spelled = records.foreign_name(_text(said[label]), scope.namespace)
            locality, weight = scope.locality, 1
            label, kind = labels.zone, "zone"
            if label in said:
                zone = records.word(_text(said[label]), "zone")
                locality = records.locality(locality.region, zone, locality.sub_zone)
            label, kind = labels.weight, "weight"
            if label in said:
                weight = records.number_of(_text(said[label]), "weight", 1, records.MAX_WEIGHT)
            label, kind = "", "metadata"
            kept = {key: said[key] for key in said if key not in labels and not key.startswith("__")}
            return cls(name, spelled, locality, weight, records.metadata(kept))
        except ValueError as error:
            raise _LabelError(label, kind, error) from None


def _parts(said: Any, index: int) -> tuple[list[Any], dict[str, Any]]:
    if not isinstance(said, dict):
        raise FlawError((index,), "must be a mapping with `targets` and `labels`")
    for key in said:
        if key not in GROUP:
            raise FlawError((index, key), f"unknown key; {nearest(key, GROUP)}")
    targets, labels = said.get("targets"), said.get("labels", {})
    if not isinstance(targets, list):
        raise FlawError((index, "targets"), "must be a list; write [] for none")
    if not isinstance(labels, dict):
        raise FlawError((index, "labels"), "must be a mapping of labels")
    return targets, labels


def _endpoint(target: Any, labels: _Labels, scope: Scope) -> Endpoint:
    if not isinstance(target, str):
        raise ValueError(f"{excerpt(target)} is not text of the form address:port")  # noqa: TRY004  # told like the rest
    where, port = address.host_port(target)
    return Endpoint(
        where,
        records.one_port("", port),
        None,
        labels.locality,
        scope.network,
        labels.weight,
        metadata=labels.metadata,
    )


def _text(value: Any) -> str:
    """Labels are text; YAML makes numbers of some, and only those that are whole can be undone."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise ValueError(f"{excerpt(value)} is not text; put it into quotes")
