"""TLS of the xDS server: who gets in, and certificates that change under it."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import structlog

from bridge.testing.clock import FakeClock
from bridge.testing.xds import EDS, XdsClient
from bridge.xds.tls import TlsFiles
from tests.builders import service
from tests.envoy.certificates import Authority
from tests.envoy.harness import Bridge, until

PAYMENTS = "shop/payments"
OURS, THEIRS = Authority("ours"), Authority("theirs")
ENVOY = OURS.pair("envoy")


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    made = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.pem")
    OURS.pair("bridge").write(made.cert, made.key)
    made.client_ca.write_bytes(OURS.pem)
    return made


@pytest.fixture
def lines() -> Iterator[list]:
    with structlog.testing.capture_logs() as said:
        yield said


async def served(bridge: Bridge, credentials: grpc.ChannelCredentials) -> bool:
    """Whether a client with these gets its endpoints; else it was refused in the handshake."""
    async with XdsClient(bridge.address, credentials=credentials) as client:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: PAYMENTS in client.have() or client.ended is not None)
        assert client.ended is None or client.ended.code() == grpc.StatusCode.UNAVAILABLE
        return client.ended is None


async def test_a_client_of_our_authority_is_served(files):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files) as bridge:
        assert await served(bridge, OURS.credentials(ENVOY))


async def test_without_a_client_ca_no_client_certificate_is_asked_for(files):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=TlsFiles(files.cert, files.key)) as bridge:
        assert await served(bridge, OURS.credentials())


def strangers() -> dict[str, grpc.ChannelCredentials]:
    stranger = THEIRS.pair("envoy")
    return {
        "none": OURS.credentials(),
        "of another authority": grpc.ssl_channel_credentials(OURS.pem, stranger.key, stranger.cert),
        "one that trusts another authority": THEIRS.credentials(ENVOY),
    }


@pytest.mark.parametrize("which", sorted(strangers()))
async def test_a_client_with_a_wrong_certificate_is_refused_with_one_line_and_the_others_served(files, lines, which):
    clock = FakeClock()
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files, clock=clock) as bridge:
        assert not await served(bridge, strangers()[which])
        async with XdsClient(bridge.address, credentials=OURS.credentials(ENVOY)) as client:
            await client.ask(EDS, PAYMENTS)
            await client.until(lambda: PAYMENTS in client.have())
            assert len(bridge.streams()) == 1
            for _ in range(6):
                await clock.advance(10)
        (line,) = lines
        assert line["event"] == "xds clients refused"
        assert line["connections"] >= 1
        assert "client_ca" in line["why"]


async def test_clients_that_are_served_are_not_called_refused(files, lines):
    clock = FakeClock()
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files, clock=clock) as bridge:
        for _ in range(3):
            assert await served(bridge, OURS.credentials(ENVOY))
            await clock.advance(10)
        await clock.advance(30)
    assert lines == []


async def test_plain_text_to_a_tls_port_is_refused(files):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files) as bridge, XdsClient(bridge.address) as client:
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: client.ended is not None)
        assert client.ended.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_new_certificate_is_shown_to_new_connections_and_open_streams_stay(files, lines):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files) as bridge,
        XdsClient(bridge.address, credentials=OURS.credentials(ENVOY)) as before,
    ):
        await before.ask(EDS, PAYMENTS)
        await before.until(lambda: PAYMENTS in before.have())
        assert not await served(bridge, THEIRS.credentials(ENVOY))

        THEIRS.pair("bridge").write(files.cert, files.key)
        assert await served(bridge, THEIRS.credentials(ENVOY))
        assert not await served(bridge, OURS.credentials(ENVOY))

        bridge.show(service(PAYMENTS, "10.0.0.2:80"))
        await before.until(lambda: before.hosts(PAYMENTS) == ["10.0.0.2:80"])
    assert [line["what"] for line in lines] == ["xds.tls: certificates read again"]


async def test_a_new_client_ca_lets_others_in_and_shuts_the_former_out(files):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files) as bridge:
        stranger = THEIRS.pair("envoy")
        theirs = grpc.ssl_channel_credentials(OURS.pem, stranger.key, stranger.cert)
        assert not await served(bridge, theirs)
        files.client_ca.write_bytes(THEIRS.pem)
        assert await served(bridge, theirs)
        assert not await served(bridge, OURS.credentials(ENVOY))
        files.client_ca.write_bytes(OURS.pem + THEIRS.pem)
        assert await served(bridge, theirs)
        assert await served(bridge, OURS.credentials(ENVOY))


@pytest.mark.parametrize(
    ("break_", "why"),
    [
        (lambda files: files.cert.unlink(), "xds.tls.cert: {cert}: No such file or directory"),
        (lambda files: files.key.write_bytes(b""), "xds.tls.key: {key}: holds no private key"),
        (lambda files: files.cert.write_bytes(THEIRS.pair("bridge").cert), "does not belong to the certificate"),
    ],
    ids=["gone", "emptied", "half replaced"],
)
async def test_files_that_will_not_do_leave_the_last_good_ones_in_use_and_are_told_once(files, lines, break_, why):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files) as bridge:
        break_(files)
        for _ in range(3):
            assert await served(bridge, OURS.credentials(ENVOY))
        assert why.format(cert=files.cert, key=files.key) in bridge.server.credentials.problem
        (line,) = lines
        assert "stay in use" in line["what"]

        THEIRS.pair("bridge").write(files.cert, files.key)

        async def repaired() -> bool:
            return await served(bridge, THEIRS.credentials(ENVOY))

        await until(repaired, "the new certificate is shown")
        assert bridge.server.credentials.problem == ""
