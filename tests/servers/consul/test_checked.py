"""Hosts that the bridge checks itself, as the readers of a real Consul see them."""

import asyncio
from pathlib import Path

from bridge.testing.ports import free_port
from tests.chaos.test_app import until_async
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent
from tests.servers.exporting import exporting

HOST = "127.0.0.11"


async def until_status(hand: Hand, status: str) -> None:
    async def there() -> bool:
        found = await hand.get("health/service/web")
        return [check["Status"] for one in found for check in one["Checks"]] == [status]

    await until_async(there, f"the host is {status}")


async def test_a_host_whose_port_closes_is_critical_until_it_opens(own: Agent, tmp_path: Path) -> None:
    port, loop = free_port(), asyncio.get_running_loop()
    vms = {
        "kind": "static",
        "files": ["vms.yaml"],
        "allow_loopback": True,
        "health": {"tcp": {"port": port, "interval": "500ms", "timeout": "500ms"}},
    }
    open_port = await loop.create_server(asyncio.Protocol, HOST, port)
    async with own.hand() as hand:
        bridge = Exporter(tmp_path, own.url, hand, vms=vms)
        bridge.inventory(web=[HOST])
        async with exporting(bridge):
            await until_status(hand, "passing")
            open_port.close()
            await until_status(hand, "critical")
            open_port = await loop.create_server(asyncio.Protocol, HOST, port)
            await until_status(hand, "passing")
    open_port.close()
