"""The whole way as processes: an inventory stands in a ZooKeeper, follows, is put right, outlives its writer."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.testing.xds import EDS
from tests.chaos.test_app import until, until_async
from tests.servers.exporting import exporting
from tests.servers.zookeeper.exporting import Exporter
from tests.servers.zookeeper.hand import Hand, expire
from tests.servers.zookeeper.server import ZooKeeper

A, B, C = "10.40.0.1", "10.40.0.2", "10.40.0.3"


@pytest.mark.promise("R-17", "R-18", "law-5")
async def test_an_inventory_stands_in_a_zookeeper_follows_is_put_right_and_is_withdrawn(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand)
        bridge.inventory(web=[A, B], api=[C])
        await hand.say("10.50.0.1:80", service="legacy")
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            await bridge.until_holds(C, service="api")
            bridge.inventory(web=[B, C], api=[C])
            await bridge.until_holds(B, C)
            await bridge.until_state("in step")  # what is deleted before that is not yet known to be there
            (first, _) = await hand.names("/services/web")
            await hand.remove(f"/services/web/{first}")
            await bridge.until_holds(B, C)
            await until(lambda: bool(bridge.said("put right")), "that is said")
            await bridge.until_state("in step")
            await hand.write(f"/services/web/{first}", b"{}")
            await bridge.until_holds(B, C)
            await until(lambda: len(bridge.said("put right")) == 2, "that is said too")
            assert [one["why"] for one in bridge.said("put right")] == [
                "a record of ours was deleted", "a record of ours was edited"
            ]  # fmt: skip
            services = {one["name"] for one in await bridge.rows("services")}
            assert services == {"shop/web", "shop/api", "shop/legacy"}
        await bridge.until_holds(B, C)
        code, _, err = await bridge.call("withdraw", "--yes")
        assert code == 0, err
        assert await hand.names("/services") == ["legacy"]
        assert await hand.names("/services/legacy") == ["10.50.0.1:80"]


async def test_an_owner_that_was_renamed_keeps_what_stands_there_by_adopting_it_and_tidies_up_behind_both(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_holds(A, B)
        bridge.owner = "renamed"
        bridge.configure("")
        code, out, err = await bridge.call("adopt", "--from", "prod", "--yes")
        assert code == 0, err
        assert "2 records with the mark of renamed" in out
        async with exporting(bridge):
            await bridge.until_state("in step")
            assert {"~renamed~" in name for name in await hand.names("/services/web")} == {True}
            await bridge.until_holds(A, B)
        await bridge.call("withdraw", "--yes")
        assert await hand.names("/services") == []


async def test_what_ends_with_the_session_of_an_owner_that_was_renamed_is_not_taken_over_and_written_anew(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand, "nerve", ephemeral=True)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            await bridge.end(signal.SIGKILL)
            bridge.owner = "renamed"
            bridge.inventory(web=[A, C])
            bridge.configure("")
            code, out, err = await bridge.call("adopt", "--from", "prod", "--yes", "--force")
            assert code == 0, err
            assert "0 records with the mark of renamed" in out
        async with exporting(bridge):
            await bridge.until_holds(A, C)
            assert len(await bridge.sessions()) == 1


@pytest.mark.promise("R-21")
@pytest.mark.parametrize("ephemeral", [False, True], ids=["persistent", "ephemeral"])
async def test_when_the_leader_of_two_replicas_is_killed_the_other_one_writes_and_goes_on_serving(
    own: ZooKeeper, tmp_path: Path, ephemeral: bool, record_property: Callable[[str, object], None]
) -> None:
    """With the lease that it has when nobody says anything; how long it took is measured, not judged."""
    leader = {"kind": "zookeeper", "hosts": own.hosts}
    async with Hand(own.hosts) as hand:
        one, two = (
            Exporter(tmp_path, own, hand, "nerve", state, ephemeral=ephemeral, leader=leader)
            for state in ("one", "two")
        )
        one.inventory(web=[A])
        async with exporting(one):
            await one.until_holds(A)
            before = await one.sessions()
            async with exporting(two), two.client() as envoy:
                await envoy.ask(EDS, "shop/web")
                await envoy.until(lambda: "shop/web" in envoy.have(EDS), "it is served by who follows")
                await one.end(signal.SIGKILL)
                begun = asyncio.get_running_loop().time()
                two.inventory(web=[A, B])
                await envoy.until(lambda: len(envoy.hosts("shop/web")) == 2, "it goes on being served")
                await two.until_holds(A, B)
                took = asyncio.get_running_loop().time() - begun
                await two.until_row(lambda row: row["state"] == "in step", "it is in step")
                await two.until_holds(A, B)
                after = await two.sessions()
                assert len(after) == 1, "all of them end with one session, if with any"
                assert (0 in before, 0 in after) == (not ephemeral, not ephemeral)
                assert (after == before) == (not ephemeral), "and it is that of who leads now"
    record_property("seconds", took)
    print(f"another wrote it after {took:.1f} s")


@pytest.mark.promise("R-02", "R-36")
async def test_a_wiped_zookeeper_is_written_anew(own: ZooKeeper, tmp_path: Path) -> None:
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            await own.kill()
            own.wipe()
            await own.start()

            async def back() -> bool:
                async with Hand(own.hosts) as again:
                    return len(await again.names("/services/web")) == 2

            await until_async(back, "all stands there again")


@pytest.mark.promise("R-05")
async def test_what_ended_with_our_session_is_written_anew_by_the_next_one_and_follows(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand, "nerve", ephemeral=True, session="10s")
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            (ours,) = await bridge.sessions()
            assert ours
            await expire(own.hosts, ours)
            bridge.inventory(web=[A, C])
            await bridge.until_holds(A, C)
            assert ours not in await bridge.sessions()
            assert 0 not in await bridge.sessions()
        await bridge.until_holds()
