"""Envoy loses its stream: to the same content, to another, to none."""

import asyncio

import pytest

from bridge.xds.server import OPTIONS
from tests.builders import service
from tests.envoy.harness import Bridge, Envoys, Routing, Way, until

PAYMENTS, LEDGER = "shop/payments", "shop/ledger"
SERVICES = (service(PAYMENTS, "10.0.0.1:80", "10.0.0.2:80"), service(LEDGER, "10.0.9.1:80"))


async def settled(bridge: Bridge, names: int = 2) -> None:
    """Wait until streams have asked for so many assignments, and nothing is unacknowledged."""

    async def quiet() -> bool:
        types = [one for status in bridge.streams() for one in status.types]
        asked = sum(one.names for one in types if one.type_url.endswith("ClusterLoadAssignment"))
        return asked == names and not any(one.unacknowledged or one.pending for one in types)

    await until(quiet, "Envoy has asked again and answered")


class Watch:
    """Notes whether any host of a cluster was ever missing while it runs; use as `async with`."""

    def __init__(self, envoy: Routing, cluster: str, hosts: set[str]) -> None:
        self.lost: set[str] = set()
        self.looked = 0
        self._envoy, self._cluster, self._hosts = envoy, cluster, hosts

    async def __aenter__(self) -> "Watch":
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def has_looked(self) -> bool:
        """Whether it has, several times."""
        return self.looked > 3

    async def _look(self) -> None:
        while True:
            self.lost |= self._hosts - set(await self._envoy.hosts(self._cluster))
            self.looked += 1
            await asyncio.sleep(0.01)


@pytest.mark.promise("xDS-13", "R-34")
async def test_a_restarted_bridge_with_the_same_content_changes_nothing_in_envoy(envoys: Envoys, way: Way):
    first = Bridge(*SERVICES)
    await first.server.start()
    async with envoys.one(first, way) as envoy:
        await envoy.becomes(first.expected())
        versions = await envoy.versions("version_text")
        async with Watch(envoy, PAYMENTS, first.expected()[PAYMENTS]) as watch:
            await first.server.stop(1)
            async with Bridge(*SERVICES, port=first.port) as second:
                await settled(second)
                assert await envoy.has(second.expected())
                assert await envoy.versions("version_text") == versions
                if way == Way("ads", True):  # what Envoy has, it says; elsewhere the protocol wants an answer
                    assert second.server.totals.responses == 0
                assert second.server.totals.responses <= 2
                await until(watch.has_looked, "what Envoy has was looked at")
        assert watch.lost == set()
        assert await envoy.rejected() == 0


@pytest.mark.promise("xDS-6")
async def test_what_changed_while_the_bridge_was_away_is_told_when_it_is_back(envoys: Envoys, way: Way):
    first = Bridge(*SERVICES)
    await first.server.start()
    async with envoys.one(first, way) as envoy:
        await envoy.becomes(first.expected())
        await first.server.stop(1)
        later = (service(PAYMENTS, "10.0.0.2:80", "10.0.0.3:80"), SERVICES[1])
        async with Watch(envoy, LEDGER, {"10.0.9.1:80"}) as watch, Bridge(*later, port=first.port) as second:
            await envoy.becomes(second.expected())
            await settled(second)
            if way == Way("ads", True):
                assert second.server.totals.responses == 1
        assert watch.lost == set()
        assert await envoy.rejected() == 0


@pytest.mark.promise("R-34")
async def test_changes_go_on_after_a_restart(envoys: Envoys, way: Way):
    first = Bridge(*SERVICES)
    await first.server.start()
    async with envoys.one(first, way) as envoy:
        await envoy.becomes(first.expected())
        await first.server.stop(1)
        async with Bridge(*SERVICES, port=first.port) as second:
            await settled(second)
            for last in range(3, 8):
                second.show(service(PAYMENTS, f"10.0.0.{last}:80"))
                await envoy.becomes(second.expected())


@pytest.mark.promise("xDS-15")
@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_a_connection_that_grows_too_old_is_made_anew_and_nothing_lost(envoys: Envoys, delta: bool, monkeypatch):
    young = {"grpc.max_connection_age_ms": 1_000, "grpc.max_connection_age_grace_ms": 500}
    monkeypatch.setattr("bridge.xds.server.OPTIONS", tuple((dict(OPTIONS) | young).items()))
    assert dict(OPTIONS)["grpc.max_connection_age_ms"] == 30 * 60 * 1000
    async with Bridge(*SERVICES) as bridge, envoys.one(bridge, Way("ads", delta)) as envoy:
        await envoy.becomes(bridge.expected())
        async with Watch(envoy, PAYMENTS, bridge.expected()[PAYMENTS]) as watch:

            async def renewed() -> bool:
                return bridge.server.totals.streams >= 3

            await until(renewed, "Envoy has connected again twice")
        bridge.show(service(PAYMENTS, "10.0.0.7:80"))
        await envoy.becomes(bridge.expected())
        assert watch.lost == set()
        assert await envoy.rejected() == 0


@pytest.mark.promise("xDS-14")
async def test_envoy_sends_its_node_once_a_stream_and_is_known_by_it(envoys: Envoys, way: Way):
    async with Bridge(*SERVICES) as bridge, envoys.one(bridge, way, node="front-1") as envoy:
        await envoy.becomes(bridge.expected())
        await settled(bridge)
        assert {status.node for status in bridge.streams()} == {"front-1"}
        assert all(status.agent.startswith("envoy 1.") for status in bridge.streams())
        told = await envoy.versions("control_plane.identifier")
        assert set(told.values()) == {bridge.server.identifier}
