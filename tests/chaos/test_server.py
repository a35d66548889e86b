"""The xDS server at its socket: what it refuses, and what a crowd or a slow client does to the others."""

import asyncio
import contextlib
import random
import socket

import grpc
import grpc.aio
import pytest
import structlog
from envoy.service.discovery.v3 import discovery_pb2

from bridge.errors import ConfigError
from bridge.runtime.clock import SystemClock
from bridge.testing.ports import free_port
from bridge.testing.xds import CDS, EDS, METHODS, XdsClient
from bridge.xds.server import Server, ServerSettings, check
from tests.builders import endpoint, hosts, service
from tests.envoy.harness import Bridge, acknowledged, parked, until

PAYMENTS = "shop/payments"


def asking(delta: bool, type_url: str, *names: str) -> bytes:
    """The first request of a client."""
    if delta:
        return discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url, resource_names_subscribe=names
        ).SerializeToString()
    return discovery_pb2.DiscoveryRequest(type_url=type_url, resource_names=names).SerializeToString()


BOTH = pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])


@pytest.mark.promise("S-14")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.9", "bridge.prod"])
def test_plain_text_off_loopback_is_refused(host):
    settings = ServerSettings((host, 18000), False, None, 10, 10)
    with pytest.raises(ConfigError, match=r"^xds\.listen: .*18000 is not a loopback address.*insecure: true"):
        check(settings)


@pytest.mark.promise("S-14")
@pytest.mark.parametrize(
    ("host", "insecure"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True)]
)
def test_plain_text_is_served_on_loopback_or_when_it_is_written(host, insecure):
    check(ServerSettings((host, 18000), insecure, None, 10, 10))


@pytest.mark.promise("xDS-15")
async def test_a_port_of_another_bridge_is_refused():
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as first:
        second = Bridge(port=first.port)
        with pytest.raises(ConfigError, match=rf"^xds\.listen: 127\.0\.0\.1:{first.port} is in use.*choose another"):
            await second.server.start()
        async with XdsClient(first.address) as client:
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: PAYMENTS in client.have())


async def test_a_port_of_any_other_program_is_refused_even_when_it_would_share_it():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", free_port()))
        other.listen(1)
        with pytest.raises(ConfigError, match="is in use"):
            await Bridge(port=other.getsockname()[1]).server.start()


@pytest.mark.promise("xDS-15")
async def test_no_other_program_can_share_the_port_in_silence():
    async with Bridge() as bridge:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", bridge.port))


async def test_an_address_of_another_machine_is_refused():
    settings = ServerSettings(("192.0.2.1", free_port()), True, None, 10, 10)
    server = Server(Bridge().resources, settings, SystemClock(), "here")
    with pytest.raises(ConfigError, match=r"^xds\.listen: 192\.0\.2\.1:\d+ is not an address of this machine"):
        await server.start()


async def test_a_stopped_server_gives_its_port_free():
    async with Bridge() as first:
        port = first.port
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), port=port) as second, XdsClient(second.address) as client:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: PAYMENTS in client.have())


@BOTH
@pytest.mark.promise("xDS-14")
async def test_every_response_names_the_control_plane(delta):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge, XdsClient(bridge.address, delta=delta) as client:
        await client.ask(CDS)
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: PAYMENTS in client.have(EDS) and PAYMENTS in client.have(CDS))
        assert {seen.control_plane for seen in client.seen} == {bridge.server.identifier}
        assert bridge.server.identifier.startswith("registry-bridge/0")
        assert bridge.server.identifier.endswith(" here")


@BOTH
@pytest.mark.parametrize("service_", ["ads", "eds", "cds"])
async def test_each_service_serves_its_types(service_, delta):
    types = {"ads": (CDS, EDS), "eds": (EDS,), "cds": (CDS,)}[service_]
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge,
        XdsClient(bridge.address, delta=delta, service=service_) as client,
    ):
        for type_url in types:
            await client.ask(type_url, PAYMENTS)
        await client.until(lambda: all(PAYMENTS in client.have(type_url) for type_url in types))
        (status,) = bridge.streams()
        assert (status.service, status.delta, status.node) == (service_, delta, "test")
        assert {one.type_url for one in status.types} == set(types)


