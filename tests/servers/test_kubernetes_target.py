"""What is written to a cluster, against a real API server: each change once, and only where it is what is expected."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.kubernetes.access import Access
from adapters.kubernetes.claims import claim_of
from adapters.kubernetes.client import Api
from adapters.kubernetes.objects import KubeService, service_of, slice_of
from adapters.kubernetes.owned import holding, home
from adapters.kubernetes.slices import Revision
from adapters.kubernetes.target import FRESH, KubeTarget
from bridge.adapter import Change, Claim, Holding, Note, Put, Remove
from bridge.errors import Conflict, Denied, Rejected
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service, ServiceName
from bridge.plan import plan
from bridge.runtime.clock import SystemClock
from tests.builders import endpoint
from tests.kube_world import MARK, form
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import service, slice_
from tests.servers.kubernetes.server import ApiServer

Json = dict[str, Any]


class Written:
    """A target as an outlet uses it, which looks into the cluster anew each time."""

    def __init__(self, api: Client, namespace: str, asked: Api, **how: Any) -> None:
        self.api = api
        self.namespace = namespace
        self.services: dict[ServiceName, KubeService] = {}
        self.form = form(services="*", **how)
        self.target = KubeTarget("k8s", self.form, namespace, api=asked, clock=SystemClock(), service=self.services.get)

    def said(self, *endpoints: str | Endpoint, name: str = "web") -> Service:
        made = [endpoint(one) if isinstance(one, str) else one for one in endpoints]
        return Service.of(ServiceName(self.namespace, name), made)

    async def holding(self, name: str = "web") -> Holding:
        key = ServiceName(self.namespace, name)
        there = [service_of(one) for one in await self.api.list("Service", self.namespace)]
        self.services.clear()
        self.services.update({ServiceName(*one.key): one for one in there})
        slices = [slice_of(one) for one in await self.api.list("EndpointSlice", self.namespace)]
        at_home = [one for one in slices if home(one) == key]
        return holding(key, self.services.get(key), at_home, self.form.writing) or Holding()

    async def plan(self, wanted: Service) -> tuple[Change, ...]:
        there = await self.holding(wanted.name.name)
        return plan(self.target.fit(wanted, there)[0], there).changes

    async def say(self, wanted: Service) -> int:
        """Write it until nothing is left; how many writes that took."""
        writes = 0
        while changes := await self.plan(wanted):
            for change in changes:
                await self.target.apply(change)
                writes += 1
                assert writes < 100, changes
        return writes

    async def claim(self, term: int, mark: Mark = MARK) -> None:
        found = [claim_of(one) for one in await self.api.list("Lease", self.namespace)]
        there = next((one.claim.revision for one in found if one.claim.owner == mark.owner), None)
        await self.target.claim(Claim(mark.owner, mark.deployment, term, 1_750_000_000.0 + term, False, there))


@pytest.fixture
async def asked(cluster: ApiServer, tmp_path: Path) -> AsyncIterator[Api]:
    made = Api("k8s", Access(cluster.kubeconfig(tmp_path), None, SystemClock()), SystemClock(), 60.0)
    yield made
    await made.close()


@pytest.fixture
def written(api: Client, namespace: str, asked: Api) -> Written:
    return Written(api, namespace, asked)


async def test_a_service_of_vms_is_written_once_changed_once_and_removed(written: Written) -> None:
    await written.api.create(service(written.namespace, "web"))
    assert await written.say(written.said("10.20.0.1:8080", "10.20.0.2:8080")) == 1
    assert await written.plan(written.said("10.20.0.1:8080", "10.20.0.2:8080")) == (), "it reads back as it was written"
    assert await written.say(written.said("10.20.0.1:8080")) == 1
    (one,) = await written.api.list("EndpointSlice", written.namespace)
    assert [row["addresses"] for row in one["endpoints"]] == [["10.20.0.1"]]
    for record in (await written.holding()).records:
        await written.target.apply(Remove(record))
    assert await written.api.list("EndpointSlice", written.namespace) == []


async def test_a_thousand_endpoints_that_say_all_they_may_fit_into_one_slice(
    api: Client, namespace: str, asked: Api
) -> None:
    large = Written(api, namespace, asked, size=1000)
    await api.create(service(namespace, "web"))
    rich = [
        endpoint(f"10.20.{number // 250}.{number % 250 + 1}:8080", weight=9, metadata=(("rack", "x" * 90),))
        for number in range(1000)
    ]
    assert await large.say(large.said(*rich)) == 1
    assert (await large.holding()).endpoints == tuple(replace(one, health=0) for one in large.said(*rich).endpoints)


async def test_what_stands_there_is_never_made_anew_and_what_changed_is_never_replaced(written: Written) -> None:
    await written.api.create(service(written.namespace, "web"))
    wanted = written.said("10.20.0.1:8080")
    (change,) = await written.plan(wanted)
    await written.target.apply(change)
    with pytest.raises(Conflict):
        await written.target.apply(change)
    (seen,) = (await written.holding()).records
    there = (await written.api.list("EndpointSlice", written.namespace))[0]
    await written.api.patch(there, {"metadata": {"labels": {"a": "b"}}})
    for stale in (Put(replace(seen, revision=None), seen), Remove(seen)):
        with pytest.raises(Conflict):
            await written.target.apply(stale)
    assert isinstance(seen.revision, Revision)
    (now,) = (await written.holding()).records
    assert isinstance(now.revision, Revision)
    other = replace(now, revision=Revision("another-uid", now.revision.version))
    for wrong in (Put(now, other), Remove(other), Put(now, replace(now, revision="never seen"))):
        with pytest.raises(Conflict):
            await written.target.apply(wrong)
    assert len(await written.api.list("EndpointSlice", written.namespace)) == 1


async def test_a_service_is_made_changed_and_removed_and_keeps_what_the_cluster_gave_it(
    api: Client, namespace: str, asked: Api
) -> None:
    written = Written(api, namespace, asked, create=True)
    assert await written.say(written.said("10.20.0.1:8080")) == 2
    before = await api.get("Service", "web", namespace)
    await api.patch(before, {"metadata": {"annotations": {"team": "a"}}, "spec": {"type": "NodePort"}})
    assert await written.plan(written.said("10.20.0.1:8080")) == ()
    more = written.said(endpoint("10.20.0.1:8080", more=[Port("dns", 53, "UDP")]))
    assert await written.say(more) == 2, "the Service and the slice, once each"
    after = await api.get("Service", "web", namespace)
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert after["metadata"]["annotations"]["team"] == "a"
    assert [(one["name"], one["port"], one["protocol"]) for one in after["spec"]["ports"]] == [
        ("http", 8080, "TCP"),
        ("dns", 53, "UDP"),
    ]
    (row,) = await api.list("EndpointSlice", namespace)
    assert row["metadata"]["ownerReferences"][0]["uid"] == after["metadata"]["uid"]
    for record in (await written.holding()).records:
        await written.target.apply(Remove(record))
    assert await api.list("Service", namespace) == []


async def test_a_headless_service_is_made_headless(api: Client, namespace: str, asked: Api) -> None:
    written = Written(api, namespace, asked, create=True, headless=True)
    assert await written.say(written.said("10.20.0.1:8080", "[2001:db8::1]:8080")) == 3
    made = await api.get("Service", "web", namespace)
    assert made["spec"]["clusterIP"] == "None"
    slices = await api.list("EndpointSlice", namespace)
    assert {one["addressType"] for one in slices} == {"IPv4", "IPv6"}
    assert all("service.kubernetes.io/headless" in one["metadata"]["labels"] for one in slices)


async def test_a_headless_service_without_ports_has_slices_all_the_same(written: Written) -> None:
    await written.api.create(service(written.namespace, "web", [], headless=True))
    assert await written.say(written.said("10.20.0.1:8080")) == 1
    (one,) = await written.api.list("EndpointSlice", written.namespace)
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


async def test_a_service_that_changed_since_it_was_seen_is_not_replaced(
    api: Client, namespace: str, asked: Api
) -> None:
    written = Written(api, namespace, asked, create=True)
    await written.say(written.said("10.20.0.1:8080"))
    more = written.said(endpoint("10.20.0.1:8080", more=[Port("dns", 53, "UDP")]))
    change, *_ = await written.plan(more)
    there = await api.get("Service", "web", namespace)
    await api.patch(there, {"spec": {"selector": {"app": "web"}}})
    with pytest.raises(Conflict):
        await written.target.apply(change)
    assert (await api.get("Service", "web", namespace))["spec"]["selector"] == {"app": "web"}


async def test_a_namespace_that_is_missing_or_ends_is_a_conflict(written: Written) -> None:
    made = Written(written.api, "nowhere", written.target._api, create=True)
    (change,) = await made.plan(made.said("10.20.0.1:8080"))
    with pytest.raises(Conflict, match="not found"):
        await made.target.apply(change)
    await written.api.create(service(written.namespace, "web"))
    (change,) = await written.plan(written.said("10.20.0.1:8080"))
    await written.api.delete("Namespace", written.namespace)
    with pytest.raises(Conflict, match="being terminated"):
        await written.target.apply(change)
    await doubles.finish(written.api, written.namespace)


async def test_content_that_the_server_refuses_is_rejected_with_its_words(written: Written) -> None:
    await written.api.create(service(written.namespace, "web"))
    (change,) = await written.plan(written.said("10.20.0.1:8080"))
    bad = replace(change.record, content=change.record.content.replace(b"10.20.0.1", b"127.0.0.1"))
    with pytest.raises(Rejected, match="loopback"):
        await written.target.apply(Put(bad, None))


async def test_each_missing_right_is_one_clear_refusal_that_leaves_other_writes_alone(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    token = await api.account(namespace)
    user = f"system:serviceaccount:{namespace}:bridge"
    asked = Api("k8s", Access(cluster.kubeconfig(tmp_path, token=token), None, SystemClock()), SystemClock(), 60.0)
    written = Written(api, namespace, asked)
    await api.create(service(namespace, "web"))
    group = "discovery.k8s.io"
    try:
        changes = list(await written.plan(written.said("10.20.0.1:8080")))
        await _refused(written, changes[0], 'cannot create resource "endpointslices"', namespace)
        await api.allow(user, [(group, "endpointslices", "create")], namespace)
        await _allowed(written, changes[0])
        changes = list(await written.plan(written.said("10.20.0.2:8080")))
        await _refused(written, changes[0], 'cannot update resource "endpointslices"', namespace)
        await api.allow(user, [(group, "endpointslices", "create update")], namespace)
        await _allowed(written, changes[0])
        (record,) = (await written.holding()).records
        await _refused(written, Remove(record), 'cannot delete resource "endpointslices"', namespace)
    finally:
        await asked.close()


async def _refused(written: Written, change: Change, words: str, namespace: str) -> None:
    with pytest.raises(Denied) as caught:
        await written.target.apply(change)
    assert not caught.value.whole
    assert words in str(caught.value)
    assert f'in the namespace "{namespace}"' in str(caught.value)
    assert "grant it" in str(caught.value)


async def _allowed(written: Written, change: Change) -> None:
    """A right that was just granted is known to the server in a moment."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await written.target.apply(change)
            except Denied:
                await asyncio.sleep(0.02)


