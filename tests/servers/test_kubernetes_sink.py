"""VMs in Kubernetes: the whole bridge as a process, a real API server, and everything that happens between them."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.test_app import until, until_async
from tests.servers.exporting import exporting
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.client import Client, Rule
from tests.servers.kubernetes.door import Door
from tests.servers.kubernetes.exporting import Exporter, quiet
from tests.servers.kubernetes.objects import Object, Pod, service, slice_, thing
from tests.servers.kubernetes.server import ApiServer

ONE, TWO, THREE, FOUR = (f"10.20.0.{number}" for number in (1, 2, 3, 4))
BESIDE = "registry-bridge.dev/beside-selector"
SYNC = "registry-bridge.dev/sync"


@pytest.fixture
async def web(api: Client, namespace: str) -> Object:
    """The Service web, without a selector."""
    return await api.create(service(namespace, "web"))


@pytest.fixture
async def bridge(
    cluster: ApiServer, api: Client, namespace: str, web: Object, tmp_path: Path
) -> AsyncIterator[Exporter]:
    """One that has written three VMs beside the Service web."""
    process = Exporter(tmp_path, cluster, api, namespace)
    process.inventory(web=(ONE, TWO, THREE))
    async with exporting(process):
        await process.until_holds(ONE, TWO, THREE)
        await process.until_state("in step")
        yield process


async def test_vms_stand_beside_their_service_and_follow_every_edit(bridge: Exporter) -> None:
    bridge.inventory(web=(ONE, TWO, THREE, FOUR))
    await bridge.until_holds(ONE, TWO, THREE, FOUR)
    bridge.inventory(web=(ONE, TWO, {"address": THREE, "health": "draining"}))
    await bridge.until_holds(ONE, TWO, THREE)

    async def draining() -> bool:
        (one,) = await bridge.slices()
        state = {row["addresses"][0]: row["conditions"] for row in one["endpoints"]}[THREE]
        return bool(state == {"ready": False, "serving": True, "terminating": True})

    await until_async(draining, "the third drains")
    await bridge.until_state("in step")
    code, out, err = await bridge.call("plan")
    assert (code, out) == (0, "nothing to do\n"), err


async def test_each_change_is_one_write(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path, web: Object
) -> None:
    async with Door(cluster).opened() as door:
        process = Exporter(tmp_path, cluster, api, namespace, url=door.url)
        process.inventory(web=(ONE, TWO))
        async with exporting(process):
            await process.until_holds(ONE, TWO)
            await process.until_state("in step")
            assert [one.method for one in door.made("endpointslices")] == ["POST"]
            process.inventory(web=(ONE, TWO, THREE))
            await process.until_holds(ONE, TWO, THREE)
            await process.until_state("in step")
            assert [one.method for one in door.made("endpointslices")] == ["POST", "PUT"]


@pytest.mark.promise("R-17")
@pytest.mark.parametrize("deleted", [False, True], ids=["edited", "deleted"])
async def test_a_hand_in_our_slice_is_put_right_once_and_the_log_says_why(bridge: Exporter, deleted: bool) -> None:
    (before,) = await bridge.slices()
    if deleted:
        await bridge.api.delete("EndpointSlice", before["metadata"]["name"], bridge.namespace)
    else:
        await bridge.api.patch(before, {"endpoints": [{**before["endpoints"][0], "conditions": {"ready": False}}]})

    async def right() -> bool:
        return [one["endpoints"] for one in await bridge.slices()] == [before["endpoints"]]

    await until_async(right, "it is as it was")
    await bridge.until_state("in step")
    await until(lambda: bool(bridge.said("put right")), "it is said")
    (after,) = await bridge.slices()
    await quiet(1)
    (line,) = bridge.said("put right")
    assert ("deleted" if deleted else "edited") in line["why"]
    assert [one["metadata"]["resourceVersion"] for one in await bridge.slices()] == [
        after["metadata"]["resourceVersion"]
    ]


@pytest.mark.promise("law-5", "R-18")
async def test_a_slice_of_somebody_else_under_our_name_is_shown_and_never_touched(
    bridge: Exporter, web: Object
) -> None:
    (ours,) = await bridge.slices()
    name = ours["metadata"]["name"]
    assert await bridge.end() == 0
    await bridge.api.delete("EndpointSlice", name, bridge.namespace)
    theirs = await bridge.api.create(slice_(web, [Pod("10.1.0.9")], [("http", 80)], name=name, manager="somebody"))
    again = Exporter(bridge.folder, *_of(bridge))
    async with exporting(again):
        problem = await again.until_problem("taken", "somebody, without our mark")
        assert f"endpointslice/{bridge.namespace}/{name}" in problem["where"]
        event = await again.until_event("NameTaken")
        assert event["involvedObject"]["uid"] == web["metadata"]["uid"]
        assert "is left as it is" in event["message"]
        assert await bridge.api.get("EndpointSlice", name, bridge.namespace) == theirs
        await bridge.api.delete("EndpointSlice", name, bridge.namespace)
        await again.until_holds(ONE, TWO, THREE)


def _of(bridge: Exporter) -> tuple[ApiServer, Client, str]:
    return bridge.server, bridge.api, bridge.namespace


@pytest.mark.promise("law-4", "R-34")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_who_stops_leaves_everything_and_who_comes_after_finds_its_own(
    bridge: Exporter, number: signal.Signals
) -> None:
    await bridge.end(number)
    (before,) = await bridge.slices()
    again = Exporter(bridge.folder, *_of(bridge))
    async with exporting(again):
        row = await again.until_state("in step")
        assert (row["made"], row["withheld"]) == ({}, {})
        assert await again.slices() == [before], "not even written anew"
        again.inventory(web=(ONE, TWO, THREE, FOUR))
        await again.until_holds(ONE, TWO, THREE, FOUR)


@pytest.mark.promise("law-3", "R-36")
async def test_a_fresh_replica_that_meets_a_wiped_inventory_removes_nothing(bridge: Exporter) -> None:
    assert await bridge.end() == 0
    for kept in (bridge.folder / "state").glob("*.snapshot"):
        kept.unlink()  # nobody remembers
    bridge.inventory(other=(FOUR,))
    again = Exporter(bridge.folder, *_of(bridge))
    async with exporting(again):
        await again.until_row(lambda row: bool(row["complete"] and row["withheld"] == {"orphan": 3}), "it is withheld")
        assert await again.addresses() == [ONE, TWO, THREE]
        event = await again.until_event("RemovalWithheld")
        assert "and 2 more" in event["message"]
        code, out, err = await again.call("plan", f"{bridge.namespace}/web", "--accept", "--yes")
        assert (code, out) == (0, "accepted: 3 endpoints\n"), err
        await again.until_holds()


@pytest.mark.parametrize("collected", ["before", "after"])
async def test_a_service_that_was_made_anew_gets_its_slices_anew_once(bridge: Exporter, collected: str) -> None:
    await bridge.api.delete("Service", "web", bridge.namespace)
    if collected == "before":
        await bridge.until_problem("missing", "there is no such Service")
        assert len(await doubles.collect(bridge.api, bridge.namespace)) == 1
    fresh = await bridge.api.create(service(bridge.namespace, "web"))

    async def follows() -> bool:
        owners = [one["metadata"]["ownerReferences"][0]["uid"] for one in await bridge.slices()]
        return owners == [fresh["metadata"]["uid"]]

    await until_async(follows, "the slice belongs to the new Service")
    await bridge.until_state("in step")
    assert await doubles.collect(bridge.api, bridge.namespace) == []
    (one,) = await bridge.slices()
    await quiet(1)
    assert await bridge.slices() == [one], "and once"
    assert await bridge.addresses() == [ONE, TWO, THREE]


async def test_a_service_that_is_away_loses_nothing(bridge: Exporter) -> None:
    await bridge.api.delete("Service", "web", bridge.namespace)
    await bridge.until_problem("missing", "there is no such Service")
    bridge.inventory(web=(ONE, TWO, THREE, FOUR))

    async def known() -> bool:
        return len(await bridge.rows("endpoints")) == 4

    await until_async(known, "the fourth is read")
    await quiet(1)
    assert await bridge.addresses() == [ONE, TWO, THREE]


async def test_a_namespace_that_ends_takes_everything_and_is_written_when_it_is_back(
    cluster: ApiServer, api: Client, tmp_path: Path
) -> None:
    name = await api.namespace()
    home = await api.namespace()
    process = Exporter(tmp_path, cluster, api, name, export={"create_services": True, "claim_namespace": home})
    process.inventory(web=(ONE,))
    async with exporting(process):
        await process.until_holds(ONE)
        await process.until_state("in step")
        await api.delete("Namespace", name)
        process.inventory(web=(ONE, TWO), late=(THREE,))
        row = await process.until_row(lambda row: bool(row["waits"]), "late is not written")
        assert row["state"] != "failing"
        await doubles.finish(api, name)

        async def gone() -> bool:
            return await process.slices() == []

        await until_async(gone, "all is gone")
        await api.create(thing("Namespace", name))
        await process.until_holds(ONE, TWO)
        await process.until_holds(THREE, service="late")
        assert process.said("task died") == []


# Services that the bridge makes.


@pytest.mark.parametrize("headless", [False, True], ids=["cluster-ip", "headless"])
async def test_services_are_made_where_they_are_wanted_and_go_with_what_they_say(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path, headless: bool
) -> None:
    async with Door(cluster).opened() as door:
        process = Exporter(
            tmp_path, cluster, api, namespace, url=door.url, export={"create_services": True, "headless": headless}
        )
        process.inventory(web=(ONE,), api=(TWO,))
        async with exporting(process):
            await process.until_holds(ONE)
            await process.until_holds(TWO, service="api")
            made = await api.get("Service", "web", namespace)
            assert (made["spec"]["clusterIP"] == "None") is headless
            assert made["spec"]["ports"][0]["port"] == 8080
            await process.until_state("in step")
            assert sorted(one.said for one in door.made("") if one.method == "POST" or "/leases" not in one.path) == [
                "POST endpointslices",
                "POST endpointslices",
                "POST leases",
                "POST services",
                "POST services",
            ]
            code, _, err = await process.call("withdraw", "--yes")
            assert code == 0, err
            assert await api.list("Service", namespace) == []
            assert await api.list("EndpointSlice", namespace) == []


@pytest.mark.promise("R-18", "law-5")
async def test_where_services_are_made_those_of_others_are_left_as_they_are(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    theirs = [
        await api.create(service(namespace, "web")),
        await api.create(service(namespace, "api", selector={"app": "api"})),
    ]
    process = Exporter(tmp_path, cluster, api, namespace, export={"create_services": True})
    process.inventory(web=(ONE, TWO), api=(THREE,))
    async with exporting(process):
        await process.until_holds(ONE, TWO)
        await process.until_problem("selector", "the Service has a selector")
        code, _, err = await process.call("withdraw", "--yes")
        assert code == 0, err
        assert await process.addresses() == []
    assert [await api.get("Service", one["metadata"]["name"], namespace) for one in theirs] == theirs


async def test_a_service_that_others_made_outlives_a_withdrawal(bridge: Exporter) -> None:
    code, out, err = await bridge.call("withdraw", "--yes")
    assert code == 0, err
    assert "k8s: withdrawn: 1 record" in out
    row = await bridge.until_state("withdrawn")
    assert "registry-bridge adopt" in row["why"]
    assert await bridge.addresses() == []
    assert len(await bridge.api.list("Service", bridge.namespace)) == 1
    bridge.inventory(web=(ONE, TWO, THREE, FOUR))
    await quiet(1)
    assert await bridge.addresses() == []
    code, _, err = await bridge.call("adopt", "--yes")
    assert code == 0, err
    await bridge.until_holds(ONE, TWO, THREE, FOUR)


async def test_an_owner_that_was_renamed_keeps_its_slices_by_adopting_them(bridge: Exporter) -> None:
    (before,) = await bridge.slices()
    assert await bridge.end() == 0
    again = Exporter(bridge.folder, *_of(bridge), owner="prod-eu1")
    again.configure("")
    code, out, err = await again.call("adopt", "--from", "prod", "--yes")
    assert code == 0, err
    assert "1 record with the mark of prod-eu1" in out
    assert await again.addresses(owner="prod") == []
    async with exporting(again):
        row = await again.until_state("in step")
        assert row["made"] == {}
        (after,) = await again.slices()
        assert after["metadata"]["name"] == before["metadata"]["name"], "it is taken over as it stands"
        again.inventory(web=(ONE, TWO, THREE, FOUR))
        await again.until_holds(ONE, TWO, THREE, FOUR)
        assert len(await again.slices()) == 1


# What a Service asks for.


async def test_beside_a_selector_vms_and_pods_stand_behind_one_service(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    there = await api.create(service(namespace, "web", selector={"app": "web"}))
    pods = await doubles.endpoints(api, there, [Pod("10.1.0.7")], [("http", 8080)])
    process = Exporter(tmp_path, cluster, api, namespace)
    process.inventory(web=(ONE, {"address": TWO, "zone": "dc1"}))
    async with exporting(process):
        problem = await process.until_problem("selector", "the Service has a selector")
        assert f'annotate {BESIDE}: "true"' in problem["what"]
        event = await process.until_event("NotExported")
        assert BESIDE in event["message"]
        assert await process.addresses() == []
        await api.patch(there, {"metadata": {"annotations": {BESIDE: "true"}}})
        await process.until_holds(ONE, TWO)
        (ours,) = await process.slices()
        hints = {row["addresses"][0]: row.get("hints") for row in ours["endpoints"]}
        assert hints == {ONE: None, TWO: {"forZones": [{"name": "dc1"}]}}
        await api.patch(there, {"metadata": {"annotations": {BESIDE: None}}})
        await process.until_holds()
        assert await api.list("EndpointSlice", namespace) == pods, "and the pods' slices were never touched"


async def test_with_opt_in_only_services_that_ask_are_written(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    asks = await api.create(service(namespace, "web", annotations={SYNC: "true"}))
    await api.create(service(namespace, "api"))
    process = Exporter(tmp_path, cluster, api, namespace, export={"opt_in": True})
    process.inventory(web=(ONE,), api=(TWO,))
    async with exporting(process):
        await process.until_holds(ONE)
        await process.until_state("in step")
        assert await process.addresses("api") == []
        await api.patch(asks, {"metadata": {"annotations": {SYNC: "false"}}})
        await process.until_holds()


async def test_two_bridges_on_one_service_leave_each_other_alone(bridge: Exporter) -> None:
    folder = bridge.folder / "east"
    folder.mkdir()
    east = Exporter(folder, *_of(bridge), owner="east")
    east.inventory(web=("10.30.0.1", ONE))
    async with exporting(east):
        await east.until_holds("10.30.0.1", ONE)
        bridge.inventory(web=(ONE, TWO, THREE, FOUR))
        await bridge.until_holds(ONE, TWO, THREE, FOUR)
        await east.until_state("in step")
        await bridge.until_state("in step")
        code, _, err = await east.call("withdraw", "--yes")
        assert code == 0, err
        assert await east.addresses() == []
        assert await bridge.addresses() == [ONE, TWO, THREE, FOUR]
        for one in (bridge, east):
            assert one.said("put right") == []


# Rights.


async def test_without_the_right_to_claims_all_is_read_and_nothing_is_written(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path, web: Object
) -> None:
    user = f"system:serviceaccount:{namespace}:bridge"
    rights: list[Rule] = [
        ("", "services", "list watch"),
        ("discovery.k8s.io", "endpointslices", "list watch create update delete"),
    ]
    await api.allow(user, rights, namespace)
    process = Exporter(tmp_path, cluster, api, namespace, token=await api.account(namespace))
    process.inventory(web=(ONE,))
    async with exporting(process):
        row = await process.until_row(lambda row: "leases" in row["why"], "it is told")
        assert row["state"] == "waiting"
        assert "nothing is written before the claims are known" in row["why"]

        async def all_read() -> bool:
            return {one["state"] for one in await process.rows("sources")} == {"synced"}

        await until_async(all_read, "all is read")
        assert await process.addresses() == []
        await api.allow(user, [*rights, ("coordination.k8s.io", "leases", "get list watch create update")], namespace)
        await process.until_holds(ONE)


# Modes.


async def test_a_dry_run_writes_nothing_and_shows_what_it_would(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path, web: Object
) -> None:
    process = Exporter(tmp_path, cluster, api, namespace, export={"mode": "dry-run"})
    process.inventory(web=(ONE, TWO))
    async with exporting(process):
        row = await process.until_row(lambda row: bool(row["state"] == "dry-run" and row["puts"]), "it plans")
        assert (row["puts"], row["removals"]) == (1, 0)
        code, out, err = await process.call("plan", "--diff")
        assert code == 3, err
        assert '+{"address": "10.20.0.1", "is": "ready"}' in out.splitlines()
        assert await api.list("EndpointSlice", namespace) == []
        assert await api.list("Lease", namespace) == []


async def test_upsert_only_removes_nothing(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path, web: Object
) -> None:
    process = Exporter(tmp_path, cluster, api, namespace, export={"mode": "upsert-only"})
    process.inventory(web=(ONE, TWO))
    async with exporting(process):
        await process.until_holds(ONE, TWO)
        process.inventory(web=(ONE, THREE))
        await process.until_holds(ONE, TWO, THREE)
        await process.until_row(lambda row: bool(row["withheld"] == {"upsert-only": 1}), "it stays")
