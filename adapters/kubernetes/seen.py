"""What is seen of one cluster, put together by service, and of which services that changed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from adapters.kubernetes.mirror import Broken, Changes
from adapters.kubernetes.objects import Key, KubeNode, KubeService, KubeSlice
from bridge.adapter import Problem
from bridge.kit.place import excerpt
from bridge.model import ServiceName

T = TypeVar("T")

Home = Callable[[KubeSlice], ServiceName | None]
"""The service that a slice is of for its writer; None where no writer has to know of it."""

_NONE: Final[Mapping[str, KubeSlice]] = {}


class Touched(NamedTuple):
    """The services that are to be read anew, and those of which a writer has to know anew what stands there."""

    read: set[ServiceName]
    held: set[ServiceName]


class Seen:
    """The Services, slices and nodes of a cluster as its mirrors have them; `home` is given where something is written.

    What mirrors change is put in at once, and costs what changed; what that means for services is fetched by `pull`.
    """

    def __init__(self, home: Home | None = None) -> None:
        self.nodes: Mapping[str, KubeNode] = {}
        """By name; another mapping whenever something differs that counts."""
        self.problems: dict[tuple[str, Key], Problem] = {}
        """Of objects that cannot be understood, by kind and key."""
        self._home = home
        self._services: dict[Key, KubeService] = {}
        self._slices: dict[Key, KubeSlice] = {}
        self._labelled = _Index()
        self._at_home = _Index()
        self._touched = Touched(set(), set())

    def service(self, name: ServiceName) -> KubeService | None:
        return self._services.get(Key(*name))

    def slices(self, name: ServiceName) -> Collection[KubeSlice]:
        """Those that say in their label that they are of this service."""
        return self._labelled.get(name)

    def at_home(self, name: ServiceName) -> Collection[KubeSlice]:
        """Those that are of this service for their writer."""
        return self._at_home.get(name)

    def pull(self) -> Touched:
        """What has changed since this was last asked."""
        touched, self._touched = self._touched, Touched(set(), set())
        return touched

    def put_back(self, touched: Touched) -> None:
        """What was pulled, and did not come to be read."""
        self._touched.read.update(touched.read)
        self._touched.held.update(touched.held)

    def take_services(self, changes: Changes[KubeService]) -> None:
        for key, (_, new) in self._understood("service", changes):
            if new is None:
                self._services.pop(key, None)
            else:
                self._services[key] = new
            name = ServiceName(*key)
            self._touched.read.add(name)
            if self._home is not None:
                self._touched.held.add(name)

    def take_slices(self, changes: Changes[KubeSlice]) -> None:
        for key, (old, new) in self._understood("endpointslice", changes):
            if new is None:
                self._slices.pop(key, None)
            else:
                self._slices[key] = new
            self._touched.read.update(self._labelled.move(_service(old), _service(new), key, new))
            if self._home is not None:
                before, after = (self._home(one) if one is not None else None for one in (old, new))
                self._touched.held.update(self._at_home.move(before, after, key, new))

    def take_nodes(self, changes: Changes[KubeNode]) -> None:
        """Nodes say often that they are well: only what differs besides their version counts."""
        nodes = dict(self.nodes)
        differing = set()
        for key, (_, new) in self._understood("node", changes):
            if new is not None:
                new = replace(new, version="")
            if nodes.get(key.name) == new:
                continue
            differing.add(key.name)
            if new is None:
                del nodes[key.name]
            else:
                nodes[key.name] = new
        if differing:
            self.nodes = nodes
            self._touched.read.update(
                ServiceName(one.key.namespace, one.service)
                for one in self._slices.values()
                if one.service and any(row.node in differing for row in one.rows)
            )

    def _understood(self, kind: str, changes: Changes[T]) -> Iterable[tuple[Key, tuple[T | None, T | None]]]:
        """The changes without what cannot be understood, which is a problem, and otherwise as if it were not there."""
        for key, (old, new) in changes.items():
            if isinstance(new, Broken):
                name = ServiceName(*key) if kind == "service" else None
                where = f"{kind} {key if str(key).isprintable() else excerpt(str(key))}"
                self.problems[kind, key] = Problem("object", where, f"{new.why}; it is left out", name)
            elif isinstance(old, Broken):
                del self.problems[kind, key]
            yield key, (None if isinstance(old, Broken) else old, None if isinstance(new, Broken) else new)


def _service(slice_: KubeSlice | None) -> ServiceName | None:
    """The service in a slice's label, None where it names none."""
    return ServiceName(slice_.key.namespace, slice_.service) if slice_ is not None and slice_.service else None


class _Index:
    """Slices by service."""

    def __init__(self) -> None:
        self._of: dict[ServiceName, dict[str, KubeSlice]] = {}

    def get(self, name: ServiceName) -> Collection[KubeSlice]:
        return self._of.get(name, _NONE).values()

    def move(
        self, before: ServiceName | None, after: ServiceName | None, key: Key, new: KubeSlice | None
    ) -> set[ServiceName]:
        """Put a slice from where it was into where it is; both."""
        if before is not None and before != after:
            there = self._of.get(before, {})
            there.pop(key.name, None)
            if not there:
                self._of.pop(before, None)
        if after is not None and new is not None:
            self._of.setdefault(after, {})[key.name] = new
        return {name for name in (before, after) if name is not None}
