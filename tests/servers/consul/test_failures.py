"""What a real Consul does on its bad days, and what the bridge makes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from multidict import CIMultiDict

from bridge.testing.proxy import FaultProxy
from tests.servers.consul.door import Door
from tests.servers.consul.hand import Hand
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent, Three
from tests.servers.observing import Observing, observing

FOUR = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"]
FIVE = [*FOUR, "10.0.0.5:80"]
HELD = [f"{one}?" for one in FOUR]

NOTICED = 40.0
"""Seconds: by the heartbeat, and not when a question that waits is late, which takes a minute."""


async def most_asked(door: Door, seconds: float, path: str = "") -> float:
    """How often in a second of these a path is asked for; without one, that of which it is most."""
    loop = asyncio.get_running_loop()
    door.asked.clear()
    begun = loop.time()
    await asyncio.sleep(seconds)
    return (door.asked[path] if path else max(door.asked.values(), default=0)) / (loop.time() - begun)


@pytest.mark.promise("R-01", "law-4")
async def test_an_agent_killed_and_started_again_removes_nothing_and_changes_made_meanwhile_arrive(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand, FaultProxy("127.0.0.1", own.port) as proxy:
        await hand.say("web", *FOUR)
        async with observing(settings(f"http://127.0.0.1:{proxy.port}", tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            await own.kill()
            await seen.until(lambda: seen.reading.lost is not None)
            assert seen.served("web") == FOUR
            await proxy.refuse()
            await own.start()
            await hand.say("web", FIVE[-1])
            await hand.forget("web", FOUR[-1])
            await proxy.listen()
            await seen.until(lambda: FIVE[-1] in seen.served("web"))
            await seen.until(lambda: seen.served("web") == [*FOUR[:3], FIVE[-1]])
            await seen.until(lambda: seen.reading.lost is None)


@pytest.mark.promise("R-02", "law-1")
async def test_an_agent_with_empty_data_removes_nothing_and_is_clean_when_they_are_back(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        for service in ("web", "api"):
            await hand.say(service, *FOUR)
        async with observing(settings(own.url, tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == seen.served("api") == FOUR)
            await own.kill()
            own.wipe()
            await own.start()
            await seen.until(lambda: seen.served("web") == seen.served("api") == HELD)
            for service in ("web", "api"):
                await hand.say(service, *FOUR)
            await seen.until(lambda: seen.served("web") == seen.served("api") == FOUR and not seen.unread)


@pytest.mark.promise("R-03")
async def test_packets_that_vanish_are_noticed_and_the_last_view_stands(
    hand: Hand, proxy: FaultProxy, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    await hand.say("holes", *FOUR)
    async with observing(settings(f"http://127.0.0.1:{proxy.port}", tmp_path)) as seen:
        await seen.until(lambda: seen.served("holes") == FOUR)
        begun = loop.time()
        proxy.set(hole=True)
        await seen.until(lambda: seen.reading.lost is not None, NOTICED)
        print(f"noticed after {loop.time() - begun:.1f} s")
        assert seen.served("holes") == FOUR
        proxy.set()
        await seen.until(lambda: seen.reading.lost is None)
        assert seen.served("holes") == FOUR
        await hand.say("holes", FIVE[-1])
        await seen.until(lambda: seen.served("holes") == FIVE)


@pytest.mark.promise("R-04")
async def test_a_frozen_agent_is_noticed_and_nothing_is_doubled_when_it_goes_on(own: Agent, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with own.hand() as hand:
        await hand.say("web", *FOUR)
        async with observing(settings(own.url, tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            begun = loop.time()
            with own.frozen():
                await seen.until(lambda: seen.reading.lost is not None, NOTICED)
                noticed = loop.time() - begun
                assert seen.served("web") == FOUR
            begun = loop.time()
            await seen.until(lambda: seen.reading.lost is None)
            print(f"noticed after {noticed:.1f} s, recovered {loop.time() - begun:.1f} s after it went on")
            await hand.say("web", FIVE[-1])
            await seen.until(lambda: seen.served("web") == FIVE)


@pytest.mark.promise("R-09", "law-1")
async def test_a_server_without_a_leader_is_not_taken_for_the_truth(three: Three, tmp_path: Path) -> None:
    leader = await three.leading()
    left, other = (one for one in three.agents if one is not leader)
    async with left.hand() as hand:
        await hand.say("web", *FOUR)
        async with observing(settings(left.url, tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            await leader.kill()
            await other.kill()
            await seen.until(lambda: seen.reading.lost is not None)
            assert seen.served("web") == FOUR
            other.launch()
            await left.ready()
            await seen.until(lambda: seen.reading.lost is None)
            await hand.say("web", FIVE[-1])
            await seen.until(lambda: seen.served("web") == FIVE)


@pytest.mark.promise("R-09")
async def test_a_server_that_never_had_a_leader_is_said_to_have_none(program: Path, tmp_path: Path) -> None:
    """Anything else it is asked for, it answers after seven seconds and more."""
    alone = Agent(program, tmp_path / "server", servers=3)
    alone.launch()
    try:
        async with observing(settings(alone.url, tmp_path)) as seen:
            await seen.until(lambda: "has no leader" in seen.reading.why)
            assert seen.reading.observation is None
    finally:
        await alone.kill()


@pytest.mark.promise("R-09")
async def test_a_leader_that_is_killed_takes_nothing_along_and_changes_arrive_by_the_next_one(
    three: Three, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    leader = await three.leading()
    left, *_ = (one for one in three.agents if one is not leader)
    async with left.hand() as hand:
        await hand.say("web", *FOUR)
        async with observing(settings(left.url, tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            begun = loop.time()
            await leader.kill()
            await left.ready()
            await hand.say("web", FIVE[-1])
            await hand.forget("web", FOUR[0])
            await seen.until(lambda: FIVE[-1] in seen.served("web"))
            print(f"a change after the leader's death is there after {loop.time() - begun:.1f} s")
            assert set(FOUR[1:]) <= set(seen.served("web")), "nothing else is held or gone"
            await seen.until(lambda: seen.reading.lost is None)


@pytest.mark.promise("R-09")
async def test_a_server_that_was_away_and_lags_behind_takes_nothing_back(three: Three, tmp_path: Path) -> None:
    leader = await three.leading()
    near, behind = (one for one in three.agents if one is not leader)
    sixth = "10.0.0.6:80"
    async with near.hand() as hand, FaultProxy("127.0.0.1", near.port) as proxy:
        await hand.say("web", *FOUR)
        async with observing(settings(f"http://127.0.0.1:{proxy.port}", tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            with behind.frozen():
                await hand.say("web", FIVE[-1])
                await seen.until(lambda: seen.served("web") == FIVE)
                proxy.lead("127.0.0.1", behind.port)
                proxy.reset()

            def sixth_is_there() -> bool:
                served = seen.served("web")
                assert served[:5] == FIVE, "what was seen stays, and is not even held"
                return sixth in served

            await hand.say("web", sixth)
            await seen.until(sixth_is_there)
            await seen.until(lambda: seen.reading.lost is None)


@pytest.mark.promise("R-09")
async def test_an_answer_that_knows_no_leader_is_no_view(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    await hand.say("stale", *FOUR)

    def leaderless(path: str, headers: CIMultiDict[str]) -> None:
        if "catalog" in path:
            headers["X-Consul-KnownLeader"] = "false"

    async with Door(standing.url).opened() as door:
        door.change = leaderless
        async with observing(settings(door.url, tmp_path)) as seen:
            await seen.until(lambda: "knows no leader" in seen.reading.why)
            assert seen.reading.observation is None


@pytest.mark.promise("R-10")
async def test_an_older_state_that_was_restored_is_read_whole_and_removes_nothing_by_itself(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        await hand.say("web", "10.0.0.1:80")
        old = await hand.raw("GET", "snapshot")
        await hand.say("web", *FOUR[1:])
        await hand.say("late", *FOUR)
        async with observing(settings(own.url, tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == seen.served("late") == FOUR)
            await hand.raw("PUT", "snapshot", old)
            seen.refresh()
            await seen.until(lambda: seen.served("web") == [FOUR[0], *HELD[1:]] and seen.served("late") == HELD)
            await hand.say("web", *FOUR[1:])
            await hand.say("late", *FOUR)
            await seen.until(lambda: seen.served("web") == seen.served("late") == FOUR)


@pytest.mark.promise("R-10")
async def test_an_older_state_is_noticed_though_no_question_is_woken_by_it(
    own: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.consul.client.WAIT", 3)  # by as much, at most, it is later
    async with own.hand() as hand:
        await hand.say("web", FOUR[0])
        old = await hand.raw("GET", "snapshot")
        await hand.say("web", *FOUR[1:])
        async with observing(settings(own.url, tmp_path)) as seen:
            await seen.until(lambda: seen.served("web") == FOUR)
            await hand.raw("PUT", "snapshot", old)
            await seen.until(lambda: seen.served("web") == [FOUR[0], *HELD[1:]])
            await seen.until(lambda: any("an index went back" in one for one in seen.problems))
            await hand.say("web", FIVE[-1])
            await seen.until(lambda: FIVE[-1] in seen.served("web"))


@pytest.mark.promise("R-10")
async def test_an_index_that_goes_back_has_everything_read_anew(standing: Agent, hand: Hand, tmp_path: Path) -> None:
    await hand.say("back", *FOUR)
    older = 0

    def go_back(path: str, headers: CIMultiDict[str]) -> None:
        if older and path == "/v1/health/service/back":
            headers["X-Consul-Index"] = str(older)

    async with Door(standing.url).opened() as door:
        door.change = go_back
        async with observing(settings(door.url, tmp_path, **{"import": {"services": ["back"]}})) as seen:
            await seen.until(lambda: seen.served("back") == FOUR)
            await seen.until(lambda: door.asked["/v1/health/service/back"] >= 3)
            older = 5
            await hand.say("back", FIVE[-1])
            await seen.until(lambda: any("an index went back" in one for one in seen.problems))
            await seen.until(lambda: seen.served("back") == FIVE)
            assert await most_asked(door, 4, "/v1/health/service/back") <= 1.5, "an index that stands nowhere"


@pytest.mark.promise("R-11", "S-16")
async def test_a_token_that_was_revoked_is_told_and_removes_nothing(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    await hand.say("secret", *FOUR)
    await hand.policy("all", 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }')
    token, accessor = await hand.token("all")
    made = settings(standing.url, tmp_path, token=token)
    async with observing(made) as seen:
        await seen.until(lambda: seen.served("secret") == FOUR)
        await hand.revoke(accessor)
        await seen.until(lambda: seen.reading.denied and "correct the token" in seen.reading.why)
        assert token not in seen.reading.why
        assert seen.served("secret") == FOUR
        again, _ = await hand.token("all")
        (tmp_path / "bridge-token").write_text(again)
        await seen.until(lambda: seen.reading.lost is None)
        assert seen.served("secret") == FOUR


NODES = 'node_prefix "" { policy = "read" }'
ONE = 'service "half-a" { policy = "read" }'
BOTH = f'{ONE} service "half-b" {{ policy = "read" }} {NODES}'


@asynccontextmanager
async def halved(standing: Agent, hand: Hand, folder: Path) -> AsyncIterator[Observing]:
    """`half-a` and `half-b` are seen by the policy `half`, which then has no right to the second one any more."""
    for service in ("half-a", "half-b"):
        await hand.say(service, *FOUR)
    await hand.policy("half", BOTH)
    token, _ = await hand.token("half")
    async with observing(settings(standing.url, folder, token=token)) as seen:
        await seen.until(lambda: seen.served("half-a") == seen.served("half-b") == FOUR)
        await hand.policy("half", ONE + NODES)
        yield seen


@pytest.mark.promise("R-11", "law-1", "R-39")
async def test_rights_on_half_the_services_that_are_lost_while_it_waits_remove_nothing(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    async with halved(standing, hand, tmp_path) as seen:
        seen.refresh()
        await seen.until(lambda: any("service:read" in one for one in seen.unread))
        assert seen.served("half-b") == FOUR
        await hand.say("half-a", FIVE[-1])
        await seen.until(lambda: seen.served("half-a") == FIVE)
        assert seen.served("half-b") == FOUR
        await hand.policy("half", BOTH)
        await seen.until(lambda: not seen.unread)
        assert seen.served("half-b") == FOUR


@pytest.mark.promise("R-11", "law-1")
async def test_a_change_of_what_may_not_be_read_any_more_removes_nothing(
    standing: Agent, hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question that waits has an answer at last with nothing left in it, which does not say why."""
    monkeypatch.setattr("adapters.consul.client.WAIT", 3)
    for service in ("kept", "taken"):
        await hand.say(service, *FOUR)
    await hand.policy("woken", f'service "kept" {{ policy = "read" }} service "taken" {{ policy = "read" }} {NODES}')
    token, _ = await hand.token("woken")
    async with observing(settings(standing.url, tmp_path, token=token)) as seen:
        await seen.until(lambda: seen.served("kept") == seen.served("taken") == FOUR)
        await hand.policy("woken", f'service "kept" {{ policy = "read" }} {NODES}')
        await hand.say("taken", FIVE[-1])
        await hand.say("kept", FIVE[-1])

        def told() -> bool:
            assert seen.served("taken") == FOUR
            return any("service:read" in one for one in seen.unread)

        await seen.until(told)
        await seen.until(lambda: seen.served("kept") == FIVE)


