"""Which replica writes, decided by a Lease of a real Kubernetes, whatever is done to it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.election import Elector
from tests.servers.electing import CLOCK, STEADY, Wild, enter, until, watched
from tests.servers.elections import FREE, Ballot, Elections, Said
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.leases import NAME, elector, lease
from tests.servers.kubernetes.objects import lease as a_lease
from tests.servers.kubernetes.objects import thing
from tests.servers.kubernetes.server import ApiServer

LEASES = ("coordination.k8s.io", "leases", "get create update")
CONFIGMAPS = ("", "configmaps", "get create update")


@pytest.fixture
def kubeconfig(cluster: ApiServer, tmp_path: Path) -> Path:
    return cluster.kubeconfig(tmp_path)


class Leases(Ballot):
    """An election by a Lease, among replicas that may do what they must."""

    def __init__(self, kubeconfig: Path, namespace: str, api: Client) -> None:
        self._kubeconfig, self._namespace, self._api = kubeconfig, namespace, api

    def elector(self, clock: Clock, **more: Any) -> Elector:
        return elector(self._kubeconfig, self._namespace, clock, **more)

    async def lease(self) -> Said:
        said = await lease(self._api, self._namespace)
        return Said(
            said.get("holderIdentity", ""), said["leaseDurationSeconds"], said["leaseTransitions"], said["renewTime"]
        )

    async def make(self, said: Said) -> None:
        await self._api.create(
            a_lease(self._namespace, NAME, said.holder, seconds=int(said.seconds), transitions=said.transitions)
        )

    async def delete(self) -> None:
        await self._api.delete("Lease", NAME, self._namespace)

    async def spoil(self) -> None:
        nothing = dict.fromkeys(("holderIdentity", "leaseDurationSeconds", "leaseTransitions", "renewTime"))
        await self._api.patch(a_lease(self._namespace, NAME, ""), {"spec": nothing})

    async def decide_anew(self, content: bytes) -> None:
        decisions = thing("ConfigMap", f"{NAME}-decisions", self._namespace, data={"decisions.json": content.decode()})
        await self._api.delete("ConfigMap", f"{NAME}-decisions", self._namespace)
        await self._api.create(decisions)

    async def hide(self) -> None:
        await self._api.allow(user(self._namespace), [LEASES], self._namespace)


def user(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:bridge"


@pytest.fixture
async def ballot(cluster: ApiServer, api: Client, namespace: str, tmp_path: Path) -> Ballot:
    limited = cluster.kubeconfig(tmp_path, token=await api.account(namespace), name="limited")
    await api.allow(user(namespace), [LEASES, CONFIGMAPS], namespace)
    return Leases(limited, namespace, api)


class TestElections(Elections):
    pass


@pytest.mark.promise("R-30")
async def test_calendars_that_jump_by_hours_change_nothing(ballot: Ballot) -> None:
    await ballot.make(FREE)
    them = [ballot.enter(Wild(), lease="8s", renew="7s") for _ in range(3)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        (first,) = leaders()
        await asyncio.sleep(8.5)  # longer than it lasts
        assert first.leads
        assert sum(len(one.terms) for one in them) == 1
        await first.end()
        await until(leaders, "another leads")
        assert sum(len(one.terms) for one in them) == 2


async def test_a_lease_that_somebody_else_takes_is_lost_at_once_and_won_anew_when_they_are_silent(
    kubeconfig: Path, api: Client, namespace: str
) -> None:
    await api.create(a_lease(namespace, NAME, "", seconds=1))
    one = enter(elector(kubeconfig, namespace, **STEADY))
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        taken = asyncio.get_running_loop().time()
        await api.patch(
            a_lease(namespace, NAME, ""), {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3}}
        )
        await until(lambda: not one.leads, "it heard")
        await until(lambda: one.leads, "it leads again")
        assert asyncio.get_running_loop().time() - taken >= 3
        assert one.terms == [1, 2]


async def test_what_others_wrote_into_the_lease_stays(kubeconfig: Path, api: Client, namespace: str) -> None:
    await api.create(a_lease(namespace, NAME, "gone", seconds=1, preferredHolder=None))
    await api.patch(a_lease(namespace, NAME, ""), {"metadata": {"labels": {"team": "edge"}}})
    one = enter(elector(kubeconfig, namespace, **STEADY))
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        assert (await api.get("Lease", NAME, namespace))["metadata"]["labels"] == {"team": "edge"}


async def test_who_cannot_reach_the_server_stops_before_others_could_take_over_and_goes_on_in_the_same_term(
    own_cluster: ApiServer, tmp_path: Path
) -> None:
    kubeconfig = own_cluster.kubeconfig(tmp_path)
    them = [enter(elector(kubeconfig, "default", lease="4s", renew="3s", retry="300ms")) for _ in range(2)]
    async with watched(*them) as leaders:
        await until(leaders, "one leads")
        own_cluster.pause()
        await until(lambda: not leaders(), "nobody leads")
        await until(lambda: any(one.leadership.why for one in them), "why is said")
        own_cluster.resume()
        await until(leaders, "one leads")
        await until(lambda: not any(one.leadership.why for one in them), "both reach it again")
        await own_cluster.kill()
        await until(lambda: not leaders(), "nobody leads")
        await own_cluster.start()
        await until(leaders, "one leads")


async def ended(one: Elector) -> None:
    """Take part until that is refused, without ever leading."""
    async with asyncio.timeout(90):
        async for term in one.terms():
            assert term.until <= CLOCK.now()


async def test_rights_that_are_missing_are_said_with_their_verb_and_nobody_leads(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, token=await api.account(namespace))
    for verbs, missing in (("list", "get"), ("get", "create"), ("get create", "update")):
        await api.allow(user(namespace), [("coordination.k8s.io", "leases", verbs)], namespace)
        if missing == "update":
            await api.create(a_lease(namespace, NAME, "", seconds=1))
        with pytest.raises(Denied, match=f'cannot {missing} resource "leases".* in the namespace "{namespace}"'):
            await ended(elector(kubeconfig, namespace, **STEADY))
    await api.allow(user(namespace), [LEASES], namespace)
    one_more = enter(elector(kubeconfig, namespace, **STEADY))
    async with watched(one_more):
        await until(lambda: one_more.leads, "with all of them it leads")


async def test_a_namespace_that_is_not_there_is_to_be_made(kubeconfig: Path) -> None:
    with pytest.raises(Unavailable, match="make the namespace nowhere, or name another"):
        await ended(elector(kubeconfig, "nowhere", **STEADY))


async def test_a_replica_that_comes_to_no_end_of_its_conflicts_harms_nobody(
    kubeconfig: Path, api: Client, namespace: str
) -> None:
    """Somebody writes the Lease all the time, and its holder is renewed all the same."""
    await api.create(a_lease(namespace, NAME, "", seconds=1))
    one = enter(elector(kubeconfig, namespace, **STEADY))
    async with watched(one):
        await until(lambda: one.leads, "it leads")
        for number in range(200):
            with suppress(ApiError):
                await api.patch(a_lease(namespace, NAME, ""), {"metadata": {"annotations": {"n": str(number)}}})
        renewed = (await lease(api, namespace))["renewTime"]
        async with asyncio.timeout(90):
            while (await lease(api, namespace))["renewTime"] == renewed:
                await asyncio.sleep(0.05)
        assert one.leads
        assert one.terms == [1]
