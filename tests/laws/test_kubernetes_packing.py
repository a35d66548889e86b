"""Whatever comes and goes: one endpoint's change is one slice's write, nobody moves, nobody stands twice."""

import random
from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kubernetes.packing import Pack, pack
from bridge.model import Endpoint, Health, Port, Service, ServiceName
from tests.kube_world import World, form, shop

Wanted = dict[str, set[str]]
members = st.sets(st.integers(0, 40).map(str), max_size=25)
wanted = st.dictionaries(st.sampled_from("ab"), members, max_size=2)
SIZE = 4


def packed(want: Wanted, standing: dict[int, Pack[str]], size: int = SIZE) -> dict[int, Pack[str]]:
    free = (number for number in count() if number not in standing)
    return dict(sorted(pack(want, standing, size, free).items()))


@given(st.lists(wanted, min_size=1, max_size=8))
def test_all_that_is_wanted_stands_once_and_no_slice_is_too_large(story: list[Wanted]) -> None:
    stands: dict[int, Pack[str]] = {}
    for want in story:
        stands = packed(want, stands)
        found = Counter((one.group, member) for one in stands.values() for member in one.members)
        assert found == Counter({(group, member): 1 for group, them in want.items() for member in them})
        assert all(0 < len(one.members) <= SIZE for one in stands.values())
        assert packed(want, stands) == stands, "what stands as it is wanted is left alone"


@given(st.lists(wanted, min_size=2, max_size=8))
def test_whoever_is_wanted_still_stays_where_it_is(story: list[Wanted]) -> None:
    stands: dict[int, Pack[str]] = {}
    for want in story:
        after = packed(want, stands)
        for number, one in stands.items():
            for member in one.members:
                if member in want.get(one.group, ()):
                    assert member in after[number].members
                    assert after[number].group == one.group
        stands = after


@given(wanted, wanted, st.integers(1, 3))
def test_a_smaller_size_is_kept_at_once(before: Wanted, after: Wanted, size: int) -> None:
    stands = packed(after, packed(before, {}, 10), size)
    assert all(len(one.members) <= size for one in stands.values())
    assert {(one.group, member) for one in stands.values() for member in one.members} == {
        (group, member) for group, them in after.items() for member in them
    }


def churned(rng: random.Random, there: dict[str, Endpoint]) -> str:
    """Change one endpoint: it comes, goes, or is said otherwise; its ports stay. What was done."""
    address = f"10.0.0.{rng.randrange(1, 121)}"
    old = there.pop(address, None)
    if old is not None and rng.random() < 0.5:
        return "goes"
    health = rng.choice((Health.HEALTHY, Health.DEGRADED, Health.DRAINING, Health.UNHEALTHY))
    ports = old.ports if old is not None else (Port("http", rng.choice((8080, 8080, 8080, 9090))),)
    there[address] = Endpoint(address, ports, health, weight=rng.randrange(1, 9), metadata=(("v", str(rng.random())),))
    return "comes" if old is None else "changes"


@pytest.mark.parametrize("seed", range(2))
def test_one_endpoints_change_is_one_slices_write_under_random_churn(seed: int) -> None:
    rng, how = random.Random(seed), form(size=8)
    world, there = World(shop("http:80")), dict[str, Endpoint]()
    for _ in range(60):
        churned(rng, there)
    name = ServiceName("shop", "payments")
    world.say(Service.of(name, there.values()), how)
    for step in range(200):
        before = world.rows("shop/payments")
        what = churned(rng, there)
        service = Service.of(name, there.values())
        assert world.say(service, how) <= 1, f"{step}: an endpoint {what}"
        after = world.rows("shop/payments")
        seen = Counter(address for them in after.values() for address in them)
        assert seen == Counter(dict.fromkeys(there, 1))
        assert all(0 < len(them) <= 8 for them in after.values())
        of = {address: slice_ for slice_, them in after.items() for address in them}
        for slice_, them in before.items():
            assert all(of.get(address, slice_) == slice_ for address in them), f"{step}: somebody moved"
        assert world.holding(str(name), how).endpoints == service.endpoints
