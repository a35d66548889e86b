"""An export that stands on several nodes of a real Consul: made, filled, left and taken away as it needs them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.consul.plan import MOST
from bridge.adapter import Claim, Put
from bridge.errors import Conflict, Denied
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Service
from bridge.runtime.clock import SystemClock
from tests.builders import service
from tests.servers.consul.conftest import EACH
from tests.servers.consul.hand import Hand, entry
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent
from tests.servers.consul.test_many import many
from tests.servers.consul.test_together import MANY, RIGHTS, apply, heavier
from tests.servers.consul.test_writing import HERE, NODE, Writer, writer
from tests.servers.electing import until

pytestmark = pytest.mark.usefixtures("few")

NODES = [NODE, f"{NODE}-1", f"{NODE}-2", f"{NODE}-3"]
"""As many as the hundred need."""


async def stands(hand: Hand) -> dict[str, list[str]]:
    """What is on each of our nodes, whatever they are called."""
    names = [one["Node"] for one in await hand.get("catalog/nodes") if one["Node"].startswith(NODE)]
    found = {node: await hand.get(f"catalog/node/{node}") for node in sorted(names)}
    return {node: sorted(said["Services"]) for node, said in found.items() if said is not None}


async def written(us: Writer, *them: Service) -> None:
    """Write them all at once, and see them."""
    await us.claim()
    assert not any(await apply(us, *us.left(*them)))
    await until(lambda: not us.left(*them), "all is seen")


def sizes(found: dict[str, list[str]]) -> dict[str, int]:
    return {node: len(them) for node, them in found.items()}


@asynccontextmanager
async def looking(hand: Hand, them: Iterable[Service]) -> AsyncIterator[Counter[int]]:
    """Somebody who reads one service after the other, while they move: how often it found so many instances."""
    found: Counter[int] = Counter()
    names = [one.name.name for one in them]

    async def look() -> None:
        while True:
            for name in names:
                found[len(await hand.get(f"health/service/{name}?passing"))] += 1

    task = asyncio.create_task(look())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def test_nodes_fill_up_one_after_the_other_and_whoever_comes_after_finds_them(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await written(us, *MANY)
        found = await stands(hand)
        assert sizes(found) == dict.fromkeys(NODES, EACH)
        more = service("shop/more", "10.2.0.1:80")
        async with writer(own.url, tmp_path) as us:
            await until(lambda: us.held is not None, "it is seen")
            assert us.left(*MANY) == []
            await written(us, more, *map(heavier, MANY))
        assert sizes(await stands(hand)) == {**dict.fromkeys(NODES, EACH), f"{NODE}-4": 1}
        assert {**await stands(hand), f"{NODE}-4": []} == {**found, f"{NODE}-4": []}, "nothing moved"


@pytest.mark.promise("law-5", "law-6")
async def test_what_stands_on_more_nodes_than_there_may_be_moves_and_is_never_gone_nor_doubled(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await written(us, *MANY)
        async with writer(own.url, tmp_path, nodes=2) as us:
            await until(lambda: us.held is not None, "it is seen")
            left = us.left(*MANY)
            assert len(left) == 2 * EACH
            async with looking(hand, [one for one in MANY if one.name in {it.record.service for it in left}]) as seen:
                await written(us, *MANY)
                await until(lambda: sum(seen.values()) > 0, "somebody looked")
            assert seen.keys() == {1}
            assert sizes(await stands(hand)) == dict.fromkeys(NODES[:2], 2 * EACH), "the empty ones are gone"
            assert us.held is not None
            assert sum(len(one.records) for one in us.held.holdings.values()) == len(MANY)


@pytest.mark.promise("law-5")
async def test_where_there_may_be_more_nodes_only_what_changes_leaves_the_crowd(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path, nodes=1) as us:
            await written(us, *MANY)
        assert sizes(await stands(hand)) == {NODE: len(MANY)}
        async with writer(own.url, tmp_path) as us:
            await until(lambda: us.held is not None, "it is seen")
            assert us.left(*MANY) == []
            async with looking(hand, MANY[:70]) as seen:
                await written(us, *map(heavier, MANY[:70]), *MANY[70:])
                await until(lambda: sum(seen.values()) > 0, "somebody looked")
            assert seen.keys() == {1}
            assert sizes(await stands(hand)) == {NODE: 2 * EACH, f"{NODE}-1": EACH, f"{NODE}-2": EACH}


@pytest.mark.promise("R-17")
async def test_a_node_that_somebody_deletes_is_made_again_with_what_stood_there(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await written(us, *MANY)
        before = await stands(hand)
        await hand.put("catalog/deregister", {"Node": NODES[2]})

        def seen() -> bool:
            """Also by the question about its instances: that its checks are gone may be seen before."""
            left = us.left(*MANY)
            return len(left) == EACH and all(isinstance(one, Put) and one.replaces is None for one in left)

        await until(seen, "it is seen")
        await us.say(*MANY)
        assert await stands(hand) == before


@pytest.mark.promise("R-17")
async def test_what_somebody_put_on_a_second_node_of_ours_is_in_one_place_again(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await written(us, *MANY)
        before = await stands(hand)
        (one,) = await hand.get(f"health/service/{MANY[0].name.name}")
        await hand.register({"Node": NODES[1], "SkipNodeUpdate": True, "Service": one["Service"]})
        await until(lambda: len(us.left(*MANY)) == 1, "it is seen")
        async with looking(hand, MANY[:1]) as seen:
            await us.say(*MANY)
        assert 0 not in seen
        assert await stands(hand) == before


@pytest.mark.promise("law-6", "R-20")
async def test_what_a_predecessor_wrote_at_last_is_not_made_a_second_time(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as old, writer(own.url, tmp_path) as new:
        await written(old, *MANY[:10])
        await until(lambda: new.held is not None and not new.left(*MANY[:10]), "the other one sees it")
        late = new.left(*MANY)
        await hand.register(*(entry("other", "10.9.9.9", its=str(at), node=NODE) for at in range(EACH)))
        await apply(old, *old.left(*MANY[:60]))
        await until(lambda: new.held is not None and bool(new.held.claims), "the claim is seen")
        await new.claim()
        results = await apply(new, *late)
        assert [type(one) for one in results] == [Conflict] * 50 + [type(None)] * 40
        found = await stands(hand)
        ours = [its for them in found.values() for its in them if its.startswith("shop~")]
        assert len(ours) == len({*ours}) == len(MANY)


async def test_empty_nodes_go_but_not_to_and_fro(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await written(us, *MANY[: EACH + 1])
        assert [*await stands(hand)] == NODES[:2]
        await us.drop(MANY[EACH])
        assert sizes(await stands(hand)) == {NODE: EACH, NODES[1]: 0}, "there would be no room without it"
        await us.drop(*MANY[:15])
        assert [*await stands(hand)] == NODES[:1]


@pytest.mark.promise("law-5")
async def test_of_empty_nodes_those_stay_on_which_somebody_has_something(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await written(us, *MANY)
            await hand.register(entry("theirs", "10.9.9.9", node=NODES[2], its="theirs", tags=None))
            check = {"CheckID": "theirs", "Name": "theirs", "Status": "passing"}
            await hand.put("catalog/register", {"Node": NODES[3], "SkipNodeUpdate": True, "Check": check})
        async with writer(own.url, tmp_path, nodes=1) as us:
            await written(us, *MANY)
        found = await stands(hand)
        assert sizes(found) == {NODE: len(MANY), NODES[2]: 1, NODES[3]: 0}


@pytest.mark.promise("R-17")
@pytest.mark.parametrize("taken", [NODES[1:2], NODES[3:], NODES[:1]])
async def test_a_node_from_which_somebody_takes_the_mark_is_found_and_marked_again(
    own: Agent, tmp_path: Path, taken: list[str]
) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await written(us, *MANY)
        before = await stands(hand)
        for node in taken:
            await hand.put("catalog/register", {"Node": node, "Address": "127.0.0.1"})
        async with writer(own.url, tmp_path) as us:
            await until(lambda: us.held is not None, "it is seen")
            assert us.left(*MANY) == []
            await us.claim()
            marks = [(await hand.get(f"catalog/node/{node}"))["Node"]["Meta"] for node in NODES]
            assert [one["registry-bridge-owner"] for one in marks] == ["us"] * len(NODES)
        assert await stands(hand) == before


async def test_nodes_that_were_left_empty_go_with_the_claim(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await written(us, *MANY)
        for node in NODES[1:]:
            for its in (await stands(hand))[node]:
                await hand.put("catalog/deregister", {"Node": node, "ServiceID": its})
        async with writer(own.url, tmp_path) as us:
            await us.claim()
            assert [*await stands(hand)] == [NODE, NODES[1]], "one for those that come next"


@pytest.mark.promise("law-5")
async def test_when_all_is_withdrawn_no_node_stays(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await written(us, *MANY)
        await until(lambda: us.held is not None and bool(us.held.claims), "the claim is seen")
        assert us.held is not None
        (claim,) = us.held.claims
        await us.sink.claim(HERE, Claim("us", "one", 1, 2.0, True, claim.revision))
        await us.drop(*MANY)
        assert await stands(hand) == {}


async def test_what_an_owner_of_before_has_moves_from_all_of_its_nodes(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        async with writer(own.url, tmp_path) as us:
            await written(us, *MANY)
        async with writer(own.url, tmp_path, mark=Mark("new", "one", ("us",))) as them:
            await them.claim()
            assert them.held is not None
            records = [record for one in them.held.holdings.values() for record in one.records]
            assert len(records) == len(MANY)
            async with looking(hand, MANY) as seen:
                assert not any(await apply(them, *(Put(replace(one, revision=None), one) for one in records)))
            assert seen.keys() <= {1}
        assert await stands(hand) == {}
        new = [one["Node"] for one in await hand.get("catalog/nodes") if one["Node"].startswith("registry-bridge-new")]
        assert len(new) == len(NODES)


@pytest.mark.promise("S-16", "law-9")
async def test_a_right_that_is_missing_on_some_nodes_costs_what_belongs_there(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.policy("one", RIGHTS)
        token, _ = await hand.token("one")
        async with writer(own.url, tmp_path, token=token) as us:
            await us.claim()
            errors = [one for one in await apply(us, *us.left(*MANY)) if one is not None]
            assert {type(one) for one in errors} == {Denied}
            assert all("node:write" in str(one) for one in errors)
            assert sizes(await stands(hand)) == {NODE: EACH}
            assert len(errors) == len(MANY) - EACH
            await hand.policy("one", RIGHTS.replace(f'node "{NODE}"', f'node_prefix "{NODE}"'))
            await until(lambda: len(us.left(*MANY)) == len(errors), "what was written is seen")
            assert not any(await apply(us, *us.left(*MANY)))
            assert sizes(await stands(hand)) == dict.fromkeys(NODES, EACH)


@pytest.mark.promise("R-18", "law-5")
async def test_a_first_node_that_is_somebody_elses_is_told_and_nothing_is_written(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.register(entry("web", "10.9.9.9", node=NODE))
        async with writer(own.url, tmp_path) as us:
            await until(lambda: bool(us.problems), "it is told")
            assert f"node {NODE}: belongs to somebody without a mark" in us.problems[0]
            assert us.held is None


@pytest.mark.promise("R-18", "law-5")
@pytest.mark.parametrize("meta", [None, {"registry-bridge-owner": "us-2"}])
async def test_a_further_node_that_is_somebody_elses_is_left_out(
    own: Agent, tmp_path: Path, meta: dict[str, str] | None
) -> None:
    """As the first one of the owner `us-2` may be, with instances of the same keys."""
    async with own.hand() as hand:
        theirs = {
            **entry("s099", "10.1.99.1", its="shop~s099~10.1.99.1:80", node=NODES[2], meta=meta),
            "NodeMeta": meta,
        }
        await hand.register(theirs)
        async with writer(own.url, tmp_path) as us:
            await us.claim()
            while left := us.left(*MANY):
                errors = [one for one in await apply(us, *left) if one is not None]
                assert {type(one) for one in errors} <= {Conflict}, errors
                await us.again()
            assert us.problems == []
        found = await stands(hand)
        assert sizes(found) == {NODE: EACH, NODES[1]: EACH, NODES[2]: 1, NODES[3]: EACH, f"{NODE}-4": EACH}


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
    made = settings(
        own.url, tmp_path, export=[{"services": ["*"], "from": ["vms"]}], **{"import": {"services": ["many-*"]}}
    )
    async with own.hand() as hand:
        for node in [NODE, *(f"{NODE}-{number}" for number in range(1, nodes))]:
            body = {"Node": node, "Address": "127.0.0.1", "NodeMeta": {"registry-bridge-owner": "us"}}
            await hand.put("catalog/register", body)
        await many(hand, MOST - 10)
        async for view in made.open(Kit("consul", SystemClock(), Mark("us", "one"))).observe():
            assert view.how.startswith(how)
            break
