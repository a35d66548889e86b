"""Which replica writes, decided by a lease in a real Consul's KV store; and what operators decide, beside it."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from adapters.consul.election import LeaderSettings
from bridge.kit import Clock
from bridge.kit.election import Elector
from bridge.testing.proxy import FaultProxy
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import ROOT, Agent
from tests.servers.electing import CLOCK, SHORT, enter, until, watched
from tests.servers.elections import Ballot, Elections, Said

NEW = b'{"seconds": 1}'
"""A lease of which an operator says that it is new."""


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


class Keys(Ballot):
    """An election by a key."""

    def __init__(self, url: str, token: Path, key: str, hand: Hand) -> None:
        self._url, self._token, self._key, self._hand = url, token, key, hand

    def elector(self, clock: Clock, **more: Any) -> Elector:
        return elector(self._url, self._token, self._key, clock, **more)

    async def lease(self) -> Said:
        return Said(**json.loads(await self._hand.raw("GET", f"kv/{self._key}?raw")))

    async def make(self, said: Said) -> None:
        await self._hand.raw("PUT", f"kv/{self._key}", json.dumps(said._asdict()).encode())

    async def delete(self) -> None:
        await self._hand.raw("DELETE", f"kv/{self._key}")

    async def spoil(self) -> None:
        await self._hand.raw("PUT", f"kv/{self._key}", b"\xff")

    async def decide_anew(self, content: bytes) -> None:
        await self._hand.raw("DELETE", f"kv/{self._key}-decisions")
        await self._hand.raw("PUT", f"kv/{self._key}-decisions", content)

    async def hide(self) -> None:
        self._token.write_text("11111111-0000-0000-0000-000000000000")


@pytest.fixture
def ballot(standing: Agent, hand: Hand, token: Path, key: str) -> Ballot:
    return Keys(standing.url, token, key, hand)


class TestElections(Elections):
    pass


async def test_who_cannot_reach_the_agent_stops_before_others_could_take_over(
    own: Agent, token: Path, key: str
) -> None:
    them = [enter(elector(own.url, token, key, lease="4s", renew="3s", retry="300ms")) for _ in range(2)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        with own.frozen():
            await until(lambda: not leaders(), "nobody leads")
        await until(leaders, "one leads")
        await own.kill()
        await until(lambda: not leaders(), "nobody leads")
        await own.start()
        await until(leaders, "one leads")


@pytest.mark.promise("R-10")
async def test_a_consul_that_is_put_back_to_an_older_state_frees_nobodys_lead(
    own: Agent, token: Path, key: str
) -> None:
    """That is why a lease that nobody ever saw is waited for: by what this one says now it never was."""
    long = {"lease": "6s", "renew": "5s", "retry": "200ms"}
    async with own.hand() as hand, FaultProxy("127.0.0.1", own.port) as line:
        before = await hand.raw("GET", "snapshot")
        await hand.raw("PUT", f"kv/{key}", NEW)
        first = enter(elector(f"http://127.0.0.1:{line.port}", token, key, **long))
        async with watched(first):
            await until(lambda: first.leads, "it leads")
            line.set(hole=True)
            await hand.raw("PUT", "snapshot", before)
            second = enter(elector(own.url, token, key, **long))
            async with watched(first, second):
                await until(lambda: second.leads, "the other one leads, when the first one does no more")


async def test_rights_that_are_missing_are_said_and_nobody_leads(
    standing: Agent, hand: Hand, tmp_path: Path, key: str
) -> None:
    await hand.policy("no-keys", 'service_prefix "" { policy = "read" }')
    weak, _ = await hand.token("no-keys")
    (tmp_path / "weak").write_text(weak)
    one = enter(elector(standing.url, tmp_path / "weak", key))
    async with watched(one):
        await until(lambda: "give it the right that is missing" in one.leadership.why, "why is said")
        await hand.policy("no-keys", 'key_prefix "elections/" { policy = "write" }')
        await until(lambda: one.leads, "it leads")


async def test_an_operator_who_knows_that_the_lease_is_new_says_so_and_nobody_waits_for_its_length(
    standing: Agent, hand: Hand, token: Path, key: str
) -> None:
    """As the README has it; a lease that nobody was told of is waited for, and here that would be half an hour."""
    long = {"lease": "30m", "renew": "20m", "retry": "200ms"}
    assert await hand.raw("PUT", f"kv/{key}?cas=0", NEW) == b"true"
    one = enter(elector(standing.url, token, key, **long))
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        assert await hand.raw("PUT", f"kv/{key}?cas=0", NEW) == b"false", "nobody's lead is taken so"
