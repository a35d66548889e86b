"""What hands registered in a Consul without an agent: the bridge takes its place, and what is not theirs stays."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.consul.translate import BY_HAND
from bridge.model import EndpointId
from bridge.runtime.keep import meanwhile
from bridge.table import Table
from tests.builders import name, service
from tests.chaos.test_app import COMMAND, until_async
from tests.servers.consul.door import Door
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand, HandError, entry
from tests.servers.consul.server import Agent
from tests.servers.consul.test_many import many
from tests.servers.consul.test_others import THEIRS, beside
from tests.servers.consul.test_writing import HERE, Writer, writer
from tests.servers.electing import until
from tests.servers.exporting import LIMITS, exporting

pytestmark = pytest.mark.timeout(900)  # five commands and two bridges, one after the other

ESM = {"external-node": "true", "external-probe": "true"}
PING = {"CheckID": "externalNodeHealth", "Name": "External Node Status", "Status": "passing"}
SIX = "fd00:10:20::7"
HOSTS = {f"db-{number}": f"10.70.0.{number}" for number in range(1, 6)}


def host(node: str, service: str, address: str, port: int = 8080, **more: Any) -> dict[str, Any]:
    """An external node with a service whose port consul-esm looks at; `more` are fields of the service."""
    said = entry(service, address, port, its=f"{service}-1", node=node, **more)
    probe = {"TCP": str(EndpointId(address, port)), "Interval": "10s", "Timeout": "2s"}
    return {**said, "NodeMeta": {**ESM, "rack": "r4"}, "Check": {**said["Check"], "Definition": probe}}


async def register(hand: Hand, *them: dict[str, Any]) -> None:
    """As somebody does whose nodes consul-esm pings."""
    await hand.register(*them)
    for node in {one["Node"] for one in them}:
        await hand.put("catalog/register", {"Node": node, "SkipNodeUpdate": True, "Check": PING})


class Asking:
    """Somebody who asks for instances all the time; `seen` is how often each was there, whenever that was another."""

    def __init__(self, hand: Hand, services: Sequence[str]) -> None:
        self.seen: dict[str, list[Counter[str]]] = {service: [] for service in services}
        self._hand = hand

    async def run(self) -> None:
        while True:
            for called, seen in self.seen.items():
                found = await self._hand.get(f"health/service/{called}")
                there = Counter(one["Service"]["Address"] or one["Node"]["Address"] for one in found)
                if not seen or seen[-1] != there:
                    seen.append(there)
            await asyncio.sleep(0.005)


class Monitor:
    """Writes as consul-esm does: it reads the checks of a node, and sets each to another state if it is as it was."""

    def __init__(self, hand: Hand, nodes: Sequence[str]) -> None:
        self.wrote = 0
        self._hand = hand
        self._nodes = nodes

    async def run(self) -> None:
        while True:
            for node in self._nodes:
                for check in await self._hand.get(f"health/node/{node}?consistent"):
                    if check["Definition"] or check["CheckID"] == PING["CheckID"]:
                        await self._set(check)

    async def _set(self, check: dict[str, Any]) -> None:
        kept = ("Node", "CheckID", "Name", "ServiceID", "ServiceName", "Definition", "ModifyIndex")
        said = {key: check[key] for key in kept} | {"Status": "warning" if check["Status"] == "passing" else "passing"}
        try:
            await self._hand.put("txn", [{"Check": {"Verb": "cas", "Check": said}}])
        except HandError as error:
            if error.status != 409:
                raise
        else:
            self.wrote += 1


async def nodes(hand: Hand) -> set[str]:
    return {one["Node"] for one in await hand.get("catalog/nodes")}


async def begun(bridge: Exporter, *said: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        COMMAND, *said, "--config", str(bridge.config), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def call(bridge: Exporter, *said: str) -> tuple[int | None, str, str]:
    """A command, which takes as long as it takes."""
    process = await begun(bridge, *said)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def adopt(bridge: Exporter, *said: str) -> tuple[int | None, str, str]:
    return await call(bridge, "adopt", *said, "--yes")


@pytest.mark.promise("law-6")
async def test_hosts_are_taken_over_while_a_bridge_runs_and_none_is_ever_missing_or_there_twice(
    own: Agent, tmp_path: Path
) -> None:
    ours = {"tags": ["db", "v2"], "meta": {"keeper": "inventory"}, "Weights": {"Passing": 7, "Warning": 7}}
    six = host("six", "web", SIX, **ours)
    six["Service"]["Address"] = ""  # its node's counts
    async with own.hand() as hand:
        await register(hand, *(host(node, "web", address, **ours) for node, address in HOSTS.items()))
        await register(hand, host("db-1", "mail", "10.70.0.1"), six)
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.configure("")
        code, out, err = await call(bridge, "convert", "registry", "consul", "--where", "keeper=inv*")
        assert (code, err) == (0, "")
        assert "# health:" in out
        assert "#   - {services: [shop/web], tcp: {}}" in out
        bridge.write(out)
        before = {one["Service"]["Address"] or SIX: said(one) for one in await hand.get("health/service/web")}
        asking = Asking(hand, ["web", "mail"])
        async with exporting(bridge), meanwhile(asking.run()):
            await bridge.until_in_step()
            assert await bridge.addresses() == {}
            code, out, err = await adopt(bridge, "--nodes", "db-*", "--nodes", "six")
            assert code == 0, err
            assert "no: no export says shop/mail here" in out
            assert "check alive (TCP 10.70.0.2:8080, by consul-esm); the ping of consul-esm" in out
            assert "6 instances taken over by prod; 5 nodes left empty, and removed" in out
            await bridge.until_in_step()
            assert (await call(bridge, "plan"))[0] == 0
            assert await bridge.rows("holds") == []
        assert asking.seen == {"web": [Counter([*HOSTS.values(), SIX])], "mail": [Counter(["10.70.0.1"])]}
        assert await nodes(hand) == {"db-1", bridge.node, own.node}
        found = await hand.get("health/service/web")
        assert {one["Service"]["Address"]: said(one) for one in found} == before
        assert {one["Node"]["Node"] for one in found} == {bridge.node}
        assert [[check["Definition"] for check in one["Checks"]] for one in found] == [[{}]] * 6
        (mail,) = await hand.get("health/service/mail")
        assert sorted(check["CheckID"] for check in mail["Checks"]) == ["check:mail-1", PING["CheckID"]]


def said(one: dict[str, Any]) -> tuple[Any, ...]:
    """What Consul's readers choose an instance by, and what they know of it and its host."""
    service = one["Service"]
    meta = {key: value for key, value in (one["Node"]["Meta"] | service["Meta"]).items() if key in ("keeper", "rack")}
    return service["Port"], service["Tags"], service["Weights"], meta, {check["Status"] for check in one["Checks"]}


