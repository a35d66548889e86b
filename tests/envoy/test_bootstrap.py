"""Envoy itself judges the bootstraps that are made for it."""

from pathlib import Path

import pytest

from bridge.testing.envoy import validate
from bridge.xds.bootstrap import BridgeTls, bootstrap
from tests.envoy.certificates import Authority


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_envoy_accepts_every_bootstrap_that_is_made(binary: Path, tmp_path: Path, host):
    authority = Authority()
    authority.pair("envoy").write(tmp_path / "envoy.pem", tmp_path / "envoy.key")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    mutual = BridgeTls(str(tmp_path / "ca.pem"), str(tmp_path / "envoy.pem"), str(tmp_path / "envoy.key"))
    for mode, delta, tls in (("ads", True, mutual), ("ads", False, None), ("eds", True, None), ("eds", False, mutual)):
        made = bootstrap(mode, (host, 18000), clusters=["shop/payments", "shop/payments:grpc"], delta=delta, tls=tls)
        assert await validate(binary, made, tmp_path) == ""


async def test_a_bootstrap_that_will_not_do_is_told(binary: Path, tmp_path: Path):
    made = bootstrap("eds", ("127.0.0.1", 18000), clusters=[""])
    assert "name" in (await validate(binary, made, tmp_path)).lower()