@pytest.mark.promise("R-12")
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_agent_that_is_busy_is_asked_seldom_and_its_view_stands(
    standing: Agent, hand: Hand, tmp_path: Path, status: int
) -> None:
    name = f"busy-{status}"
    await hand.say(name, *FOUR)
    chosen = {"import": {"services": [name]}}
    async with Door(standing.url).opened() as door, observing(settings(door.url, tmp_path, **chosen)) as seen:
        await seen.until(lambda: seen.served(name) == FOUR)
        door.refuse = status
        await seen.until(lambda: seen.reading.lost is not None)
        assert await most_asked(door, 6) <= 1, "a question a second"
        assert seen.served(name) == FOUR
        door.refuse = 0
        await seen.until(lambda: seen.reading.lost is None)
        await hand.say(name, FIVE[-1])
        await seen.until(lambda: seen.served(name) == FIVE)


@pytest.mark.promise("R-12", "R-39")
async def test_of_two_services_the_one_that_is_refused_is_asked_seldom_and_the_other_goes_on(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    for name in ("refused", "answered"):
        await hand.say(name, *FOUR)
    chosen = {"import": {"services": ["refused", "answered"]}}
    async with Door(standing.url).opened() as door, observing(settings(door.url, tmp_path, **chosen)) as seen:
        await seen.until(lambda: seen.served("refused") == seen.served("answered") == FOUR)
        door.refuse, door.about = 500, "/v1/health/service/refused"
        await hand.say("refused", FIVE[-1])
        await seen.until(lambda: bool(seen.unread) or seen.reading.lost is not None)
        assert await most_asked(door, 6, door.about) <= 1.3, "by whoever asks"
        assert seen.served("refused") == FOUR
        await hand.say("answered", FIVE[-1])
        await seen.until(lambda: seen.served("answered") == FIVE)
        door.refuse = 0
        await seen.until(lambda: seen.served("refused") == FIVE)
