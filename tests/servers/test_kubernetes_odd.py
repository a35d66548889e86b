"""Odd objects, as the real API server takes, defaults and stores them, are read as they are meant."""

from typing import Any

from adapters.kubernetes.modes import read
from adapters.kubernetes.objects import service_of, slice_of
from adapters.kubernetes.parts import NO_NODES, Scope
from adapters.kubernetes.translate import Translated
from bridge.model import NOWHERE, Health, Port
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object, service, slice_

ANY = Scope(NOWHERE, "", "all", "pod", frozenset({"us"}))


async def translated(api: Client, namespace: str, scope: Scope = ANY) -> Translated:
    """The one Service of a namespace, with all its slices."""
    (of,) = await api.list("Service", namespace)
    return read(service_of(of), map(slice_of, await api.list("EndpointSlice", namespace)), NO_NODES, scope)


def states(found: Translated) -> dict[str, Health | None]:
    assert found.service is not None
    return {str(one.id): one.health for one in found.service.endpoints}


def bare(of: Object, *addresses: str, name: str, family: str = "IPv4", **said: Any) -> Object:
    """A slice as a hand writes it: with what must be there, and nothing more."""
    made = slice_(of, [{"addresses": [one]} for one in addresses], name=name, family=family, manager="by-hand")
    del made["metadata"]["ownerReferences"]
    return {**made, **said}


async def test_what_is_left_out_is_what_the_server_makes_of_it(api: Client, namespace: str):
    of = await api.create(service(namespace, "odd", ports=[("", 80)], selector={"a": "b"}))
    await api.create(bare(of, "10.1.0.1", name="plain", ports=[{"port": 8080}]))
    await api.create(bare(of, name="nobody", endpoints=None, ports=None))
    await api.create(bare(of, "2001:db8::1", name="six", family="IPv6", ports=[{"name": None, "port": 8080}]))
    await api.create(bare(of, "db.example", name="named", family="FQDN", ports=[{"name": "", "port": 5432}]))
    found = await translated(api, namespace)
    assert states(found) == dict.fromkeys(("10.1.0.1:8080", "[2001:db8::1]:8080", "db.example:5432"), Health.HEALTHY)
    assert found.problems == ()
    assert found.service is not None
    assert {one.ports[0].name for one in found.service.endpoints} == {""}


async def test_any_port_and_no_port_are_one_problem(api: Client, namespace: str):
    of = await api.create(service(namespace, "odd", selector={"a": "b"}))
    await api.create(bare(of, "10.1.0.1", name="any", ports=[{"name": "http"}]))
    await api.create(bare(of, "10.1.0.2", "10.1.0.3", name="none", ports=[]))
    await api.create(bare(of, "10.1.0.4", name="both", ports=[{"name": "x"}, {"name": "http", "port": 80}]))
    found = await translated(api, namespace)
    assert states(found) == {"10.1.0.4:80": Health.HEALTHY}
    assert [(one.kind, one.count) for one in found.problems] == [("port", 4)]


async def test_one_endpoint_in_two_slices_and_twice_in_one_counts_once(api: Client, namespace: str):
    of = await api.create(service(namespace, "odd", ports=[("dns", 53, "UDP"), ("dns-tcp", 53)]))
    ports = [{"name": "dns-tcp", "port": 53}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    twice = [{"addresses": ["10.1.0.1"], "conditions": {"ready": False}}, {"addresses": ["10.1.0.1"], "conditions": {}}]
    await api.create(bare(of, name="one", endpoints=twice, ports=ports))
    await api.create(bare(of, "10.1.0.1", "10.1.0.2", name="two", ports=ports))
    found = await translated(api, namespace)
    assert states(found) == {"10.1.0.1:53": Health.HEALTHY, "10.1.0.2:53": Health.HEALTHY}
    assert found.service is not None
    assert found.service.endpoints[0].ports == (Port("dns", 53, "UDP"), Port("dns-tcp", 53))


async def test_a_headless_service_without_a_selector_is_of_the_family_that_is_written(api: Client, namespace: str):
    of = await api.create(service(namespace, "odd", headless=True))
    assert of["spec"]["ipFamilies"] == ["IPv4", "IPv6"], "so the server has it"
    await api.create(bare(of, "2001:db8::1", name="six", family="IPv6", ports=[{"name": "http", "port": 80}]))
    assert states(await translated(api, namespace, Scope(NOWHERE, "", "primary", "pod", frozenset()))) == {
        "[2001:db8::1]:80": Health.HEALTHY
    }


async def test_a_slice_of_a_thousand_is_read(api: Client, namespace: str):
    of = await api.create(service(namespace, "odd", selector={"a": "b"}))
    addresses = [f"10.1.{number // 250}.{number % 250}" for number in range(1000)]
    await api.create(bare(of, *addresses, name="full", ports=[{"name": "http", "port": 80}]))
    assert len(states(await translated(api, namespace))) == 1000
