"""A Kubernetes in memory, as far as what is written goes: objects as the API stores them, and a sink's plans made."""

from itertools import count
from typing import Any

from adapters.kubernetes import services, slices
from adapters.kubernetes.fit import Form, fit
from adapters.kubernetes.objects import Key, KubeService, KubeSlice, service_of, slice_of
from adapters.kubernetes.owned import Writing, holding, home
from adapters.kubernetes.slices import Revision
from bridge.adapter import Change, Holding, Problem, Put, Target
from bridge.kit.mark import Mark
from bridge.kit.names import Namespaces, Pattern
from bridge.model import Service, ServiceName
from bridge.plan import plan
from tests import kube
from tests.builders import service

MARK = Mark("prod", "cluster-a")
PAYMENTS = service("shop/payments", "10.20.0.1:8080", "10.20.0.2:8080")
Json = dict[str, Any]


def form(
    *,
    mark: Mark = MARK,
    target: str = "",
    create: bool = False,
    headless: bool = False,
    opt_in: bool = False,
    size: int = 100,
    services: str = "shop/*",
) -> Form:
    writing = Writing(mark, Target(target), (Pattern(services),))
    return Form(writing, Namespaces.of(["*"], []), create, headless, opt_in, size)


class World:
    """The Services and slices that are there; `put` and `drop` are what others do."""

    def __init__(self, *objects: Json) -> None:
        self.services: dict[Key, Json] = {}
        self.slices: dict[Key, Json] = {}
        self.problems: tuple[Problem, ...] = ()
        self._versions = count(1)
        self.put(*objects)

    def put(self, *objects: Json) -> None:
        for one in objects:
            self._of(one)[_key(one)] = one

    def holding(self, name: str, how: Form) -> Holding:
        """What a sink of that form would be seen to have."""
        service = ServiceName.parse(name)
        raw = self.services.get(Key(*service))
        seen: KubeService | None = service_of(raw) if raw is not None else None
        found: list[KubeSlice] = [slice_of(one) for one in self.slices.values()]
        said = holding(service, seen, [one for one in found if home(one) == service], how.writing)
        return said or Holding()

    def plan(self, service: Service, how: Form) -> tuple[Change, ...]:
        there = self.holding(str(service.name), how)
        fitted, self.problems = (tuple(part) for part in fit(service, there, how))  # type: ignore[assignment]
        return plan(fitted, there).changes

    def say(self, service: Service, how: Form) -> int:
        """Write it until nothing is left to do; how many writes that took."""
        writes = 0
        while changes := self.plan(service, how):
            writes += len(changes)
            assert writes < 10_000, changes
            for change in changes:
                self.apply(change, how)
        return writes

    def gone(self, name: str, how: Form) -> int:
        """Nothing is wanted there any more."""
        changes = plan((), self.holding(name, how)).changes
        for change in changes:
            self.apply(change, how)
        return len(changes)

    def apply(self, change: Change, how: Form) -> None:
        kind, namespace, name = change.record.key.split("/")
        key, mark = Key(namespace, name), how.writing.mark
        objects = self.slices if kind == slices.KIND else self.services
        if not isinstance(change, Put):
            del objects[key]
            return
        target, content, replaces = how.writing.target, change.record.content, change.replaces
        revision = replaces.revision if replaces is not None else None
        if kind == slices.KIND:
            assert revision is None or isinstance(revision, Revision)
            made = slices.body(slices.decode(content), key, mark.stamp(), target, revision)
        elif replaces is None:
            made = services.body(services.decode(content), key, mark.stamp(), target)
        else:
            made = services.replaced(objects[key], services.decode(content), mark.stamp(), target)
        if replaces is None:
            assert key not in objects, f"{key} stands there"
        objects[key] = self._stored(made, objects.get(key))

    def rows(self, name: str) -> dict[str, list[str]]:
        """The addresses of each slice of a service, by the slice's name."""
        return {
            key.name: [row["addresses"][0] for row in one["endpoints"] or ()]
            for key, one in sorted(self.slices.items())
            if f"{key.namespace}/{one['metadata']['labels'][slices.SERVICE_NAME]}" == name
        }

    def _stored(self, made: Json, old: Json | None) -> Json:
        meta = made["metadata"]
        uid = old["metadata"]["uid"] if old is not None else f"uid-{next(self._versions)}"
        return {**made, "metadata": {**meta, "uid": uid, "resourceVersion": str(next(self._versions))}}

    def _of(self, one: Json) -> dict[Key, Json]:
        return self.slices if one["kind"] == "EndpointSlice" else self.services


def _key(one: Json) -> Key:
    return Key(one["metadata"]["namespace"], one["metadata"]["name"])


def shop(*ports: str, name: str = "payments", **said: Any) -> Json:
    """The Service shop/payments, without a selector."""
    return kube.service(f"shop/{name}", *ports or ("http:80",), **said)


def written(world: World, said: Service, **how: Any) -> list[Json]:
    """The slices that are there once the service was said, by name."""
    world.say(said, form(**how))
    return [one for _, one in sorted(world.slices.items())]


def problems(said: Service, *objects: Json, **how: Any) -> dict[str, str]:
    """What cannot be said, by kind."""
    world = World(*objects)
    world.say(said, form(**how))
    return {one.kind: one.what for one in world.problems}
