"""What a memory registry holds: services, records with their owners and revisions, claims."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from bridge.adapter import Claim, Held, Holding, Holdings, Problem, Record, RecordKey, Target
from bridge.errors import Conflict
from bridge.model import Service, ServiceName, Services
from bridge.table import Table
from bridge.testing.records import decode, said

ONLY = Target("")
"""The target of a registry that has one."""


class Stored(NamedTuple):
    """A record and whose mark it carries; "" for one without a mark."""

    owner: str
    record: Record


class Store:
    """The registry itself, as all who read and write it share it; `services` is None until somebody says them."""

    def __init__(self) -> None:
        self.services: Services | None = None
        self.records: dict[Target, dict[RecordKey, Stored]] = {}
        self.claims: dict[Target, dict[str, Claim]] = {}
        self._of_service: dict[tuple[Target, ServiceName], set[RecordKey]] = {}
        self.garbage: dict[tuple[Target, RecordKey], Problem] = {}
        self._revisions = count(1)
        self._seen: dict[tuple[str, ...], Services] = {}
        self._holdings: dict[tuple[tuple[str, ...], Target], Holdings] = {}
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` after each change."""
        self._watchers.append(watcher)

    # By hand, as an operator or another program does.

    def say(self, services: Services) -> None:
        """Let these be the services that no bridge wrote."""
        self.services = services
        self._seen.clear()
        self._tell()

    def edit(self, target: Target, key: RecordKey, content: bytes) -> None:
        """Change what a record says, and leave its mark."""
        owner, record = self.records[target][key]
        self.put(target, owner, replace(record, content=content))

    def foreign(self, target: Target, owner: str, key: RecordKey, service: ServiceName, content: bytes) -> None:
        """Let a record of another owner stand there, or with "" one without a mark."""
        self.put(target, owner, Record(key, service, content))

    def stands(self, target: Target = ONLY) -> dict[RecordKey, bytes]:
        """Everybody's records and what they say."""
        return {key: stored.record.content for key, stored in sorted(self.records.get(target, {}).items())}

    def wipe(self) -> None:
        """Lose everything, as a registry that was restarted without its disk does."""
        self.services = Table()
        self.records.clear()
        self.garbage.clear()
        self._of_service.clear()
        self.claims.clear()
        self._seen.clear()
        self._holdings.clear()
        self._tell()

    # As its API does.

    def compare(
        self, target: Target, key: RecordKey, owner: str, expected: Record | None, former: tuple[str, ...] = ()
    ) -> None:
        """Raise Conflict unless what stands under `key` is `expected`, and ours."""
        stored = self.records.get(target, {}).get(key)
        if expected is None and stored is not None:
            raise Conflict(f"memory {target}: {key}: there is one already, of {stored.owner or 'nobody'}")
        if expected is not None and (stored is None or stored.owner not in (owner, *former)):
            raise Conflict(f"memory {target}: {key}: is not ours, or not there")
        if expected is not None and stored is not None and stored.record.revision != expected.revision:
            raise Conflict(f"memory {target}: {key}: is at revision {stored.record.revision}, not {expected.revision}")

    def put(self, target: Target, owner: str, record: Record) -> None:
        """Write a record, whatever stands there."""
        stored = Stored(owner, replace(record, revision=next(self._revisions)))
        self.records.setdefault(target, {})[record.key] = stored
        self._of_service.setdefault((target, record.service), set()).add(record.key)
        self.garbage.pop((target, record.key), None)
        try:
            decode(record.content)
        except ValueError as error:
            self.garbage[target, record.key] = Problem("record", f"memory {record.key}", str(error), record.service)
        self._touch(target, record.service)

    def remove(self, target: Target, key: RecordKey) -> None:
        """Remove a record, whosever it is."""
        name = self.records[target].pop(key).record.service
        self.garbage.pop((target, key), None)
        self._of_service[target, name].discard(key)
        self._touch(target, name)

    def claim(self, target: Target, claim: Claim) -> Claim:
        """Write a claim, whatever stands there; the answer has its revision."""
        made = replace(claim, revision=next(self._revisions))
        self.claims.setdefault(target, {})[claim.owner] = made
        self._tell()
        return made

    # As it is seen through the mark of an owner.

    def seen_by(self, owners: tuple[str, ...]) -> Services:
        """All services but those in the records of these."""
        if owners not in self._seen:
            names = {stored.record.service for them in self.records.values() for stored in them.values()}
            them = {name: self._service(owners, name) for name in names}
            self._seen[owners] = (self.services or Table()).with_(them)
        return self._seen[owners]

    def held_by(self, owner: str, targets: Iterable[Target], former: tuple[str, ...] = ()) -> Table[Target, Held]:
        """What the owner, and those whose records it takes over, have in each of its targets."""
        held, owners = {}, (owner, *former)
        for target in targets:
            if (owners, target) not in self._holdings:
                names = {stored.record.service for stored in self.records.get(target, {}).values()}
                self._holdings[owners, target] = Table(
                    {name: holding for name in names if (holding := self._holding(owners, target, name)) is not None}
                )
            claims = sorted(self.claims.get(target, {}).values(), key=lambda one: (one.owner, one.deployment))
            held[target] = Held(self._holdings[owners, target], tuple(claims))
        return Table(held)

    def _touch(self, target: Target, name: ServiceName) -> None:
        for owners, seen in self._seen.items():
            self._seen[owners] = seen.with_({name: self._service(owners, name)})
        for (owners, place), holdings in self._holdings.items():
            if place == target:
                self._holdings[owners, place] = holdings.with_({name: self._holding(owners, place, name)})
        self._tell()

    def _of(self, target: Target, name: ServiceName) -> list[Stored]:
        return [self.records[target][key] for key in sorted(self._of_service.get((target, name), ()))]

    def _holding(self, owners: tuple[str, ...], target: Target, name: ServiceName) -> Holding | None:
        stored = self._of(target, name)
        ours = tuple(one.record for one in stored if one.owner in owners)
        taken = tuple((one.record.key, one.owner or "nobody's mark") for one in stored if one.owner not in owners)
        endpoints = {endpoint.id: endpoint for record in ours for endpoint in said(record.content)}
        if not ours and not taken:
            return None
        return Holding(ours, tuple(endpoints[key] for key in sorted(endpoints)), taken)

    def _service(self, owners: tuple[str, ...], name: ServiceName) -> Service | None:
        native = self.services.get(name) if self.services is not None else None
        endpoints = {}
        for target in sorted(self.records):
            for stored in self._of(target, name):
                if stored.owner not in owners:
                    for one in said(stored.record.content):
                        endpoints[one.id] = replace(one, via=f"{one.via} {stored.owner}".strip())
        endpoints.update({one.id: one for one in (native.endpoints if native is not None else ())})
        if native is None and not endpoints:
            return None
        return Service.of(name, endpoints.values(), native.metadata if native is not None else ())

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()
