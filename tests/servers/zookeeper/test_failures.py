"""What a real ZooKeeper does on its bad days, and what the bridge makes of it."""

import asyncio
import secrets
from pathlib import Path

import pytest

from adapters.zookeeper import registry
from adapters.zookeeper.owner import Owner
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.hand import Hand, expire
from tests.servers.zookeeper.jars import OLDER, POM, Java
from tests.servers.zookeeper.observing import CURATOR, observing, settings
from tests.servers.zookeeper.records import curator
from tests.servers.zookeeper.server import Ensemble, Lagging, ZooKeeper, frozen

FOUR = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"]
FIVE = [*FOUR, "10.0.0.5:80"]

both = pytest.mark.parametrize("java", [POM, OLDER], ids=["3.9", "3.8"], indirect=True)
"""On both of the servers that are kept."""


@pytest.fixture
async def root(hand: Hand) -> str:
    """A tree of this test alone, on the session's server, with one service."""
    made = f"/services-{secrets.token_hex(4)}"
    await hand.say(*FOUR, root=made)
    return made


def tree(root: str) -> list[dict[str, object]]:
    """A tree of Curator's instances."""
    return [{**CURATOR[0], "path": f"{root}/{{name}}"}]


async def session_beside(hand: Hand, server: ZooKeeper) -> int:
    """The only session that is not the hand's; one that a busy machine lost may be there beside it for a while."""
    while len(found := await server.sessions() - {hand.session}) != 1:
        await asyncio.sleep(0.1)
    return found.pop()


@both
@pytest.mark.promise("R-01", "law-4")
async def test_a_server_killed_and_started_again_removes_nothing_and_changes_made_meanwhile_arrive(
    own: ZooKeeper,
) -> None:
    async with Hand(own.hosts) as hand, FaultProxy("127.0.0.1", own.port) as proxy:
        await hand.say(*FOUR)
        async with observing(settings(f"127.0.0.1:{proxy.port}")) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            await own.kill()
            await seen.until(lambda: seen.reading.lost is not None)
            assert seen.served("web") == FOUR
            assert "tried again" in seen.reading.why
            await proxy.refuse()
            await own.start()
            await hand.say("10.0.0.5:80")
            await hand.remove("/services/web/10.0.0.4:80")
            await proxy.listen()
            await seen.until(lambda: seen.served("web") == [*FOUR[:3], "10.0.0.5:80"])  # small: 3 s
            await seen.until(lambda: seen.reading.lost is None)


@both
@pytest.mark.promise("R-02", "law-1")
async def test_a_server_with_empty_data_removes_nothing_and_is_clean_when_they_are_back(own: ZooKeeper) -> None:
    async with Hand(own.hosts) as hand:
        await hand.say(*FOUR)
        await hand.say(*FOUR, service="api")
        async with observing(settings(own.hosts)) as seen:
            await seen.until(lambda: seen.served("web") == seen.served("api") == FOUR)
            await own.kill()
            own.wipe()
            await own.start()
            await seen.until(lambda: any(why.startswith("/services: is not there") for why in seen.unread))
            assert seen.served("web") == seen.served("api") == FOUR
            assert any("older state" in one for one in seen.problems)
            async with Hand(own.hosts) as again:
                await again.make("/services")
                held = [f"{one}?" for one in FOUR]
                await seen.until(lambda: seen.served("web") == seen.served("api") == held)
                await again.say(*FOUR)
                await again.say(*FOUR, service="api")
                await seen.until(lambda: seen.served("web") == seen.served("api") == FOUR and not seen.unread)


