"""An xDS client of its own: what an Envoy would say and remember, for tests to look into.

It shares nothing with the server but the published messages, so that a mistake of one is not repeated by the other.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import grpc.aio  # type: ignore[import-untyped]
from envoy.config.cluster.v3 import cluster_pb2  # type: ignore[import-untyped]  # nor does xds-protos
from envoy.config.core.v3 import base_pb2  # type: ignore[import-untyped]
from envoy.config.endpoint.v3 import endpoint_pb2  # type: ignore[import-untyped]
from envoy.service.discovery.v3 import discovery_pb2  # type: ignore[import-untyped]
from google.rpc import status_pb2  # type: ignore[import-untyped]

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

METHODS = {
    ("ads", False): "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    ("ads", True): "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    ("eds", False): "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
    ("eds", True): "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
    ("cds", False): "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
    ("cds", True): "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
}

_MESSAGES = {CDS: cluster_pb2.Cluster, EDS: endpoint_pb2.ClusterLoadAssignment}


@dataclass(frozen=True, slots=True)
class Seen:
    """A response as the client saw it; `resources` maps names to messages, `versions` (delta)
    names to versions, `size` is in bytes."""

    type_url: str
    version: str
    nonce: str
    resources: dict[str, Any]
    versions: dict[str, str]
    removed: tuple[str, ...]
    size: int
    control_plane: str


@dataclass(slots=True)
class _Topic:
    """What the client knows of one type."""

    names: list[str] = field(default_factory=list)
    have: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    version: str = ""
    nonce: str = ""


class XdsClient:
    """A stream to an xDS server, in either protocol, that answers every response; use as `async with`.

    `refuse` looks at each response and returns why it will not do (a NACK), or None (an ACK); while `answering` is
    False responses are taken in and left unanswered. What it saw stands in `seen`; what it believes in `have(type)`.
    `ended` is the status that the stream ended with.
    """

    def __init__(
        self,
        address: str,
        *,
        delta: bool = False,
        service: str = "ads",
        node: str = "test",
        channel: grpc.aio.Channel | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        options: Iterable[tuple[str, Any]] = (),
        memory: "XdsClient | None" = None,
    ) -> None:
        """`memory` is an earlier client, whose resources this one still has; `channel` is shared with others."""
        self.delta = delta
        self.seen: list[Seen] = []
        self.answering = True
        self.refuse: Callable[[Seen], str | None] = lambda _: None
        self.ended: grpc.aio.AioRpcError | None = None
        self.node = base_pb2.Node(id=node, cluster="tests", user_agent_name="bridge.testing")
        self._own = channel is None
        made = [("grpc.use_local_subchannel_pool", 1), *options]
        if channel is not None:
            self._channel = channel
        elif credentials is not None:
            self._channel = grpc.aio.secure_channel(address, credentials, options=made)
        else:
            self._channel = grpc.aio.insecure_channel(address, options=made)
        self._method = METHODS[service, delta]
        self._topics: dict[str, _Topic] = {}
        if memory is not None:
            for type_url, topic in memory._topics.items():
                self._topics[type_url] = _Topic([], dict(topic.have), dict(topic.versions), topic.version)
        self._first = True
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        handler = self._channel.stream_stream(self._method)
        self._call = handler()
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()
        await asyncio.wait([self._reader])
        if self._own:
            await self._channel.close()

    def have(self, type_url: str = EDS) -> dict[str, Any]:
        """Name → message of what it believes now."""
        return self._topic(type_url).have

    def hosts(self, name: str) -> list[str]:
        """The sorted `address:port` of an assignment that it believes."""
        return sorted(
            f"{socket.address}:{socket.port_value}"
            for locality in self.have(EDS)[name].endpoints
            for socket in (host.endpoint.address.socket_address for host in locality.lb_endpoints)
        )

    async def ask(self, type_url: str, *names: str, resume: bool = False) -> None:
        """Ask for these: in state of the world the whole list, in delta in addition to what was asked before.

        With `resume` the request says what the client has of them from its `memory`.
        """
        topic = self._topic(type_url)
        if self.delta:
            topic.names = [*topic.names, *(name for name in names if name not in topic.names)]
            initial = topic.versions if resume else {}
            await self._delta(type_url, subscribe=names, initial=initial, nonce=topic.nonce)
            return
        topic.names = list(names)
        await self._sotw(type_url, topic, version=topic.version if resume or topic.nonce else "")

    async def leave(self, type_url: str, *names: str) -> None:
        """Unsubscribe, and forget what was had of them."""
        topic = self._topic(type_url)
        topic.names = [name for name in topic.names if name not in names]
        for name in names:
            topic.have.pop(name, None)
            topic.versions.pop(name, None)
        if self.delta:
            await self._delta(type_url, unsubscribe=names, nonce=topic.nonce)
        else:
            await self._sotw(type_url, topic, version=topic.version)

    async def answer(self, response: Seen, error: str | None = None) -> None:
        """ACK a response, or NACK it with `error`."""
        topic = self._topic(response.type_url)
        if self.delta:
            await self._delta(response.type_url, nonce=response.nonce, error=error)
        else:
            await self._sotw(response.type_url, topic, version=topic.version, nonce=response.nonce, error=error)

    async def send(self, raw: bytes) -> None:
        """Send bytes as they are; to a stream that has ended, nothing: `ended` says why."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._call.write(raw)

    async def until(self, holds: Callable[[], bool], what: str = "", patience: float = 120) -> None:
        """Wait until something holds; TimeoutError when it does not within `patience` s, or the stream has ended."""
        try:
            async with asyncio.timeout(patience):
                while not holds():
                    if self.ended is not None:
                        raise TimeoutError
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            had = {kind.rpartition(".")[2]: sorted(topic.have) for kind, topic in self._topics.items()}
            raise TimeoutError(f"{what or 'waited'} up to {patience} s: had {had}, ended {self.ended}") from None

    async def _read(self) -> None:
        try:
            while (raw := await self._call.read()) is not grpc.aio.EOF:
                response = self._take_in(raw)
                self.seen.append(response)
                if self.answering:
                    await self.judge(response)
                self._changed.set()
            self.ended = grpc.aio.AioRpcError(
                await self._call.code(), grpc.aio.Metadata(), grpc.aio.Metadata(), await self._call.details()
            )
        except grpc.aio.AioRpcError as error:
            self.ended = error
        finally:
            self._changed.set()

    async def judge(self, response: Seen) -> None:
        """Take a response for good or not, as `refuse` says, and answer it."""
        error = self.refuse(response)
        topic = self._topic(response.type_url)
        topic.nonce = response.nonce
        if error is None:
            self._believe(topic, response)
        await self.answer(response, error)

    def _believe(self, topic: _Topic, response: Seen) -> None:
        if response.type_url == CDS and not self.delta:
            topic.have.clear()
        topic.have.update(response.resources)
        topic.versions.update(response.versions)
        for name in response.removed:
            topic.have.pop(name, None)
            topic.versions.pop(name, None)
        topic.version = response.version

    def _take_in(self, raw: bytes) -> Seen:
        if not self.delta:
            sotw = discovery_pb2.DiscoveryResponse.FromString(raw)
            messages = [_unpack(sotw.type_url, body) for body in sotw.resources]
            return Seen(
                sotw.type_url, sotw.version_info, sotw.nonce, {_name(one): one for one in messages}, {}, (),
                len(raw), sotw.control_plane.identifier,
            )  # fmt: skip
        delta = discovery_pb2.DeltaDiscoveryResponse.FromString(raw)
        return Seen(
            delta.type_url, delta.system_version_info, delta.nonce,
            {one.name: _unpack(delta.type_url, one.resource) for one in delta.resources},
            {one.name: one.version for one in delta.resources},
            tuple(delta.removed_resources), len(raw), delta.control_plane.identifier,
        )  # fmt: skip

    def _topic(self, type_url: str) -> _Topic:
        return self._topics.setdefault(type_url, _Topic())

    def _node(self) -> Any:
        """The node, in the first request only, as an Envoy with our bootstrap does it."""
        first, self._first = self._first, False
        return self.node if first else None

    async def _sotw(
        self, type_url: str, topic: _Topic, *, version: str, nonce: str | None = None, error: str | None = None
    ) -> None:
        request = discovery_pb2.DiscoveryRequest(
            type_url=type_url,
            resource_names=topic.names,
            version_info=version,
            response_nonce=topic.nonce if nonce is None else nonce,
            node=self._node(),
            error_detail=None if error is None else status_pb2.Status(code=3, message=error),
        )
        await self.send(request.SerializeToString())

    async def _delta(
        self,
        type_url: str,
        *,
        subscribe: Iterable[str] = (),
        unsubscribe: Iterable[str] = (),
        initial: dict[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=list(subscribe),
            resource_names_unsubscribe=list(unsubscribe),
            initial_resource_versions=initial or {},
            response_nonce=nonce,
            node=self._node(),
            error_detail=None if error is None else status_pb2.Status(code=3, message=error),
        )
        await self.send(request.SerializeToString())


def _unpack(type_url: str, body: Any) -> Any:
    return _MESSAGES[type_url].FromString(body.value)


def _name(message: Any) -> str:
    return str(getattr(message, "cluster_name", "") or message.name)
