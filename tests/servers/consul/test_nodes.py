"""An export that is spread over several nodes of a real Consul."""

from pathlib import Path

import pytest

from adapters.consul.plan import MOST
from bridge.errors import Denied
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.runtime.clock import SystemClock
from tests.builders import service
from tests.servers.consul.hand import Hand, entry
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent
from tests.servers.consul.test_many import many
from tests.servers.consul.test_together import MANY, RIGHTS, apply, heavier
from tests.servers.consul.test_writing import NODE, writer
from tests.servers.electing import until

NODES = [NODE, f"{NODE}-1", f"{NODE}-2", f"{NODE}-3"]
SPREAD = {"nodes": 4}


async def stands(hand: Hand) -> dict[str, list[str]]:
    """What is on each of our nodes."""
    found = {node: await hand.get(f"catalog/node/{node}") for node in NODES}
    return {node: sorted(said["Services"]) for node, said in found.items() if said is not None}


async def test_instances_are_spread_and_whoever_comes_after_finds_them(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path, **SPREAD) as us:
            await us.claim()
            assert not any(await apply(us, *us.left(*MANY)))
            await until(lambda: not us.left(*MANY), "all is seen")
        found = await stands(hand)
        assert sorted(found) == NODES
        assert all(len(them) > len(MANY) / len(NODES) / 2 for them in found.values())
        assert sum(map(len, found.values())) == len(MANY)
        async with writer(own.url, tmp_path, **SPREAD) as us:
            await until(lambda: us.held is not None, "it is seen")
            assert us.left(*MANY) == []


@pytest.mark.promise("law-5")
async def test_when_there_come_to_be_more_nodes_nothing_moves_but_what_changes_and_nothing_is_doubled(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await us.claim()
            await apply(us, *us.left(*MANY))
            await until(lambda: not us.left(*MANY), "all is seen")
        async with writer(own.url, tmp_path, **SPREAD) as us:
            await us.claim()
            assert us.left(*MANY) == []
            changed = [heavier(one) for one in MANY[:50]]
            assert not any(await apply(us, *us.left(*changed)))
            await until(lambda: not us.left(*changed, *MANY[50:]), "all is seen")
        found = await stands(hand)
        assert sum(map(len, found.values())) == len(MANY)
        assert len(found[NODE]) >= 50
        assert len(found) == 4


@pytest.mark.promise("S-16", "law-9")
async def test_a_right_that_is_missing_on_some_nodes_costs_what_belongs_there(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.policy("one", RIGHTS)
        token, _ = await hand.token("one")
        async with writer(own.url, tmp_path, token=token, **SPREAD) as us:
            await us.claim()
            errors = [one for one in await apply(us, *us.left(*MANY)) if one is not None]
            assert {type(one) for one in errors} == {Denied}
            assert all("node:write" in str(one) for one in errors)
            found = await stands(hand)
            assert list(found) == [NODE]
            assert len(found[NODE]) + len(errors) == len(MANY)
            await hand.policy("one", RIGHTS.replace(f'node "{NODE}"', f'node_prefix "{NODE}"'))
            await until(lambda: len(us.left(*MANY)) == len(errors), "what was written is seen")
            assert not any(await apply(us, *us.left(*MANY)))
            assert sorted(await stands(hand)) == NODES


@pytest.mark.promise("R-18", "law-5")
async def test_one_of_them_that_is_somebody_elses_is_told_and_nothing_is_written(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.register(entry("web", "10.9.9.9", node=NODES[2]))
        async with writer(own.url, tmp_path, **SPREAD) as us:
            await until(lambda: bool(us.problems), "it is told")
            assert f"node {NODES[2]}: belongs to somebody without a mark" in us.problems[0]
            assert us.held is None


async def test_a_node_that_is_deleted_right_after_it_was_made_is_made_again(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await us.claim()
        (change,) = us.left(service("shop/web", "10.1.0.1:80"))
        (error,) = await apply(us, change)
        assert error is None
        await hand.put("catalog/deregister", {"Node": NODE})
        while (await apply(us, change))[0] is not None:
            pass
        assert (await stands(hand))[NODE] == [change.record.key]


@pytest.mark.parametrize(("nodes", "how"), [(1, "long polls"), (16, "hints and sweeps")])
async def test_each_further_node_takes_the_place_of_services_that_are_waited_for(
    own: Agent, tmp_path: Path, nodes: int, how: str
) -> None:
    """So that all questions together stay below what an agent allows."""
    export = [{"services": ["*"], "from": ["vms"], "nodes": nodes}]
    made = settings(own.url, tmp_path, export=export, **{"import": {"services": ["many-*"]}})
    async with own.hand() as hand:
        await many(hand, MOST - 10)
        async for view in made.open(Kit("consul", SystemClock(), Mark("us", "one"))).observe():
            assert view.how.startswith(how)
            break
