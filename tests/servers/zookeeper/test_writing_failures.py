"""What a ZooKeeper does on its bad days to a bridge that writes there, as a process."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.test_app import until, until_async
from tests.servers.exporting import exporting
from tests.servers.zookeeper.exporting import Exporter
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.server import Ensemble, ZooKeeper, frozen

A, B, C = "10.40.0.1", "10.40.0.2", "10.40.0.3"
POOL = [f"10.41.0.{number}" for number in range(1, 25)]
SERVICES = ("api", "web")


async def churn(bridge: Exporter, rng: random.Random) -> dict[str, list[str]]:
    """A while of inventories, each with other endpoints and weights; the last one."""
    wanted: dict[str, list[str]] = {}
    for _ in range(30):
        wanted = {name: rng.sample(POOL, 8) for name in SERVICES}
        bridge.inventory(
            **{name: [{"address": one, "weight": rng.randrange(1, 9)} for one in them] for name, them in wanted.items()}
        )
        await asyncio.sleep(rng.uniform(0.02, 0.1))
    return wanted


async def comes_to(bridge: Exporter, wanted: dict[str, list[str]]) -> None:
    """Wait until all that is wanted stands there, once, and nothing else."""

    async def there() -> bool:
        return {name: await bridge.addresses(name) for name in wanted} == {
            name: Counter(them) for name, them in wanted.items()
        }

    await until_async(there, f"{wanted} stand there, each once")


@pytest.mark.promise("R-04", "R-34")
async def test_a_server_that_is_frozen_in_the_midst_of_writes_has_no_record_twice(
    own: ZooKeeper, tmp_path: Path
) -> None:
    rng = random.Random(4)
    async with Hand(own.hosts) as hand:
        bridge = Exporter(tmp_path, own, hand, "nerve")
        bridge.inventory(web=[A])
        async with exporting(bridge):
            await bridge.until_holds(A)
            for seconds in (1, 3, 8):  # answers late, session kept, session lost
                changes = asyncio.create_task(churn(bridge, rng))
                await asyncio.sleep(rng.uniform(0.2, 1))
                async with frozen(own):
                    await asyncio.sleep(seconds)
                await comes_to(bridge, await changes)


@pytest.mark.promise("R-06", "R-34")
async def test_an_ensemble_that_loses_its_leader_in_the_midst_of_writes_has_no_record_twice(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    rng = random.Random(6)
    leader, followers = await ensemble.by_mode()
    async with Hand(",".join(one.hosts for one in followers)) as hand:
        bridge = Exporter(tmp_path, ensemble, hand, "nerve")
        bridge.inventory(web=[A])
        async with exporting(bridge):
            await bridge.until_holds(A)
            changes = asyncio.create_task(churn(bridge, rng))
            await asyncio.sleep(0.5)
            await leader.kill()
            wanted = await changes
            await comes_to(bridge, wanted)


@pytest.mark.promise("R-19")
async def test_of_two_bridges_with_one_owner_the_second_writes_nothing_and_says_so(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        first, second = (Exporter(tmp_path / name, own, hand) for name in ("first", "second"))
        for one, address in ((first, A), (second, B)):
            one.folder.mkdir()
            one.inventory(web=[address])
        async with exporting(first):
            await first.until_holds(A)
            async with exporting(second):
                row = await second.until_row(lambda row: row["state"] == "another", "it sees the other one")
                assert "writes as owner prod; give each deployment an `owner:` of its own" in row["why"]
                await until(lambda: bool(second.said("export stopped")), "it is told")
                assert second.said("export stopped")[0]["level"] == "error"
                first.inventory(web=[A, C])
                await first.until_holds(A, C)
                assert not second.said("export writes")


@pytest.mark.promise("S-16", "law-9")
async def test_what_may_not_be_written_is_told_with_the_right_that_is_missing_and_the_others_are_written(
    own: ZooKeeper, tmp_path: Path
) -> None:
    async with Hand(own.hosts) as hand:
        await hand.make("/services/web")
        await hand.show("/services/web")
        bridge = Exporter(tmp_path, own, hand)
        bridge.inventory(web=[A], api=[B])
        async with exporting(bridge):
            await bridge.until_holds(B, service="api")
            await until(lambda: bool(bridge.said("not written")), "it is told")
            (said, *_) = bridge.said("not written")
            assert "/services/web: 10.40.0.1:8080: may not be written by us; give us `cdrw` there" in said["why"]
            bridge.inventory(web=[A], api=[B, C])
            await bridge.until_holds(B, C, service="api")
            assert await bridge.addresses() == Counter()
            await hand.share("/services/web")
            await bridge.until_holds(A)


@pytest.mark.promise("S-16")
async def test_where_no_claim_may_be_written_nothing_is_and_why_is_told(own: ZooKeeper, tmp_path: Path) -> None:
    async with Hand(own.hosts) as hand:
        await hand.make("/registry-bridge")
        await hand.show("/registry-bridge")
        bridge = Exporter(tmp_path, own, hand)
        bridge.inventory(web=[A])
        async with exporting(bridge):
            row = await bridge.until_row(lambda row: "may not be" in row["why"], "it is told")
            assert "give us `c" in row["why"]
            assert await bridge.addresses() == Counter()
            await hand.share("/registry-bridge")
            await bridge.until_holds(A)


@pytest.mark.promise("S-16")
@pytest.mark.parametrize("ephemeral", [False, True], ids=["persistent", "ephemeral"])
async def test_the_rights_that_the_readme_names_suffice(own: ZooKeeper, tmp_path: Path, ephemeral: bool) -> None:
    user, leader = "bridge:secret", {"kind": "none"}
    async with Hand(own.hosts) as hand:
        await hand.make("/services")
        await hand.make("/registry-bridge")
        await hand.grant("/", user, "")
        for path in ("/services", "/registry-bridge"):
            await hand.grant(path, user, "cdrw")
        bridge = Exporter(tmp_path, own, hand, ephemeral=ephemeral, user=user, leader=leader)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            bridge.inventory(web=[B, C], api=[A])
            await bridge.until_holds(B, C)
            await bridge.until_holds(A, service="api")
            await bridge.until_state("in step")
            assert {one["what"] for one in bridge.said("not written")} <= {"conflict"}
        code, _, err = await bridge.call("withdraw", "--yes")
        assert code == 0, err
        assert await hand.names("/services") == []
