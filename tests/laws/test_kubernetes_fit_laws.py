"""Whatever services say and hands do: what can be said stands there, once, and nothing else of ours does."""

import random
from typing import Any

import pytest

from adapters.kubernetes.objects import BESIDE
from bridge.adapter import Holding
from bridge.model import Service, ServiceName
from tests import kube
from tests.kube_services import some
from tests.kube_world import Json, World, form

NAME = ServiceName("shop", "payments")
SERVICES: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("http:80",), {}),
    ((":80",), {}),
    (("http:80", "grpc:90", "admin:91"), {"families": ("IPv4", "IPv6")}),
    (("http:80",), {"clusterIP": "None", "families": ("IPv6",)}),
    (("http:80",), {"selector": {"app": "x"}, "annotations": {BESIDE: "true"}, "trafficDistribution": "PreferClose"}),
    (("default:80", "admin:81/UDP"), {"families": ()}),
)
FOREIGN = kube.slice_("shop/payments-x7k2p", "10.1.0.7", of="payments")


def once(world: World, holding: Holding, size: int) -> None:
    """What must be so of all that stands there."""
    ids = [one.id for one in holding.endpoints]
    assert len(set(ids)) == len(ids)
    for slice_ in world.slices.values():
        rows = [row["addresses"][0] for row in slice_["endpoints"] or ()]
        assert len(set(rows)) == len(rows), "an address stands twice in a slice"
        assert len(rows) <= size
        assert rows, "a slice is never empty"
        assert len(str(slice_["metadata"].get("annotations", {}))) < 256 * 1024


def meddled(rng: random.Random, world: World) -> None:
    """A hand in our slices."""
    ours = [one for _, one in sorted(world.slices.items()) if one["metadata"]["name"] != FOREIGN["metadata"]["name"]]
    if not ours:
        return
    one = rng.choice(ours)
    rows = one["endpoints"]
    match rng.randrange(6):
        case 0:
            del world.slices[next(key for key, there in world.slices.items() if there is one)]
        case 1:
            rows.pop()
            one["endpoints"] = rows or None
        case 2:
            rows[0] = {**rows[0], "conditions": {}, "zone": "elsewhere", "nodeName": "n"}
        case 3:
            one["ports"] = [{"name": "other", "port": 1, "protocol": "TCP"}]
        case 4:
            one["metadata"]["annotations"]["registry-bridge.dev/endpoints"] = rng.choice(
                ("{", "[]", '{"10.20.0.1":{"weight":0}}')
            )
        case _:
            one["metadata"]["labels"]["kubernetes.io/service-name"] = "other"


@pytest.mark.parametrize("ports_and_more", SERVICES)
@pytest.mark.parametrize("seed", range(3))
def test_what_can_be_said_stands_there_once_whatever_happens(
    ports_and_more: tuple[tuple[str, ...], dict[str, Any]], seed: int
) -> None:
    ports, more = ports_and_more
    rng, size = random.Random(seed), (3, 7, 100)[seed]
    world, how = World(kube.service("shop/payments", *ports, **more), FOREIGN), form(size=size)
    for _ in range(12):
        service = some(rng, NAME)
        world.say(service, how)
        holding = world.holding(str(NAME), how)
        once(world, holding, size)
        lone = {one.id for one in service.endpoints if _alone(one, service, ports, more)}
        assert {one.id for one in holding.endpoints} <= {one.id for one in service.endpoints}
        assert len(holding.endpoints) == len(lone), "whoever can be said alone can be said beside others"
        told = sum(one.count for one in world.problems)
        assert told >= len(service.endpoints) - len(lone), "whoever is left out is told"
        meddled(rng, world)
        world.say(service, how)
        once(world, world.holding(str(NAME), how), size)
        assert {one.id for one in world.holding(str(NAME), how).endpoints} == {one.id for one in holding.endpoints}
        assert world.slices[_key(FOREIGN)] == FOREIGN
        assert all(str(one).isprintable() and len(str(one)) < 2_000 for one in world.problems)


def _alone(endpoint: Any, service: Service, ports: tuple[str, ...], more: dict[str, Any]) -> bool:
    world, how = World(kube.service("shop/payments", *ports, **more)), form()
    world.say(Service(service.name, (endpoint,)), how)
    return bool(world.slices)


def _key(one: Json) -> Any:
    return next(key for key in World(one).slices)


@pytest.mark.parametrize("headless", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_services_that_are_made_follow_and_go(headless: bool, seed: int) -> None:
    rng = random.Random(seed)
    world, how = World(), form(create=True, headless=headless, size=5)
    for _ in range(15):
        service = some(rng, NAME)
        world.say(service, how)
        once(world, world.holding(str(NAME), how), 5)
        for made in world.services.values():
            spec = made["spec"]["ports"]
            names = [port["name"] for port in spec]
            assert len(set(names)) == len(names)
            assert "" not in names or len(names) == 1
            assert len({(port["protocol"], port["port"]) for port in spec}) == len(spec)
        assert all(one["metadata"]["ownerReferences"] for one in world.slices.values())
    world.gone(str(NAME), how)
    assert not world.services
    assert not world.slices
