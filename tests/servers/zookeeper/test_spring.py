"""Spring Cloud ZooKeeper and the bridge in one ZooKeeper: each reads what the other writes."""

import secrets
from dataclasses import replace

import pytest

from bridge.model import Endpoint, Health, Port, Service
from bridge.testing.conformance.samples import WEB
from bridge.testing.conformance.wrote import writing
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.observing import observing, settings, tree
from tests.servers.zookeeper.peer import SPRING_CLOUD, Fleet

pytestmark = [
    pytest.mark.parametrize("program", [SPRING_CLOUD], ids=["spring-cloud"], indirect=True),
    pytest.mark.usefixtures("unhurried"),
]

PORTS = (Port("http", 8080),)
ITSELF = "10.20.0.9"


async def test_an_application_finds_what_is_written_and_its_load_balancer_leaves_out_what_is_draining(
    fleet: Fleet, hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "spring")
    one = Endpoint("10.20.0.1", PORTS, weight=3, metadata=(("team", "payments"),))
    two = Endpoint("2001:db8::1", PORTS)
    async with fleet.spring(bench.root, ITSELF, 8080) as peer, writing(bench) as wrote:

        async def uris(what: str) -> list[str]:
            return sorted(found["uri"] for found in await peer.do(what, name="web"))

        both = ["http://10.20.0.1:8080", "http://[2001:db8::1]:8080"]
        await wrote.say(Service.of(WEB.name, [one, two]))
        assert await peer.do("names") == ["web"]
        assert await uris("list") == await uris("balance") == both
        (said,) = [found for found in await peer.do("list", name="web") if found["address"] == one.address]
        assert said["metadata"].items() >= {"instance_status": "UP", "weight": "3", "team": "payments"}.items()
        await wrote.say(Service.of(WEB.name, [one, replace(two, health=Health.DRAINING)]))
        assert await uris("list") == both
        assert await uris("balance") == both[:1]
        await peer.do("register")
        assert await uris("balance") == [both[0], f"http://{ITSELF}:8080"]
        await wrote.say(Service.of(WEB.name, []))
        assert await uris("balance") == [f"http://{ITSELF}:8080"]


async def test_what_an_application_registers_is_read_with_its_metadata_and_its_status_while_it_is_there(
    fleet: Fleet, hand: Hand
) -> None:
    root = f"/services-{secrets.token_hex(4)}"
    await hand.make(root)
    read = settings(fleet.hosts, tree(root, "spring"))
    async with fleet.spring(root, ITSELF, 8080) as peer, observing(read) as seen:
        await peer.do("register")
        there = Endpoint(ITSELF, PORTS, metadata=(("team", "payments"),))
        await seen.until(lambda: seen.endpoints("web") == (there,))
        await peer.do("status", status="OUT_OF_SERVICE")
        await seen.until(lambda: seen.endpoints("web") == (replace(there, health=Health.DRAINING),))
        await peer.do("status", status="UP")
        await seen.until(lambda: seen.endpoints("web") == (there,))
        assert not seen.problems
        await peer.do("unregister")
        await seen.until(lambda: seen.served("web") != [f"{ITSELF}:8080"])
