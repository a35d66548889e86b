"""Who looks again when told has what somebody who starts now would get."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Endpoint, Health, Port, Service, ServiceName
from bridge.traffic import ANY, ClusterPolicy, Policy
from bridge.xds.messages import CDS, EDS, Resource
from bridge.xds.names import Names
from bridge.xds.resources import WILDCARD, Resources
from tests.builders import name
from tests.resourcing import PLAIN, World, cluster_names, readable, session

SERVICES = [name(text) for text in ("shop/a", "shop/b", "data/c")]
ports = st.lists(
    st.tuples(st.sampled_from(["", "http", "grpc"]), st.integers(80, 82)),
    min_size=1,
    max_size=2,
    unique_by=lambda port: port[1],
)
endpoints = st.builds(
    lambda host, some, health: Endpoint(f"10.0.0.{host}", tuple(Port(*port) for port in some), health),
    st.integers(1, 3),
    ports,
    st.sampled_from([None, *Health]),
)
views = st.dictionaries(
    st.sampled_from(SERVICES), st.lists(endpoints, max_size=2, unique_by=lambda e: e.address), max_size=3
)
spellings = st.sampled_from([f"{one}{port}" for one in SERVICES for port in ("", ":http", ":grpc", ":80")])
interest = st.tuples(
    st.sampled_from(["x", "y"]), st.sampled_from([EDS, CDS]), spellings | st.just(WILDCARD), st.booleans()
)
policies: list[Policy] = [PLAIN, Policy("http", PLAIN.cluster), Policy(81, ClusterPolicy(2.0, "random", None))]
steps = st.lists(
    st.tuples(
        views, st.lists(interest, max_size=4), st.dictionaries(st.sampled_from(SERVICES), st.sampled_from(policies))
    ),
    min_size=1,
    max_size=5,
)
PINNED: Callable[[Policy], Policy] = lambda policy: Policy(policy.port or "http", policy.cluster)  # noqa: E731


@given(steps)
def test_who_looks_again_when_told_has_what_somebody_who_starts_now_would_get(steps: list[Any]) -> None:
    """With the default port pinned by policy: without one it depends on what was served before, as it should."""
    world = World()
    looking: set[tuple[str, str, str]] = set()
    has: dict[tuple[str, str, str], Resource | None] = {}
    for view, interests, chosen in steps:
        told = world.publish(*(Service.of(one, some) for one, some in view.items()))
        world.policies = {one: PINNED(chosen.get(one, PLAIN)) for one in SERVICES}
        for changes in (told, readable(world.resources.reload(world.policy))):
            for who, types in changes.items():
                for type_url, names in types.items():
                    for one in names:
                        assert {(who, type_url, one), (who, type_url, WILDCARD)} & looking
                        has[who, type_url, one] = world.get(one, type_url)
        for who, type_url, one, wanted in interests:
            if one == WILDCARD and type_url == EDS:
                continue
            if not wanted:
                world.unsubscribe(who, one, type_url=type_url)
                looking.discard((who, type_url, one))
                continue
            looking.add((who, type_url, one))
            world.resources.subscribe(type_url, one, ANY, session(who))
            for each in cluster_names(world) if one == WILDCARD else [one]:
                has[who, type_url, each] = world.get(each, type_url)
        fresh = Resources(Names(), world.policy)
        assert world.before
        fresh.publish(world.before[1])
        clusters = fresh.clusters()
        for who, type_url, one in looking:
            if one == WILDCARD:
                assert set(cluster_names(world)) >= set(clusters)
                for each in cluster_names(world):
                    assert has[who, CDS, each] == world.get(each, CDS)
                continue
            mine, expected = has[who, type_url, one], fresh.get(type_url, one, ANY)
            if expected is None and type_url == EDS:
                assert mine is None or mine == fresh.empty(one)  # gone, and not forgotten while looked at
            elif world.before[1].services.get(fresh_service(one)) and type_url == CDS:
                assert expected is None or mine == expected  # an empty service keeps its clusters
            else:
                assert mine == expected


def fresh_service(spelling: str) -> ServiceName:
    asked = Names().parse(spelling)
    assert asked
    return asked.service