async def test_who_was_succeeded_writes_no_more_however_fresh_its_view(api: Client, namespace: str, asked: Api) -> None:
    await api.create(service(namespace, "web"))
    one, two = Written(api, namespace, asked), Written(api, namespace, asked, mark=Mark("prod", "cluster-b"))
    await one.claim(1)
    await one.say(one.said("10.20.0.1:8080"))
    await two.claim(2, Mark("prod", "cluster-b"))
    (change,) = await one.plan(one.said("10.20.0.9:8080"))
    await asyncio.sleep(2 * FRESH)
    with pytest.raises(Conflict, match="is claimed by deployment cluster-b in term 2, and we wrote in term 1"):
        await one.target.apply(change)
    await two.say(two.said("10.20.0.2:8080"))


async def test_who_sees_in_its_cache_that_it_was_succeeded_asks_nobody(api: Client, namespace: str, asked: Api) -> None:
    written = Written(api, namespace, asked)
    await api.create(service(namespace, "web"))
    await written.claim(1)
    (lease,) = await api.list("Lease", namespace)
    theirs = claim_of(lease)
    written.target.see([replace(theirs, claim=replace(theirs.claim, term=2))], {})
    (change,) = await written.plan(written.said("10.20.0.1:8080"))
    await asked.close()
    with pytest.raises(Conflict, match="in term 2"):
        await written.target.apply(change)


