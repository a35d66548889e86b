"""What a stream's two ends say to each other, as values; `session` decides them, `wire` turns them into bytes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


class ProtocolError(Exception):
    """A client asked for what ends its stream; the message is meant for the client and for the log."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A made resource, shared by all streams that are sent it.

    `version` is a digest of the content; `body` is a serialized google.protobuf.Any.
    """

    name: str
    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A request of either protocol; what the other protocol has stays empty.

    State of the world: `version` (version_info) and `names` (resource_names).
    Delta: `subscribe`, `unsubscribe`, and `initial` (initial_resource_versions), name to version.
    `error` is the message of error_detail, None when there is none.
    """

    type_url: str
    nonce: str = ""
    version: str = ""
    names: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response of either protocol; `removed` is delta's alone."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interest:
    """What one request changed in what a stream looks at.

    `wanted` and `dropped` are names; `wildcard` is True or False where the request changed it, None where not.
    """

    type_url: str
    wanted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    wildcard: bool | None = None


class Store(Protocol):
    """What a session may ask; the server binds it to the stream's class of nodes."""

    def get(self, type_url: str, name: str) -> Resource | None:
        """The resource told under that name now; None when nobody can answer (xDS rule 8)."""
        ...

    def clusters(self) -> Collection[str]:
        """The names that the wildcard of CDS stands for, sorted."""
        ...

    def waiting(self) -> bool:
        """Whether a required source has neither been seen nor has a stand-in.

        When that ends, every session is to be asked for responses: what they kept back goes out then.
        """
        ...

    def partial(self, name: str) -> bool:
        """Whether such a source may know more endpoints under that name than `get` tells now."""
        ...

    def empty(self, type_url: str, name: str) -> Resource:
        """An empty assignment under that name (xDS rules 7 and 8)."""
        ...
