"""Whatever stands in Kubernetes is read without an exception, whatever its order, and step by step as all at once."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kubernetes.extras import decode, encode, extra
from adapters.kubernetes.modes import read
from adapters.kubernetes.objects import KubeNode, KubeService, KubeSlice, key_of, node_of, service_of, slice_of
from adapters.kubernetes.parts import Scope
from adapters.kubernetes.selector import Selector
from bridge.adapter import Problem
from bridge.model import NOWHERE, Endpoint, Health, Locality, Port
from tests import kube

Json = dict[str, Any]

scalars = st.none() | st.booleans() | st.integers(-1, 70000) | st.floats() | st.text(max_size=6)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)

addresses = st.sampled_from(["10.1.0.1", "10.1.0.2", "10.1.0.3", "fd00::1", "FD00:0::1", "010.1", "vm.example", ""])
truth = st.none() | st.booleans()
rows = st.builds(
    lambda address, ready, serving, terminating, rest: {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        **rest,
    },
    addresses,
    truth,
    truth,
    truth,
    st.fixed_dictionaries(
        {},
        optional={
            "nodeName": st.sampled_from(["n1", "n2", "n3"]),
            "zone": st.sampled_from(["a", "b"]),
            "targetRef": st.fixed_dictionaries({"kind": st.just("Pod"), "name": st.sampled_from(["p", "q"])}),
        },
    ),
)
ports = st.lists(st.sampled_from(["http:80", "grpc:90", ":70", "any:", "dns:53/UDP"]), max_size=3, unique=True)
extras = st.sampled_from(
    ["", "{", '{"10.1.0.1":{"weight":3}}', '{"10.1.0.2":{"port":"x:9"},"10.1.0.1":{"via":"us"}}', '{"10.1.0.3":1}']
)
names = st.sampled_from(["shop/a", "shop/b", "shop/c"])
families = st.sampled_from(["IPv4", "IPv6", "FQDN"])
slices = st.builds(
    lambda name, said, ports, family: kube.slice_(name, *said, of="web", ports=ports, family=family),
    names,
    st.lists(rows, max_size=4),
    ports,
    families,
) | st.builds(
    lambda name, said, ports, family, owner, extras: kube.bridged(
        name, *said, of="web", owner=owner, ports=ports, family=family, extras=extras
    ),
    names,
    st.lists(rows, max_size=4),
    ports,
    families,
    st.sampled_from(["us", "east"]),
    extras,
)
services = st.builds(
    lambda ports, selector, families, spec: kube.service(
        "shop/web", *ports, selector={"a": "b"} if selector else None, families=families, **spec
    ),
    st.lists(st.sampled_from(["http:80", "grpc:90", ":70"]), min_size=1, max_size=2, unique=True),
    st.booleans(),
    st.sampled_from([[], ["IPv4"], ["IPv6", "IPv4"]]),
    st.sampled_from([{}, {"externalIPs": ["203.0.113.1", "x"]}]),
)
nodes = st.lists(st.sampled_from(["n1", "n2"]), unique=True).map(
    lambda names: {name: node_of(kube.node(name, "192.0.2.1", "2001:db8::1", zone="z", region="r")) for name in names}
)
scopes = st.builds(
    Scope,
    st.sampled_from([NOWHERE, Locality("eu", "a", "x")]),
    st.sampled_from(["", "lan"]),
    st.sampled_from(["primary", "IPv4", "IPv6", "all"]),
    st.sampled_from(["pod", "node", "loadbalancer", "external-ip"]),
    st.sampled_from([frozenset(), frozenset({"us"})]),
)


def one_each(said: list[Json]) -> list[KubeSlice]:
    """As the API has them: one object under a name."""
    return list({one.key: one for one in map(slice_of, said) if all(row.address for row in one.rows)}.values())


def shuffled(said: Json, draw: st.DataObject) -> Json:
    return {**said, "endpoints": draw.draw(st.permutations(said["endpoints"] or []))}


@given(services, st.lists(slices, max_size=4, unique_by=lambda one: one["metadata"]["name"]), nodes, scopes, st.data())
def test_the_order_of_slices_and_rows_does_not_matter(
    service: Json, said: list[Json], nodes: Mapping[str, KubeNode], scope: Scope, data: st.DataObject
) -> None:
    found = read(service_of(service), map(slice_of, said), nodes, scope)
    other = [shuffled(one, data) for one in data.draw(st.permutations(said))]
    again = read(service_of(service), map(slice_of, other), nodes, scope)
    assert again[:2] == found[:2]
    assert all(isinstance(one, Problem) and one.count >= 1 for one in found.problems)
    assert len({one.kind for one in found.problems}) == len(found.problems)


@given(
    st.lists(
        st.tuples(services.map(service_of), st.lists(slices, max_size=2), nodes, scopes | st.none()),
        min_size=2,
        max_size=6,
    )
)
def test_step_by_step_comes_to_the_same_as_from_nothing(
    steps: list[tuple[KubeService, list[Json], Mapping[str, KubeNode], Scope | None]],
) -> None:
    standing: dict[object, KubeSlice] = {}
    previous = None
    scope = steps[0][3] or Scope(NOWHERE, "", "all", "pod", frozenset())
    known = steps[0][2]
    for service, changes, nodes, other in steps:
        standing |= {one.key: one for one in one_each(changes)}
        scope = other or scope
        known = known if nodes == known else nodes
        fresh = read(service, standing.values(), known, scope)
        previous = read(service, standing.values(), known, scope, previous)
        assert previous == fresh


@pytest.mark.promise("S-17")
@given(
    st.sampled_from([service_of, slice_of, node_of]),
    anything
    | st.fixed_dictionaries(
        {
            "metadata": anything
            | st.fixed_dictionaries({"name": st.text(), "labels": anything, "annotations": anything})
        },
        optional={
            "spec": anything | st.fixed_dictionaries({"ports": st.lists(anything), "externalIPs": anything}),
            "status": anything | st.fixed_dictionaries({"loadBalancer": anything, "conditions": anything}),
            "addressType": st.sampled_from(["IPv4"]) | anything,
            "endpoints": anything | st.lists(st.fixed_dictionaries({"addresses": anything, "conditions": anything})),
            "ports": anything | st.lists(st.fixed_dictionaries({"port": anything, "name": anything})),
        },
    ),
)
def test_an_object_that_is_none_is_refused_and_never_escapes(parse: Any, said: Any) -> None:
    if not isinstance(said, dict):
        return
    try:
        parse(said)
    except ValueError:
        pass
    assert str(key_of(said)) is not None


@pytest.mark.promise("S-17")
@given(slices, st.data(), scopes, services)
def test_a_slice_with_anything_in_it_is_read_or_refused(
    said: Json, data: st.DataObject, scope: Scope, of: Json
) -> None:
    key = data.draw(st.sampled_from(sorted(said)))
    broken = {**said, key: data.draw(anything)}
    try:
        one = slice_of(broken)
    except ValueError:
        return
    read(service_of(of), [one], {}, scope)


texts = st.text("aZ09_-. /:=%\"'\\äß€\U0001f600\n", max_size=8)
endpoints = st.builds(
    Endpoint,
    st.just("10.0.0.1"),
    st.lists(st.builds(Port, texts, st.integers(1, 65535)), min_size=1, max_size=3).map(tuple),
    st.none() | st.sampled_from(Health),
    st.builds(Locality, texts, texts, texts),
    texts,
    st.integers(-1, 2_000_000),
    st.sampled_from(["", "east", "west east"]),
    metadata=st.lists(st.tuples(texts, texts), max_size=3, unique_by=lambda pair: pair[0]).map(
        lambda said: tuple(sorted(said))
    ),
)


@given(endpoints, st.lists(st.builds(Port, texts, st.integers(1, 65535)), max_size=2), st.integers(0, 300))
def test_what_is_said_is_understood(one: Endpoint, ports: list[Port], budget: int) -> None:
    said, _ = extra(one, ports, budget)
    text = encode({one.address: said})
    understood = decode(text)
    assert understood.flaws == ()
    assert understood.extras == ({one.address: said} if text else {})
    assert encode(understood.extras) == text


@pytest.mark.promise("S-17")
@given(st.text() | anything.map(str))
def test_an_annotation_of_garbage_never_escapes(text: str) -> None:
    said = decode(text)
    assert all(flaw.isprintable() for flaw in said.flaws)


@pytest.mark.promise("S-17")
@given(st.text("ain(),!=<>0 \t/.-", max_size=30) | st.text(max_size=30), st.dictionaries(st.text(), st.text()))
def test_whatever_stands_in_a_selector_is_read_or_refused(text: str, labels: dict[str, str]) -> None:
    try:
        selector = Selector.parse(text)
    except ValueError:
        return
    selector.admits(labels)
