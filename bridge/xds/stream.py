"""One xDS stream: its requests into a session, and what the session answers out again."""

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import grpc.aio  # type: ignore[import-untyped]

from bridge.xds import wire
from bridge.xds.admission import Admission
from bridge.xds.messages import CDS, EDS, Request
from bridge.xds.session import Session

_TYPES = frozenset({CDS, EDS})


USUAL_LIMIT = 4 * 1024 * 1024
"""Bytes of a message that gRPC clients take by default."""


class Ended(NamedTuple):
    """Why the bridge ends a stream; `code` is a grpc.StatusCode, `why` a sentence for the client and the log."""

    code: Any
    why: str


FAILED = Ended(grpc.StatusCode.INTERNAL, "a mistake in the bridge; its log says more")


@dataclass(slots=True)
class Totals:
    """Counted since the start of the server, over streams that ended too; `sent` in bytes."""

    streams: int = 0
    refused: int = 0
    requests: int = 0
    responses: int = 0
    sent: int = 0
    nacks: int = 0
    failures: int = 0


class Host(Protocol):
    """What a stream asks of the server that it belongs to."""

    identifier: str
    admission: Admission
    totals: Totals

    def open(self, stream: "Stream") -> Session:
        """The session of a stream whose first request has come."""
        ...

    def hear(self, stream: "Stream", session: Session, request: Request) -> None:
        """Take a request; raises ProtocolError for what ends the stream."""
        ...

    def oversized(self, stream: "Stream", type_url: str, size: int) -> None:
        """A response of `size` bytes is more than clients take by default."""
        ...

    def failed(self, stream: "Stream", error: BaseException) -> None:
        """A mistake of ours ended the stream."""
        ...


class Stream:
    """The reader is the task of gRPC's handler; the writer, a task beside it, sleeps until `wake`.

    At most one wake-up of a stream is under way, and at most one response waits for the network: a client that reads
    nothing costs one response, and is told the newest when it reads again.
    """

    __slots__ = (
        "_asked",
        "_closing",
        "_context",
        "_host",
        "_mute",
        "_task",
        "_wake",
        "_writer",
        "delta",
        "ended",
        "node",
        "peer",
        "responses",
        "sent",
        "service",
        "session",
        "since",
    )

    def __init__(self, host: Host, context: Any, service: str, *, delta: bool, since: float) -> None:
        """`since` is in seconds, monotonic; `service` is ads, eds or cds."""
        self.service, self.delta, self.since = service, delta, since
        self.peer: str = context.peer()
        self.node: wire.Node | None = None
        self.session: Session | None = None
        self.ended: Ended | None = None
        self.responses = self.sent = 0
        self._host, self._context = host, context
        self._wake = asyncio.Event()
        self._asked: frozenset[str] = frozenset()
        self._task = asyncio.current_task()
        self._writer: asyncio.Task[None] | None = None
        self._closing = self._mute = False

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def end(self, code: Any, why: str) -> None:
        """Have the stream end with that status, soon; the first word counts."""
        if self.ended is None and self._task is not None and not self._closing:
            self.ended = Ended(code, why)
            self._task.cancel()

    async def serve(self) -> None:
        """Run until the client ends, or until `end`: then `ended` says why.

        Raises ProtocolError, and CancelledError when the client is gone.
        """
        told = False
        try:
            while await self._read():
                pass
            told = True
        except asyncio.CancelledError:
            if self.ended is None or self._task is None:
                raise
            self._task.uncancel()
        finally:
            if self._writer is not None:
                await self._finish(self._writer, mute=not told)

    async def _finish(self, writer: asyncio.Task[None], *, mute: bool) -> None:
        """Have the writer end: with all that is due, since who asks no more may still read; or with `mute` at once.

        At once is after the write that it is in: when a first write is cancelled, gRPC sends its headers again with
        the status, refuses itself that, and the client waits for ever.
        """
        self._closing, self._mute = True, mute
        self._wake.set()
        try:
            await asyncio.wait([writer])
        finally:
            writer.cancel()

    async def _read(self) -> bool:
        """Take one request, and let go of it: the node in it may have 61 KB."""
        data = await self._context.read()
        if data is grpc.aio.EOF:
            return False
        if self.session is None:
            await self._host.admission.turn()
            self.node = wire.node(data, self.delta)
            self.session = self._host.open(self)
            self._writer = asyncio.create_task(self._write(self.session))
            self._writer.add_done_callback(self._written)
        request = wire.request(data, self.delta)
        if request.type_url in _TYPES - self._asked:
            if self._asked:
                await self._host.admission.turn()
            self._asked |= {request.type_url}
        self._host.hear(self, self.session, request)
        self.wake()
        return True

    async def _write(self, session: Session) -> None:
        write, totals = self._context.write, self._host.totals
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._mute and (response := session.take()) is not None:
                frame = wire.frame(response, self.delta, self._host.identifier)
                self.responses += 1
                self.sent += len(frame)
                totals.responses += 1
                totals.sent += len(frame)
                if len(frame) > USUAL_LIMIT:
                    self._host.oversized(self, response.type_url, len(frame))
                # The bytes belong to gRPC from here on: kept here, a sleeping stream would hold its last response.
                sending = write(frame)
                del frame
                await sending
            if self._closing:
                return

    def _written(self, writer: asyncio.Task[None]) -> None:
        error = None if writer.cancelled() else writer.exception()
        if error is not None and not isinstance(error, grpc.aio.BaseError):  # gRPC's: the client is gone
            self._host.failed(self, error)
            self.end(*FAILED)