async def test_a_monitor_that_writes_at_the_same_time_is_in_nobodys_way(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, own.hand() as theirs:
        await register(hand, *(host(node, "web", address) for node, address in HOSTS.items()))
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=HOSTS.values())
        asking, monitor = Asking(hand, ["web"]), Monitor(theirs, list(HOSTS))
        async with exporting(bridge), meanwhile(asking.run()), meanwhile(monitor.run()):
            await bridge.until_in_step()
            await until_async(lambda: _has_written(monitor), "the monitor writes")
            code, _, err = await adopt(bridge, "--nodes", "*")
            assert code == 0, err
            await bridge.until_in_step()
        assert asking.seen == {"web": [Counter(HOSTS.values())]}
        assert await nodes(hand) == {bridge.node, own.node}


async def _has_written(monitor: Monitor) -> bool:
    return monitor.wrote > len(HOSTS)


async def test_of_many_services_the_one_whose_instance_is_let_go_is_read_at_once(
    own: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.consul.sweep.LEISURE", 0.5)
    web = service("shop/web", "10.70.0.1:8080")
    async with own.hand() as hand, Door(own.url).opened() as door:
        await many(hand, 140)
        await register(hand, host("db-1", "web", "10.70.0.1"))
        async with writer(door.url, tmp_path, reads="*") as us, writer(own.url, tmp_path, reads="web") as other:
            await us.claim()
            await until(lambda: other.held is not None, "the target is held")
            await quiet(door)
            (stranger,) = await other.sink.strangers(HERE, ["db-*"], Table({web.name: web}))
            assert stranger.stays == ""
            await other.sink.let_go(HERE, stranger)
            await until(lambda: by_hand(us), "it is read, long before everything is read anew")
            assert us.view is not None
            assert us.view.how.startswith("hints and sweeps")


async def quiet(door: Door) -> None:
    """Until services are asked for no more; where that is not over yet, what is asked for later shows less."""
    before = -1
    while (now := sum(count for path, count in door.asked.items() if path.startswith("/v1/health/service/"))) != before:
        before = now
        await asyncio.sleep(2)


def by_hand(us: Writer) -> bool:
    assert us.view is not None
    return [one.via for one in us.view.services[name("shop/web")].endpoints] == [BY_HAND]


@pytest.mark.promise("R-34")
async def test_whoever_is_killed_in_the_midst_nothing_is_missing_and_who_comes_after_ends_it(
    own: Agent, tmp_path: Path
) -> None:
    hosts = {f"db-{number}": f"10.70.1.{number}" for number in range(1, 41)}
    slow = {"rate": {"per_second": 4, "burst": 1}}
    export: dict[str, Any] = {"services": ["shop/*"], "from": ["vms"], **LIMITS, **slow}
    async with own.hand() as hand:
        await register(hand, *(host(node, "web", address) for node, address in hosts.items()))
        bridge = Exporter(tmp_path, own.url, hand, consul={"export": [export]})
        bridge.inventory(web=hosts.values())
        asking = Asking(hand, ["web"])
        async with meanwhile(asking.run()):
            async with exporting(bridge):
                await bridge.until_in_step()
                command = await begun(bridge, "adopt", "--nodes", "db-*", "--yes")
                while not await bridge.addresses():
                    await asyncio.sleep(0.02)
                with suppress(ProcessLookupError):  # it may have ended
                    command.kill()
                await command.communicate()
                bridge.send(signal.SIGKILL)
                await bridge.end(signal.SIGKILL)
            export.update(LIMITS)
            async with exporting(bridge):
                await bridge.until_in_step()
                code, _, err = await adopt(bridge, "--nodes", "db-*")
                assert code == 0, err
                await bridge.until_in_step()
                assert await bridge.addresses() == Counter(hosts.values())
                assert await nodes(hand) == {bridge.node, own.node}
                before = await hand.get(f"catalog/node/{bridge.node}")
                code, _, err = await adopt(bridge, "--nodes", "db-*")
                assert (code, err) == (1, "error: no hand registered anything on such a node; nothing was changed\n")
                assert await hand.get(f"catalog/node/{bridge.node}") == before
        assert asking.seen == {"web": [Counter(hosts.values())]}


async def test_where_no_bridge_runs_they_are_let_go_and_go_with_the_next_that_writes(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        await register(hand, host("db-1", "web", "10.70.0.1"))
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.configure("")
        bridge.inventory(web=["10.70.0.1"])
        asking = Asking(hand, ["web"])
        async with meanwhile(asking.run()):
            code, _, err = await adopt(bridge, "--nodes", "db-1")
            assert code == 1
            assert "1 instance let go and still there; nobody writes there as prod: start the bridge" in err
            async with exporting(bridge):
                await bridge.until_holds("10.70.0.1")
            assert "db-1" in await nodes(hand)
            code, out, err = await adopt(bridge, "--nodes", "db-1")
            assert (code, err) == (0, "")
            assert "1 node left empty, and removed" in out
        assert await nodes(hand) == {bridge.node, own.node}
        assert asking.seen == {"web": [Counter(["10.70.0.1"])]}


@pytest.mark.promise("law-5", "R-18")
async def test_what_programs_keep_stays_and_says_whose_it_is(own: Agent, tmp_path: Path) -> None:
    theirs = {who: one for who, one in THEIRS.items() if who not in ("consul-esm", "a hand, the same id")}
    addresses = [one["Service"]["Address"] for one in theirs.values()]
    ports = [{"address": one, "ports": {"http": 80}} for one in addresses]
    other = {"Service": {**entry("web", "10.91.0.8")["Service"], "Meta": {"registry-bridge-owner": "east"}}}
    async with own.hand() as hand:
        await hand.register(*theirs.values(), {**entry("web", "10.91.0.8", node="east-node"), **other})
        await hand.register(entry("web", "api.example.com", node="cloud"))
        await hand.put("agent/service/register", {"Name": "web", "ID": "web", "Address": "10.91.0.6", "Port": 80})
        await hand.raw("PUT", "kv/consul-esm/leader", b"esm-1")
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.configure("")
        bridge.inventory(web=[*ports, *({"address": f"10.91.0.{last}", "ports": {"http": 80}} for last in (6, 8))])
        await until_async(lambda: _lists(hand, "10.91.0.6"), "the agent has said so")
        before = await beside(hand)
        code, out, err = await adopt(bridge, "--nodes", "*", "--output", "json")
        assert code == 1
        assert "none of it can be taken over; nothing was changed" in err
        why = {one["where"]: one["why"] for one in json.loads(out)["found"] if one["service"] == "web"}
        assert why == {
            "10.91.0.1:80": "on a node of consul-k8s",
            "10.91.0.2:80": "on a node of consul-k8s",
            "10.91.0.3:80": "Nomad's",
            "10.91.0.6:80": "on an agent's node",
            "10.91.0.8:80": "the bridge east's",
            "api.example.com:80": "its address is a name, and the bridge writes addresses: it goes on to be read",
        }
        assert await beside(hand) == before


async def _lists(hand: Hand, address: str) -> bool:
    return any(one["ServiceAddress"] == address for one in await hand.get("catalog/service/web"))


RIGHTS = """
node "registry-bridge-prod" { policy = "write" }
service "web" { policy = "write" }
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
key_prefix "registry-bridge/claims/" { policy = "write" }
"""


@pytest.mark.promise("S-16")
async def test_without_the_right_to_the_nodes_they_are_left_empty_and_it_is_told(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await register(hand, host("db-1", "web", "10.70.0.1"))
        await hand.policy("prod", RIGHTS)
        token, _ = await hand.token("prod")
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.token.write_text(token)
        bridge.inventory(web=["10.70.0.1"])
        async with exporting(bridge):
            await bridge.until_in_step()
            code, _, err = await adopt(bridge, "--nodes", "db-1")
            assert (code, err) == (
                0, "note: node db-1: is left empty; give the token `node:write` for it, or remove it\n"
            )  # fmt: skip
            assert await bridge.addresses() == {"10.70.0.1": 1}
            assert await nodes(hand) == {"db-1", bridge.node, own.node}