@BOTH
@pytest.mark.parametrize(
    ("service_", "raw", "why"),
    [
        ("ads", b"\xff\xff\xff\xff", "request"),
        ("ads", b"", "type_url"),
        ("eds", None, "another type"),
    ],
    ids=["garbage", "no type", "another stream's type"],
)
async def test_a_request_that_will_not_do_ends_its_stream_with_a_sentence(service_, raw, why, delta):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge:
        raw = asking(delta, CDS) if raw is None else raw
        async with (
            XdsClient(bridge.address, delta=delta, service=service_) as bad,
            XdsClient(bridge.address, delta=delta) as good,
        ):
            await bad.send(raw)
            await bad.until(lambda: bad.ended is not None, "an end")
            assert bad.ended.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert why in bad.ended.details()
            await good.ask(EDS, PAYMENTS)
            await good.until(lambda: PAYMENTS in good.have())
        assert bridge.server.totals.failures == 0


@pytest.mark.promise("S-17")
@BOTH
async def test_random_bytes_end_a_stream_in_a_sentence_or_are_a_request(delta):
    choose = random.Random(17)
    good = asking(delta, EDS, PAYMENTS)
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge:
        async with grpc.aio.insecure_channel(bridge.address) as channel:
            for number in range(300):
                raw = bytearray(good)
                for _ in range(number % 7):
                    raw[choose.randrange(len(raw))] = choose.randrange(256)
                if number % 3 == 0:
                    raw = bytearray(choose.randbytes(choose.randrange(1, 60)))
                call = channel.stream_stream(METHODS["ads", delta])()
                await call.write(bytes(raw))
                await call.done_writing()
                with contextlib.suppress(grpc.aio.AioRpcError):
                    async for _ in call:
                        pass
                if await call.code() != grpc.StatusCode.OK:
                    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
                    assert len(await call.details()) > 10
        assert bridge.server.totals.streams == 300
        assert bridge.server.totals.refused > 50
        assert bridge.server.totals.failures == 0


@pytest.mark.promise("xDS-11")
@BOTH
async def test_a_client_that_asks_once_and_closes_its_side_is_answered_without_a_time_to_live(delta):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge,
        grpc.aio.insecure_channel(bridge.address) as channel,
    ):
        call = channel.stream_stream(METHODS["ads", delta])()
        await call.write(asking(delta, EDS, PAYMENTS))
        await call.done_writing()
        answers = [raw async for raw in call]
        assert len(answers) == 1
        assert b"10.0.0.1" in answers[0]
        if delta:
            (told,) = discovery_pb2.DeltaDiscoveryResponse.FromString(answers[0]).resources
            assert not told.HasField("ttl")
        else:  # only a Resource around it could have a time to live
            (told,) = discovery_pb2.DiscoveryResponse.FromString(answers[0]).resources
            assert told.type_url == EDS
        assert await call.code() == grpc.StatusCode.OK


@BOTH
async def test_more_names_than_allowed_end_the_stream_with_a_sentence(delta):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), max_names=5) as bridge,
        XdsClient(bridge.address, delta=delta) as client,
    ):
        await client.ask(EDS, *(f"shop/{number}" for number in range(6)))
        await client.until(lambda: client.ended is not None)
        assert client.ended.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "at most 5" in client.ended.details()


async def test_more_streams_than_allowed_from_one_address_are_refused_and_the_others_served():
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), max_streams=2) as bridge:
        async with XdsClient(bridge.address) as first, XdsClient(bridge.address) as second:
            for client in (first, second):
                await client.ask(EDS, PAYMENTS)
                await client.until(lambda client=client: PAYMENTS in client.have())
            async with XdsClient(bridge.address) as third:
                await third.until(lambda: third.ended is not None)
                assert third.ended.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "at most 2 streams" in third.ended.details()
            bridge.show(service(PAYMENTS, "10.0.0.2:80"))
            await first.until(lambda: first.hosts(PAYMENTS) == ["10.0.0.2:80"])
        await until_gone(bridge)
        async with XdsClient(bridge.address) as later:
            await later.ask(EDS, PAYMENTS)
            await later.until(lambda: PAYMENTS in later.have())


async def until_gone(bridge: Bridge) -> None:
    async def gone() -> bool:
        return not bridge.streams()

    await until(gone, "streams that ended are forgotten")


