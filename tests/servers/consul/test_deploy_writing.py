"""The bridge writes as `deploy/consul/both-ways` has it, under exactly the rights that it grants, one by one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.envoy.harness import until
from tests.servers.consul import shipped
from tests.servers.consul.hand import Hand, HandError, entry
from tests.servers.consul.server import Agent
from tests.whole import Whole

QUICK = {"settled": "1s", "gather": "100ms", "confirm": "1s", "last": "1s", "flood_release": "1s", "probe": False}
BRIEF = {"lease": "2s", "renew": "1500ms", "retry": "200ms"}
NODE = "registry-bridge-prod"
TWO = ["10.20.0.7", "10.20.0.8"]


class Both:
    """The bridge, its inventory, and what became of it in Consul."""

    def __init__(self, folder: Path, hand: Hand, bridge: Whole) -> None:
        self.bridge = bridge
        self._folder = folder
        self._hand = hand

    def write(self, *addresses: str) -> None:
        """The inventory: `ledger` at these addresses, beside a service that nobody exports."""
        services = [{"name": "other", "ports": {"http": 80}, "endpoints": ["10.20.0.1"]}]
        if addresses:
            services.append({"name": "ledger", "ports": {"http": 8080}, "endpoints": list(addresses)})
        fresh = self._folder / ".vms.new"
        fresh.write_text(json.dumps({"services": services}))
        fresh.replace(self._folder / "vms.yaml")

    async def becomes(self, *addresses: str) -> None:
        """Wait until exactly these stand there."""

        async def is_so() -> bool:
            return await self.stands() == list(addresses)

        await until(is_so, f"{addresses} stand there; {self.refused()}")

    async def stands(self) -> list[str]:
        return sorted(one["ServiceAddress"] for one in await self._hand.get("catalog/service/ledger"))

    async def denied(self) -> str:
        """Wait until a right is said to be missing; what the exports say."""

        async def is_so() -> str:
            _, said = await self.bridge.get("/api/v1/exports")
            text = json.dumps(said)
            return text if "the right that is missing" in text else ""

        return str(await until(is_so, f"a right is missing; {self.refused()}"))

    async def tells(self, kind: str, words: str) -> None:
        """Wait for a problem of the kind with these words in it."""

        async def is_so() -> bool:
            _, said = await self.bridge.get("/api/v1/problems")
            return any(one["kind"] == kind and words in one["what"] for one in said["problems"])

        await until(is_so, f"a problem {kind} says: {words}")

    def refused(self) -> list[str]:
        """What its log says of rights."""
        return [one for one in self.bridge.log().splitlines() if "ermission" in one or "denied" in one]


def granted(*policies: str, without: str = "") -> str:
    """Policies, the last one less a right."""
    *whole, last = policies
    return "".join(map(shipped.rules, whole)) + shipped.rules(last, without)


@asynccontextmanager
async def installed(own: Agent, hand: Hand, folder: Path, rules: str, **more: Any) -> AsyncIterator[Both]:
    """The bridge with these rights; `more` is further configuration."""
    await hand.policy("both", rules)
    token, _ = await hand.token("both")
    folder.mkdir()
    made: dict[str, Any] = shipped.install(folder, token, own.url, "both-ways") | more
    made["registries"][1]["removals"] = QUICK
    both = Both(folder, hand, Whole(folder, made))
    both.write(*TWO)
    async with both.bridge:
        yield both


BOTH = granted("read", "write")


@pytest.mark.promise("S-16")
async def test_it_writes_changes_and_removes_under_exactly_the_shipped_policies(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.say("web", "10.7.0.1:80")
        async with installed(own, hand, tmp_path / "bridge", BOTH) as both:
            await both.becomes(*TWO)
            both.write(*TWO, "10.20.0.9")
            await both.becomes(*TWO, "10.20.0.9")
            both.write(TWO[0])
            await both.becomes(TWO[0])
            assert (await hand.get(f"catalog/node/{NODE}"))["Node"]["Meta"]["registry-bridge-owner"] == "prod"
            assert both.refused() == []
        assert await hand.get("catalog/service/other") == []


@pytest.mark.promise("S-16")
@pytest.mark.parametrize(
    ("right", "lacks"),
    [
        ('node "registry-bridge-prod"', "node:write"),
        ('service "ledger"', "service:write"),
        ('key_prefix "registry-bridge/claims/prod/"', "key:write"),
    ],
)
async def test_without_one_right_it_is_told_which_and_nothing_is_half_written(
    own: Agent, tmp_path: Path, right: str, lacks: str
) -> None:
    async with (
        own.hand() as hand,
        installed(own, hand, tmp_path / "bridge", granted("read", "write", without=right)) as both,
    ):
        said = await both.denied()
        assert lacks in said
        assert await both.stands() == []
        await hand.policy("both", BOTH)
        await both.becomes(*TWO)


@pytest.mark.promise("S-16")
async def test_the_policies_for_writing_let_nobody_write_elsewhere(standing: Agent, hand: Hand) -> None:
    await hand.policy("writing-alone", BOTH)
    token, _ = await hand.token("writing-alone")
    await hand.put("connect/intentions/exact?source=api&destination=ledger", {"Action": "allow"})
    async with standing.hand(token) as writer:
        assert await writer.get("connect/intentions") == []
        for path, body in (
            ("catalog/register", entry("ledger", "10.7.0.9", node="registry-bridge-other")),
            ("catalog/register", entry("intruder", "10.7.0.9", node=NODE)),
            ("kv/registry-bridge/claims/other/x", {}),
            ("kv/registry-bridge/leader/registry-bridge", {}),
            ("session/create", {}),
            ("connect/intentions/exact?source=intruder&destination=ledger", {"Action": "allow"}),
        ):
            with pytest.raises(HandError, match="Permission denied"):
                await writer.put(path, body)


@pytest.mark.promise("S-16")
async def test_who_may_not_read_all_claims_writes_nothing_beside_another_bridge_and_who_may_knows_which_is_no_more(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand:
        mark = {"registry-bridge-owner": "gone", "registry-bridge-format": "1"}
        await hand.register(entry("web", "10.7.0.9", node="registry-bridge-gone", meta=mark))
        await hand.put("kv/registry-bridge/claims/gone/registry-bridge-gone", {"deployment": "x", "term": 1, "beat": 1})
        less = granted("write", "read", without=shipped.CLAIMS)
        async with installed(own, hand, tmp_path / "bridge", less) as both:
            await both.tells("target", "claims: may not be read whole by the token")
            assert await both.stands() == []
            await hand.policy("both", BOTH)
            await both.becomes(*TWO)
            await both.tells("abandoned", "has not renewed its claim")


@pytest.mark.promise("S-16", "law-5")
async def test_rights_that_are_taken_while_it_writes_leave_what_stands(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand, installed(own, hand, tmp_path / "bridge", BOTH) as both:
        await both.becomes(*TWO)
        await hand.policy("both", shipped.rules("read"))
        both.write(TWO[0], "10.20.0.9")
        await both.denied()
        assert await both.stands() == TWO
        await hand.policy("both", BOTH)
        await both.becomes(TWO[0], "10.20.0.9")


@pytest.mark.promise("S-16")
async def test_a_replica_leads_under_exactly_the_policy_for_it_and_without_it_says_so(
    own: Agent, tmp_path: Path
) -> None:
    leader = {"kind": "consul", "url": own.url, "token_file": "consul-token", **BRIEF}
    async with own.hand() as hand, installed(own, hand, tmp_path / "bridge", BOTH, leader=leader) as both:
        said = await both.denied()
        assert "key:read" in said
        assert "registry-bridge/leader/registry-bridge" in said
        assert await both.stands() == []
        await hand.policy("both", granted("read", "write", "lead"))
        await both.becomes(*TWO)
