"""R-20: a leader that is paused past its lease writes nothing into a Consul any more; `make paused RUNS=100`."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.testing.proxy import FaultProxy
from tests.chaos.test_app import started
from tests.servers.consul.door import Door
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent
from tests.servers.pauses import SERVICES, TIMING, Pauses, Write
from tests.servers.replicas import Inventory

CLAIM = "registry-bridge/claims/prod/"


class InConsul(Pauses):
    """Instances on one node; whatever either replica writes goes through a door of its own, one thing at a time."""

    def __init__(self, folder: Path, hand: Hand) -> None:
        super().__init__(folder)
        self._hand = hand
        self._turn = asyncio.Lock()
        self._writes: list[Write] = []
        self._odd: list[str] = []

    def door(self, who: str, url: str) -> Door:
        made = Door(url)
        made.turn, made.told = self._turn, partial(self._hear, who)
        return made

    def writes(self) -> Sequence[Write]:
        assert not self._odd
        return list(self._writes)

    async def says(self, services: Inventory) -> bool:
        found = {
            name: sorted(
                (one["ServiceAddress"], one["ServiceWeights"]["Passing"])
                for one in await self._hand.get(f"catalog/service/{name}")
            )
            for name in SERVICES
        }
        return found == {name: sorted(them.items()) for name, them in services.items()}

    def _hear(self, who: str, path: str, body: bytes, status: int) -> None:
        if (path, status) not in {("/v1/txn", 200), ("/v1/txn", 409)}:
            self._odd.append(f"{path} is answered {status}")
            return
        order = len(self._writes)
        self._writes += [
            Write(order, who, verb, name, True if name.startswith(CLAIM) else None, status == 409)
            for verb, name in _names(json.loads(body))
        ]


def _names(operations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What a transaction writes; what it only checks is left out."""
    for one in operations:
        match one:
            case {"KV": {"Verb": "cas", "Key": name}}:
                yield "cas", name
            case {"Service": {"Verb": verb, "Service": {"ID": name}}}:
                yield verb, name


@pytest.fixture
async def pauses(own: Agent, tmp_path: Path) -> AsyncIterator[InConsul]:
    async with AsyncExitStack() as stack:
        hand = await stack.enter_async_context(own.hand())
        made = InConsul(tmp_path, hand)
        for who in ("one", "two"):
            door = await stack.enter_async_context(made.door(who, own.url).opened())
            line = await stack.enter_async_context(FaultProxy("127.0.0.1", door.port))
            leader = {"kind": "consul", "url": own.url, "token_file": f"token-{who}", **TIMING}
            one = Exporter(tmp_path, f"http://127.0.0.1:{line.port}", hand, state=who, leader=leader)
            made.lines[who] = line
            made.replicas[who] = await stack.enter_async_context(started(one))
        for one in made.replicas.values():
            await one.until_ready()
        yield made


@pytest.mark.timeout(0)
@pytest.mark.promise("R-20", "law-6")
async def test_a_leader_that_is_paused_past_its_lease_writes_nothing_any_more(pauses: InConsul) -> None:
    """Whatever it wrote after somebody else had claimed the node is refused by the server."""
    await pauses.run()