@pytest.mark.promise("R-03")
async def test_packets_that_vanish_are_noticed_and_the_last_view_stands(root: str, proxy: FaultProxy) -> None:
    async with observing(settings(f"127.0.0.1:{proxy.port}", tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == FOUR)
        proxy.set(hole=True)
        await seen.until(lambda: seen.reading.lost is not None)
        assert seen.served("web") == FOUR
        proxy.set()
        await seen.until(lambda: seen.reading.lost is None)
        assert seen.served("web") == FOUR


@pytest.mark.promise("R-04")
async def test_a_frozen_server_is_noticed_and_nothing_is_doubled_when_it_goes_on(own: ZooKeeper) -> None:
    loop = asyncio.get_running_loop()
    async with Hand(own.hosts) as hand:
        await hand.say(*FOUR)
        async with observing(settings(own.hosts, session="10s")) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            begun = loop.time()
            async with frozen(own):
                await seen.until(lambda: seen.reading.lost is not None)
                noticed = loop.time() - begun
                await asyncio.sleep(3)  # as long as an outage may well last: nothing happens in it
                assert seen.served("web") == FOUR
            begun = loop.time()
            await seen.until(lambda: seen.reading.lost is None)
            print(f"noticed after {noticed:.1f} s, recovered {loop.time() - begun:.1f} s after it went on")
            await hand.say(FIVE[-1])
            await seen.until(lambda: seen.served("web") == FIVE)


@pytest.mark.promise("R-04", "law-10")
async def test_a_server_that_freezes_in_the_midst_of_a_reading_is_noticed_long_before_a_session_would_end(
    own: ZooKeeper,
) -> None:
    async with Hand(own.hosts) as hand:
        await hand.make("/services")
        await hand.many((f"/services/s{number // 20:03}/{number % 20}", b"{}") for number in range(2_000))
        await hand.say(*FOUR)
        async with observing(settings(own.hosts, session="60s")) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            async with frozen(own):
                seen.refresh()
                await seen.until(lambda: seen.reading.lost is not None, within=25)  # a session ends after forty
            assert seen.served("web") == FOUR
            await seen.until(lambda: seen.reading.lost is None)


@pytest.mark.promise("R-05")
async def test_after_a_session_that_ended_while_cut_off_watches_are_set_again_and_a_change_in_the_gap_arrives(
    own: ZooKeeper,
) -> None:
    async with Hand(own.hosts) as hand, FaultProxy("127.0.0.1", own.port) as proxy:
        await hand.say(*FOUR)
        async with observing(settings(f"127.0.0.1:{proxy.port}")) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            ours = await session_beside(hand, own)
            await proxy.refuse()
            proxy.reset()
            while ours in await own.sessions():
                await asyncio.sleep(0.1)
            await hand.say(FIVE[-1])
            await proxy.listen()
            await seen.until(lambda: seen.served("web") == FIVE)
            await hand.say("10.0.0.6:80")
            await seen.until(lambda: seen.served("web") == [*FIVE, "10.0.0.6:80"])


@both
@pytest.mark.promise("R-05")
async def test_a_session_that_is_ended_under_us_costs_no_change_and_removes_nothing(own: ZooKeeper) -> None:
    async with Hand(own.hosts) as hand:
        await hand.say(*FOUR)
        async with observing(settings(own.hosts, session="30s")) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            for number in range(6, 16):
                ours = await session_beside(hand, own)
                ending = asyncio.create_task(expire(own.hosts, ours))
                await hand.say(f"10.0.0.{number}:80")
                await hand.write(f"/services/web/{FOUR[0]}", curator(f"10.0.1.{number}:80"))
                await ending
                said = {f"10.0.0.{number}:80", f"10.0.1.{number}:80"}
                await seen.until(lambda said=said: said <= set(seen.served("web")))
                assert {*FOUR[1:], *said} <= set(seen.served("web"))
                assert ours not in await own.sessions()
                await hand.say(f"10.0.2.{number}:80")
                await seen.until(lambda number=number: f"10.0.2.{number}:80" in seen.served("web"))


@pytest.mark.promise("R-06")
async def test_an_ensemble_that_loses_its_leader_costs_nothing(ensemble: Ensemble) -> None:
    leader, followers = await ensemble.by_mode()
    async with Hand(",".join(one.hosts for one in followers)) as hand:
        await hand.say(*FOUR)
        async with observing(settings(ensemble.hosts, session="4s")) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            await leader.kill()
            await hand.say("10.0.0.5:80")
            await seen.until(lambda: seen.served("web") == FIVE)
            await seen.until(lambda: seen.reading.lost is None)


@pytest.mark.promise("R-07")
async def test_a_server_that_lags_behind_never_takes_the_view_back(java: Java, tmp_path: Path) -> None:
    async with Lagging(java, tmp_path) as behind, Hand(behind.ahead.hosts) as hand:
        await hand.say(*FOUR)
        async with (
            FaultProxy("127.0.0.1", behind.ahead.port) as proxy,
            observing(settings(f"127.0.0.1:{proxy.port}", session="10s")) as seen,
        ):
            await seen.until(lambda: seen.served("web") == FOUR)
            behind.lag(0.5)
            await hand.say(FIVE[-1])
            await seen.until(lambda: seen.served("web") == FIVE)
            proxy.lead("127.0.0.1", behind.follower.port)
            proxy.reset()
            await seen.until(lambda: seen.reading.lost is not None or proxy.accepted > 1)
            await seen.until(lambda: seen.served("web") != FIVE or seen.reading.lost is None)
            assert seen.served("web") == FIVE
            await hand.say("10.0.0.6:80")
            await seen.until(lambda: seen.served("web") != FIVE)
            assert seen.served("web") == [*FIVE, "10.0.0.6:80"]


@pytest.mark.promise("R-07")
async def test_who_is_new_waits_until_a_server_that_lags_behind_has_caught_up(java: Java, tmp_path: Path) -> None:
    async with Lagging(java, tmp_path) as behind, Hand(behind.ahead.hosts) as hand:
        await hand.say(*FOUR)
        behind.lag(0.5)
        await hand.say(FIVE[-1])
        async with observing(settings(behind.follower.hosts, session="10s")) as seen:
            await seen.until(lambda: bool(seen.served("web")))
            assert seen.served("web") == FIVE


@pytest.mark.promise("law-10")
async def test_a_change_of_which_no_watch_told_is_found_when_everything_is_read_again(
    standing: ZooKeeper, hand: Hand, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "WHOLE", 2.0)
    monkeypatch.setattr(Owner, "_fired", lambda owner, event: None)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == FOUR)
        await hand.say(FIVE[-1], root=root)
        await hand.say("10.0.1.1:80", service="api", root=root)
        await seen.until(lambda: seen.served("web") == FIVE and seen.served("api") == ["10.0.1.1:80"])


