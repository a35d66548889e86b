"""What others have in a Consul that the bridge writes too: consul-k8s, Nomad, consul-esm, agents, hands."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.model import Health
from tests.builders import endpoint, service
from tests.chaos.test_app import until_async
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand, entry
from tests.servers.consul.server import Agent
from tests.servers.consul.test_writing import NODE, writer
from tests.servers.electing import until
from tests.servers.exporting import LIMITS, exporting

A, B = "10.40.0.1", "10.40.0.2"

ESM = {"external-node": "true", "external-probe": "true"}
K8S = {"external-source": "kubernetes", "external-k8s-ns": "shop"}
THEIRS = {
    "consul-k8s, catalog sync": {
        **entry("web", "10.91.0.1", its="web-0a1b2c3d4e5f", node="k8s-sync", tags=["k8s"], meta=K8S),
        "NodeMeta": {"external-source": "kubernetes"},
    },
    "consul-k8s, mesh": {
        **entry("web", "10.91.0.2", node="minikube-virtual", meta={"managed-by": "consul-k8s-endpoints-controller"}),
        "NodeMeta": {"synthetic-node": "true"},
    },
    "Nomad": entry("web", "10.91.0.3", its="_nomad-task-1-web", node="nomad-1", meta={"external-source": "nomad"}),
    "consul-esm": {
        **entry("web", A, 8080, node="db-7"),
        "NodeMeta": ESM,
        "Check": {"CheckID": "externalNodeHealth", "Name": "External Node Status", "Status": "passing"},
    },
    "a hand, the same id": entry("web", "10.91.0.5", 8080, its=f"shop~web~{A}:8080", node="by-hand"),
}
"""Entries of the service that the bridge writes, as these register them."""


async def beside(hand: Hand, *ours: str) -> str:
    """All that stands in the catalog and in the KV store but on our nodes and under our keys."""
    found: dict[str, Any] = {}
    for node in await hand.get("catalog/nodes"):
        if node["Node"] not in ours:
            found[node["Node"]] = [
                await hand.get(f"catalog/node/{node['Node']}"), await hand.get(f"health/node/{node['Node']}"),
            ]  # fmt: skip
    keys = [one for one in await hand.get("kv/?recurse") if not one["Key"].startswith("registry-bridge/")]
    return json.dumps([found, keys], sort_keys=True)


@pytest.mark.promise("R-18", "law-5")
async def test_what_others_have_of_the_same_service_is_never_touched(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.register(*THEIRS.values())
        await hand.put("agent/service/register", {"Name": "web", "ID": "web", "Address": "10.91.0.6", "Port": 80})
        await hand.raw("PUT", "kv/consul-esm/leader", b"esm-1")
        await until_async(lambda: settled(hand), "the agent has said so")
        before = await beside(hand, NODE.replace("us", "prod"))
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[A, B])
        async with exporting(bridge):
            await bridge.until_holds(B)  # A is known there already: as consul-esm's
            bridge.inventory(web=["10.40.0.3"])
            await bridge.until_holds("10.40.0.3")
            services = {one["name"]: one for one in await bridge.rows("services")}
            assert "shop/web" in services
        code, _, err = await bridge.call("withdraw", "--yes")
        assert code == 0, err
        assert await bridge.addresses() == {}
        assert await beside(hand, bridge.node) == before


async def settled(hand: Hand) -> bool:
    """Whether what the agent was told stands in the catalog."""
    return any(one["ServiceID"] == "web" for one in await hand.get("catalog/service/web"))


@pytest.mark.promise("R-18", "law-5")
@pytest.mark.parametrize("who", ["consul-k8s, catalog sync", "consul-k8s, mesh", "Nomad", "consul-esm"])
async def test_a_node_of_others_is_not_taken_even_where_the_configuration_names_it(
    own: Agent, tmp_path: Path, who: str
) -> None:
    async with own.hand() as hand:
        await hand.register(THEIRS[who])
        await hand.raw("PUT", "kv/consul-esm/leader", b"esm-1")
        before = await beside(hand)
        async with writer(own.url, tmp_path, node=THEIRS[who]["Node"]) as us:
            await until(lambda: bool(us.problems), "it is told")
            (told,) = us.problems
            assert told.startswith(
                f"node {THEIRS[who]['Node']}: belongs to somebody without a mark and is left as it is"
            )
            assert us.held is None
        assert await beside(hand) == before


@pytest.mark.promise("R-17")
async def test_a_check_that_somebody_sets_or_deletes_is_put_right_and_follows_health(
    own: Agent, tmp_path: Path
) -> None:
    web, ill = service("shop/web", f"{A}:80"), service("shop/web", endpoint(f"{A}:80", health=Health.DEGRADED))
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await us.claim()
        await us.say(web)
        (check,) = await hand.get(f"health/node/{NODE}")
        assert (check["Status"], check["CheckID"]) == ("passing", f"registry-bridge:shop~web~{A}:80")
        for said in ({"Check": {**check, "Status": "critical"}}, None):
            if said is not None:
                await hand.put("catalog/register", {"Node": NODE, "SkipNodeUpdate": True, **said})
            else:
                await hand.put("catalog/deregister", {"Node": NODE, "CheckID": check["CheckID"]})
            await until(lambda: bool(us.left(web)), "it is seen")
            await us.say(web)
            assert [one["Status"] for one in await hand.get(f"health/node/{NODE}")] == ["passing"]
        for one, status in ((ill, "warning"), (web, "passing")):
            await us.say(one)
            assert [one["Status"] for one in await hand.get(f"health/node/{NODE}")] == [status]


async def test_records_stay_and_their_claim_says_who_wrote_them_and_when(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[A])
        async with exporting(bridge):
            await bridge.until_in_step()
        assert await bridge.addresses() == {A: 1}
        claim = json.loads(await hand.raw("GET", f"kv/registry-bridge/claims/prod/{bridge.node}?raw"))
        assert claim["deployment"]
        assert claim["term"] == 1
        assert claim["beat"] > 0
        code, _, err = await bridge.call("withdraw", "--yes")
        assert code == 0, err
        claim = json.loads(await hand.raw("GET", f"kv/registry-bridge/claims/prod/{bridge.node}?raw"))
        assert claim["tombstone"] is True


async def test_two_services_that_would_be_called_the_same_there_are_told_before_they_are_written(
    own: Agent, tmp_path: Path
) -> None:
    export = {"services": ["*/*"], "from": ["vms"], **LIMITS}
    listed = [
        {"name": name, "ports": {"http": 8080}, "endpoints": [where]}
        for name, where in (("shop/db-data", B), ("data/db", A), ("shop/web", A))
    ]
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand, consul={"export": [export]})
        bridge.write(yaml.safe_dump({"services": listed}))
        async with exporting(bridge):
            await bridge.until_in_step()
            assert await bridge.addresses("db-data") == {A: 1}
            assert await bridge.addresses("web") == {A: 1}
            (problem,) = [one for one in await bridge.rows("problems") if one["kind"] == "taken"]
            assert problem["service"] == "shop/db-data"
            assert "is what data/db is called there" in problem["what"]
        bridge_two = Exporter(
            tmp_path, own.url, hand,
            consul={"export": [export], "import": {"namespace": "shop", "names": {"database": "data/db"}}},
        )  # fmt: skip
        async with exporting(bridge_two):
            await bridge_two.until_holds(A, service="database")
            await bridge_two.until_holds(B, service="db-data")
            await bridge_two.until_in_step()
            assert not [one for one in await bridge_two.rows("problems") if one["kind"] == "taken"]


async def test_what_a_consul_has_no_place_for_is_told_and_the_rest_is_written(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand)
        bridge.inventory(web=[{"address": A, "metadata": {"no key": "x", "version": "2"}}, B])
        async with exporting(bridge):
            await bridge.until_holds(A, B)
            found = {one["ServiceAddress"]: one for one in await hand.get("catalog/service/web")}
            assert found[A]["ServiceMeta"]["version"] == "2"
            (problem,) = [one for one in await bridge.rows("problems") if one["kind"] == "metadata"]
            assert problem["service"] == "shop/web"
            assert "has no place in the meta of a Consul; it is left out" in problem["what"]