@BOTH
async def test_a_stream_that_ends_leaves_nothing_behind(delta):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge:
        for _ in range(3):
            async with XdsClient(bridge.address, delta=delta) as client:
                await client.ask(CDS)
                await client.ask(EDS, PAYMENTS, "shop/unknown")
                await client.until(lambda client=client: PAYMENTS in client.have())
        await until_gone(bridge)
        bridge.show(service(PAYMENTS, "10.0.0.2:80"), service("shop/new", "10.0.0.3:80"))
        assert bridge.resources.publish(bridge.catalog) == {}
        assert bridge.server._by_session == {}
        assert not bridge.server._of_address


@BOTH
async def test_stopping_tells_every_client_to_connect_again(delta):
    bridge = Bridge(service(PAYMENTS, "10.0.0.1:80"))
    await bridge.server.start()
    async with XdsClient(bridge.address, delta=delta) as client, XdsClient(bridge.address, delta=delta) as silent:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: PAYMENTS in client.have())
        await bridge.server.stop(grace=20)
        for one in (client, silent):
            await one.until(lambda one=one: one.ended is not None)
            assert one.ended.code() == grpc.StatusCode.UNAVAILABLE
        assert "connect again" in client.ended.details()


async def test_stopping_waits_for_no_client_that_reads_nothing():
    bridge = Bridge(service("shop/large", *hosts(20_000)))
    await bridge.server.start()
    narrow = [("grpc.http2.lookahead_bytes", 1_000), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(bridge.address, options=narrow) as channel:
        deaf = channel.stream_stream(METHODS["eds", False])()
        await deaf.write(asking(False, EDS, "shop/large"))

        async def told() -> bool:
            return any(status.responses for status in bridge.streams())

        await until(told, "the deaf client is told")
        async with asyncio.timeout(60):
            await bridge.server.stop(grace=0.5)
        assert bridge.streams() == []
        deaf.cancel()


@pytest.mark.promise("xDS-15")
async def test_a_client_may_ping_as_often_as_it_likes():
    ping, settings, goaway = 6, 4, 7

    def frame(kind: int, content: bytes = b"") -> bytes:
        return len(content).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + content

    async with Bridge() as bridge:
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings))
        answered = 0
        for number in range(50):
            writer.write(frame(ping, number.to_bytes(8, "big")))
            while answered == number:
                head = await reader.readexactly(9)
                content = await reader.readexactly(int.from_bytes(head[:3], "big"))
                assert head[3] != goaway, content
                answered += head[3] == ping and head[4] == 1
        writer.close()


@pytest.mark.promise("xDS-15", "xDS-14")
async def test_a_connection_may_have_more_than_a_thousand_streams():
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge,
        grpc.aio.insecure_channel(bridge.address) as channel,
    ):
        clients = [XdsClient(bridge.address, service="eds", channel=channel) for _ in range(1_200)]
        await asyncio.gather(*(client.__aenter__() for client in clients))
        await asyncio.gather(*(client.ask(EDS, PAYMENTS) for client in clients))
        for client in clients:
            await client.until(lambda client=client: PAYMENTS in client.have())
        assert len(bridge.streams()) == 1_200
        bridge.show(service(PAYMENTS, "10.0.0.2:80"))
        for client in clients:
            await client.until(lambda client=client: client.hosts(PAYMENTS) == ["10.0.0.2:80"])
        await asyncio.gather(*(client.__aexit__() for client in clients))


@pytest.mark.promise("xDS-15", "law-8")
async def test_a_burst_of_connections_is_served_to_the_last():
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge:
        clients = [XdsClient(bridge.address, delta=True) for _ in range(400)]
        await asyncio.gather(*(client.__aenter__() for client in clients))
        await asyncio.gather(*(client.ask(EDS, PAYMENTS) for client in clients))
        for client in clients:
            await client.until(lambda client=client: PAYMENTS in client.have())
        assert bridge.server.admission.waiting == 0
        await asyncio.gather(*(client.__aexit__() for client in clients))


@pytest.mark.promise("xDS-15")
@BOTH
async def test_a_large_request_is_taken_and_a_huge_one_refused(delta):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge:
        options = [("grpc.max_send_message_length", -1)]
        async with XdsClient(bridge.address, delta=delta, options=options) as client:
            client.node.metadata["blob"] = "x" * 20_000_000
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: PAYMENTS in client.have())
        async with XdsClient(bridge.address, delta=delta, options=options) as client:
            client.node.metadata["blob"] = "x" * 34_000_000
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: client.ended is not None)
            assert client.ended.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.promise("xDS-15")
