"""Hosts that are checked from here, as sockets that open and close, by the whole bridge as a process."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from envoy.config.core.v3.health_check_pb2 import HealthStatus

from bridge.testing.ports import free_port
from bridge.testing.xds import EDS, XdsClient
from tests.chaos.test_app import COMMAND, PAYMENTS, Process, started, until_async

SIX = [f"127.0.0.{number}" for number in range(11, 17)]
HEALTH = "{tcp: {interval: 500ms, timeout: 500ms, rise: 2, fall: 3}}"


class Hosts:
    """Six hosts with one port, each open until it is closed."""

    def __init__(self) -> None:
        self.port = free_port()
        self._open: dict[str, asyncio.Server] = {}

    async def open(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self._open[host] = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, self.port)

    def close(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self._open.pop(host).close()

    def inventory(self) -> str:
        return f"services: [{{name: {PAYMENTS}, port: {self.port}, endpoints: [{', '.join(SIX)}]}}]\n"


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[tuple[Hosts, Process]]:
    them = Hosts()
    await them.open(SIX)
    bridge = Process(tmp_path, more=f", allow_loopback: true, health: {HEALTH}")
    bridge.write(them.inventory())
    try:
        async with started(bridge):
            await bridge.until_ready()
            yield them, bridge
    finally:
        them.close([*them._open])


async def checks(bridge: Process) -> dict[str, int]:
    (vms,) = await bridge.rows("sources")
    counts: dict[str, int] = vms["checks"]
    return counts


async def until_all_are_known(bridge: Process) -> None:
    async def known() -> bool:
        return await checks(bridge) == {"healthy": 6, "unhealthy": 0, "unknown": 0}

    await until_async(known, "every host has passed")


def unhealthy(client: XdsClient) -> list[str]:
    """The hosts that a client was told not to use."""
    if PAYMENTS not in client.have(EDS):
        return []
    return [
        host.endpoint.address.socket_address.address
        for place in client.have(EDS)[PAYMENTS].endpoints
        for host in place.lb_endpoints
        if host.health_status == HealthStatus.UNHEALTHY
    ]


async def said(bridge: Process, *arguments: str) -> str:
    """What a command prints, asked of the running bridge."""
    command = [COMMAND, *arguments, "--config", str(bridge.config)]
    done: subprocess.CompletedProcess[str] = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=True, env={"COLUMNS": "300"}
    )
    return done.stdout


async def test_a_host_whose_port_closes_is_unhealthy_until_it_opens(hosts: tuple[Hosts, Process]) -> None:
    them, bridge = hosts
    await until_all_are_known(bridge)
    async with bridge.client() as client:
        await client.ask(EDS, PAYMENTS)
        them.close(SIX[:1])
        await client.until(lambda: unhealthy(client) == SIX[:1], "it is told as unhealthy")
        why = f"127.0.0.11:{them.port} tcp: connection refused, 3 in a row"
        assert why in await said(bridge, "show", "endpoints")
        assert why in await said(bridge, "explain", PAYMENTS)
        assert 'registry_bridge_checks{source="vms",state="unhealthy"} 1.0' in (await bridge.get("/metrics"))[1]
        await them.open(SIX[:1])
        await client.until(lambda: unhealthy(client) == [], "it is healthy again")
    assert bridge.said("checks failed")


@pytest.mark.promise("R-37")
async def test_more_than_half_of_the_hosts_vanish_at_once_and_nobody_is_told(hosts: tuple[Hosts, Process]) -> None:
    them, bridge = hosts
    await until_all_are_known(bridge)
    told: list[Any] = []
    async with bridge.client() as client:
        client.refuse = lambda response: told.append(response.resources)
        await client.ask(EDS, PAYMENTS)
        await client.until(lambda: bool(told), "the first answer")
        them.close(SIX[:5])

        async def doubted() -> bool:
            (vms,) = await bridge.rows("sources")
            return bool(vms["health_flood"])

        await until_async(doubted, "the guard sees a flood of bad health")
        assert "(health flood)" in await said(bridge, "explain", PAYMENTS)
        await them.open(SIX[:5])
        await until_all_are_known(bridge)
        assert len(told) == 1
        assert unhealthy(client) == []
