"""What is written into a real Consul together costs few transactions, and each change has an answer of its own."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.adapter import Change, Put, Remove
from bridge.errors import Conflict, Denied, Rejected
from bridge.model import Endpoint, Port, Service
from tests.builders import service
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent
from tests.servers.consul.test_writing import HERE, NODE, Writer, writer
from tests.servers.electing import until

MANY = [service(f"shop/s{number:03}", f"10.1.{number}.1:80") for number in range(100)]
RIGHTS = f"""
node "{NODE}" {{ policy = "write" }}
service_prefix "s" {{ policy = "write" }}
service_prefix "" {{ policy = "read" }}
node_prefix "" {{ policy = "read" }}
key_prefix "registry-bridge/claims/" {{ policy = "write" }}
"""


async def apply(us: Writer, *changes: Change) -> list[BaseException | None]:
    """All of them at once; what became of each."""
    return list(await asyncio.gather(*(us.sink.apply(HERE, one) for one in changes), return_exceptions=True))


async def stands(hand: Hand) -> dict[str, int]:
    """What is on our node, each with the transaction that last wrote it."""
    found = await hand.get(f"catalog/node/{NODE}")
    return {its: one["ModifyIndex"] for its, one in found["Services"].items()}


def heavier(one: Service) -> Service:
    """With another weight."""
    return Service(one.name, tuple(replace(each, weight=5) for each in one.endpoints))


async def edited_of(hand: Hand, one: Service) -> dict[str, Any]:
    """The only instance of a service, as somebody edits it."""
    (said,) = await hand.get(f"health/service/{one.name.name}")
    return {**said["Service"], "Port": 81}


async def test_what_is_written_at_once_goes_in_few_transactions(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await us.claim()
        assert not any(await apply(us, *us.left(*MANY)))
        await until(lambda: not us.left(*MANY), "all is seen")
        found = await stands(hand)
        assert len(found) == len(MANY)
        assert len(set(found.values())) <= 6
        assert us.held is not None
        gone = [Remove(record) for one in us.held.holdings.values() for record in one.records]
        assert not any(await apply(us, *gone))
        assert await stands(hand) == {}


@pytest.mark.promise("law-9", "R-17")
async def test_who_is_at_fault_in_a_transaction_has_an_error_and_the_others_are_made(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        await hand.policy("together", RIGHTS)
        token, _ = await hand.token("together")
        async with writer(own.url, tmp_path, token=token) as us:
            await us.claim()
            edited, erased, healthy = (service(f"shop/s9{n}", f"10.9.0.{n}:80") for n in range(3))
            await us.say(edited, erased, healthy)
            moved = us.left(*map(heavier, (edited, erased, healthy)))
            await hand.register({"Node": NODE, "SkipNodeUpdate": True, "Service": await edited_of(hand, edited)})
            await hand.put("catalog/deregister", {"Node": NODE, "ServiceID": moved[1].record.key})
            nameless, denied, *good = us.left(MANY[0], service("shop/web", "10.2.0.1:80"), *MANY[1:20])
            assert isinstance(nameless, Put)
            said = json.loads(nameless.record.content)
            said["Service"]["Service"] = ""
            nameless = Put(replace(nameless.record, content=json.dumps(said).encode()))
            results = await apply(us, *good[:5], nameless, *moved, denied, *good[5:])
        kinds = [type(one) for one in results if one is not None]
        assert kinds == [Rejected, Conflict, Conflict, Denied], results
        for one, key in zip(results[5:8], (nameless, *moved), strict=False):
            assert key.record.key in str(one)
        found = await stands(hand)
        assert {one.record.key for one in good} | {moved[2].record.key} <= found.keys()
        assert len({found[one.record.key] for one in good}) == 1
        assert nameless.record.key not in found
        assert denied.record.key not in found


async def test_what_is_too_large_for_one_transaction_goes_in_several(own: Agent, tmp_path: Path) -> None:
    words = tuple((f"k{number}", "x" * 500) for number in range(50))
    large = [
        Service.of(one.name, [Endpoint(one.endpoints[0].address, (Port("", 80),), metadata=words)]) for one in MANY
    ]
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await us.claim()
        assert not any(await apply(us, *us.left(*large)))
        found = await stands(hand)
        assert len(found) == len(large)
        assert len(set(found.values())) >= len(large) * 25_000 / 512_000
