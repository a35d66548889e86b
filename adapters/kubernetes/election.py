"""Which replica writes, decided by a Lease of the cluster; the I/O of it."""

import re
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from adapters.kubernetes import lease
from adapters.kubernetes.access import AccessSettings, Cluster
from adapters.kubernetes.client import Api, Missing, path
from adapters.kubernetes.shelf import ConfigMapShelf
from bridge.adapter import Problem
from bridge.errors import ConfigError, Denied, Rejected, Unavailable
from bridge.kit import Clock
from bridge.kit.candidate import Standing, Write
from bridge.kit.leased import LeasedElection, LeaseSettings
from bridge.kit.mark import deployment
from bridge.kit.place import excerpt

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


def _label(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{excerpt(value)} is no name for it; take 1 to 63 lower-case letters, digits and inner `-`")
    return value


Name = Annotated[str, AfterValidator(_label)]


class LeaderSettings(AccessSettings, LeaseSettings):
    """`leader: {kind: kubernetes}`: of all replicas that name the same Lease, one writes."""

    kind: Literal["kubernetes"]
    name: Name = Field(default="registry-bridge", description="of the Lease; NAME-decisions is the ConfigMap beside it")
    namespace: Name | None = Field(default=None, description="of both; the pod's own by default, else the context's")

    def open(self, clock: Clock, folder: Path | None) -> LeasedElection:
        """ConfigError when it is not known which cluster is meant."""
        cluster = self._cluster()
        namespace = self.namespace or cluster.namespace
        answer = min(self.timeout, self.renew / 2)
        election = Api(f"leader: lease {namespace}/{self.name}", self.access(clock), clock, answer)
        decisions = Api(f"leader: configmap {namespace}/{self.name}-decisions", self.access(clock), clock, self.timeout)
        return LeasedElection(
            KubeLease(election, clock, (namespace, self.name), self.lease),
            clock,
            deployment=deployment_in(cluster, namespace, self.name),
            timing=self.timing,
            shelf=ConfigMapShelf(decisions, namespace, f"{self.name}-decisions"),
        )

    def check(self) -> Sequence[Problem]:
        """A kubeconfig that is named has to lead somewhere."""
        if self.kubeconfig is not None:
            self._cluster()
        return ()

    def _cluster(self) -> Cluster:
        try:
            return self.cluster()
        except ConfigError as error:
            raise ConfigError(f"leader: {error}") from None


def deployment_in(cluster: Cluster, namespace: str, name: str) -> str:
    """How claims name the replicas that share the Lease of that name."""
    return deployment(f"{namespace}.{name}", cluster.server, namespace, name, cluster.authority.strip())


class KubeLease:
    """The Lease of that name, as an election reads and replaces it."""

    def __init__(self, api: Api, clock: Clock, place: tuple[str, str], seconds: float) -> None:
        """`place` is the namespace and the name; one that does not say for how long is held for `seconds`."""
        self.place = api.where
        self._api = api
        self._clock = clock
        self._name = place
        self._seconds = seconds
        self._found: dict[str, Any] | None = None  # the object that was seen last

    async def look(self) -> Standing | None:
        """See `bridge.kit.leased.Lease`."""
        try:
            self._found = await self._asked(self._api.get(self._path()))
        except Missing:
            self._found = None
        return lease.read(self._found, self._seconds) if self._found is not None else None

    async def write(self, write: Write) -> Standing:
        """See `bridge.kit.leased.Lease`."""
        namespace, name = self._name
        body = lease.written(self._found, write, self._clock.wall(), namespace, name)
        if self._found is None:
            try:
                self._found = await self._asked(self._api.post(self._path(collection=True), body))
            except Missing as error:
                raise Unavailable(str(error)) from error
        else:
            self._found = await self._asked(self._api.put(self._path(), body))
        return lease.read(self._found, self._seconds)

    async def close(self) -> None:
        """See `bridge.kit.leased.Lease`."""
        await self._api.close()

    async def _asked(self, request: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        try:
            return await request
        except Rejected as error:
            raise Denied(str(error)) from error

    def _path(self, *, collection: bool = False) -> str:
        namespace, name = self._name
        parts = ("apis", "coordination.k8s.io", "v1", "namespaces", namespace, "leases")
        return path(*parts) if collection else path(*parts, name)
