"""Finagle's ServerSets and the bridge in one ZooKeeper: each reads what the other writes."""

import secrets
from typing import Any

import pytest

from bridge.model import Endpoint, Health, Port, Service
from bridge.testing.conformance.samples import WEB
from bridge.testing.conformance.wrote import writing
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.observing import observing, settings, tree
from tests.servers.zookeeper.peer import FINAGLE, Fleet, Instance

pytestmark = [
    pytest.mark.parametrize("program", [FINAGLE], ids=["finagle"], indirect=True),
    pytest.mark.usefixtures("unhurried"),
]

ONE, TWO, THREE = "10.20.0.1", "10.20.0.2", "10.20.0.3"


def ports(first: int) -> tuple[Port, ...]:
    return (Port("http", first), Port("admin", first + 1))


def weights(seen: list[Instance]) -> dict[str, float]:
    return {one["address"]: one["weight"] for one in seen}


async def test_both_of_its_readers_resolve_what_is_written_and_the_newer_one_knows_weight_shard_and_metadata(
    fleet: Fleet, hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "serverset")
    one = Endpoint(ONE, ports(8080), weight=3, metadata=(("shard", "7"), ("team", "payments")))
    two, three = Endpoint(TWO, ports(8080)), Endpoint(THREE, ports(8080), weight=2)
    async with fleet.finagle() as peer, writing(bench) as wrote:
        await wrote.say(Service.of(WEB.name, [one, two]))
        for by in ("zk", "zk2"):
            await peer.do("watch", by=by, path=f"{bench.root}/web", name=by)
            await peer.do("watch", by=by, path=f"{bench.root}/web!admin", name=f"{by} admin")
            await peer.until_seen(by, f"{ONE}:8080", f"{TWO}:8080")
            await peer.until_seen(f"{by} admin", f"{ONE}:8081", f"{TWO}:8081")
        sharded, plain = await peer.until("zk2", lambda seen: weights(seen) == {ONE: 3.0, TWO: 1.0})
        assert (sharded["shard"], sharded["metadata"]["team"], plain["shard"]) == (7, "payments", None)
        await wrote.say(Service.of(WEB.name, [two, three]))
        await peer.until_seen("zk", f"{TWO}:8080", f"{THREE}:8080")
        await peer.until("zk2", lambda seen: weights(seen) == {TWO: 1.0, THREE: 2.0})
        await wrote.say(Service.of(WEB.name, []))
        for by in ("zk", "zk2"):
            await peer.until_seen(by)
            await peer.until_seen(f"{by} admin")


async def test_who_joins_is_read_with_ports_shard_and_metadata_until_he_leaves_whether_in_json_or_in_thrift(
    fleet: Fleet, hand: Hand
) -> None:
    root = f"/twitter-{secrets.token_hex(4)}"
    await hand.make(root)
    async with fleet.finagle() as peer, observing(settings(fleet.hosts, tree(root, "serverset"))) as seen:

        async def join(port: int, **more: Any) -> None:
            await peer.do("join", path=f"{root}/web", host=ONE, port=port, further={"admin": port + 1}, **more)

        await join(8080)
        await join(8090, shard=7, metadata={"team": "payments"})
        await join(8100, thrift="ALIVE")
        await join(8110, thrift="STOPPING")
        await seen.until(lambda: len(seen.served("web")) == 4)
        assert seen.endpoints("web") == (
            Endpoint(ONE, ports(8080)),
            Endpoint(ONE, ports(8090), metadata=(("shard", "7"), ("team", "payments"))),
            Endpoint(ONE, ports(8100)),
            Endpoint(ONE, ports(8110), Health.DRAINING),
        )
        await peer.do("leave", port="8080")
        await peer.do("leave", port="8100")
        await seen.until(lambda: not {f"{ONE}:8080", f"{ONE}:8100"} & set(seen.served("web")))
        assert not seen.problems
