"""What all trees say, put together at the cost of what changed: the services of others, and what we hold."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from adapters.zookeeper import members
from adapters.zookeeper.dialects.dialect import Child
from adapters.zookeeper.dialects.guess import guess
from adapters.zookeeper.documents import Documents
from adapters.zookeeper.members import OF_ANOTHER, Members, Revision, Scope, Told
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.paths import Found, distinct
from bridge.adapter import Holding, Holdings, Problem, Record, RecordKey, Target
from bridge.kit.mark import Mark
from bridge.model import Locality, Service, ServiceName, Services
from bridge.table import Table

Where = tuple[int, str]
"""The number of a tree, and the path of a service's node in it."""


FEW: Final = 3
"""Records that are not understood, of which it is not said that they are of another dialect where no other fits."""

LOOKED_AT: Final = 20
"""Records of which it is seen what they look like."""


class _Known(NamedTuple):
    """`heeds` are the names of the documents that may say something of it."""

    found: Found
    members: Members
    told: Told
    passed: int
    heeds: frozenset[str] = frozenset()

    @property
    def bad(self) -> list[Child]:
        """Those that cannot be understood."""
        return [member.child for member in self.members.values() if member.why]

    @property
    def counts(self) -> Counter[bool]:
        """How many children are understood, and how many are not."""
        bad = len(self.bad)
        return Counter({True: len(self.members) - bad, False: bad + self.passed})


class Trees:
    """Several trees as one view of their services; `touched` are the names of those that may say something else."""

    def __init__(
        self,
        mirrors: Sequence[Mirror],
        locality: Locality,
        network: str,
        mark: Mark | None,
        documents: Mapping[int, Documents] = MappingProxyType({}),
    ) -> None:
        """`locality` and `network` are those of what does not say its own; `mark` is ours, None without one.

        `documents` are those beside a tree, by its number; several trees may have the same.
        """
        self.touched: dict[ServiceName, None] = {}
        self._mirrors = mirrors
        self._locality = locality
        self._network = network
        self._mark = mark
        self._known: dict[Where, _Known] = {}
        self._counts = [Counter[bool]() for _ in mirrors]
        self._of: dict[ServiceName, set[Where]] = {}
        self._documents = documents
        self._heeding: dict[tuple[Documents, str], set[Where]] = {}

    def updates(self) -> Iterator[None]:
        """Take up what changed in the mirrors, a service or a document in each step."""
        for documents in dict.fromkeys(self._documents.values()):
            for name in documents.updates():
                for number, path in self._heeding.get((documents, name), ()):
                    self._mirrors[number].changed.add(path)
                yield
        for number, mirror in enumerate(self._mirrors):
            for path in sorted(mirror.changed):
                self._look((number, path), mirror)
                mirror.changed.discard(path)
                yield

    def touch(self) -> None:
        """Every service may say something else."""
        self.touched.update(dict.fromkeys(self._of))

    def told(self, name: ServiceName) -> tuple[list[Told], tuple[Problem, ...]]:
        """What each node of a service says, and which are left out since they only come to the same name."""
        places = sorted(self._of.get(name, ()))
        kept, problems = distinct(self._known[where].found for where in places)
        paths = {found.path for found in kept}
        return [self._known[where].told for where in places if where[1] in paths], problems

    def problems(self) -> Iterator[Problem]:
        """Those of the trees themselves."""
        for number, mirror in enumerate(self._mirrors):
            yield from self._mistaken(number, mirror)
            yield from (mirror.problems[path] for path in sorted(mirror.problems))
        for documents in dict.fromkeys(self._documents.values()):
            for name, problem in documents.problems():
                if them := self._heeding.get((documents, name)):
                    yield replace(problem, service=self._alone(them))

    def _look(self, where: Where, mirror: Mirror) -> None:
        """Read one service's node again."""
        before = self._known.pop(where, None)
        if before is not None:
            self._counts[where[0]].subtract(before.counts)
        node = mirror.nodes.get(where[1])
        if node is None:
            if before is not None:
                self._forget(before.found.service, where)
                self._heed(where, before.heeds, frozenset())
            return
        found = node.found
        read = members.take(mirror.dialect, node.children.values(), before.members if before is not None else {})
        heeds, said = frozenset[str](), {}
        if (documents := self._documents.get(where[0])) is not None:
            heeds = mirror.dialect.heeds(found.node, (member.part for member in read.values()))
            said = documents.parts(heeds)
            self._heed(where, before.heeds if before is not None else frozenset(), heeds)
        told = members.tell(mirror.dialect, read, self._scope(found), self._mark, said)
        known = self._known[where] = _Known(found, read, told, node.passed, heeds)
        self._counts[where[0]].update(known.counts)
        self._of.setdefault(found.service, set()).add(where)
        self.touched[found.service] = None

    def _mistaken(self, number: int, mirror: Mirror) -> Iterator[Problem]:
        """Where most records of a tree are not of the dialect that is configured."""
        understood, left = (self._counts[number][it] for it in (True, False))
        if left <= understood:
            return
        said = mirror.dialect.name
        bad = islice((child for (of, _), one in self._known.items() if of == number for child in one.bad), LOOKED_AT)
        other = next((one.dialect for one in guess(bad, said) if one.dialect != said), "")
        if not other and left < FEW:
            return
        looks = f", and look like {other}" if other else ""
        what = f"of {understood + left:,} records {left:,} are not understood as {said}{looks}"
        then = "see `registry-bridge check --sample`, and correct the `dialect` of the tree, or its path"
        yield Problem("dialect", mirror.tree.root, f"{what}; {then}")

    def _forget(self, name: ServiceName, where: Where) -> None:
        self._of[name].discard(where)
        if not self._of[name]:
            del self._of[name]
        self.touched[name] = None

    def _heed(self, where: Where, before: frozenset[str], now: frozenset[str]) -> None:
        """A node heeds other documents than before."""
        for name in before - now:
            them = self._heeding[self._documents[where[0]], name]
            them.discard(where)
            if not them:
                del self._heeding[self._documents[where[0]], name]
        for name in now - before:
            self._heeding.setdefault((self._documents[where[0]], name), set()).add(where)

    def _alone(self, places: Iterable[Where]) -> ServiceName | None:
        """The service of all these nodes, None when they are of several."""
        names = {self._known[where].found.service for where in places}
        return names.pop() if len(names) == 1 else None

    def _scope(self, found: Found) -> Scope:
        place = Locality(*(own or base for own, base in zip(found.locality, self._locality, strict=True)))
        return Scope(found.service, found.path, place, self._network, found.metadata)


