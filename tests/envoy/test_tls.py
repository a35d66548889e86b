"""A real Envoy and a bridge prove themselves to each other."""

import asyncio
from pathlib import Path

import pytest

from bridge.xds.bootstrap import BridgeTls
from bridge.xds.tls import TlsFiles
from tests.builders import service
from tests.envoy.certificates import Authority
from tests.envoy.harness import Bridge, Envoys, Way, until

PAYMENTS = "shop/payments"
OURS, THEIRS = Authority("ours"), Authority("theirs")


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    made = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.pem")
    OURS.pair("bridge").write(made.cert, made.key)
    made.client_ca.write_bytes(OURS.pem)
    return made


@pytest.fixture
def envoy_tls(tmp_path: Path) -> BridgeTls:
    OURS.pair("envoy").write(tmp_path / "envoy.crt", tmp_path / "envoy.key")
    (tmp_path / "trust.pem").write_bytes(OURS.pem)
    return BridgeTls(str(tmp_path / "trust.pem"), str(tmp_path / "envoy.crt"), str(tmp_path / "envoy.key"))


async def test_envoy_is_served_over_mutual_tls_and_through_a_rotation(envoys: Envoys, way: Way, files, envoy_tls):
    first = Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files)
    await first.server.start()
    async with envoys.one(first, way, tls=envoy_tls) as envoy:
        await envoy.becomes(first.expected())
        OURS.pair("bridge-2").write(files.cert, files.key)
        first.show(service(PAYMENTS, "10.0.0.2:80"))
        await envoy.becomes(first.expected())
        for stream in list(first.server._streams):
            assert stream.peer.startswith("ipv4:127.0.0.1:")
        await first.server.stop(1)
        async with Bridge(service(PAYMENTS, "10.0.0.3:80"), port=first.port, tls=files) as second:
            await envoy.becomes(second.expected())


@pytest.mark.parametrize("wrong", ["authority of the client", "authority of the bridge", "name of the bridge", "none"])
async def test_an_envoy_and_a_bridge_that_do_not_trust_each_other_exchange_nothing(
    envoys: Envoys, files, envoy_tls, tmp_path, wrong
):
    match wrong:
        case "authority of the client":
            THEIRS.pair("envoy").write(tmp_path / "envoy.crt", tmp_path / "envoy.key")
        case "authority of the bridge":
            THEIRS.pair("bridge").write(files.cert, files.key)
        case "name of the bridge":
            OURS.pair("bridge", host="10.1.2.3").write(files.cert, files.key)
        case _:
            envoy_tls = BridgeTls(envoy_tls.ca)
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), tls=files) as bridge,
        envoys.one(bridge, Way("ads", True), tls=envoy_tls) as envoy,
    ):

        async def tried() -> bool:
            return bridge.server.credentials.handshakes >= 2

        await until(tried, "Envoy has tried twice")
        await asyncio.sleep(0.2)
        assert bridge.server.totals.requests == 0
        assert PAYMENTS not in await envoy.clusters()
