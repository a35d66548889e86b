"""The gRPC server of xDS: who may ask, and which streams must look again."""

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import grpc.aio  # type: ignore[import-untyped]
import structlog

from bridge import __version__
from bridge.errors import ConfigError
from bridge.kit import Clock
from bridge.traffic import ANY
from bridge.xds.admission import Admission
from bridge.xds.messages import CDS, EDS, Interest, ProtocolError, Request
from bridge.xds.resources import WILDCARD, Resources
from bridge.xds.session import Session
from bridge.xds.stream import FAILED, Ended, Stream, Totals
from bridge.xds.subscription import Status
from bridge.xds.tls import Credentials, TlsFiles

SERVICES = {
    "ads": ("envoy.service.discovery.v3.AggregatedDiscoveryService", "AggregatedResources", frozenset({CDS, EDS})),
    "eds": ("envoy.service.endpoint.v3.EndpointDiscoveryService", "Endpoints", frozenset({EDS})),
    "cds": ("envoy.service.cluster.v3.ClusterDiscoveryService", "Clusters", frozenset({CDS})),
}
"""Short name → gRPC service, what its two methods end in, and the types that it serves."""

RESPONSE = 4_000_000
"""Bytes of the resources of one response: what gRPC clients take by default is 4 MiB, the frame included."""

_CROWD = 1_000_000
"""Calls that may wait in gRPC to be taken up; by its own limits it cancels most of a crowd of ten thousand."""

OPTIONS: tuple[tuple[str, int], ...] = (
    # A second bridge on the port must fail, not share it in silence.
    ("grpc.so_reuseport", 0),
    # Clients ping as often as they like; the bridge pings too, so that a peer that vanished is noticed.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Every request of an Envoy that repeats its node has 61 KB, and twenty thousand names have a few MB.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # Connections spread again over the replicas; gRPC itself spreads the moment by a tenth.
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 60 * 1000),
    ("grpc.server.max_pending_requests", _CROWD),
    ("grpc.server.max_pending_requests_hard_limit", _CROWD),
    # An Envoy without ADS opens a stream a cluster.
    ("grpc.max_concurrent_streams", _CROWD),
)

