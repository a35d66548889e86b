"""A TCP proxy that breaks connections in the ways in which networks do."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, replace
from typing import Any, Self

from bridge.testing.ports import free_port

_CHUNK = 65536
_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to bytes, in both directions unless it says otherwise; the default is nothing.

    `delay`: seconds that each piece is late. `hole`: bytes vanish and connections stay open; new ones are accepted and
    hear nothing. `deaf`: as `hole`, but only what the server answers vanishes (half-open). `drip`: at most so many
    bytes a second. `truncate`: the connection ends after so many bytes of the answer.
    """

    delay: float = 0.0
    hole: bool = False
    deaf: bool = False
    drip: float | None = None
    truncate: int | None = None


class FaultProxy:
    """Stands between a client and a server; faults may change at any time, and hold for what is open too."""

    def __init__(self, host: str, port: int) -> None:
        """`host` and `port` of the server behind."""
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._fault = Fault()
        self._changed = asyncio.Event()
        self.host = "127.0.0.1"
        self.port = 0
        self.accepted = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        for link in list(self._links):
            await link.close()

    @property
    def fault(self) -> Fault:
        return self._fault

    def set(self, **fault: Any) -> None:
        """The fault from now on, by the fields of Fault; without any, none."""
        self._fault = replace(Fault(), **fault)
        self._changed.set()
        self._changed = asyncio.Event()

    def lead(self, host: str, port: int) -> None:
        """Connect to another server from now on; connections that are open stay where they are."""
        self._target = host, port

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        if self._server is None:
            self.port = self.port or free_port(self.host)
            self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def reset(self) -> None:
        """End every connection at once with a reset, as a process that is killed does."""
        for link in list(self._links):
            link.reset()

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    async def through(self, answer: bool) -> None:
        """Return when bytes may pass in this direction."""
        while self._fault.hole or (answer and self._fault.deaf):
            await self._changed.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run(*self._target)
        except asyncio.CancelledError:
            pass  # by `close`: asyncio's server would log it as an error
        finally:
            self._links.discard(link)
            await link.close()


class _Link:
    """One connection and its counterpart."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writers = [writer]
        self._task = asyncio.current_task()
        self._answered = 0

    async def run(self, host: str, port: int) -> None:
        await self._proxy.through(answer=False)
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            self.reset()
            return
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            async with asyncio.TaskGroup() as group:
                ways = [
                    group.create_task(self._pump(self._reader, writer, answer=False)),
                    group.create_task(self._pump(reader, self._writers[0], answer=True)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                await self._pass(piece, writer, answer)
                limit = self._proxy.fault.truncate
                if answer and limit is not None and self._answered >= limit:
                    return

    async def _pass(self, piece: bytes, writer: asyncio.StreamWriter, answer: bool) -> None:
        await self._proxy.through(answer)
        fault = self._proxy.fault
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if answer and fault.truncate is not None:
            piece = piece[: max(0, fault.truncate - self._answered)]
        if answer:
            self._answered += len(piece)
        step = len(piece) if fault.drip is None else 1
        for start in range(0, len(piece), max(1, step)):
            writer.write(piece[start : start + step])
            await writer.drain()
            if fault.drip is not None:
                await asyncio.sleep(1 / fault.drip)

    def reset(self) -> None:
        for writer in self._writers:
            it: socket.socket | None = writer.get_extra_info("socket")
            if it is not None:
                with contextlib.suppress(OSError):
                    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            writer.transport.abort()

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait((self._task,))