@BOTH
async def test_a_client_with_the_usual_limit_gets_everything_in_responses_under_4_mib(delta):
    crowd = [service(f"shop/s{number}", *hosts(2_000, port=1_000 + number)) for number in range(80)]
    async with Bridge(*crowd) as bridge, XdsClient(bridge.address, delta=delta) as client:
        await client.ask(EDS, *(str(one.name) for one in crowd))
        await client.until(lambda: len(client.have()) == len(crowd))
        assert sum(seen.size for seen in client.seen) > 4 * 1024 * 1024
        assert max(seen.size for seen in client.seen) < 4 * 1024 * 1024


@pytest.mark.promise("xDS-15")
async def test_clusters_that_cannot_be_split_and_grow_over_4_mib_are_told_of():
    crowd = [service(f"shop/{number}{'x' * 400}", "10.0.0.1:80") for number in range(12_000)]
    large = [("grpc.max_receive_message_length", -1)]
    with structlog.testing.capture_logs() as lines:
        async with Bridge(*crowd) as bridge, XdsClient(bridge.address, options=large) as client:
            await client.ask(CDS)
            await client.until(lambda: len(client.have(CDS)) == len(crowd))
    (line,) = lines
    assert line["event"] == "xds response over 4 MiB"
    assert line["size"] == client.seen[0].size > 4 * 1024 * 1024
    assert line["type"] == "Cluster"


@pytest.mark.promise("R-26", "law-7", "xDS-1")
@BOTH
async def test_a_client_that_answers_nothing_costs_one_response_and_is_told_the_newest(delta):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge,
        XdsClient(bridge.address, delta=delta) as slow,
        XdsClient(bridge.address, delta=delta) as quick,
    ):
        slow.answering = False
        for client in (slow, quick):
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda client=client: bool(client.seen))
        for number in range(300):
            bridge.show(service(PAYMENTS, f"10.0.{number // 200}.{number % 200 + 1}:80"))
            await asyncio.sleep(0)
        await quick.until(lambda: quick.hosts(PAYMENTS) == ["10.0.1.100:80"])
        assert len(slow.seen) == 1
        slow.answering = True
        await slow.judge(slow.seen[0])
        await slow.until(lambda: slow.hosts(PAYMENTS) == ["10.0.1.100:80"])
        assert len(slow.seen) == 2


@pytest.mark.promise("R-26", "law-7")
async def test_a_client_that_reads_nothing_does_not_hold_up_the_others():
    large = [endpoint(one) for one in hosts(20_000)]
    async with (
        Bridge(service("shop/large", *large), service(PAYMENTS, "10.0.0.1:80")) as bridge,
        grpc.aio.insecure_channel(bridge.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        deaf = channel.stream_stream(METHODS["eds", False])()
        request = XdsClient(bridge.address, service="eds", channel=channel)
        request._call = deaf
        await request.ask(EDS, "shop/large", PAYMENTS)

        async def told() -> bool:
            return any(status.responses for status in bridge.streams())

        await until(told, "the deaf client is told")
        async with XdsClient(bridge.address) as client:
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: PAYMENTS in client.have())
            for number in range(1, 11):
                bridge.show(service(PAYMENTS, f"10.1.0.{number}:80"), service("shop/large", *large[number:]))
                await asyncio.sleep(0)
            await client.until(lambda: client.hosts(PAYMENTS) == ["10.1.0.10:80"])
        (status,) = [one for one in bridge.streams() if one.service == "eds"]
        assert status.responses == 1
        deaf.cancel()


@pytest.mark.promise("R-27", "xDS-10")
@BOTH
async def test_a_client_that_refuses_everything_gets_no_endless_answer(delta):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), service("shop/ledger", "10.0.0.2:80")) as bridge,
        XdsClient(bridge.address, delta=delta) as client,
    ):
        client.refuse = lambda _: "no:\r\nnever"
        await client.ask(CDS)
        await client.ask(EDS, PAYMENTS, "shop/ledger")

        async def over() -> bool:
            return parked(bridge) == {PAYMENTS, "shop/ledger"} and await acknowledged(bridge)

        await until(over, "both are parked")
        seen = -1
        while seen != len(client.seen):
            seen = len(client.seen)
            await asyncio.sleep(0.5)
        assert seen <= 12
        assert bridge.server.totals.nacks == seen
        assert parked(bridge) == {PAYMENTS, "shop/ledger"}
