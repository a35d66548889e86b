"""Which replica writes, decided by a Lease of a real Kubernetes, whatever is done to it."""

import asyncio
from pathlib import Path

import pytest

from bridge.errors import Denied, Unavailable
from bridge.kit.election import Elector
from bridge.runtime.clock import SystemClock
from tests.servers.electing import NAME, SHORT, Wild, elector, enter, lease, until, watched
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.objects import lease as a_lease
from tests.servers.kubernetes.server import ApiServer


@pytest.fixture
def kubeconfig(cluster: ApiServer, tmp_path: Path) -> Path:
    return cluster.kubeconfig(tmp_path)


async def test_who_comes_alone_leads_renews_and_gives_back_when_it_ends(
    kubeconfig: Path, api: Client, namespace: str
) -> None:
    first = enter(kubeconfig, namespace)
    async with watched(first):
        await until(lambda: first.leads, "it leads")
        said = await lease(api, namespace)
        assert (said["leaseDurationSeconds"], said["leaseTransitions"]) == (2, 1)
        assert "_" in said["holderIdentity"]
        await asyncio.sleep(3)
        renewed = await lease(api, namespace)
        assert renewed["renewTime"] > said["renewTime"]
        assert {**renewed, "renewTime": ""} == {**said, "renewTime": ""}
        assert first.leads
        assert first.terms == [1]
    said = await lease(api, namespace)
    assert (said["leaseDurationSeconds"], said.get("holderIdentity", "")) == (1, "")
    second = enter(kubeconfig, namespace)
    async with watched(second):
        await until(lambda: second.leads, "the next one leads")
        assert (await lease(api, namespace))["leaseTransitions"] == 2


async def test_of_three_replicas_one_leads_and_when_it_ends_another_does(kubeconfig: Path, namespace: str) -> None:
    them = [enter(kubeconfig, namespace) for _ in range(3)]
    assert len({one.leadership.deployment for one in them}) == 1
    async with watched(*them) as leaders:
        for _ in range(3):
            await until(leaders, "one leads")
            await leaders()[0].end()
    assert sorted(number for one in them for number in one.terms) == [1, 2, 3]
    assert [len(one.terms) for one in them] == [1, 1, 1]


async def test_who_dies_is_followed_when_its_lease_is_over(kubeconfig: Path, api: Client, namespace: str) -> None:
    await api.create(a_lease(namespace, NAME, "one-that-died", seconds=3, transitions=7))
    heir = enter(kubeconfig, namespace)
    async with watched(heir):
        await until(lambda: heir.leads, "it took over")
        assert heir.terms == [8]


@pytest.mark.promise("R-30")
async def test_calendars_that_jump_by_hours_change_nothing(kubeconfig: Path, namespace: str) -> None:
    them = [enter(kubeconfig, namespace, Wild()) for _ in range(3)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        (first,) = leaders()
        await asyncio.sleep(5)
        assert first.leads
        assert sum(len(one.terms) for one in them) == 1
        await first.end()
        await until(leaders, "another leads")
        assert sum(len(one.terms) for one in them) == 2


async def test_a_lease_deleted_by_hand_frees_nobodys_lead(kubeconfig: Path, api: Client, namespace: str) -> None:
    them = [enter(kubeconfig, namespace) for _ in range(3)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        for _ in range(5):
            await api.delete("Lease", NAME, namespace)
            await asyncio.sleep(0.7)
        await until(leaders, "one leads")
        await asyncio.sleep(3)
        assert leaders()
        assert (await lease(api, namespace))["holderIdentity"]


async def test_a_lease_that_somebody_else_takes_is_lost_at_once_and_won_anew_when_they_are_silent(
    kubeconfig: Path, api: Client, namespace: str
) -> None:
    one = enter(kubeconfig, namespace)
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        await api.patch(
            a_lease(namespace, NAME, ""), {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3}}
        )
        taken = asyncio.get_running_loop().time()
        await until(lambda: not one.leads, "it heard")
        await until(lambda: one.leads, "it leads again")
        assert asyncio.get_running_loop().time() - taken >= 3
        assert one.terms == [1, 2]


async def test_what_others_wrote_into_the_lease_stays(kubeconfig: Path, api: Client, namespace: str) -> None:
    await api.create(a_lease(namespace, NAME, "gone", seconds=1, preferredHolder=None))
    await api.patch(a_lease(namespace, NAME, ""), {"metadata": {"labels": {"team": "edge"}}})
    one = enter(kubeconfig, namespace)
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        assert (await api.get("Lease", NAME, namespace))["metadata"]["labels"] == {"team": "edge"}


async def test_who_cannot_reach_the_server_stops_before_others_could_take_over_and_goes_on_in_the_same_term(
    own_cluster: ApiServer, tmp_path: Path
) -> None:
    kubeconfig = own_cluster.kubeconfig(tmp_path)
    them = [enter(kubeconfig, "default", lease="4s", renew="3s", retry="300ms") for _ in range(2)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        own_cluster.pause()
        await until(lambda: not leaders(), "nobody leads")
        assert any(one.leadership.why for one in them)
        own_cluster.resume()
        await until(leaders, "one leads")
        await until(lambda: not any(one.leadership.why for one in them), "both reach it again")
        await own_cluster.kill()
        await until(lambda: not leaders(), "nobody leads")
        await own_cluster.start()
        await until(leaders, "one leads")


async def ended(one: Elector) -> None:
    """Take part until that is refused, without ever leading."""
    async with asyncio.timeout(20):
        async for term in one.terms():
            assert term.until <= SystemClock().now()


async def test_rights_that_are_missing_are_said_with_their_verb_and_nobody_leads(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, token=await api.account(namespace))
    user = f"system:serviceaccount:{namespace}:bridge"
    for verbs, missing in (("list", "get"), ("get", "create"), ("get create", "update")):
        await api.allow(user, [("coordination.k8s.io", "leases", verbs)], namespace)
        with pytest.raises(Denied, match=f'cannot {missing} resource "leases".* in the namespace "{namespace}"'):
            await ended(elector(kubeconfig, namespace))
    await api.allow(user, [("coordination.k8s.io", "leases", "get create update")], namespace)
    one_more = enter(kubeconfig, namespace)
    async with watched(one_more):
        await until(lambda: one_more.leads, "with all of them it leads")


async def test_a_namespace_that_is_not_there_is_to_be_made(kubeconfig: Path) -> None:
    with pytest.raises(Unavailable, match="make the namespace nowhere, or name another"):
        await ended(elector(kubeconfig, "nowhere"))


async def test_a_replica_that_comes_to_no_end_of_its_conflicts_harms_nobody(
    kubeconfig: Path, api: Client, namespace: str
) -> None:
    """Somebody writes the Lease all the time, and its holder is renewed all the same."""
    one = enter(kubeconfig, namespace)
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        for number in range(200):
            try:
                await api.patch(a_lease(namespace, NAME, ""), {"metadata": {"annotations": {"n": str(number)}}})
            except ApiError:
                continue
        await asyncio.sleep(float(SHORT["lease"][:-1]))
        assert one.leads
        assert one.terms == [1]
