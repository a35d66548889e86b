"""The ZooKeeper adapter keeps every promise of the contract, on a real server, in each dialect that it writes."""

from typing import Any

import pytest

from bridge.testing.conformance import Bench, Claiming, Fitting, Package, Reading, Writing
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.jars import OLDER
from tests.servers.zookeeper.server import ZooKeeper

pytestmark = pytest.mark.usefixtures("unhurried")

DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "curator": ("curator", {}),
    "spring": ("spring", {}),
    "serverset": ("serverset", {}),
    "nerve": ("nerve", {}),
    "nerve-encoded": ("nerve", {"encoded": True}),
    "dubbo": ("dubbo", {}),
    "dubbo-app": ("dubbo-app", {}),
    "plain": ("plain", {}),
    "party": ("party", {}),
    "kingpin": ("kingpin", {}),
}


@pytest.fixture
async def bench(hand: Hand, proxy: FaultProxy) -> Bench:
    return await ZooKeeperBench.made(hand, proxy)


class TestReading(Reading): ...


class TestClaiming(Claiming): ...


class TestPackage(Package): ...


class InEachDialect:
    """A bench that writes in each dialect."""

    @pytest.fixture(params=DIALECTS.values(), ids=DIALECTS)
    async def bench(self, hand: Hand, proxy: FaultProxy, request: pytest.FixtureRequest) -> Bench:
        dialect, more = request.param
        return await ZooKeeperBench.made(hand, proxy, dialect, **more)


class TestFitting(InEachDialect, Fitting): ...


class TestWriting(InEachDialect, Writing): ...


@pytest.mark.parametrize("java", [OLDER], ids=["3.8"], indirect=True)
class OnTheOlderServer:
    """A bench on a ZooKeeper 3.8."""

    async def test_it_is_what_runs(self, standing: ZooKeeper) -> None:
        assert "version: 3.8." in await standing.ask("srvr")


class TestReadingOnTheOlderServer(OnTheOlderServer, Reading): ...


class TestClaimingOnTheOlderServer(OnTheOlderServer, Claiming): ...


class TestWritingOnTheOlderServer(OnTheOlderServer, Writing):
    @pytest.fixture(params=["curator", "nerve"])
    async def bench(self, hand: Hand, proxy: FaultProxy, request: pytest.FixtureRequest) -> Bench:
        return await ZooKeeperBench.made(hand, proxy, request.param)
