"""What the children of a service's znode say, put together: what others wrote, and what is ours.

A child that cannot be understood is one problem and keeps what it said last, for as long as it is the same child.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from adapters.zookeeper.dialects.dialect import Child, ChildKey, Dialect, Instance, Part, Written
from adapters.zookeeper.fitting import key
from bridge.adapter import Holding, Problem, Record, RecordKey
from bridge.kit.mark import Mark, Stamp
from bridge.kit.place import excerpt
from bridge.model import Endpoint, Locality, Metadata, Service, ServiceName


class Member(NamedTuple):
    """A child, who wrote it, and what it says; `why` it was not understood, "" when it was."""

    child: Child
    stamp: Stamp | None
    part: Part
    why: str = ""


Members = Mapping[ChildKey, Member]


class Scope(NamedTuple):
    """What the configuration and the path say of a service: `path` is its znode's, `metadata` each endpoint's."""

    service: ServiceName
    path: str
    locality: Locality
    network: str
    metadata: Metadata = ()


class Revision(NamedTuple):
    """Which znode a record is, and in which state: what a write names."""

    path: str
    created: int
    version: int
    session: int


OF_ANOTHER: Final = b"(of another session) "
"""Stands before the content of an ephemeral record that ends with a session which is not ours."""


class Aged(NamedTuple):
    """An endpoint and the transaction in which its child was made."""

    created: int
    endpoint: Endpoint


class Told(NamedTuple):
    """One znode's service: what all others say, and `holding` what is ours; `service` puts several together."""

    others: tuple[Aged, ...]
    holding: Holding
    problems: tuple[Problem, ...]


def take(dialect: Dialect, children: Iterable[Child], before: Members) -> Members:
    """Read the members among the children; what is as it was `before` is not read again."""
    members: dict[ChildKey, Member] = {}
    for child in children:
        if not dialect.is_member(child.branch, child.name):
            continue
        last = before.get(child.key)
        if last is not None and last.child == child:
            members[child.key] = last
            continue
        stamp = dialect.stamp(child)
        try:
            members[child.key] = Member(child, stamp, dialect.read(child))
        except ValueError as error:
            same = last is not None and last.child.created == child.created
            members[child.key] = Member(child, stamp, last.part if last is not None and same else None, str(error))
    return members


def tell(
    dialect: Dialect,
    members: Members,
    scope: Scope,
    mark: Mark | None,
    documents: Mapping[ChildKey, Part] = MappingProxyType({}),
) -> Told:
    """What the members say, and `documents` of them; `mark` is ours, None where nothing is written.

    Ours are read back as we wrote them, whatever others' weights and overrides make of them.
    """
    parts = {name: member.part for name, member in members.items() if member.part is not None}
    joined = dialect.join({**parts, **documents})
    own = {name for name, member in members.items() if mark is not None and mark.owns(member.stamp)}
    said = dialect.join({name: parts[name] for name in own if name in parts}).endpoints
    ours = _Ours(dialect, scope)
    others: list[Aged] = []
    problems = [Problem("record", scope.path, remark, scope.service) for remark in joined.remarks]
    for name in sorted(members):
        child, stamp, part, why = members[name]
        endpoint = joined.endpoints.get(name)
        if name in own and stamp is not None:
            ours.add(child, stamp.key, said.get(name))
            continue
        ours.passes(child, stamp.owner if stamp is not None else "somebody without a mark")
        where = f"{scope.path}/{_shown(str(name))}"
        if why:
            then = "what it said last stands" if part is not None else "it is left out"
            problems.append(Problem("record", where, f"{why}; {then}", scope.service))
        if isinstance(part, Instance):
            problems += [Problem("record", where, remark, scope.service) for remark in part.remarks]
        if endpoint is None:
            continue
        via = endpoint.via if stamp is None else f"{endpoint.via} {stamp.owner}".strip()
        if mark is None or mark.owner not in via.split():
            others.append(Aged(child.created, _placed(replace(endpoint, via=via), scope)))
    return Told(tuple(others), ours.holding(), tuple(problems))


def service(name: ServiceName, them: Iterable[Told]) -> tuple[Service, tuple[Problem, ...]]:
    """The service that one or more znodes say.

    Of two with one address and port a native one counts before a bridge's, and the younger before the older: a process
    that was started again stands there twice until its old session has ended, which is no problem.
    """
    kept: dict[Hashable, Aged] = {}
    differing: dict[Hashable, int] = {}
    every = (aged for told in them for aged in told.others)
    for aged in sorted(every, key=lambda one: (not one.endpoint.via, one.created), reverse=True):
        first = kept.setdefault(aged.endpoint.id, aged)
        if first.endpoint != aged.endpoint and first.endpoint.via == aged.endpoint.via:
            differing[aged.endpoint.id] = differing.get(aged.endpoint.id, 0) + 1
    problems = tuple(
        Problem("duplicate", f"{name}: {which}", "stands twice and says two things; the younger counts", name, count)
        for which, count in sorted(differing.items(), key=str)
    )
    return Service.of(name, (aged.endpoint for aged in kept.values())), problems


class _Ours:
    """Gathers a holding."""

    def __init__(self, dialect: Dialect, scope: Scope) -> None:
        self._dialect = dialect
        self._service = scope.service
        self._path = scope.path
        self._records: dict[RecordKey, Record] = {}
        self._endpoints: dict[Hashable, Endpoint] = {}
        self._taken: dict[RecordKey, str] = {}

    def add(self, child: Child, stem: str, endpoint: Endpoint | None) -> None:
        """One that was written twice, as when an answer was lost, has a second key, which nobody ever wants."""
        if not isinstance(self._dialect, Written):
            return
        its = key(self._service, stem)
        if its in self._records:
            its = RecordKey(f"{its}~again~{child.name}")
        revision = Revision(f"{self._path}/{child.key}", child.created, child.version, child.session)
        self._records[its] = Record(its, self._service, self._dialect.content(child), revision)
        if endpoint is not None:
            self._endpoints.setdefault(endpoint.id, endpoint)

    def passes(self, child: Child, who: str) -> None:
        """See whether somebody else's child stands where one of ours would."""
        if isinstance(self._dialect, Written) and (stem := self._dialect.stem(child)) is not None:
            self._taken[key(self._service, stem)] = who

    def holding(self) -> Holding:
        return Holding(
            tuple(self._records[its] for its in sorted(self._records)),
            Service.of(self._service, self._endpoints.values()).endpoints,
            tuple(sorted((its, who) for its, who in self._taken.items() if its not in self._records)),
        )


def _placed(endpoint: Endpoint, scope: Scope) -> Endpoint:
    """With what the path and the configuration say of everything there."""
    own, base = endpoint.locality, scope.locality
    sub_zone = own.sub_zone or ("" if own.zone else base.sub_zone)
    place = Locality(own.region or base.region, own.zone or base.zone, sub_zone)
    metadata = endpoint.metadata
    if scope.metadata:
        metadata = tuple(sorted({**dict(metadata), **dict(scope.metadata)}.items()))
    return replace(endpoint, locality=place, network=endpoint.network or scope.network, metadata=metadata)


def _shown(name: str) -> str:
    return name if len(name) <= 100 and name.isprintable() else excerpt(name)
