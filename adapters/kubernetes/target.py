"""One target of a cluster: what is written there, change by change, while its claim is ours."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, assert_never

from adapters.kubernetes import claims, notes, services, slices
from adapters.kubernetes.claims import KubeClaim
from adapters.kubernetes.client import Api, Missing, path
from adapters.kubernetes.fit import Fitted, Form, fit
from adapters.kubernetes.objects import Key, KubeService
from adapters.kubernetes.slices import Revision
from bridge.adapter import Change, Claim, Held, Holding, Note, Put, RecordKey, Remove, Target
from bridge.errors import Conflict
from bridge.kit import Clock
from bridge.model import Service, ServiceName

FRESH: Final = 0.1
"""Seconds for which a claim that was looked at is believed: so many writes share a look, however quick they are."""

REMEMBERED: Final = 10_000
"""Notes whose number is known by heart."""

_GROUPS: Final = {slices.KIND: ("apis", "discovery.k8s.io", "v1"), services.KIND: ("api", "v1")}
_LEASES: Final = ("apis", "coordination.k8s.io", "v1")


class _Claimed(NamedTuple):
    """What of our claim fences writes."""

    deployment: str
    term: int
    tombstone: bool

    @classmethod
    def of(cls, claim: Claim) -> "_Claimed":
        return cls(claim.deployment, claim.term, claim.tombstone)


class KubeTarget:
    """Writes as `form` says, and has its claim in `claim_namespace`, "" while nobody knows where that is.

    `service` is the Service of that name as it was last seen, for notes beside it.
    """

    def __init__(
        self,
        where: str,
        form: Form,
        claim_namespace: str,
        *,
        api: Api,
        clock: Clock,
        service: Callable[[ServiceName], KubeService | None],
    ) -> None:
        self.form = form
        self.claim_namespace = claim_namespace
        self.held = Held()
        self._where = where
        self._api = api
        self._clock = clock
        self._service = service
        self._claimed: _Claimed | None = None
        self._looked = float("-inf")  # at the claim, monotonic
        self._looking = asyncio.Lock()
        self._counts: dict[str, int] = {}

    @property
    def target(self) -> Target:
        return self.form.writing.target

    def see(self, standing: Iterable[KubeClaim], holdings: Mapping[ServiceName, Holding | None]) -> None:
        """The claims that stand in the cluster, and what changed of what is ours."""
        here = (one for one in standing if one.key.namespace == self.claim_namespace)
        found = claims.of_target(here, self.target)
        changes = {name: one for name, one in holdings.items() if one != self.held.holdings.get(name)}
        if found != self.held.claims or changes:
            self.held = Held(self.held.holdings.with_(changes), found)

    def fit(self, service: Service, holding: Holding) -> Fitted:
        """See `bridge.adapter.Sink`."""
        return fit(service, holding, self.form)

    async def apply(self, change: Change) -> None:
        """See `bridge.adapter.Sink`."""
        await self._fence()
        kind, key = _named(change.record.key)
        match change:
            case Put(record, None):
                await self._api.post(_path(kind, key.namespace), self._body(kind, key, record.content, None))
            case Put(record, replaces) if replaces is not None:
                revision = _revision(replaces.key, replaces.revision)
                if kind == services.KIND:
                    made = await self._replaced(key, record.content, revision)
                else:
                    made = self._body(kind, key, record.content, revision)
                await self._api.put(_path(kind, *key), made)
            case Remove(record):
                revision = _revision(record.key, record.revision)
                there = {"uid": revision.uid, "resourceVersion": revision.version}
                await self._api.delete(_path(kind, *key), there)
            case _:
                assert_never(change)  # type: ignore[arg-type]  # a Put replaces something or nothing

    async def claim(self, claim: Claim) -> None:
        """See `bridge.adapter.Sink`."""
        mark, target = self.form.writing.mark, self.target
        if claim.revision is None:
            await self._api.post(self._lease(), claims.body(claim, target, self.claim_namespace, None))
        else:
            revision = _revision("the claim", claim.revision)
            name = claims.name(claim.owner, target)
            await self._api.put(self._lease(name), claims.body(claim, target, self.claim_namespace, revision))
        if claim.owner == mark.owner:
            self._claimed = _Claimed.of(claim)
            self._looked = float("-inf")

    async def tell(self, note: Note) -> None:
        """See `bridge.adapter.Teller`; where there is no Service there is nothing to note it beside."""
        service = self._service(note.service)
        if service is None:
            return None
        writer = slices.writer(self.form.writing.mark.owner, self.target, "")
        name, now = notes.name(note, writer), self._clock.wall()
        events = ("api", "v1", "namespaces", note.service.namespace, "events")
        if (count := self._counts.pop(name, None)) is not None:
            with suppress(Missing):  # it was forgotten there meanwhile
                await self._api.patch(path(*events, name), notes.again(note, now, count + 1))
                return self._remember(name, count + 1)
        try:
            await self._api.post(path(*events), notes.body(note, writer, service.uid, now))
            return self._remember(name, 1)
        except Missing:
            raise
        except Conflict:  # it stands there from a time before us
            stands = await self._api.patch(path(*events, name), notes.again(note, now, None))
            return self._remember(name, _count(stands))

    async def _fence(self) -> None:
        """Raise Conflict where the claim is not the one that we wrote; a claim that was never ours fences nobody."""
        if self._claimed is None:
            return
        self._compare(next((one for one in self.held.claims if one.owner == self.form.writing.mark.owner), None))
        async with self._looking:
            now = self._clock.now()
            if now < self._looked + FRESH:
                return
            name = claims.name(self.form.writing.mark.owner, self.target)
            said = await self._api.get(self._lease(name))
            try:
                self._compare(claims.claim_of(said).claim)
            except ValueError as error:
                raise Conflict(f"{self._where}: lease {self.claim_namespace}/{name}: {error}") from None
            self._looked = now

    def _compare(self, there: Claim | None) -> None:
        assert self._claimed is not None
        if there is not None and _Claimed.of(there) != self._claimed:
            raise Conflict(
                f"{self._where}: is claimed by deployment {there.deployment} in term {there.term}, "
                f"and we wrote in term {self._claimed.term}; nothing is written"
            )

    def _body(self, kind: str, key: Key, content: bytes, replaces: Revision | None) -> dict[str, Any]:
        stamp = self.form.writing.mark.stamp()
        if kind == services.KIND:
            return services.body(services.decode(content), key, stamp, self.target)
        return slices.body(slices.decode(content), key, stamp, self.target, replaces)

    async def _replaced(self, key: Key, content: bytes, revision: Revision) -> dict[str, Any]:
        """The Service that stands there with what is ours of it: the rest is the cluster's and its operators'."""
        there = await self._api.get(_path(services.KIND, *key))
        meta = there["metadata"]
        if (meta.get("uid"), meta.get("resourceVersion")) != revision:
            raise Conflict(f"{self._where}: service {key} is another one by now; it is read again")
        return services.replaced(there, services.decode(content), self.form.writing.mark.stamp(), self.target)

    def _lease(self, *name: str) -> str:
        return path(*_LEASES, "namespaces", self.claim_namespace, "leases", *name)

    def _remember(self, name: str, count: int) -> None:
        if len(self._counts) >= REMEMBERED:
            self._counts.clear()
        self._counts[name] = count


def _named(key: RecordKey) -> tuple[str, Key]:
    """What a record is in the API."""
    kind, namespace, name = key.split("/")
    return kind, Key(namespace, name)


def _path(kind: str, namespace: str, *name: str) -> str:
    return path(*_GROUPS[kind], "namespaces", namespace, f"{kind}s", *name)


def _revision(key: str, said: object) -> Revision:
    if not isinstance(said, Revision):
        raise Conflict(f"{key}: was never seen in this cluster; it is read again")
    return said


def _count(event: Any) -> int:
    count = event.get("count") if isinstance(event, dict) else None
    return count if isinstance(count, int) else 1
