"""A real Envoy follows the catalog, in every way in which it can ask."""

import asyncio
import random

import pytest

from bridge.model import Endpoint, Health, Locality, Service
from tests.builders import endpoint, service
from tests.envoy.harness import Bridge, Envoys, Sample, Way, acknowledged, until

PAYMENTS, LEDGER = "shop/payments", "shop/ledger"


@pytest.mark.promise("xDS-4", "xDS-7", "xDS-12")
async def test_envoy_follows_additions_changes_and_a_drain_to_empty(envoys: Envoys, way: Way):
    steady = service(LEDGER, "10.0.9.1:80")
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80", "10.0.0.2:80"), steady) as bridge,
        envoys.one(bridge, way) as envoy,
    ):
        await envoy.becomes(bridge.expected())
        await until(envoy.live, "Envoy is live")

        bridge.show(service(PAYMENTS, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"))
        await envoy.becomes(bridge.expected())

        here = Locality("eu", "a", "rack7")
        bridge.show(
            service(
                PAYMENTS,
                endpoint("10.0.0.1:80", health=Health.DRAINING),
                endpoint("10.0.0.2:80", weight=7, locality=here),
                endpoint("10.0.0.4:80", health=Health.DEGRADED),
            )
        )
        await envoy.becomes(bridge.expected())
        told = await envoy.hosts(PAYMENTS)
        assert told["10.0.0.1:80"].health == "DRAINING"
        assert told["10.0.0.4:80"].health == "DEGRADED"
        assert told["10.0.0.2:80"].health == "HEALTHY"
        assert (told["10.0.0.2:80"].weight, told["10.0.0.2:80"].locality) == (7, tuple(here))
        (dumped,) = [one for one in await envoy.assignments() if one["cluster_name"] == PAYMENTS]
        assert sorted(place["load_balancing_weight"] for place in dumped["endpoints"]) == [2, 7]

        bridge.show(service(PAYMENTS))
        await envoy.becomes({PAYMENTS: set(), LEDGER: {"10.0.9.1:80"}})
        bridge.show(service(PAYMENTS, "10.0.0.5:80"))
        await envoy.becomes(bridge.expected())
        assert await envoy.rejected() == 0


@pytest.mark.promise("xDS-7", "xDS-9")
async def test_a_service_that_is_gone_takes_its_hosts_along(envoys: Envoys, way: Way):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), service(LEDGER, "10.0.9.1:80")) as bridge,
        envoys.one(bridge, way) as envoy,
    ):
        await envoy.becomes(bridge.expected())
        bridge.show(gone=(PAYMENTS,))
        # With ADS the cluster goes too; a cluster that is written in the bootstrap stays, without hosts.
        left = {} if way.mode == "ads" else {PAYMENTS: set()}
        await envoy.becomes({**bridge.expected(), **left})
        bridge.show(service(PAYMENTS, "10.0.0.2:80"))
        await envoy.becomes(bridge.expected())
        assert await envoy.rejected() == 0


@pytest.mark.promise("xDS-3", "xDS-8")
async def test_a_name_that_nobody_knows_does_not_hold_up_the_start(envoys: Envoys, way: Way):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge,
        envoys.one(bridge, way, late=("shop/late",)) as envoy,
    ):
        # Unanswered, the name would cost the 15 s of Envoy's initial_fetch_timeout, and count as one.
        await until(envoy.live, "Envoy is live")
        assert sum((await envoy.stats("init_fetch_timeout")).values()) == 0
        await envoy.becomes({**bridge.expected(), "shop/late": set()})
        bridge.show(service("shop/late", "10.0.7.1:80"))
        await envoy.becomes(bridge.expected())


@pytest.mark.promise("xDS-5", "xDS-9")
@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_a_cluster_that_comes_later_is_warmed(envoys: Envoys, delta: bool):
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge, envoys.one(bridge, Way("ads", delta)) as envoy:
        await envoy.becomes(bridge.expected())
        for number in range(1, 6):
            bridge.show(service(f"shop/s{number}", f"10.0.{number}.1:80"))
        await envoy.becomes(bridge.expected())
        stats = await envoy.stats("cluster_manager")
        assert stats["cluster_manager.warming_clusters"] == 0
        assert await envoy.rejected() == 0


@pytest.mark.promise("law-3", "xDS-8")
async def test_while_the_registry_is_not_seen_a_running_envoy_keeps_what_it_has(envoys: Envoys, way: Way):
    first = Bridge(service(PAYMENTS, "10.0.0.1:80"), service(LEDGER, "10.0.9.1:80"))
    await first.server.start()
    async with envoys.one(first, way) as envoy:
        await envoy.becomes(first.expected())
        await first.server.stop(1)
        async with Bridge(port=first.port, seen=False) as second:

            async def asked() -> bool:
                return bool(second.server.totals.requests)

            await until(asked, "Envoy asks the second bridge")
            await asyncio.sleep(1)
            assert await envoy.has(first.expected())
            second.show(service(PAYMENTS, "10.0.0.2:80"), service(LEDGER, "10.0.9.1:80"), seen=True)
            await envoy.becomes(second.expected())


