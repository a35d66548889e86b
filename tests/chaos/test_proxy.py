import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.testing.proxy import FaultProxy

LONG = 90.0
SHORT = 0.2


@asynccontextmanager
async def echo() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that says everything twice."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1024):
                writer.write(piece * 2)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        async with FaultProxy(host, port) as proxy:
            yield proxy
    finally:
        server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, text: bytes, wait: float = LONG) -> bytes:
        """What comes back, as long as what it should be; TimeoutError when it does not."""
        self.writer.write(text)
        async with asyncio.timeout(wait):
            return await self.reader.readexactly(2 * len(text))


@asynccontextmanager
async def client(proxy: FaultProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_without_a_fault_everything_passes() -> None:
    async with echo() as proxy, client(proxy) as it:
        assert await it.say(b"ab") == b"abab"
        assert proxy.open == 1


async def test_in_a_hole_connections_stay_open_and_bytes_arrive_when_it_is_gone() -> None:
    async with echo() as proxy, client(proxy) as before:
        await before.say(b"a")
        proxy.set(hole=True)
        async with client(proxy) as after:
            for it in (before, after):
                with pytest.raises(TimeoutError):
                    await it.say(b"b", SHORT)
            proxy.set()
            for it in (before, after):
                async with asyncio.timeout(LONG):
                    assert await it.reader.readexactly(2) == b"bb"


async def test_a_deaf_link_loses_the_answer_only() -> None:
    async with echo() as proxy, client(proxy) as it:
        proxy.set(deaf=True)
        with pytest.raises(TimeoutError):
            await it.say(b"a", SHORT)
        proxy.set()
        async with asyncio.timeout(LONG):
            assert await it.reader.readexactly(2) == b"aa"


async def test_a_reset_ends_every_connection_and_new_ones_are_accepted() -> None:
    async with echo() as proxy, client(proxy) as it:
        await it.say(b"a")
        proxy.reset()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await it.say(b"b")
        async with client(proxy) as again:
            assert await again.say(b"c") == b"cc"


async def test_refusing_hurts_only_new_connections() -> None:
    async with echo() as proxy, client(proxy) as it:
        await it.say(b"a")
        await proxy.refuse()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(proxy.host, proxy.port)
        assert await it.say(b"b") == b"bb"
        await proxy.listen()
        async with client(proxy) as again:
            assert await again.say(b"c") == b"cc"


async def test_an_answer_is_cut_after_so_many_bytes() -> None:
    async with echo() as proxy, client(proxy) as it:
        proxy.set(truncate=3)
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await it.say(b"abcd")
        assert caught.value.partial == b"abc"


async def test_what_is_delayed_or_drips_arrives_whole_and_late() -> None:
    async with echo() as proxy, client(proxy) as it:
        loop = asyncio.get_running_loop()
        proxy.set(delay=0.05)
        started = loop.time()
        assert await it.say(b"ab") == b"abab"
        assert loop.time() - started >= 0.09  # once each way
        proxy.set(drip=200)
        started = loop.time()
        assert await it.say(b"x" * 10) == b"x" * 20
        assert loop.time() - started >= 0.09  # twenty bytes


async def test_a_server_that_is_not_there_is_a_reset() -> None:
    async with FaultProxy("127.0.0.1", 1) as proxy, client(proxy) as it:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await it.say(b"a")
