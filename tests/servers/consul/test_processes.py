"""The whole way as processes: an inventory stands in a Consul, follows, is put right, outlives its writer."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.testing.xds import EDS
from tests.chaos.test_app import until
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.server import Agent
from tests.servers.exporting import exporting

A, B, C = "10.40.0.1", "10.40.0.2", "10.40.0.3"


@pytest.mark.promise("R-17", "R-18", "law-5")
async def test_an_inventory_stands_in_a_consul_follows_is_put_right_and_is_withdrawn(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[A, B], api=[C])
        await hand.say("legacy", "10.50.0.1:80")
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            await bridge.until_holds(C, service="api")
            bridge.inventory(web=[B, C], api=[C])
            await bridge.until_holds(B, C)
            await bridge.until_in_step()
            stands = (await hand.get(f"catalog/node/{bridge.node}"))["Services"]
            (first, other) = sorted(its for its, one in stands.items() if one["Service"] == "web")
            await hand.put("catalog/deregister", {"Node": bridge.node, "ServiceID": first})
            await bridge.until_holds(B, C)
            await bridge.until_in_step()
            edited = {**stands[other], "Address": "10.66.6.6", "Port": 1}
            await hand.put(
                "catalog/register",
                {"Node": bridge.node, "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": edited},
            )
            await bridge.until_holds(B, C)
            await until(lambda: bool(bridge.said("put right")), "the reason is in the log")
            services = {one["name"] for one in await bridge.rows("services")}
            assert services == {"shop/web", "shop/api", "shop/legacy"}
        await bridge.until_holds(B, C)
        code, _, err = await bridge.call("withdraw", "--yes")
        assert code == 0, err
        assert await hand.get("catalog/service/web") == []
        assert len(await hand.get("catalog/service/legacy")) == 1


@pytest.mark.promise("R-21")
async def test_when_the_leader_of_two_replicas_is_killed_the_other_one_writes_and_goes_on_serving(
    own: Agent, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With the lease that it has when nobody says anything; how long it took is measured, not judged."""
    leader = {"kind": "consul", "url": own.url, "token_file": str(tmp_path / "token-one")}
    async with own.hand() as hand:
        one, two = (Exporter(tmp_path, own.url, hand, state=state, leader=leader) for state in ("one", "two"))
        one.inventory(web=[A])
        async with exporting(one):
            await one.until_in_step()
            async with exporting(two), two.client() as envoy:
                await envoy.ask(EDS, "shop/web")
                await envoy.until(lambda: "shop/web" in envoy.have(EDS), "it is served by who follows")
                await one.end(signal.SIGKILL)
                begun = asyncio.get_running_loop().time()
                two.inventory(web=[A, B])
                await envoy.until(lambda: len(envoy.hosts("shop/web")) == 2, "it goes on being served")
                await two.until_holds(A, B)
                took = asyncio.get_running_loop().time() - begun
                await two.until_in_step()
    record_property("seconds", took)
    print(f"another wrote it after {took:.1f} s")


@pytest.mark.promise("R-19")
async def test_of_two_bridges_with_one_owner_the_second_writes_nothing_and_says_so(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        first, second = (Exporter(tmp_path / name, own.url, hand) for name in ("first", "second"))
        for one, address in ((first, A), (second, B)):
            one.folder.mkdir()
            one.inventory(web=[address])
        async with exporting(first):
            await first.until_in_step()
            async with exporting(second):
                row = await second.until_row(lambda row: row["state"] == "another", "it sees the other one")
                assert "owner" in row["why"]
                assert await first.addresses() == {A: 1}
                first.inventory(web=[A, C])
                await first.until_holds(A, C)


@pytest.mark.promise("R-02", "R-36")
async def test_a_wiped_consul_is_written_anew(program: Path, tmp_path: Path) -> None:
    async with Agent(program, tmp_path / "server", {"acl": {"enabled": False}}) as own, own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_in_step()
            await own.kill()
            own.wipe()
            await own.start()
            await bridge.until_holds(A, B)


@pytest.mark.promise("R-34", "R-36")
async def test_a_bridge_that_knows_nothing_removes_nothing_that_stands_there(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_in_step()
        bridge.inventory(web=[A, C])
        bridge.forget()
        async with exporting(bridge):
            await bridge.until_row(lambda row: bool(row["withheld"] == {"orphan": 1}), "an orphan is withheld")
            await bridge.until_holds(A, B, C)
            code, _, err = await bridge.call("plan", "--accept", "--yes")
            assert code == 0, err
            await bridge.until_holds(A, C)


@pytest.mark.timeout(400)
async def test_the_anti_entropy_of_an_agent_takes_nothing_of_what_is_written(own: Agent, tmp_path: Path) -> None:
    """What stands on an agent's node and the agent does not know is taken away by it, within two minutes."""
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_in_step()
            stands = await hand.get(f"catalog/node/{bridge.node}")
            doomed = {
                "Node": own.node,
                "Address": "127.0.0.1",
                "SkipNodeUpdate": True,
                "Service": {"Service": "doomed"},
            }
            await hand.put("catalog/register", doomed)

            while await hand.get("catalog/service/doomed"):
                await asyncio.sleep(0.5)
            assert await hand.get(f"catalog/node/{bridge.node}") == stands
            assert not bridge.said("put right")
