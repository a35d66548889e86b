"""Which replica writes, decided by a lease in a real Consul's KV store; and what operators decide, beside it."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from adapters.consul.election import LeaderSettings
from bridge.errors import Conflict, Denied
from bridge.kit import Clock
from bridge.kit.election import Elector, Shelf
from bridge.runtime.clock import SystemClock
from bridge.runtime.election import Leadership
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import ROOT, Agent
from tests.servers.electing import SHORT, Replica, Wild, until, watched

CLOCK = SystemClock()


@pytest.fixture
def key() -> str:
    return f"elections/{secrets.token_hex(4)}"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    made = tmp_path / "leader-token"
    made.write_text(ROOT)
    return made


def elector(url: str, token: Path, key: str, clock: Clock = CLOCK, **more: Any) -> Elector:
    given = {"kind": "consul", "url": url, "token_file": token, "key": key, **SHORT, **more}
    return LeaderSettings.model_validate(given).open(clock, None)


def enter(url: str, token: Path, key: str, clock: Clock = CLOCK, **more: Any) -> Replica:
    leadership = Leadership(elector(url, token, key, clock, **more), clock)
    return Replica(leadership, asyncio.create_task(leadership.run()))


def shelf(url: str, token: Path, key: str) -> Shelf:
    found = elector(url, token, key).shelf
    assert found is not None
    return found


async def lease(hand: Hand, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await hand.raw("GET", f"kv/{key}?raw"))
    return found


async def test_who_comes_alone_leads_renews_and_gives_back_when_it_ends(
    standing: Agent, hand: Hand, token: Path, key: str
) -> None:
    first = enter(standing.url, token, key)
    async with watched(first):
        await until(lambda: first.leads, "it leads")
        said = await lease(hand, key)
        assert (said["seconds"], said["transitions"]) == (2.0, 1)
        await asyncio.sleep(3)
        assert (await lease(hand, key))["renewed"] > said["renewed"]
        assert first.leads
        assert first.terms == [1]
    assert (await lease(hand, key))["holder"] == ""
    second = enter(standing.url, token, key)
    async with watched(second):
        await until(lambda: second.leads, "the next one leads")
        assert second.terms == [2]


@pytest.mark.promise("R-21")
async def test_of_three_replicas_one_leads_and_when_it_ends_another_does(
    standing: Agent, token: Path, key: str
) -> None:
    them = [enter(standing.url, token, key, Wild()) for _ in range(3)]
    assert len({one.leadership.deployment for one in them}) == 1
    async with watched(*them) as leaders:
        for _ in range(3):
            await until(leaders, "one leads")
            await leaders()[0].end()
    assert sorted(number for one in them for number in one.terms) == [1, 2, 3]


async def test_who_dies_is_followed_when_its_lease_is_over(standing: Agent, hand: Hand, token: Path, key: str) -> None:
    said = b'{"holder":"one-that-died","seconds":3,"transitions":7,"renewed":0}'
    await hand.raw("PUT", f"kv/{key}", said)
    heir = enter(standing.url, token, key)
    async with watched(heir):
        await until(lambda: heir.leads, "it took over")
        assert heir.terms == [8]


async def test_a_lease_that_hands_delete_or_fill_with_garbage_frees_nobodys_lead(
    standing: Agent, hand: Hand, token: Path, key: str
) -> None:
    them = [enter(standing.url, token, key) for _ in range(3)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        for number in range(4):
            if number % 2:
                await hand.raw("PUT", f"kv/{key}", b"\xff")
            else:
                await hand.raw("DELETE", f"kv/{key}")
            await asyncio.sleep(0.7)
        await until(leaders, "one leads")


async def test_who_cannot_reach_the_agent_stops_before_others_could_take_over(
    own: Agent, token: Path, key: str
) -> None:
    them = [enter(own.url, token, key, lease="4s", renew="3s", retry="300ms") for _ in range(2)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        with own.frozen():
            await until(lambda: not leaders(), "nobody leads")
        await until(leaders, "one leads")
        await own.kill()
        await until(lambda: not leaders(), "nobody leads")
        await own.start()
        await until(leaders, "one leads")


async def test_rights_that_are_missing_are_said_and_nobody_leads(
    standing: Agent, hand: Hand, tmp_path: Path, key: str
) -> None:
    await hand.policy("no-keys", 'service_prefix "" { policy = "read" }')
    weak, _ = await hand.token("no-keys")
    (tmp_path / "weak").write_text(weak)
    one = enter(standing.url, tmp_path / "weak", key)
    async with watched(one):
        await until(lambda: one.leadership.why, "why is said")
        assert "give it the right that is missing" in one.leadership.why
        await hand.policy("no-keys", 'key_prefix "elections/" { policy = "write" }')
        await until(lambda: one.leads, "it leads")


async def test_a_decision_names_what_it_replaces(
    standing: Agent, hand: Hand, token: Path, tmp_path: Path, key: str
) -> None:
    mine, other = shelf(standing.url, token, key), shelf(standing.url, token, key)
    try:
        assert await mine.read() is None
        await mine.write(b"one", None)
        kept = await other.read()
        assert kept is not None
        assert kept.content == b"one"
        with pytest.raises(Conflict):
            await other.write(b"two", None)
        await other.write(b"two", kept)
        with pytest.raises(Conflict):
            await mine.write(b"three", kept)
        await hand.raw("DELETE", f"kv/{key}-decisions")
        await hand.raw("PUT", f"kv/{key}-decisions", b"four")
        with pytest.raises(Conflict):
            await mine.write(b"five", kept)
        (tmp_path / "leader-token").write_text("11111111-0000-0000-0000-000000000000")
        with pytest.raises(Denied):
            await mine.read()
    finally:
        await mine.close()
        await other.close()
