"""What the bridge has written is what Consul's own readers find: resolvers, its command, programs of its client."""

from pathlib import Path

import pytest
from dns.rdatatype import AAAA, SRV, A
from dns.resolver import NXDOMAIN

from bridge.model import Health
from tests.builders import endpoint, service
from tests.servers.consul.readers import allow_everybody, reading, resolved, said_by
from tests.servers.consul.server import Agent
from tests.servers.consul.test_writing import NODE, writer

WEB = "web.service.consul."


async def test_dns_gives_addresses_of_both_families_and_ports_and_leaves_out_what_is_unhealthy(
    own: Agent, tmp_path: Path
) -> None:
    healthy = [endpoint("10.1.0.1:8080"), endpoint("10.1.0.2:8081", health=Health.DEGRADED), endpoint("[fd00::1]:8082")]
    other = [endpoint("10.1.0.3:80", health=Health.DRAINING), endpoint("10.1.0.4:80", health=Health.UNHEALTHY)]
    async with own.hand() as hand, writer(own.url, tmp_path, tags=["bridge"]) as us:
        await allow_everybody(hand)
        await us.claim()
        await us.say(service("shop/web", *healthy, *other))
        assert await resolved(own, WEB, A) == {"10.1.0.1", "10.1.0.2"}
        assert await resolved(own, WEB, AAAA) == {"fd00::1"}
        assert await resolved(own, f"bridge.{WEB}", A) == {"10.1.0.1", "10.1.0.2"}
        found = [one.split() for one in await resolved(own, WEB, SRV)]
        assert sorted(int(port) for _, _, port, _ in found) == [8080, 8081, 8082]
        targets = {target for _, _, port, target in found if port == "8081"}
        assert await resolved(own, targets.pop(), A) == {"10.1.0.2"}
        await us.say(service("shop/web", endpoint("10.1.0.1:8080", health=Health.UNHEALTHY), *healthy[1:], *other))
        assert await resolved(own, WEB, A) == {"10.1.0.2"}
        with pytest.raises(NXDOMAIN):
            await resolved(own, "nothing.service.consul.", A)


async def test_its_go_client_lists_and_watches(own: Agent, reader: Path, tmp_path: Path) -> None:
    async with writer(own.url, tmp_path, tags=["bridge"]) as us:
        await us.claim()
        await us.say(service("shop/web", endpoint("10.1.0.1:8080", weight=7)), service("data/db", "10.1.0.9:5432"))
        async with reading(reader, own, "web", "db-data") as it:
            assert it.catalog == {"consul": [], "web": ["bridge"], "db-data": ["bridge"]}
            (one,) = await it.until("web", bool)
            assert one | {"meta": {}} == {
                "id": "shop~web~10.1.0.1:8080", "node": NODE, "address": "10.1.0.1", "port": 8080, "status": "passing",
                "weight": 7, "tags": ["bridge"], "meta": {},
            }  # fmt: skip
            assert one["meta"]["registry-bridge-owner"] == "us"
            ill = endpoint("10.1.0.1:8080", health=Health.UNHEALTHY)
            await us.say(service("shop/web", ill, endpoint("10.1.0.2:8080")))
            wanted = [("10.1.0.1", "critical"), ("10.1.0.2", "passing")]
            await it.until("web", lambda them: [(one["address"], one["status"]) for one in them] == wanted)
            await us.say(service("shop/web", endpoint("10.1.0.2:8080")))
            await it.until("web", lambda them: [one["address"] for one in them] == ["10.1.0.2"])


async def test_its_command_lists_services_and_their_node(own: Agent, program: Path, tmp_path: Path) -> None:
    async with writer(own.url, tmp_path, tags=["bridge"]) as us:
        await us.claim()
        await us.say(service("shop/web", "10.1.0.1:8080"))
        assert ["web", "bridge"] in await said_by(program, own, "catalog", "services", "-tags")
        (_, row) = await said_by(program, own, "catalog", "nodes", "-service=web")
        assert row[0] == NODE