@pytest.mark.promise("R-24")
async def test_an_instance_that_comes_and_goes_ten_times_a_second_is_never_deleted_and_its_neighbours_stand(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    flapping = "10.0.0.9:80"
    await hand.say(flapping, root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [*FOUR, flapping])
        loop = asyncio.get_running_loop()
        views: set[tuple[str, ...]] = set()
        unseen: list[float] = []  # for how long it was

        async def watch() -> None:
            there = loop.time()
            while True:
                views.add(served := tuple(seen.served("web")))
                there = loop.time() if flapping in served else there
                unseen.append(loop.time() - there)
                await asyncio.sleep(0.002)

        watching = asyncio.create_task(watch())
        for _ in range(50):
            await hand.remove(f"{root}/web/{flapping}")
            await asyncio.sleep(0.05)
            await hand.say(flapping, root=root)
            await asyncio.sleep(0.05)
        await hand.remove(f"{root}/web/{flapping}")
        await seen.until(lambda: (*FOUR, f"{flapping}?") in views)
        await hand.say(flapping, root=root)
        await seen.until(lambda: seen.served("web") == [*FOUR, flapping])
        watching.cancel()
        stands = {(*FOUR, flapping), (*FOUR, f"{flapping}?")}
        assert views == stands or max(unseen) > 3, "only what was gone for so long may go"
