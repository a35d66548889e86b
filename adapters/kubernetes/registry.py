"""A cluster as a registry: observed by one reflector for each collection, namespace by namespace or all at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from adapters.kubernetes.claims import CLAIM, KubeClaim, claim_of
from adapters.kubernetes.client import Api
from adapters.kubernetes.mirror import Changes, Mirror
from adapters.kubernetes.objects import node_of, service_of, slice_of
from adapters.kubernetes.reading import Reading
from adapters.kubernetes.reflector import SLICE, Collection, Failure, Reflector
from adapters.kubernetes.seen import Seen, Touched
from adapters.kubernetes.target import KubeTarget
from adapters.kubernetes.written import Written
from bridge.adapter import Change, Claim, Holding, Note, Observation, Problem, Record, Target, Unread
from bridge.errors import BridgeError, ConfigError, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.names import Namespaces
from bridge.kit.problems import bounded
from bridge.model import Service

T = TypeVar("T")

SHOWN: Final = 500
"""How many problems an observation tells one by one."""

_NOT_WRITTEN: Final = "nothing is written before the claims are known"
_NOT_KNOWN: Final = "what a bridge left that is no more cannot be told from what stands"

SERVICES: Final = Collection(("api", "v1"), "services", service_of)
SLICES: Final = Collection(("apis", "discovery.k8s.io", "v1"), "endpointslices", slice_of)
NODES: Final = Collection(("api", "v1"), "nodes", node_of)
CLAIMS: Final = Collection(("apis", "coordination.k8s.io", "v1"), "leases", claim_of, {"labelSelector": CLAIM})


class Part(NamedTuple):
    """What is read together, and fails together: a namespace, or everything; nodes. `name` is what it is called.

    Nothing can be said without an `essential` one that was never read.
    """

    name: str
    namespace: str
    reflectors: tuple[Reflector[Any], ...]
    essential: bool = False

    @property
    def looked(self) -> int:
        return min(one.looked for one in self.reflectors)

    @property
    def never(self) -> bool:
        return any(one.never for one in self.reflectors)

    @property
    def failure(self) -> Failure | None:
        """Why it cannot be read at present, and since when anything of it cannot."""
        failures = [one.failure for one in self.reflectors if one.failure is not None]
        return Failure(min(one.since for one in failures), failures[0].error) if failures else None


class Kubernetes:
    """A source: the Services of one cluster, and a sink: its EndpointSlices.

    What it has mirrored outlives an observation, and is then listed anew.
    """

    concurrency: Final = 8

    def __init__(
        self,
        api: Api,
        clock: Clock,
        namespaces: Namespaces,
        seen: Seen,
        reading: Reading,
        *,
        written: Written,
        nodes: bool,
        needed: bool,
    ) -> None:
        """`nodes` are read too, and `needed` where nothing can be said without them."""
        self._api = api
        self._clock = clock
        self._seen = seen
        self._reading = reading
        self._written = written
        self._news = asyncio.Event()
        self._asked = 0
        self._places = [self._place(namespaces, name) for name in _places(namespaces)]
        self._parts = list(self._places)
        if nodes:
            mirror = Mirror(node_of, lambda _: True)
            self._parts.append(Part("nodes", "", (self._reflector(NODES, "", mirror, seen.take_nodes),), needed))
        self._claims: dict[str, Reflector[KubeClaim]] = {}

    def refresh(self) -> None:
        """See `bridge.adapter.Source`."""
        self._asked += 1
        for one in self._reflectors():
            one.relist(self._asked)

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[Sequence[Record], Sequence[Problem]]:
        """See `bridge.adapter.Sink`."""
        return self._target(target).fit(service, holding)

    async def apply(self, target: Target, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        await self._target(target).apply(change)

    async def claim(self, target: Target, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        await self._target(target).claim(claim)

    async def tell(self, target: Target, note: Note) -> None:
        """See `bridge.adapter.Teller`."""
        await self._target(target).tell(note)

    async def observe(self) -> AsyncIterator[Observation]:
        """See `bridge.adapter.Source`."""
        await self._find_claims()
        self.refresh()
        begun, told = self._asked, None
        tasks = [asyncio.create_task(one.run(), name=f"{self._api.where} reflector") for one in self._reflectors()]
        for task in tasks:
            task.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                for task in tasks:
                    if task.done():
                        task.result()
                if self._looked < begun:
                    continue
                self._refuse_nothing()
                await self._update()
                view = self._view()
                if told is None or not _same(view, told):
                    told = view
                    yield view
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._api.close()

    def _reflectors(self) -> list[Reflector[Any]]:
        return [one for part in self._parts for one in part.reflectors] + list(self._claims.values())

    @property
    def _looked(self) -> int:
        return min(one.looked for one in self._reflectors())

    def _target(self, target: Target) -> KubeTarget:
        return self._written.targets[target]

    async def _find_claims(self) -> None:
        """Follow the claims, in namespaces that a kubeconfig may have to tell; who only reads, where he reads."""
        try:
            namespaces = await asyncio.to_thread(self._written.located)
        except ConfigError as error:
            raise Denied(f"{self._api.where}: {error}") from None
        for name in namespaces or [part.namespace for part in self._places]:
            if name not in self._claims:
                mirror = Mirror(claim_of, lambda _: True)
                self._claims[name] = self._reflector(CLAIMS, name, mirror, self._written.take_claims)

    def _place(self, namespaces: Namespaces, name: str) -> Part:
        wanted = namespaces.admit
        services = self._reflector(SERVICES, name, Mirror(service_of, wanted), self._seen.take_services)
        slices = self._reflector(SLICES, name, Mirror(slice_of, wanted), self._seen.take_slices)
        return Part(f"namespace {name}" if name else "all namespaces", name, (services, slices))

    def _reflector(
        self, collection: Collection[T], namespace: str, mirror: Mirror[T], take: Callable[[Changes[T]], None]
    ) -> Reflector[T]:
        return Reflector(self._api, collection, namespace, mirror, take=take, news=self._news.set, clock=self._clock)

    def _refuse_nothing(self) -> None:
        """Where nothing can be read, or not what all rests on, there is no view: the last one stands."""
        errors = [part.failure.error for part in self._places if part.failure is not None]
        if len(errors) == len(self._places):
            _raise(next((one for one in errors if not isinstance(one, Denied)), errors[0]))
        for part in self._parts:
            if part.essential and part.never and part.failure is not None:
                _raise(part.failure.error)

    async def _update(self) -> None:
        """Read anew what was touched, with turns for others between."""
        touched = self._whole(self._seen.pull())
        try:
            known = [name for name, one in self._claims.items() if not one.never and not self._unknown]
            steps = chain(self._reading.update(touched.read), self._written.update(touched.held, known))
            for number, _ in enumerate(steps, 1):
                if number % SLICE == 0:
                    await self._clock.sleep(0)
        except BaseException:
            self._seen.put_back(touched)
            raise

    @property
    def _unknown(self) -> list[Part]:
        """The namespaces that were never read whole."""
        return [part for part in self._places if part.never]

    def _whole(self, touched: Touched) -> Touched:
        """What was touched where Services and slices are both known; without its slices a Service would look empty."""
        unknown = {part.namespace for part in self._unknown}
        if not unknown:
            return touched
        early, whole = Touched(set(), set()), Touched(set(), set())
        for kind, names in enumerate(touched):
            for name in names:
                (early if name.namespace in unknown else whole)[kind].add(name)
        self._seen.put_back(early)
        return whole

    def _view(self) -> Observation:
        problems = bounded(self._problems(), SHOWN, self._api.where)
        unread = tuple(
            Unread(part.name, failure.since, str(failure.error).removeprefix(f"{self._api.where}: "), part.never)
            for part in self._parts
            if (failure := part.failure) is not None
        )
        services, written = self._reading.services, self._written
        return Observation(services, self._looked, problems, len(self._parts), unread, written.held, written.others)

    def _problems(self) -> Iterator[Problem]:
        yield from (self._seen.problems[key] for key in sorted(self._seen.problems))
        yield from self._unclaimed()
        yield from self._written.problems
        yield from self._reading.problems

    def _unclaimed(self) -> Iterator[Problem]:
        """What cannot be read, and so keeps targets from being written; and readers from knowing who is no more."""
        writes = bool(self._written.targets)
        kind, then = ("target", _NOT_WRITTEN) if writes else ("claims", _NOT_KNOWN)
        for namespace, one in self._claims.items():
            if one.failure is not None:
                where = f"leases of namespace {namespace}" if namespace else "leases"
                yield Problem(kind, where, f"{one.failure.error}; {then}")
        for part in self._unknown if writes else ():
            if part.failure is not None:
                what = f"{part.failure.error}; nothing is written before it was read once"
                yield Problem("target", part.name, what)


def _raise(error: BridgeError) -> NoReturn:
    """As the core takes it from a source; whatever else a server says to a reader is no reading."""
    raise Denied(str(error)) if isinstance(error, Denied) else Unavailable(str(error))


def _places(namespaces: Namespaces) -> list[str]:
    """What is read apart: each namespace that is named, or all at once."""
    return [""] if namespaces.every else sorted(namespaces.named)


def _same(one: Observation, other: Observation) -> bool:
    """Whether two say the same, and were read as often."""
    same = one.services is other.services and one.held is other.held and one.read == other.read
    return same and (one.problems, one.unread, one.others) == (other.problems, other.unread, other.others)
