"""Which replica writes, decided by a Lease of the cluster; the I/O of it."""

import asyncio
import hashlib
import platform
import random
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import structlog
from pydantic import AfterValidator, Field, model_validator

from adapters.kubernetes import lease
from adapters.kubernetes.access import AccessSettings, Cluster
from adapters.kubernetes.candidate import Candidate, Timing, Write
from adapters.kubernetes.client import Api, Missing, path
from adapters.kubernetes.shelf import ConfigMapShelf
from bridge.errors import BridgeError, ConfigError, Conflict, Denied, Rejected, Unavailable
from bridge.kit import Clock
from bridge.kit.election import Elector, Term
from bridge.kit.mark import owner_name
from bridge.kit.place import excerpt
from bridge.kit.settings import Duration

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)

_log = structlog.get_logger("bridge.election")


def _label(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{excerpt(value)} is no name for it; take 1 to 63 lower-case letters, digits and inner `-`")
    return value


Name = Annotated[str, AfterValidator(_label)]


class LeaderSettings(AccessSettings):
    """`leader: {kind: kubernetes}`: of all replicas that name the same Lease, one writes."""

    kind: Literal["kubernetes"]
    name: Name = Field(default="registry-bridge", description="of the Lease; NAME-decisions is the ConfigMap beside it")
    namespace: Name | None = Field(default=None, description="of both; the pod's own by default, else the context's")
    lease: Duration = Field(default="15s", validate_default=True, description="others wait so long for a silent leader")
    renew: Duration = Field(default="10s", validate_default=True, description="a leader that cannot renew stops then")
    retry: Duration = Field(default="2s", validate_default=True, description="between two requests")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.retry < self.renew < self.lease:
            raise ValueError("`retry` must be less than `renew`, and `renew` less than `lease`")
        if self.lease < 1 or self.retry < 0.1:
            raise ValueError("`lease` is at least 1s, and `retry` at least 100ms")
        return self

    def open(self, clock: Clock, folder: Path | None) -> Elector:
        """The elector; ConfigError when it is not known which cluster is meant."""
        try:
            cluster = self.cluster()
        except ConfigError as error:
            raise ConfigError(f"leader: {error}") from None
        namespace = self.namespace or cluster.namespace
        answer = min(self.timeout, self.renew / 2)
        election = Api(f"leader: lease {namespace}/{self.name}", self.access(clock), clock, answer)
        decisions = Api(f"leader: configmap {namespace}/{self.name}-decisions", self.access(clock), clock, self.timeout)
        return LeaseElection(
            election,
            clock,
            deployment=deployment(cluster, namespace, self.name),
            place=(namespace, self.name),
            timing=Timing(self.lease, self.renew, self.retry),
            shelf=ConfigMapShelf(decisions, namespace, f"{self.name}-decisions"),
        )


def deployment(cluster: Cluster, namespace: str, name: str) -> str:
    """How claims name the replicas that share the Lease of that name: the same for all of them, and after restarts."""
    told = "\0".join((cluster.server, namespace, name)).encode() + b"\0" + cluster.authority.strip()
    return owner_name(f"{f'{namespace}.{name}'[:54].rstrip('-._')}.{hashlib.sha256(told).hexdigest()[:8]}")


class LeaseElection:
    """One replica's part in the election by a Lease; what it knows outlives an API server that is away."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        *,
        deployment: str,
        place: tuple[str, str],
        timing: Timing,
        shelf: ConfigMapShelf,
    ) -> None:
        """`place` is the namespace and the name of the Lease."""
        self.deployment = deployment
        self.shelf = shelf
        self.identity = f"{platform.node()[:100] or 'bridge'}_{secrets.token_hex(8)}"
        self._api = api
        self._place = place
        self._timing = timing
        self._clock = clock
        self._candidate = Candidate(self.identity, timing)
        self._found: dict[str, Any] | None = None  # the object that was seen last

    async def terms(self) -> AsyncIterator[Term]:
        """Yield where we stand at first, and whenever that is another."""
        first, told = True, self._candidate.term
        try:
            while True:
                try:
                    await self._step()
                except Rejected as error:
                    raise Denied(str(error)) from error
                if first or self._candidate.term != told:
                    first, told = False, self._candidate.term
                    yield Term(*(told or (0, self._clock.now())))
                spread = random.random()  # noqa: S311  # it spreads load, no secret
                await self._clock.sleep(self._candidate.pause(self._clock.now(), spread))
        except (GeneratorExit, asyncio.CancelledError):
            await self._give_back()
            raise
        finally:
            await self._api.close()

    async def _step(self) -> None:
        """One request, and another look where that found something else than expected."""
        write = self._candidate.next(self._clock.now())
        if write is None:
            await self._look()
            return
        try:
            await self._write(write)
        except Conflict:
            await self._look()

    async def _look(self) -> None:
        try:
            self._found = await self._api.get(self._path())
        except Missing:
            self._found = None
        standing = lease.read(self._found, self._timing.lease) if self._found is not None else None
        self._candidate.see(standing, self._clock.now())

    async def _write(self, write: Write) -> None:
        namespace, name = self._place
        sent = self._clock.now()
        body = lease.written(self._found, write, self._clock.wall(), namespace, name)
        if self._found is None:
            try:
                self._found = await self._api.post(self._path(collection=True), body)
            except Missing as error:
                raise Unavailable(f"{error}; make the namespace {namespace}, or name another") from error
        else:
            self._found = await self._api.put(self._path(), body)
        self._candidate.wrote(lease.read(self._found, self._timing.lease), sent, self._clock.now())

    async def _give_back(self) -> None:
        self._candidate.lose(self._clock.now())
        write = self._candidate.release()
        if write is None:
            return
        try:
            try:
                await self._write(write)
            except Conflict:  # the answer to a renewal may have been lost
                await self._look()
                if (write := self._candidate.release()) is not None:
                    await self._write(write)
        except BridgeError as error:
            _log.warning("lead not given back", why=str(error), next_leads_in=self._timing.lease)

    def _path(self, *, collection: bool = False) -> str:
        namespace, name = self._place
        parts = ("apis", "coordination.k8s.io", "v1", "namespaces", namespace, "leases")
        return path(*parts) if collection else path(*parts, name)