async def test_a_claim_that_is_gone_stops_its_writer_until_it_is_claimed_anew(written: Written) -> None:
    await written.api.create(service(written.namespace, "web"))
    await written.claim(1)
    (lease,) = await written.api.list("Lease", written.namespace)
    there = claim_of(lease).claim
    await written.api.delete("Lease", lease["metadata"]["name"], written.namespace)
    (change,) = await written.plan(written.said("10.20.0.1:8080"))
    with pytest.raises(Conflict):
        await written.target.apply(change)
    with pytest.raises(Conflict):
        await written.target.claim(replace(there, term=2))
    assert await written.api.list("Lease", written.namespace) == [], "a claim that is gone is not made by a renewal"
    await written.claim(3)
    await written.target.apply(change)


async def test_a_note_is_one_event_that_is_counted_on(written: Written) -> None:
    await written.api.create(service(written.namespace, "web"))
    await written.holding()
    note = Note(ServiceName(written.namespace, "web"), "taken", "somebody has it")
    await written.target.tell(note)
    await written.target.tell(replace(note, text="somebody still has it"))
    await written.target.tell(replace(note, kind="parked"))
    events = {one["reason"]: one for one in await written.api.list("Event", written.namespace)}
    assert {reason: (one["count"], one["message"]) for reason, one in events.items()} == {
        "NameTaken": (2, "somebody still has it"),
        "Rejected": (1, "somebody has it"),
    }
    assert events["NameTaken"]["involvedObject"]["uid"] == next(iter(written.services.values())).uid