_QUIET = 10.0
"""Seconds for which a line of the log is not repeated about the same thing, and between two counts of handshakes."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen (host and port), and what one client may take.

    `max_names` is for a stream and type, `max_streams` for an address.
    """

    listen: tuple[str, int]
    insecure: bool
    tls: TlsFiles | None
    max_names: int
    max_streams: int


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream, for operators: `since` in seconds, monotonic; `sent` in bytes; node "" before the first request."""

    peer: str
    service: str
    delta: bool
    node: str
    cluster: str
    agent: str
    since: float
    responses: int
    sent: int
    types: tuple[Status, ...]


@dataclass(slots=True)
class Sums:
    """What metrics say of the open streams: how many, the names they ask for, and the versions they refused."""

    streams: int
    names: int
    parked: int


class Server:
    """Serves ADS, EDS and CDS in both protocols; one event loop, on which `publish` is called too."""

    def __init__(self, resources: Resources, settings: ServerSettings, clock: Clock, identity: str) -> None:
        """`identity` names this replica. ConfigError when plain text would leave the machine, or for bad TLS files."""
        check(settings)
        self.identifier = f"registry-bridge/{__version__} {identity}"
        self.admission = Admission()
        self.totals = Totals()
        self.credentials: Credentials | None = None
        self._resources, self._settings, self._clock = resources, settings, clock
        self._log = structlog.get_logger("bridge.xds")
        self._streams: set[Stream] = set()
        self._by_session: dict[Session, Stream] = {}
        self._of_address: Counter[str] = Counter()
        self._of_peer: Counter[str] = Counter()
        self._connections = 0  # that opened a stream
        self._watching: asyncio.Task[None] | None = None
        self._said: dict[str, float] = {}  # lines of the log, and when they were last said
        self._before: dict[str, float] = {}  # of the time before
        self._since = clock.now()  # that those are gathered
        self._server: grpc.aio.Server | None = None
        if settings.tls is not None:
            self.credentials = Credentials(settings.tls, self._tell)

    # The port.

    async def start(self) -> None:
        """Listen; ConfigError when the port cannot be had."""
        address = written(self._settings.listen)
        await asyncio.to_thread(_try_port, self._settings.listen)
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers(self._handlers())
        try:
            if self.credentials is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, self.credentials.server)
        except RuntimeError as error:
            raise ConfigError(f"xds.listen: {address} cannot be listened on: {error}") from None
        await server.start()
        self._server = server
        if self.credentials is not None:
            self._watching = asyncio.create_task(self._watch_handshakes(self.credentials))

    async def stop(self, grace: float) -> None:
        """End: no new streams from now on, the others are told to go elsewhere; at most `grace` seconds."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._watching is not None:
            self._watching.cancel()
        stopping = asyncio.create_task(server.stop(grace))
        for stream in list(self._streams):
            stream.end(grpc.StatusCode.UNAVAILABLE, "the bridge is stopping; connect again")
        await stopping

    def _handlers(self) -> tuple[Any, ...]:
        return tuple(
            grpc.method_handlers_generic_handler(
                full,
                {
                    f"{way}{suffix}": grpc.stream_stream_rpc_method_handler(
                        partial(self._serve, service, way == "Delta")
                    )
                    for way in ("Stream", "Delta")
                },
            )
            for service, (full, suffix, _) in SERVICES.items()
        )

    # Streams.

    async def _serve(self, service: str, delta: bool, _: Any, context: Any) -> None:
        stream = Stream(self, context, service, delta=delta, since=self._clock.now())
        address = stream.peer.rpartition(":")[0]
        most = self._settings.max_streams
        if self._of_address[address] >= most:
            self._refuse(stream, f"more than {most} streams from one address")
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"at most {most} streams from one address")
        self._of_address[address] += 1
        self._connections += stream.peer not in self._of_peer
        self._of_peer[stream.peer] += 1
        self._streams.add(stream)
        self.totals.streams += 1
        try:
            await stream.serve()
            ended = stream.ended
        except ProtocolError as error:
            self._refuse(stream, str(error))
            ended = Ended(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except grpc.aio.BaseError:
            raise  # the client is gone, and gRPC knows
        except Exception as error:
            self.failed(stream, error)
            ended = FAILED
        finally:
            self._forget(stream, address)
        if ended is not None:
            await context.abort(*ended)

    def _forget(self, stream: Stream, address: str) -> None:
        self._streams.discard(stream)
        for counter, key in ((self._of_address, address), (self._of_peer, stream.peer)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        if stream.session is not None:
            self._by_session.pop(stream.session, None)
            for interest in stream.session.close():
                self._look(stream.session, interest)

    def open(self, stream: Stream) -> Session:
        """The session of a stream whose first request has come."""
        delta, (_, _, types) = stream.delta, SERVICES[stream.service]
        store = self._resources.store(ANY)
        session = Session(delta, store, types, max_names=self._settings.max_names, max_bytes=RESPONSE)
        self._by_session[session] = stream
        return session

    def hear(self, stream: Stream, session: Session, request: Request) -> None:
        """Take a request; raises ProtocolError for what ends the stream."""
        self.totals.requests += 1
        self._look(session, session.receive(request))
        if request.error is not None:
            self._refused_by_client(stream, request)

    def _look(self, session: Session, interest: Interest) -> None:
        """Have the resources know what a session looks at."""
        resources, type_url = self._resources, interest.type_url
        for name in interest.dropped:
            resources.unsubscribe(type_url, name, ANY, session)
        for name in interest.wanted:
            resources.subscribe(type_url, name, ANY, session)
        if interest.wildcard is not None:
            turn = resources.subscribe if interest.wildcard else resources.unsubscribe
            turn(type_url, WILDCARD, ANY, session)

    def publish(self, changes: Mapping[Session, Mapping[str, Iterable[str]]]) -> None:
        """Have sessions look again at names by type, as the resources said; costs those sessions and nothing else."""
        for session, touched in changes.items():
            stream = self._by_session.get(session)
            if stream is not None:
                for type_url, names in touched.items():
                    session.touch(type_url, names)
                stream.wake()

    # What operators see.

    def streams(self) -> list[StreamStatus]:
        """The streams that are open, oldest first."""
        return [_status(stream) for stream in sorted(self._streams, key=lambda stream: (stream.since, stream.peer))]

    def sums(self) -> Sums:
        """Over all streams, without making a list of them."""
        sums = Sums(len(self._streams), 0, 0)
        for stream in self._streams:
            if stream.session is not None:
                names, parked = stream.session.counts()
                sums.names += names
                sums.parked += parked
        return sums

    def failed(self, stream: Stream, error: BaseException) -> None:
        """A mistake of ours ended one stream; the log tells it whole."""
        self.totals.failures += 1
        self._log.error("xds stream failed", peer=stream.peer, node=_node(stream), exc_info=error)

    def oversized(self, stream: Stream, type_url: str, size: int) -> None:
        """Clusters in the state of the world cannot be split, nor can one assignment."""
        if self._due(f"oversized {type_url}"):
            self._log.warning(
                "xds response over 4 MiB",
                peer=stream.peer,
                node=_node(stream),
                type=type_url.rpartition(".")[2],
                size=size,
                why="clients with gRPC's usual limit refuse it (Envoy takes it); have them ask by delta",
            )

    def _refuse(self, stream: Stream, why: str) -> None:
        self.totals.refused += 1
        if self._due(f"refused {stream.peer.rpartition(':')[0]}"):
            self._log.warning("xds stream refused", peer=stream.peer, node=_node(stream), why=why)

    def _refused_by_client(self, stream: Stream, request: Request) -> None:
        self.totals.nacks += 1
        if self._due(f"nack {_node(stream)} {request.type_url}"):
            self._log.warning(
                "xds response refused by a client",
                peer=stream.peer,
                node=_node(stream),
                type=request.type_url.rpartition(".")[2],
                why=(request.error or "")[:500],
            )

    async def _watch_handshakes(self, credentials: Credentials) -> None:
        """Say when TLS connections come to nothing; gRPC tells neither that nor whose they are, so they are counted."""
        begun, told = credentials.handshakes, 0
        while True:
            await self._clock.sleep(_QUIET)
            missing = max(0, begun - self._connections - told)
            told += missing
            begun = credentials.handshakes
            # A connection whose streams came one after the other was counted for each.
            self._connections = min(self._connections, begun - told)
            if missing:
                self._log.warning(
                    "xds clients refused",
                    connections=missing,
                    why="their TLS connections opened no stream: a client shows no certificate that"
                    " xds.tls.client_ca signed, or does not trust xds.tls.cert; gRPC gives the reason of each on"
                    " stderr, and no address",
                )

    def _due(self, what: str) -> bool:
        """Whether something is worth a line: not again within ten seconds."""
        now = self._clock.now()
        if now - self._since >= _QUIET:
            self._said, self._before, self._since = {}, self._said, now
        last = self._said.get(what, self._before.get(what))
        if last is not None and now - last < _QUIET:
            return False
        self._said[what] = now
        return True

    def _tell(self, line: str) -> None:
        self._log.warning("xds tls", what=line)


def check(settings: ServerSettings) -> None:
    """ConfigError when plain text would leave the machine (S-14)."""
    if settings.tls is None and not settings.insecure and not _is_loopback(settings.listen[0]):
        raise ConfigError(
            f"xds.listen: {written(settings.listen)} is not a loopback address, and plain text there lets anyone read"
            " and fake endpoints; name certificates in xds.tls (cert, key, client_ca), or write insecure: true"
        )


def written(listen: tuple[str, int]) -> str:
    """Host and port as one writes them."""
    host, port = listen
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _try_port(listen: tuple[str, int]) -> None:
    """Bind the port for a moment, since gRPC does not say why it cannot."""
    address, (host, port) = written(listen), listen
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                why = "is in use, perhaps by another bridge; stop the other process or choose another port"
            case errno.EADDRNOTAVAIL:
                why = "is not an address of this machine; choose one of its own, or 0.0.0.0 for all"
            case errno.EACCES:
                why = "may not be used by this user; choose a port from 1024 up"
            case code:
                why = f"cannot be listened on: {os.strerror(code) if code and code > 0 else error}; choose another"
        raise ConfigError(f"xds.listen: {address} {why}") from None


def _node(stream: Stream) -> str:
    return "" if stream.node is None else stream.node.id


def _status(stream: Stream) -> StreamStatus:
    node = stream.node
    return StreamStatus(
        peer=stream.peer,
        service=stream.service,
        delta=stream.delta,
        node="" if node is None else node.id,
        cluster="" if node is None else node.cluster,
        agent="" if node is None else f"{node.user_agent_name} {node.user_agent_version}".strip(),
        since=stream.since,
        responses=stream.responses,
        sent=stream.sent,
        types=() if stream.session is None else stream.session.status(),
    )