class Whole:
    """`services` are what others than us say in the trees that are read; `holdings` what is ours where we write."""

    def __init__(self, read: Trees, written: Mapping[Target, Trees], ephemeral: Collection[Target] = ()) -> None:
        """`ephemeral` are the targets whose records end with our session."""
        self.services: Services = Table()
        self._session = 0
        self._ephemeral = ephemeral
        self.holdings: dict[Target, Holdings] = {target: Table() for target in written}
        self._read = read
        self._written = written
        self._problems: dict[ServiceName, tuple[Problem, ...]] = {}

    def renew(self, session: int) -> None:
        """This is our session from now on: what ends with another one is to be written anew before it is gone."""
        if session != self._session:
            self._session = session
            for target in self._ephemeral:
                self._written[target].touch()

    def updates(self) -> Iterator[None]:
        """Take up what changed, a service in each step; `services` and `holdings` are new after the last one."""
        for trees in (self._read, *self._written.values()):
            yield from trees.updates()
        self.services = self.services.with_({name: self._service(name) for name in self._read.touched})
        self._read.touched.clear()
        for target, trees in self._written.items():
            session = self._session if target in self._ephemeral else None
            changes = {name: _holding(trees.told(name)[0], session) for name in trees.touched}
            self.holdings[target] = self.holdings[target].with_(
                {name: now for name, now in changes.items() if now != self.holdings[target].get(name)}
            )
            trees.touched.clear()

    def problems(self) -> Iterator[Problem]:
        """Those of the trees, and then of the services by their names."""
        yield from self._read.problems()
        for name in sorted(self._problems):
            yield from self._problems[name]

    def _service(self, name: ServiceName) -> Service | None:
        """The service as all of its nodes say it; one without instances is none, for many such are left behind."""
        self._problems.pop(name, None)
        them, misspelled = self._read.told(name)
        service, differing = members.service(name, them)
        problems = (*misspelled, *(problem for told in them for problem in told.problems), *differing)
        if problems:
            self._problems[name] = problems
        if not service.endpoints:
            return None
        stood = self.services.get(name)
        return stood if stood == service else service


def _holding(them: Iterable[Told], session: int | None) -> Holding | None:
    """What is ours of a service, wherever in a target it stands; None when it is nothing.

    With a `session`, what does not end with that one says something else than what is wanted.
    """
    records: dict[RecordKey, Record] = {}
    taken: dict[RecordKey, str] = {}
    endpoints = {}
    for told in them:
        for record in told.holding.records:
            again = record.key in records
            its = RecordKey(f"{record.key}~again~{record.revision}") if again else record.key
            stays = session is None or (isinstance(record.revision, Revision) and record.revision.session == session)
            content = record.content if stays else OF_ANOTHER + record.content
            records[its] = Record(its, record.service, content, record.revision)
        endpoints.update({endpoint.id: endpoint for endpoint in told.holding.endpoints})
        taken.update(told.holding.taken)
    if not records and not taken:
        return None
    return Holding(
        tuple(records[its] for its in sorted(records)),
        tuple(endpoints[its] for its in sorted(endpoints)),
        tuple(sorted((its, who) for its, who in taken.items() if its not in records)),
    )
