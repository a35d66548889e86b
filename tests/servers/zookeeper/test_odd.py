"""Servers of a ZooKeeper that are not like the others, and a bridge that reaches no other one."""

from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.errors import Conflict
from bridge.testing.conformance.samples import WEB
from bridge.testing.conformance.wrote import writing
from bridge.testing.proxy import FaultProxy
from tests.chaos.test_app import until_async
from tests.servers.electing import STEADY
from tests.servers.exporting import exporting
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.exporting import Exporter
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.jars import Java
from tests.servers.zookeeper.server import Ensemble

A, B = "10.40.0.1", "10.40.0.2"
NATIVE = [f"10.50.0.{number}:80" for number in (1, 2, 3)]
LEASE = "/leaders/prod"
READ_ONLY = ("-Dreadonlymode.enabled=true",)


class Way(NamedTuple):
    """To a ZooKeeper, by a list of servers."""

    hosts: str


async def until_read(bridge: Exporter, count: int) -> None:
    """Wait until so many endpoints of `legacy` are believed, and none is held."""

    async def read() -> bool:
        said = {one["name"]: (one["endpoints"], one["held"]) for one in await bridge.rows("services")}
        return said.get("shop/legacy") == (count, 0)

    await until_async(read, f"{count} endpoints of shop/legacy")


@pytest.mark.promise("R-06")
async def test_who_reaches_only_an_observer_reads_writes_and_leads_through_it_and_goes_on_by_the_next_of_its_list(
    java: Java, tmp_path: Path
) -> None:
    async with Ensemble(java, tmp_path / "ensemble", voters=2, observers=1) as ensemble:
        voter, _, observer = ensemble.servers
        async with Hand(voter.hosts) as hand, FaultProxy("127.0.0.1", voter.port) as next_one:
            await next_one.refuse()
            way = Way(f"{observer.hosts},127.0.0.1:{next_one.port}")
            await hand.make(LEASE, b'{"seconds": 1}')
            bridge = Exporter(
                tmp_path, way, hand, leader={"kind": "zookeeper", **way._asdict(), "path": LEASE, **STEADY}
            )
            bridge.inventory(web=[A])
            await hand.say(NATIVE[0], service="legacy")
            async with exporting(bridge):
                await bridge.until_holds(A)
                await until_read(bridge, 1)
                await hand.say(NATIVE[1], service="legacy")
                await until_read(bridge, 2)
                await observer.kill()
                bridge.inventory(web=[A, B])
                await hand.say(NATIVE[2], service="legacy")
                await next_one.listen()
                await bridge.until_holds(A, B)
                await until_read(bridge, 3)
                before = (await hand.stat(LEASE)).version

                async def renewed() -> bool:
                    return (await hand.stat(LEASE)).version > before

                await until_async(renewed, "its lease is renewed")
                assert not bridge.said("endpoints held")


@pytest.mark.promise("law-6")
@pytest.mark.usefixtures("unhurried")
async def test_a_write_through_an_observer_by_who_leads_no_more_is_refused(java: Java, tmp_path: Path) -> None:
    async with Ensemble(java, tmp_path / "ensemble", voters=2, observers=1) as ensemble:
        voter, _, observer = ensemble.servers
        async with Hand(voter.hosts) as hand, FaultProxy("127.0.0.1", observer.port) as way:
            bench = await ZooKeeperBench.made(hand, way)
            async with writing(bench) as before, writing(bench, term=2):
                change, *_ = before.plan(WEB)
                with pytest.raises(Conflict):
                    await before.apply(change)
                assert await hand.names(bench.root) == []


@pytest.mark.promise("law-4")
async def test_while_the_only_server_is_read_only_for_want_of_a_quorum_nothing_goes_and_after_it_all_goes_on(
    java: Java, tmp_path: Path
) -> None:
    """It takes nobody who wants to write: for a bridge it is a server that does not serve."""
    async with Ensemble(java, tmp_path / "ensemble", voters=2, options=READ_ONLY) as ensemble:
        ours, other = ensemble.servers
        async with Hand(ours.hosts) as hand:
            bridge = Exporter(tmp_path, ours, hand)
            bridge.inventory(web=[A])
            await hand.say(*NATIVE, service="legacy")

            async def read_only() -> bool:
                return await ours.mode() == "read-only"

            async def told() -> bool:
                (row,) = [one for one in await bridge.rows("sources") if one["name"] == bridge.registry]
                return row["state"] == "lost" and "lacks its quorum" in row["why"]

            async with exporting(bridge):
                await bridge.until_holds(A)
                await until_read(bridge, 3)
                await other.kill()
                await until_async(read_only, "it turns read-only")
                await until_async(told, "that is told")
                bridge.inventory(web=[B])
                await bridge.until_row(lambda row: row["state"] == "lost" and row["puts"] == 1, "it has a write to do")
                await until_read(bridge, 3)
                await other.start()
                await bridge.until_holds(B)
                await bridge.until_state("in step")
                await until_read(bridge, 3)
                assert not [one for one in bridge.said("endpoints held") if one["source"] == "zk"]
