"""R-20: a leader that is paused past its lease writes nothing into a ZooKeeper any more; `make paused RUNS=100`."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.testing.proxy import FaultProxy
from tests.chaos.test_app import started
from tests.servers.pauses import SERVICES, TIMING, Pauses, Write
from tests.servers.replicas import Inventory
from tests.servers.zookeeper.exporting import Exporter
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.journal import Change, Journal
from tests.servers.zookeeper.server import ZooKeeper

SESSIONS = {"one": 4, "two": 5}
"""Seconds; by them the log tells whose session is whose."""


class Line(NamedTuple):
    """A way to the server that can be held up."""

    proxy: FaultProxy

    @property
    def hosts(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"


class InZooKeeper(Pauses):
    """As Nerve writes: each change is a new znode, and the end of another; all end with one session, if with any."""

    def __init__(self, folder: Path, server: ZooKeeper, hand: Hand) -> None:
        super().__init__(folder)
        self._hand = hand
        self._journal = Journal(server.data)

    def writes(self) -> Sequence[Write]:
        self._journal.read()
        who = {seconds * 1000: name for name, seconds in SESSIONS.items()}
        sessions = {number: who.get(timeout, "") for number, timeout in self._journal.sessions.items()}
        ours = [one for one in self._journal.changes if sessions.get(one.session)]
        return [_write(one, sessions[one.session]) for one in ours if one.refused or _kind(one.path)]

    async def says(self, services: Inventory) -> bool:
        found: dict[str, list[tuple[str, int]]] = {name: [] for name in SERVICES}
        sessions = set[int]()
        for path in [
            f"/services/{name}/{one}" for name in SERVICES for one in await self._hand.names(f"/services/{name}")
        ]:
            data, stat = await self._hand.read_if(path), await self._hand.stat(path)
            if data is None or stat is None:
                return False
            said = json.loads(data)
            found[path.split("/")[2]].append((said["host"], said.get("weight", 1)))
            sessions.add(stat.ephemeralOwner)
        wanted = {name: sorted(them.items()) for name, them in services.items()}
        return {name: sorted(them) for name, them in found.items()} == wanted and len(sessions) == 1


def _kind(path: str) -> str:
    """Whether it is a record's, or that of a claim."""
    parts = path[1:].split("/")
    return {("services", 3): "record", ("registry-bridge", 3): "claim"}.get((parts[0], len(parts)), "")


def _write(one: Change, who: str) -> Write:
    leads = True if _kind(one.path) == "claim" else None
    return Write(one.order, who, one.verb, one.path, leads, one.refused)


@pytest.fixture(params=[False, True], ids=["persistent", "ephemeral"])
async def pauses(own: ZooKeeper, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[InZooKeeper]:
    async with AsyncExitStack() as stack:
        hand = await stack.enter_async_context(Hand(own.hosts))
        made = InZooKeeper(tmp_path, own, hand)
        for who, seconds in SESSIONS.items():
            line = await stack.enter_async_context(FaultProxy("127.0.0.1", own.port))
            leader = {"kind": "zookeeper", "hosts": own.hosts, "session": "6s", **TIMING}
            one = Exporter(
                tmp_path, Line(line), hand, "nerve", who,
                ephemeral=request.param, session=f"{seconds}s", leader=leader,
            )  # fmt: skip
            made.lines[who] = line
            made.replicas[who] = await stack.enter_async_context(started(one))
        for one in made.replicas.values():
            await one.until_ready()
        yield made


@pytest.mark.timeout(0)
@pytest.mark.promise("R-20", "law-6")
async def test_a_leader_that_is_paused_past_its_lease_writes_nothing_any_more(pauses: InZooKeeper) -> None:
    """Whatever it wrote after somebody else had claimed the tree is refused by the server."""
    await pauses.run()
