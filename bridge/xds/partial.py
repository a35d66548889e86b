"""Telling only what changed: delta, and endpoints in the state of the world."""

from collections.abc import Collection, Iterable, Sequence
from enum import Enum, auto

from bridge.xds.messages import CDS, EDS, Resource, Response, Store
from bridge.xds.subscription import Parked, Subscription, Told, cost, mark, version_of, written


class _No(Enum):
    """Why a name is not told with a resource."""

    QUIET = auto()  # nothing to tell
    LATER = auto()  # not to be taken away while a required source is waiting
    ALONE = auto()  # refused before and changed since: tried by itself, so that it harms no neighbour
    GONE = auto()  # told as removed


class Partial(Subscription):
    """A response carries what changed; a refused one is told again in halves until the culprit is found (rule 10)."""

    __slots__ = ("max_bytes", "trials", "withheld")

    def __init__(self, type_url: str, store: Store, delta: bool, max_names: int, max_bytes: int) -> None:
        super().__init__(type_url, store, delta, max_names)
        self.max_bytes = max_bytes
        self.trials: list[Sequence[str]] = []  # groups of dirty names, the next one last; the others wait for them
        self.withheld: dict[str, bool] = {}

    def _forget(self, name: str) -> None:
        super()._forget(name)
        self.withheld.pop(name, None)

    def _answer_for(self, wanted: Iterable[str], everything: bool) -> None:
        if everything:
            self.owes = True
            self.dirty.update(dict.fromkeys(self.store.clusters(), True))
        self.dirty.update(dict.fromkeys(wanted, True))

    def resend(self, names: Iterable[str]) -> None:
        """Those of `names` that are asked for must be told again, changed or not."""
        for name in names:
            if name in self.have:
                self.dirty[name] = True

    def take(self, nonce: str) -> Response | None:
        if self.flight is not None:
            return None
        if self.withheld and not self.store.waiting():
            self.dirty = self.withheld | self.dirty
            self.withheld = {}
        while True:
            response = self._tell(self.trials.pop() if self.trials else None, nonce)
            if response is not None or not (self.trials or self.dirty):
                return response

    def _tell(self, group: Sequence[str] | None, nonce: str) -> Response | None:
        """A response about the dirty names, or those of `group` alone; as many as go into one."""
        names = tuple(self.dirty) if group is None else group
        resources: list[Resource] = []
        removed: list[str] = []
        size = 0
        total = self.total
        for name in names:
            if name not in self.dirty or not self.wants(name):
                self.dirty.pop(name, None)
                continue
            answer = self._answer(name, alone=len(names) == 1)
            if isinstance(answer, Resource):
                more = cost(answer)
                if resources and size + more > self.max_bytes:
                    break
                size += more
                resources.append(answer)
                total += mark(name, answer) - mark(name, self.have.get(name))
            elif answer is _No.GONE:
                removed.append(name)
                total -= mark(name, self.have.get(name))
            elif answer is _No.ALONE:
                self.trials.append((name,))
                continue
            elif answer is _No.LATER:
                self.withheld[name] = False
            del self.dirty[name]
        if not (resources or removed or (self.owes and not self.dirty)):
            return None
        resources.sort(key=lambda resource: resource.name)
        response = Response(self.type_url, written(total), nonce, tuple(resources), tuple(sorted(removed)))
        return self._send(response, size)

    def _answer(self, name: str, *, alone: bool) -> Resource | _No:
        told = self.have.get(name)
        forced = self.dirty[name]
        resource = self.store.get(self.type_url, name)
        parked = self.parked.get(name)
        if resource is None:
            self.parked.pop(name, None)
            return self._unanswerable(name, told, forced)
        if parked is not None:
            if parked.version == resource.version:
                if not forced or isinstance(told, str):
                    return _No.QUIET
                return told or self._unanswerable(name, None, forced)
            if version_of(told) == resource.version:
                del self.parked[name]
            elif not alone:
                return _No.ALONE
        if version_of(told) == resource.version and not forced:
            self.have[name] = resource  # the object that others hold too, so that an older one can go
            return _No.QUIET
        if self._may_be_less(name, told):
            self.withheld[name] = False
            return self._unanswerable(name, told, forced)
        return resource

    def _may_be_less(self, name: str, told: Told) -> bool:
        """Whether the client came with endpoints that a source not yet seen may have told (law 3)."""
        came_with = isinstance(told, str) or (told is None and not self.fresh)
        return came_with and self.type_url == EDS and self.store.partial(name)

    def _unanswerable(self, name: str, told: Told, forced: bool) -> Resource | _No:
        """What to say of a name that nobody can answer (rules 7 and 8)."""
        if self.type_url == EDS:
            if isinstance(told, Resource):
                if self.store.waiting():
                    self.withheld[name] = False
                    return told if forced else _No.QUIET
                empty = self.store.empty(self.type_url, name)
                return empty if forced or empty.version != told.version else _No.QUIET
            if not self.delta:
                return self.store.empty(self.type_url, name) if forced and self.fresh else _No.QUIET
        elif told is not None and self.store.waiting():
            return _No.LATER
        return _No.GONE if forced or told is not None else _No.QUIET

    def news(self, response: Response) -> Collection[str]:
        return [resource.name for resource in response.resources]

    def _accept(self, flight: Response) -> None:
        for resource in flight.resources:
            if self.wants(resource.name):
                self._took(resource)
        for name in flight.removed:
            if self.wants(name):
                self._set(name, None)

    def _refuse(self, flight: Response, error: str) -> None:
        if not flight.resources:  # nothing in it could be left out to make it better
            self._accept(flight)
            return
        for name in flight.removed:
            if self.wants(name):
                self.dirty[name] = True
        if len(flight.resources) == 1:
            self._park(flight.resources[0], error)
            return
        names = [resource.name for resource in flight.resources if self.wants(resource.name)]
        self.dirty.update(dict.fromkeys(names, True))
        if self.type_url == CDS:  # the good part was applied: what of it goes must be told as removed
            for name in names:
                if self.have.get(name) is None:
                    self.have[name] = ""
        half = (len(names) + 1) // 2
        self.trials += [group for group in (names[half:], names[:half]) if group]

    def _park(self, resource: Resource, error: str) -> None:
        name = resource.name
        if not self.wants(name):
            return
        told = self.have.get(name)
        if version_of(told) == resource.version:
            # Refused, though accepted once: there is nothing else to fall back on.
            self.parked.setdefault(name, Parked(resource.version, error))
            return
        self.parked[name] = Parked(resource.version, error)
        if told == "":
            self._set(name, None)
        if self.type_url == EDS and isinstance(told, Resource):
            # A cluster that was warming went live without hosts when it refused: give it those it had.
            self.dirty[name] = True
