"""What is ours for one service: the records that stand there, what they say, and what their Service asks of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from adapters.kubernetes import selection, services, slices, translate
from adapters.kubernetes.objects import BESIDE, KubeService, KubeSlice, ServicePort
from adapters.kubernetes.slices import Revision
from bridge.adapter import Holding, Record, Target
from bridge.kit.mark import Mark, Stamp
from bridge.kit.names import Pattern
from bridge.model import ServiceName

FAMILIES: Final = ("IPv4", "IPv6")


@dataclass(frozen=True, slots=True)
class Writing:
    """What one target's holdings rest on: whose they are, and of which services more than that is to be known."""

    mark: Mark
    target: Target
    services: tuple[Pattern, ...]

    def names(self, name: ServiceName) -> bool:
        """Whether the export names this service."""
        return any(pattern.matches(name) for pattern in self.services)

    def owns(self, stamp: Stamp | None, target: str) -> bool:
        """Whether what carries this mark, of that target, is ours here."""
        return self.mark.owns(stamp) and target == self.target


@dataclass(frozen=True, slots=True)
class Facts:
    """What `fit` knows of a Service that is there; `asked` is its own word on whether it is synchronised.

    `ours` says that we made it, and that it is still as we make them: without a selector.
    """

    uid: str
    elsewhere: bool
    headless: bool
    selects: bool
    beside: bool
    asked: bool | None
    ports: tuple[ServicePort, ...]
    families: tuple[str, ...]
    topology: bool
    terminating: bool
    ours: bool


def home(slice_: KubeSlice) -> ServiceName | None:
    """The service that a slice is of, for its writer: by its name where that is a bridge's, whatever its label says.

    So a label that was edited by hand makes of a record of ours a wrong one, and not one of another service. None of a
    slice that is no bridge's.
    """
    name = slices.name_of(slice_.key.name)
    if name is not None:
        return ServiceName(slice_.key.namespace, name.service)
    return ServiceName(slice_.key.namespace, slice_.service) if slice_.stamp is not None else None


def holding(
    name: ServiceName, service: KubeService | None, of_it: Iterable[KubeSlice], writing: Writing
) -> Holding | None:
    """What stands there of ours; `of_it` are the slices whose `home` it is. None where nothing is worth knowing."""
    ours, taken = [], []
    writers = {slices.writer(writing.mark.owner, writing.target, family) for family in FAMILIES}
    for one in of_it:
        if writing.owns(one.stamp, one.target):
            ours.append(one)
        elif (parts := slices.name_of(one.key.name)) is not None and parts.writer in writers:
            taken.append((slices.record_key(one.key), _who(one.stamp, one.target, one.manager)))
    records = [_slice_record(name, one) for one in ours]
    facts = None
    if service is not None:
        facts = _facts(service, writing)
        if facts.ours:
            records.append(_service_record(name, service))
        elif not records and not taken and not writing.names(name):
            return None
    elif not records and not taken:
        return None
    records.sort(key=lambda record: record.key)
    return Holding(tuple(records), translate.held(ours), tuple(sorted(taken)), facts)


def strays(of_it: Iterable[KubeSlice], mark: Mark, targets: Collection[str]) -> frozenset[str]:
    """The targets of ours that slices name, and that are none of these."""
    return frozenset(one.target for one in of_it if one.target not in targets and mark.owns(one.stamp))


def _facts(service: KubeService, writing: Writing) -> Facts:
    elsewhere = service.type == "ExternalName"
    return Facts(
        service.uid,
        elsewhere,
        service.headless,
        service.selects,
        dict(service.annotations).get(BESIDE) == "true",
        selection.asked(service),
        tuple(port._replace(node_port=0) for port in service.ports),
        service.families,
        service.topology,
        service.terminating,
        writing.owns(service.stamp, service.target) and not service.selects and not elsewhere,
    )


def _slice_record(name: ServiceName, one: KubeSlice) -> Record:
    content = slices.encode(slices.seen(one))
    return Record(slices.record_key(one.key), name, content, Revision(one.uid, one.version))


def _service_record(name: ServiceName, service: KubeService) -> Record:
    content = services.encode(services.seen(service))
    return Record(services.record_key(name), name, content, Revision(service.uid, service.version))


def _who(stamp: Stamp | None, target: str, manager: str) -> str:
    """Whose a slice is that has a name of ours."""
    if stamp is not None:
        return f"the bridge {stamp.owner} (format {stamp.format}{f', target {target}' if target else ''})"
    return f"{manager}, without our mark" if manager else "nobody's mark"
