"""The real Kubernetes of the tests is one: rights, addresses, watches, restarts and restores are the real ones."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from bridge.testing.proxy import FaultProxy
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.objects import Object, Pod, node, service, slice_
from tests.servers.kubernetes.server import ApiServer


async def names(api: Client, kind: str, namespace: str) -> list[str]:
    return [one["metadata"]["name"] for one in await api.list(kind, namespace)]


async def next_of(events: AsyncIterator[Object], kind: str) -> Object:
    async with asyncio.timeout(90):
        async for event in events:
            if event["type"] == kind:
                return event["object"]
    raise AssertionError(f"the watch ended without {kind}")


async def test_a_user_may_do_what_a_role_allows_and_nothing_else(
    cluster: ApiServer, api: Client, namespace: str
) -> None:
    other = await api.namespace()
    async with cluster.client(token=await api.account(namespace)) as bridge:
        with pytest.raises(ApiError, match=r'403 Forbidden: .*cannot list resource "services"') as refused:
            await bridge.list("Service", namespace)
        assert refused.value.reason == "Forbidden"
        await api.allow(f"system:serviceaccount:{namespace}:bridge", [("", "services", "list")], namespace)
        assert await bridge.list("Service", namespace) == []
        with pytest.raises(ApiError, match="cannot create"):
            await bridge.create(service(namespace, "payments"))
        with pytest.raises(ApiError, match="cannot list"):
            await bridge.list("Service", other)


async def test_a_token_that_nobody_has_is_refused(cluster: ApiServer) -> None:
    async with cluster.client(token="guessed") as nobody:
        with pytest.raises(ApiError, match="401 Unauthorized"):
            await nobody.list("Service", "default")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])
async def test_the_server_refuses_addresses_that_lead_nowhere(api: Client, namespace: str, address: str) -> None:
    shop = await api.create(service(namespace, "payments"))
    with pytest.raises(ApiError, match="422 Invalid"):
        await api.create(slice_(shop, [Pod(address)]))


async def test_the_server_takes_multicast_of_wider_scope(api: Client, namespace: str) -> None:
    shop = await api.create(service(namespace, "payments"))
    await api.create(slice_(shop, [Pod("239.1.1.1")]))
    await api.create(slice_(shop, [Pod("ff0e::1")], family="IPv6"))


async def test_an_unknown_field_is_refused_where_it_is_asked_for(api: Client, namespace: str) -> None:
    with pytest.raises(ApiError, match="unknown field"):
        await api.create(service(namespace, "payments", colour="red"), fieldValidation="Strict")


async def test_a_watch_tells_changes(api: Client, namespace: str) -> None:
    said = await api.request("GET", f"/api/v1/namespaces/{namespace}/services")
    version = said["metadata"]["resourceVersion"]
    async with api.watch("Service", namespace, resourceVersion=version, timeoutSeconds=60) as events:
        made = await api.create(service(namespace, "payments"))
        assert (await next_of(events, "ADDED"))["metadata"] == made["metadata"]
        await api.delete("Service", "payments", namespace)
        assert (await next_of(events, "DELETED"))["metadata"]["uid"] == made["metadata"]["uid"]


async def test_a_quiet_watch_is_told_how_far_it_is(api: Client, namespace: str) -> None:
    async with api.watch(
        "Service", namespace, resourceVersion="0", allowWatchBookmarks="true",
        sendInitialEvents="true", resourceVersionMatch="NotOlderThan",
    ) as events:  # fmt: skip
        assert (await next_of(events, "BOOKMARK"))["metadata"]["resourceVersion"]


async def test_the_controllers_doubles_write_and_collect_as_the_real_ones(api: Client, namespace: str) -> None:
    shop = await api.create(service(namespace, "payments", selector={"app": "payments"}))
    pods = [Pod(f"10.1.0.{number}") for number in range(1, 6)]
    first = await doubles.endpoints(api, shop, pods, [("http", 8080)], size=2)
    assert [len(one["endpoints"]) for one in first] == [2, 2, 1]
    again = await doubles.endpoints(api, shop, pods, [("http", 8080)], size=2)
    assert again == first
    await doubles.endpoints(api, shop, [*pods[:1], Pod("fd00::1")], [("http", 8080)], size=2)
    assert [one["addressType"] for one in await api.list("EndpointSlice", namespace)] == ["IPv4", "IPv6"]
    assert await doubles.collect(api, namespace) == []
    await api.delete("Service", "payments", namespace)
    assert len(await doubles.collect(api, namespace)) == 2
    assert await names(api, "EndpointSlice", namespace) == []


async def test_a_deleted_namespace_terminates_until_its_controller_lets_it_go(api: Client) -> None:
    doomed = await api.namespace()
    await api.create(service(doomed, "payments"))
    await api.delete("Namespace", doomed)
    with pytest.raises(ApiError, match="being terminated"):
        await api.create(service(doomed, "orders"))
    await doubles.finish(api, doomed)
    with pytest.raises(ApiError, match="404"):
        await api.get("Namespace", doomed)


async def test_nodes_have_their_topology_and_addresses(api: Client, namespace: str) -> None:
    await api.create(node(f"node-{namespace}", zone="eu-1b", internal=["10.0.0.9"], external=["192.0.2.9"]))
    there = await api.get("Node", f"node-{namespace}")
    assert there["metadata"]["labels"]["topology.kubernetes.io/zone"] == "eu-1b"
    assert [one["address"] for one in there["status"]["addresses"]][:2] == ["10.0.0.9", "192.0.2.9"]


async def test_a_kubeconfig_leads_through_a_proxy_with_its_certificate_verified(
    cluster: ApiServer, tmp_path: Path
) -> None:
    async with FaultProxy("127.0.0.1", cluster.port) as proxy:
        server = f"https://127.0.0.1:{proxy.port}"
        config = yaml.safe_load(cluster.kubeconfig(tmp_path, "reader", server=server).read_text())
        told = config["clusters"][0]["cluster"]
        token = config["users"][0]["user"]["token"]
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.get(f"{told['server']}/api/v1/namespaces/default/services", ssl=cluster.trust()) as answer,
        ):
            assert answer.status == 403
        assert proxy.accepted == 1


async def test_what_is_stored_outlives_a_kill_and_goes_with_a_wipe(own_cluster: ApiServer) -> None:
    async with own_cluster.client() as api:
        await api.create(service("default", "payments"))
        await own_cluster.kill()
        with pytest.raises(aiohttp.ClientError):
            await api.list("Service", "default")
        await own_cluster.start()
        assert "payments" in await names(api, "Service", "default")
        await own_cluster.wipe()
        assert "payments" not in await names(api, "Service", "default")


async def test_a_restore_goes_back_in_time_with_its_versions(own_cluster: ApiServer) -> None:
    async with own_cluster.client() as api:
        await api.create(service("default", "before"))
        saved = await own_cluster.save()
        late = [await api.create(service("default", f"after-{number}")) for number in range(100)]
        await own_cluster.restore(saved)
        assert await names(api, "Service", "default") == ["before", "kubernetes"]
        said = await api.request("GET", "/api/v1/services")
        assert int(said["metadata"]["resourceVersion"]) < int(late[-1]["metadata"]["resourceVersion"])


async def test_a_paused_server_answers_nobody_until_it_goes_on(own_cluster: ApiServer) -> None:
    async with own_cluster.client() as api:
        own_cluster.pause()
        asked = asyncio.create_task(api.list("Service", "default"))
        done, _ = await asyncio.wait((asked,), timeout=1)
        assert not done
        own_cluster.resume()
        assert await names(api, "Service", "default") == [one["metadata"]["name"] for one in await asked]