@pytest.mark.promise("law-7")
async def test_after_500_random_edits_envoy_has_exactly_the_catalog(envoys: Envoys, way: Way):
    choose = random.Random(7)
    names = [f"shop/s{number}" for number in range(10)]

    def some() -> list[Endpoint]:
        numbers = choose.sample(range(1, 30), choose.randrange(0, 6))
        return [endpoint(f"10.0.0.{number}:80", weight=choose.choice((1, 1, 5))) for number in numbers]

    def edited() -> Service:
        return service(choose.choice(names), *some())

    async with Bridge(*(service(name, *some()) for name in names)) as bridge, envoys.one(bridge, way) as envoy:
        await envoy.becomes(bridge.expected())
        for edit in range(500):
            if way.mode == "ads" and edit % 5 == 0 and len(bridge.services) > 3:
                bridge.show(gone=(str(choose.choice(sorted(bridge.services))),))
            else:
                bridge.show(edited())
            await asyncio.sleep(choose.choice((0, 0, 0.002, 0.01)))
        await envoy.becomes(bridge.expected())
        weights = {
            str(name): {f"{e.address}:80": e.weight for e in one.endpoints} for name, one in bridge.services.items()
        }

        async def weighed() -> bool:
            clusters = await envoy.clusters()
            return weights == {name: {host: told.weight for host, told in clusters[name].items()} for name in weights}

        await until(weighed, f"the weights are {weights}")
        assert await envoy.rejected() == 0


@pytest.mark.promise("R-26", "law-7")
async def test_an_envoy_that_stands_still_costs_one_response_and_is_told_the_newest(envoys: Envoys, way: Way):
    async with (
        Bridge(service(PAYMENTS, "10.0.0.1:80"), service(LEDGER, "10.0.9.1:80")) as bridge,
        envoys.one(bridge, way) as envoy,
    ):
        await envoy.becomes(bridge.expected())
        await until(lambda: acknowledged(bridge), "Envoy has answered")
        before = bridge.server.totals.responses
        async with envoy.frozen():
            for number in range(300):
                bridge.show(service(PAYMENTS, f"10.1.{number // 200}.{number % 200 + 1}:80"))
                await asyncio.sleep(0.001)
            assert bridge.server.totals.responses == before + 1
        await envoy.becomes(bridge.expected())
        assert bridge.server.totals.responses == before + 2


async def test_requests_reach_the_instances_that_the_catalog_names(envoys: Envoys, way: Way):
    async with Sample() as one, Sample() as two, Sample() as other:
        payments, ledger = service(PAYMENTS, one.name, two.name), service(LEDGER, other.name)
        async with Bridge(payments, ledger) as bridge, envoys.one(bridge, way) as envoy:
            await envoy.becomes(bridge.expected())
            await envoy.answered(PAYMENTS, one.name, two.name)
            await envoy.answered(LEDGER, other.name)
            assert (await envoy.request("shop/nobody"))[0] == 503

            bridge.show(service(PAYMENTS, two.name))
            await envoy.becomes(bridge.expected())
            await envoy.answered(PAYMENTS, two.name)


async def test_a_request_finds_the_living_among_the_dead(envoys: Envoys):
    async with Sample() as alive, Sample() as dying:
        await dying.__aexit__()
        async with (
            Bridge(service(PAYMENTS, alive.name, dying.name)) as bridge,
            envoys.one(bridge, Way("ads", True)) as envoy,
        ):
            await envoy.becomes(bridge.expected())
            await envoy.answered(PAYMENTS, alive.name)
            answers = {await envoy.request(PAYMENTS, method) for method in ("GET", "POST") * 5}
            assert answers == {(200, alive.name)}


async def test_no_request_of_a_crowd_fails_because_a_host_has_died(envoys: Envoys, way: Way):
    async with Sample() as alive, Sample() as other, Sample() as dying:
        await dying.__aexit__()
        services = service(PAYMENTS, alive.name, dying.name), service(LEDGER, other.name)
        async with Bridge(*services) as bridge, envoys.one(bridge, way) as envoy:
            await envoy.becomes(bridge.expected())
            await envoy.answered(LEDGER, other.name)  # so its worker has heard of both, and met no dead host yet
            answers = await asyncio.gather(*(envoy.request(PAYMENTS) for _ in range(60)))
            assert set(answers) == {(200, alive.name)}