async def test_a_note_is_made_anew_when_the_server_forgot_it_and_found_again_by_who_comes_after(
    written: Written, asked: Api
) -> None:
    await written.api.create(service(written.namespace, "web"))
    await written.holding()
    note = Note(ServiceName(written.namespace, "web"), "taken", "somebody has it")
    await written.target.tell(note)
    (event,) = await written.api.list("Event", written.namespace)
    await written.api.delete("Event", event["metadata"]["name"], written.namespace)
    await written.target.tell(note)
    after = Written(written.api, written.namespace, asked)
    await after.holding()
    await after.target.tell(replace(note, text="again"))
    await after.target.tell(replace(note, text="and again"))
    (event,) = await written.api.list("Event", written.namespace)
    assert (event["count"], event["message"]) == (2, "and again")


async def test_without_a_service_there_is_nothing_to_note_it_beside(written: Written) -> None:
    await written.target.tell(Note(ServiceName(written.namespace, "web"), "unsaid", "there is no such Service"))
    assert await written.api.list("Event", written.namespace) == []


async def test_a_slice_of_somebody_else_is_not_touched_whatever_is_planned(written: Written) -> None:
    there = await written.api.create(service(written.namespace, "web"))
    wanted = written.said("10.20.0.1:8080")
    (change,) = await written.plan(wanted)
    name = change.record.key.rpartition("/")[2]
    await written.api.create(slice_(there, [{"addresses": ["10.1.0.1"]}], [("http", 80)], name=name))
    before = await written.api.get("EndpointSlice", name, written.namespace)
    with pytest.raises(Conflict):
        await written.target.apply(change)
    assert await written.plan(wanted) == ()
    assert (await written.holding()).taken == (
        (change.record.key, "endpointslice-controller.k8s.io, without our mark"),
    )
    assert await written.api.get("EndpointSlice", name, written.namespace) == before
