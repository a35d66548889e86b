"""More services than one waits for one by one: hints and sweeps, connections, and what an ACL takes out of them."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from bridge.model import Health
from bridge.testing.proxy import FaultProxy
from tests.servers.consul import shipped
from tests.servers.consul.door import Door
from tests.servers.consul.hand import Hand
from tests.servers.consul.observing import settings
from tests.servers.consul.server import Agent
from tests.servers.observing import Observing, observing

TWO = ["10.9.0.1:80", "10.9.0.2:80"]
HINTS = ("catalog/services", "catalog/nodes", "health/state/critical", "health/state/warning")
SUMMARY = "/v1/internal/ui/services"
NODES = 'node_prefix "" { policy = "read" }'


async def test_a_thousand_services_take_few_connections_and_a_change_arrives(own: Agent, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with own.hand() as hand:
        await many(hand, 1_000)
        async with Door(own.url).opened() as door, observing(settings(door.url, tmp_path)) as seen:
            begun = loop.time()
            await seen.until(lambda: len(seen.served("many-999")) == 2)
            print(f"first view of 1,000 services after {loop.time() - begun:.1f} s")
            assert seen.how == "hints and sweeps over 1,000 services"
            for number in (0, 500, 999):
                begun = loop.time()
                await hand.status(f"many-{number}", "10.9.0.1:80", "critical")
                await seen.until(
                    lambda number=number: Health.UNHEALTHY in {one.health for one in seen.endpoints(f"many-{number}")}
                )
                print(f"a change of number {number} after {loop.time() - begun:.2f} s")
            await hand.forget("many-7")
            await hand.say("new", *TWO)
            await seen.until(lambda: seen.served("new") == TWO)
            await seen.until(lambda: all(one.held for one in seen.endpoints("many-7")))
            print(f"at most {door.most} questions at once")
            assert door.most <= 40


async def many(hand: Hand, number: int) -> None:
    """So many services of two instances each, in transactions of 64."""
    nodes = [{"Node": f"vm-10.9.0.{its}", "Address": f"10.9.0.{its}"} for its in (1, 2)]
    operations: list[dict[str, Any]] = [{"Node": {"Verb": "set", "Node": one}} for one in nodes]
    for each in range(number):
        for its in (1, 2):
            service = {"ID": f"many-{each}-10.9.0.{its}-80", "Service": f"many-{each}"}
            said = {**service, "Address": f"10.9.0.{its}", "Port": 80}
            operations.append({"Service": {"Verb": "set", "Node": f"vm-10.9.0.{its}", "Service": said}})
    for start in range(0, len(operations), 64):
        await hand.put("txn", operations[start : start + 64])


async def take(held: AsyncExitStack, port: int, number: int) -> None:
    """Hold so many connections to a server."""
    for _ in range(number):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        held.callback(writer.close)


def connections(own: Agent) -> int:
    """Those of this process to the server."""
    mine = psutil.Process().net_connections("tcp")
    return sum(1 for one in mine if one.raddr and one.raddr.port == own.port and one.status == psutil.CONN_ESTABLISHED)


async def rested(door: Door) -> None:
    """Until all were read twice, at the beginning and once more after it; what is asked from then on is counted.

    A count grows when a question comes, so nothing of the second reading is left to be asked.
    """
    while min(door.asked[f"/v1/health/service/many-{each}"] for each in range(140)) < 2:
        await asyncio.sleep(0.01)
    door.asked.clear()


def read(door: Door) -> set[str]:
    """The services that were asked for."""
    asked = {path.removeprefix("/v1/health/service/") for path in door.asked if path.startswith("/v1/health/service/")}
    return asked - {"consul"}


def all_served(seen: Observing, number: int) -> bool:
    return all(seen.served(f"many-{each}") == TWO for each in range(number))


def told(seen: Observing) -> list[str]:
    """What it lacks, and why."""
    return [seen.reading.why, *seen.unread]


def refused(seen: Observing) -> bool:
    return any("http_max_conns_per_client" in one for one in told(seen))


async def test_as_many_as_are_followed_one_by_one_leave_room_in_the_two_hundred_of_an_agent(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        await many(hand, 129)
        async with observing(settings(own.url, tmp_path)) as seen:
            await seen.until(lambda: all_served(seen, 129))
            assert seen.how == "long polls of 129 services"
            for each in range(0, 129, 3):
                await hand.status(f"many-{each}", TWO[0], "critical")
            await seen.until(lambda: any(one.health is Health.UNHEALTHY for one in seen.endpoints("many-126")))
            assert connections(own) <= 150
            await seen.until(lambda: seen.reading.lost is None)


async def test_where_nothing_changes_nothing_is_swept(
    own: Agent, tmp_path: Path, patient: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.consul.client.WAIT", 2)
    async with own.hand() as hand:
        await many(hand, 140)
        async with Door(own.url).opened() as door, observing(settings(door.url, tmp_path, **patient)) as seen:
            await seen.until(lambda: all_served(seen, 140))
            await rested(door)
            await seen.until(lambda: min(door.asked[f"/v1/{one}"] for one in HINTS) >= 3)
            assert read(door) == set()
            assert door.asked[SUMMARY] == 0


async def test_of_many_services_those_are_read_that_have_changed(
    own: Agent, tmp_path: Path, patient: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.consul.sweep.LEISURE", 3600.0)
    async with own.hand() as hand:
        await many(hand, 140)
        async with Door(own.url).opened() as door, observing(settings(door.url, tmp_path, **patient)) as seen:
            await seen.until(lambda: all_served(seen, 140))
            await rested(door)

            def health(name: str) -> set[Health | None]:
                return {one.health for one in seen.endpoints(name)}

            for status, said in (("warning", Health.DEGRADED), ("critical", Health.UNHEALTHY)):
                await hand.status("many-7", TWO[0], status)
                await seen.until(lambda said=said: said in health("many-7"))
            await hand.status("many-7", TWO[0], "passing")
            await seen.until(lambda: health("many-7") == {Health.HEALTHY})
            node = {"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "critical"}
            await hand.register({"Node": "vm-lone", "Address": "10.9.0.7", "Check": node})
            await hand.say("many-8", "10.9.0.7:80", node="vm-lone")
            await seen.until(lambda: Health.UNHEALTHY in health("many-8"))
            await hand.register({"Node": "vm-lone", "Address": "10.9.0.7", "Check": {**node, "Status": "passing"}})
            await seen.until(lambda: health("many-8") == {Health.HEALTHY})
            assert read(door) == {"many-7", "many-8"}
            await hand.say("new", *TWO)
            await seen.until(lambda: seen.served("new") == TWO)
            await hand.forget("many-9", TWO[0])
            await seen.until(lambda: TWO[0] not in seen.served("many-9"))
            assert read(door) == {"many-7", "many-8", "many-9", "new"}


async def test_a_change_that_no_summary_shows_is_found_among_all(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await many(hand, 140)
        async with Door(own.url).opened() as door, observing(settings(door.url, tmp_path)) as seen:
            await seen.until(lambda: all_served(seen, 140))
            await rested(door)
            (one, *_) = await hand.get("catalog/service/many-7")
            moved = {"ID": one["ServiceID"], "Service": "many-7", "Address": "10.9.0.1", "Port": 81}
            await hand.register({"Node": one["Node"], "SkipNodeUpdate": True, "Service": moved})
            await seen.until(lambda: "10.9.0.1:81" in seen.served("many-7"))
            await seen.until(lambda: "many-139" in read(door))


async def test_a_consul_without_a_summary_is_read_whole(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await many(hand, 140)
        async with Door(own.url).opened() as door:
            door.hides = SUMMARY
            async with observing(settings(door.url, tmp_path)) as seen:
                await seen.until(lambda: all_served(seen, 140))
                await rested(door)
                await hand.say("many-7", "10.9.0.3:80")
                await seen.until(lambda: "10.9.0.3:80" in seen.served("many-7"))
                await seen.until(lambda: "many-139" in read(door))


@pytest.mark.promise("R-12")
async def test_an_agent_that_allows_too_few_connections_says_so_and_removes_nothing(
    program: Path, tmp_path: Path
) -> None:
    few = {"limits": {"http_max_conns_per_client": 40}}
    async with Agent(program, tmp_path / "server", few) as own, own.hand() as hand:
        await many(hand, 100)
        async with observing(settings(own.url, tmp_path)) as seen:
            await seen.until(lambda: all_served(seen, 100))
            await seen.until(lambda: refused(seen))
            assert all_served(seen, 100)


@pytest.mark.promise("R-12", "law-1")
async def test_a_neighbour_that_takes_nearly_all_connections_of_an_agent_costs_no_service_of_a_thousand(
    own: Agent, tmp_path: Path
) -> None:
    """An agent counts by address, and refuses more than two hundred of one."""
    async with (
        own.hand() as hand,
        FaultProxy("127.0.0.1", own.port) as proxy,
        AsyncExitStack() as neighbour,
    ):
        await many(hand, 1_000)
        async with observing(settings(f"http://127.0.0.1:{proxy.port}", tmp_path)) as seen:
            await seen.until(lambda: all_served(seen, 1_000))
            while not refused(seen):
                await take(neighbour, own.port, 198)
                proxy.reset()  # what is open is not refused
                seen.refresh()
                await asyncio.sleep(1)
            print(told(seen)[:2])
            assert all_served(seen, 1_000)
            await neighbour.aclose()
            await seen.until(lambda: not any(told(seen)))
            await hand.say("many-7", "10.9.0.3:80")
            await seen.until(lambda: "10.9.0.3:80" in seen.served("many-7"))
            assert connections(own) <= 150


@pytest.mark.promise("R-11", "S-16", "law-1")
async def test_rights_on_half_of_many_services_that_are_taken_remove_nothing(own: Agent, tmp_path: Path) -> None:
    half = "".join(f'service "many-{each}" {{ policy = "read" }}\n' for each in range(0, 140, 2))
    async with own.hand() as hand:
        await many(hand, 140)
        await hand.policy("many", shipped.rules("read"))
        token, accessor = await hand.token("many")
        async with observing(settings(own.url, tmp_path, token=token, **{"import": {"services": ["many-*"]}})) as seen:
            await seen.until(lambda: all_served(seen, 140))
            assert seen.how == "hints and sweeps over 140 services"
            await hand.policy("many", half + NODES)
            await hand.say("many-0", "10.9.0.3:80")
            await seen.until(lambda: "10.9.0.3:80" in seen.served("many-0"))
            await seen.until(lambda: seen.reading.lost is not None or len(seen.unread) == 70)
            assert all(seen.served(f"many-{each}") == TWO for each in range(1, 140))
            await hand.policy("many", shipped.rules("read"))
            await seen.until(lambda: seen.reading.lost is None and not seen.unread)
            await hand.revoke(accessor)
            await hand.say("many-0", "10.9.0.4:80")
            await seen.until(lambda: seen.reading.denied)
            assert token not in seen.reading.why
            assert all(seen.served(f"many-{each}") == TWO for each in range(1, 140))
