"""Prometheus finds what is written in a ZooKeeper, by its own discovery of Nerve's members and of ServerSets."""

from pathlib import Path
from typing import Any

import pytest

from bridge.model import Endpoint, Port, Service
from bridge.testing.conformance.samples import WEB
from bridge.testing.conformance.wrote import writing
from bridge.testing.proxy import FaultProxy
from tests.golang import NoProgramError
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.scraper import find_scraper, scraping

PORTS = (Port("http", 8080), Port("admin", 8081))
ONE, TWO, THREE = Endpoint("10.20.0.1", PORTS), Endpoint("2001:db8::1", PORTS), Endpoint("10.20.0.1", PORTS[1:])


@pytest.fixture(scope="session")
def program() -> Path:
    """With that discovery; without it the test is skipped, with the reason."""
    try:
        return find_scraper(say=print)
    except NoProgramError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("dialect", "more"),
    [("nerve", {}), ("nerve", {"encoded": True}), ("serverset", {})],
    ids=["nerve", "encoded", "serverset"],
)
async def test_what_is_written_is_scraped_where_it_is_until_it_goes(
    program: Path, hand: Hand, proxy: FaultProxy, dialect: str, more: dict[str, Any]
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, dialect, **more)
    hosts = f"127.0.0.1:{proxy.port}"
    async with scraping(program, dialect, hosts, bench.root) as scraper, writing(bench) as wrote:
        await wrote.say(Service.of(WEB.name, [ONE, TWO]))
        first, _ = await scraper.until("10.20.0.1:8080", "[2001:db8::1]:8080")
        assert first[f"__meta_{dialect}_endpoint_host"] == "10.20.0.1"
        if dialect == "serverset":
            assert (first["__meta_serverset_status"], first["__meta_serverset_endpoint_port_admin"]) == (
                "ALIVE",
                "8081",
            )
        await wrote.say(Service.of(WEB.name, [TWO, THREE]))
        await scraper.until("10.20.0.1:8081", "[2001:db8::1]:8080")
        await wrote.say(Service.of(WEB.name, []))
        await scraper.until()
