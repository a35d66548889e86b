"""Envoy refuses a resource: its neighbours flow, it is found, shown, and not sent again until it changes."""

import asyncio

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf.any_pb2 import Any as Packed

from bridge.traffic import NodeClass
from bridge.xds.messages import CDS, EDS, Resource
from bridge.xds.resources import Resources
from tests.builders import service
from tests.envoy.harness import Bridge, Envoys, Way, acknowledged, parked, until

PAYMENTS, LEDGER, STOCK = "shop/payments", "shop/ledger", "shop/stock"


class Planted(Resources):
    """Tells what Envoy refuses instead of what was made, under the names in `bad`."""

    bad: dict[tuple[str, str], Resource]

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.bad = {}

    def get(self, type_url: str, name: str, node: NodeClass) -> Resource | None:
        made = super().get(type_url, name, node)
        return made and self.bad.get((type_url, name), made)


def plant(bridge: Bridge, message) -> None:
    """Have a message told under its name from the next change on."""
    type_url, name = (CDS, message.name) if isinstance(message, cluster_pb2.Cluster) else (EDS, message.cluster_name)
    packed = Packed(type_url=type_url, value=message.SerializeToString())
    bridge.resources.bad[type_url, name] = Resource(name, "planted", packed.SerializeToString())


def bad_assignment(name: str) -> endpoint_pb2.ClusterLoadAssignment:
    made = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    host = made.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    host.address, host.port_value = "10.0.0.1", 70_000
    return made


def bad_cluster(name: str, *, named: bool) -> cluster_pb2.Cluster:
    """A cluster that Envoy refuses, telling its name or not."""
    made = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
    if not named:
        made.connect_timeout.seconds = -1
    return made


async def quiet(bridge: Bridge) -> int:
    """Wait until nothing was sent for a while and nothing is to be answered; how much was sent then."""
    sent = -1
    while sent != (sent := bridge.server.totals.responses):
        await until(lambda: acknowledged(bridge), "Envoy has answered")
        await asyncio.sleep(0.7)
    return sent


async def until_parked(bridge: Bridge, *names: str) -> None:
    async def so() -> bool:
        return parked(bridge) == set(names)

    await until(so, f"parked is {names}")


@pytest.mark.promise("R-27", "xDS-10", "law-9")
async def test_a_bad_assignment_is_parked_and_its_neighbours_flow(envoys: Envoys, way: Way):
    async with (
        Bridge(
            service(PAYMENTS, "10.0.0.1:80"),
            service(LEDGER, "10.0.1.1:80"),
            service(STOCK, "10.0.2.1:80"),
            resources=Planted,
        ) as bridge,
        envoys.one(bridge, way) as envoy,
    ):
        await envoy.becomes(bridge.expected())
        plant(bridge, bad_assignment(PAYMENTS))
        bridge.show(service(PAYMENTS, "10.0.0.2:80"), service(LEDGER, "10.0.1.2:80"), service(STOCK, "10.0.2.2:80"))

        async def flows() -> bool:
            clusters = await envoy.clusters()
            return set(clusters[LEDGER]) == {"10.0.1.2:80"} and set(clusters[STOCK]) == {"10.0.2.2:80"}

        await until(flows, "the neighbours flow")
        await until_parked(bridge, PAYMENTS)
        sent = await quiet(bridge)
        assert await flows()
        assert parked(bridge) == {PAYMENTS}
        assert 1 <= bridge.server.totals.nacks <= 4
        assert await envoy.rejected() >= 1
        assert set(await envoy.hosts(PAYMENTS)) == {"10.0.0.1:80"}

        bridge.show(service(LEDGER, "10.0.1.3:80"))
        await until(lambda: _has(envoy, LEDGER, {"10.0.1.3:80"}), "a neighbour's next change flows")
        assert await quiet(bridge) == sent + 1

        bridge.resources.bad.clear()
        bridge.show(service(PAYMENTS, "10.0.0.3:80"))
        await envoy.becomes(bridge.expected())
        await until_parked(bridge)


async def _has(envoy, cluster: str, hosts: set[str]) -> bool:
    return set(await envoy.hosts(cluster)) == hosts


@pytest.mark.promise("R-27", "xDS-10", "law-9")
async def test_an_envoy_that_starts_with_a_bad_assignment_gets_all_the_others(envoys: Envoys, way: Way):
    crowd = [service(f"shop/s{number}", f"10.0.{number}.1:80") for number in range(1, 8)]
    async with Bridge(*crowd, resources=Planted) as bridge:
        plant(bridge, bad_assignment("shop/s4"))
        async with envoys.one(bridge, way) as envoy:
            good = {name: hosts for name, hosts in bridge.expected().items() if name != "shop/s4"}

            async def flows() -> bool:
                clusters = await envoy.clusters()
                return all(set(clusters.get(name, ())) == hosts for name, hosts in good.items())

            await until(flows, "the others flow")
            await until_parked(bridge, "shop/s4")
            await quiet(bridge)
            assert parked(bridge) == {"shop/s4"}
            assert bridge.server.totals.nacks <= 8


@pytest.mark.promise("R-27", "xDS-10", "law-9")
@pytest.mark.parametrize("named", [True, False], ids=["named in the error", "not named"])
@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_a_bad_cluster_is_parked_and_no_other_is_lost(envoys: Envoys, delta: bool, named: bool):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), service(LEDGER, "10.0.1.1:80"), resources=Planted) as bridge,
        envoys.one(bridge, Way("ads", delta)) as envoy,
    ):
        await envoy.becomes(bridge.expected())
        plant(bridge, bad_cluster("shop/bad", named=named))
        bridge.show(service("shop/bad", "10.0.6.1:80"), service(STOCK, "10.0.2.1:80"))
        before = {name: hosts for name, hosts in bridge.expected().items() if name not in {"shop/bad", STOCK}}

        async def noticed() -> bool:
            return bridge.server.totals.nacks > 0

        await until(noticed, "Envoy refuses")
        await until_parked(bridge, "shop/bad")
        await quiet(bridge)
        await until(lambda: _has(envoy, STOCK, {"10.0.2.1:80"}), "its neighbour is there")
        had = {name: set(hosts) for name, hosts in (await envoy.clusters()).items()}
        assert {name: had.get(name) for name in before} == before
        assert bridge.server.totals.nacks <= 4
        assert parked(bridge) == {"shop/bad"}
        assert had[STOCK] == {"10.0.2.1:80"}  # found by halves where the error names nobody

        bridge.show(service(LEDGER, "10.0.1.2:80"))
        await until(lambda: _has(envoy, LEDGER, {"10.0.1.2:80"}), "endpoints flow")

        bridge.resources.bad.clear()
        bridge.show(gone=("shop/bad",))
        bridge.show(service("shop/bad", "10.0.6.2:80"))
        await envoy.becomes(bridge.expected())
        await until_parked(bridge)
