import asyncio
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from bridge.model import EndpointId
from bridge.runtime.probe import connects
from bridge.testing.ports import free_port

HOST = "127.0.0.1"


def listening(stack: ExitStack, host: str = HOST, backlog: int = 128) -> EndpointId:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    it = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    it.bind((host, 0))
    it.listen(backlog)
    return EndpointId(host, it.getsockname()[1])


def refusing() -> EndpointId:
    return EndpointId(HOST, free_port())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as them:
        yield them


def silent(stack: ExitStack) -> EndpointId:
    """A listener whose queue is full: the kernel drops further connections without a word."""
    full = listening(stack, backlog=0)
    for _ in range(4):
        it = stack.enter_context(socket.socket())
        it.setblocking(False)
        it.connect_ex(full)
    return full


async def test_an_open_port_is_open_and_a_refused_or_silent_one_is_closed(stack: ExitStack) -> None:
    opens, refuses, drops = listening(stack), refusing(), silent(stack)
    assert await connects([opens, refuses, drops], timeout=0.3) == {opens: True, refuses: False, drops: False}


async def test_an_answer_counts_however_late_we_are_to_look(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge that has no time is no evidence of anything: with it the deletion of what lives would be proven."""

    async def has_no_time(it: socket.socket, where: EndpointId) -> None:
        it.connect_ex(where)
        select.select([], [it], [], 90)
        await asyncio.sleep(90)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", has_no_time)
    opens, refuses = listening(stack), refusing()
    assert await connects([opens, refuses], timeout=0.01) == {opens: True, refuses: False}


async def test_ipv6_is_probed_as_well(stack: ExitStack) -> None:
    try:
        opens = listening(stack, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert await connects([opens]) == {opens: True}


async def test_a_network_without_a_route_says_nothing_of_its_hosts() -> None:
    nowhere = EndpointId("255.255.255.255", 80)  # what the kernel refuses to connect to by itself
    assert await connects([nowhere], timeout=0.3) == {nowhere: None}


async def test_having_no_more_sockets_is_our_own_error_and_no_evidence(stack: ExitStack) -> None:
    opens = listening(stack)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = stack.enter_context(closing(socket.socket()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno(), before[1]))
    try:
        result = await connects([opens, refusing_later])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert result == {opens: None, refusing_later: None}


refusing_later = EndpointId(HOST, 1)


async def test_the_connection_is_given_up_with_a_reset_and_nothing_is_left_of_it(stack: ExitStack) -> None:
    heard: list[bytes | type[BaseException]] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.read())
        except OSError as error:
            heard.append(type(error))
        writer.close()
        done.set()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        where = EndpointId(HOST, server.sockets[0].getsockname()[1])
        assert await connects([where]) == {where: True}
        async with asyncio.timeout(90):
            await done.wait()
    assert heard == [ConnectionResetError]


async def test_many_are_probed_side_by_side_but_not_all_at_once(stack: ExitStack) -> None:
    opens = listening(stack, backlog=1024)
    many = [EndpointId(f"127.0.{number // 250}.{1 + number % 250}", opens.port) for number in range(600)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = stack.enter_context(closing(socket.socket())).fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 200, before[1]))
    try:
        results = await connects(many)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(results) == 600
    assert None not in results.values()
