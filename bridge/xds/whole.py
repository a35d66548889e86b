"""Telling everything each time: clusters in the state of the world."""

import re
from collections.abc import Collection, Iterable

from bridge.xds.messages import Resource, Response, Store
from bridge.xds.subscription import Parked, Subscription, cost, mark, version_of, written


class Whole(Subscription):
    """A response carries all that is asked for: what it leaves out, the client deletes.

    So a refused one is never told again in halves; the culprit, named by the error, goes back to the bytes that this
    client accepted last, or is left out when it accepted none (rule 10). Where the client came with clusters from an
    earlier stream, leaving out might delete one that serves: there the refused bytes stay in the list, which is not
    repeated by itself, and the client goes on to take its good part whenever something else changes.

    An error that names nobody makes suspects of all that was new. They go back likewise, and are tried again by
    halves, beside all that was accepted, one half after the other, until the culprits are alone.
    """

    __slots__ = ("last", "refused", "suspects", "trials")

    def __init__(self, type_url: str, store: Store, delta: bool, max_names: int) -> None:
        super().__init__(type_url, store, delta, max_names)
        self.refused = False  # whether what was accepted is to be told again, in answer to a NACK
        self.suspects: frozenset[str] = frozenset()  # names of a NACK that named none: some of them may be in use
        self.trials: list[list[str]] = []  # halves of suspects, the next one last
        self.last = ""  # version of the last response

    def _answer_for(self, wanted: Iterable[str], everything: bool) -> None:
        self.owes = self.owes or everything or bool(wanted)

    def take(self, nonce: str) -> Response | None:
        if self.flight is not None or not (self.owes or self.refused or self.dirty):
            return None
        if not self.fresh and self.store.waiting():
            return None  # rule 8: it has clusters, and what we know is not all yet
        if not (self.owes or self.refused or any(self._differs(name) for name in self.dirty)):
            self.dirty = {}
            return None
        resources = self._resources()
        version = written(self._sum(resources))
        self.dirty, self.refused = {}, False
        if (version == self.last and not self.owes) or (self.parked and not resources and not self.total):
            self.owes, self.suspects = False, frozenset()
            self._try()
            return self.take(nonce) if self.owes else None
        self.last = version
        return self._send(Response(self.type_url, version, nonce, resources), sum(map(cost, resources)))

    def _differs(self, name: str) -> bool:
        resource = self.store.get(self.type_url, name)
        parked = self.parked.get(name)
        if parked is not None:
            return resource is None or parked.version != resource.version
        return version_of(self.have.get(name)) != (resource and resource.version)

    def _resources(self) -> tuple[Resource, ...]:
        for name in [name for name in self.parked if self.store.get(self.type_url, name) is None]:
            del self.parked[name]
        names = self.have.keys() if self.extra is None else self.extra.union(self.store.clusters())
        resources = []
        for name in sorted(names):
            resource = self.store.get(self.type_url, name)
            if resource is None:
                continue
            parked = self.parked.get(name)
            if parked is not None and parked.version == resource.version:
                told = self.have.get(name)
                if isinstance(told, Resource):
                    resource = told
                elif self.fresh:
                    continue
            resources.append(resource)
        return tuple(resources)

    def _sum(self, resources: Iterable[Resource]) -> int:
        total = self.total
        listed = set()
        for resource in resources:
            listed.add(resource.name)
            told = self.have.get(resource.name)
            if told is not resource:
                total += mark(resource.name, resource) - mark(resource.name, told)
        return total - sum(mark(name, told) for name, told in self.have.items() if name not in listed)

    def news(self, response: Response) -> Collection[str]:
        anew = [
            resource.name
            for resource in response.resources
            if resource.name in self.suspects or version_of(self.have.get(resource.name)) != resource.version
        ]
        self.suspects = frozenset()
        return anew

    def _accept(self, flight: Response) -> None:
        self._settle(flight, frozenset())
        self._try()

    def _try(self) -> None:
        """Tell the next half of the suspects again, if there is one."""
        while self.trials and not self.owes:
            for name in self.trials.pop():
                self.owes = self.parked.pop(name, None) is not None or self.owes

    def _settle(self, flight: Response, refused: Collection[str]) -> None:
        """The client has what `flight` said, `refused` apart."""
        listed = set()
        for resource in flight.resources:
            listed.add(resource.name)
            if resource.name not in refused and self.wants(resource.name):
                self._took(resource)
        for name in [name for name, told in self.have.items() if told is not None and name not in listed]:
            self._set(name, None)

    def _refuse(self, flight: Response, error: str) -> None:
        changed = {
            resource.name: resource.version
            for resource in flight.resources
            if version_of(self.have.get(resource.name)) != resource.version
        }
        culprits = blamed(error, changed)
        if culprits:
            self._settle(flight, culprits)  # Envoy applied the good part
        else:
            self.suspects = frozenset(changed)
            left = ([name for name in trial if name not in changed] for trial in self.trials)
            self.trials = [trial for trial in left if trial] + self._halves(sorted(changed))
        for name in filter(self.wants, culprits or changed):
            self.parked[name] = Parked(changed[name], error)
        self.refused = True

    def _halves(self, names: list[str]) -> list[list[str]]:
        """The first one last; none where one is alone, or where a name cannot be left out of a response."""
        stay = not self.fresh and any(not isinstance(self.have.get(name), Resource) for name in names)
        middle = (len(names) + 1) // 2
        return [] if stay or middle == len(names) else [names[middle:], names[:middle]]


def blamed(error: str, names: Iterable[str]) -> set[str]:
    """Those of `names` that the text of a refusal is about.

    Envoy writes `Error adding/updating cluster(s) shop/payments: what is wrong, shop/orders: …`. A name that stands
    before a colon is its subject; only when there is none, a name that is mentioned counts.
    """
    pattern = "|".join(re.escape(name) for name in sorted(names))
    for after in (r":(?=\s)", r"(?![\w/-]|[.:]\w)"):
        found = re.findall(rf"(?<![\w/:.-])({pattern}){after}", error) if pattern else []
        if found:
            return set(found)
    return set()
