"""A real API server that is killed, frozen, put back in time, cut off, or says no: what is read of it stays right."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.kubernetes import claims, client, mirror, reflector
from adapters.kubernetes.client import Expired
from adapters.kubernetes.settings import Settings
from bridge.adapter import Claim, Observation, Target
from bridge.errors import Denied
from bridge.guard import Guard, Seen
from bridge.kit import Kit
from bridge.model import ServiceName
from bridge.runtime.clock import SystemClock
from bridge.testing.conformance.watching import Watched
from bridge.testing.proxy import FaultProxy
from tests.guards import BLIND
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.bench import READS
from tests.servers.kubernetes.client import Client, Rule
from tests.servers.kubernetes.objects import Pod, service
from tests.servers.kubernetes.server import ApiServer

pytestmark = pytest.mark.usefixtures("quick")

PATIENCE = 120.0
PORTS = (("http", 8080),)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts and doubts follow each other sooner than they would."""
    monkeypatch.setattr(reflector, "SPACING", 0.02)
    monkeypatch.setattr(reflector, "SILENCE", 2.0)
    monkeypatch.setattr(reflector, "pause", lambda attempt, denied: 0.05)


@asynccontextmanager
async def reading(kubeconfig: Path, *namespaces: str, **keys: Any) -> AsyncIterator[Watched]:
    said = {"name": "k8s", "kind": "kubernetes", "kubeconfig": str(kubeconfig), "timeout": "60s", **keys}
    said["import"] = {"namespaces": list(namespaces)}
    watched = Watched(Settings.model_validate(said).open(Kit("k8s", SystemClock())), PATIENCE)
    watched.task = asyncio.create_task(watched.run())
    try:
        yield watched
    finally:
        await watched.stop()
    watched.unchanged()


async def make(api: Client, namespace: str, name: str, *addresses: str) -> ServiceName:
    made = await api.create(service(namespace, name, selector={"app": name}))
    await doubles.endpoints(api, made, [Pod(one) for one in addresses], PORTS, size=2)
    return ServiceName(namespace, name)


async def change(api: Client, name: ServiceName, *addresses: str) -> None:
    made = await api.get("Service", name.name, name.namespace)
    await doubles.endpoints(api, made, [Pod(one) for one in addresses], PORTS, size=2)


def says(view: Observation) -> dict[str, list[str]]:
    return {name.name: [one.address for one in each.endpoints] for name, each in view.services.items()}


async def shows(watched: Watched, wanted: Mapping[str, list[str]]) -> None:
    await watched.until(lambda: says(watched.now) == wanted, f"{wanted}")


@pytest.mark.promise("R-01")
async def test_a_server_that_is_killed_and_started_again_removes_nothing(
    own_cluster: ApiServer, tmp_path: Path
) -> None:
    async with own_cluster.client() as api, reading(own_cluster.kubeconfig(tmp_path), "default") as watched:
        web = await make(api, "default", "web", "10.1.0.1")
        await watched.until(lambda: says(watched.now).get("web") == ["10.1.0.1"], "what was made")
        first = len(watched.views)
        await own_cluster.kill()
        await watched.until(lambda: bool(watched.lost), "that it is gone")
        await own_cluster.start()
        await change(api, web, "10.1.0.1", "10.1.0.2")
        await watched.until(lambda: says(watched.now).get("web") == ["10.1.0.1", "10.1.0.2"], "what was changed")
        assert all("web" in says(view) for view in watched.views[first:])


@pytest.mark.promise("R-13")
async def test_a_server_that_no_longer_knows_the_past_is_listed_anew_without_a_loss(
    own_cluster: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was started anew knows of nothing before its start: what a watch gets is 410 Gone."""
    expired: list[str] = []

    class Noted(Expired):
        def __init__(self, message: str) -> None:
            super().__init__(message)
            expired.append(message)

    async with own_cluster.client() as api, FaultProxy("127.0.0.1", own_cluster.port) as proxy:
        web = await make(api, "default", "web", "10.1.0.1")
        kubeconfig = own_cluster.kubeconfig(tmp_path, server=f"https://127.0.0.1:{proxy.port}")
        async with reading(kubeconfig, "default", timeout="600s") as watched:
            await change(api, web, "10.1.0.2")
            await watched.until(lambda: says(watched.now).get("web") == ["10.1.0.2"], "what was changed")
            monkeypatch.setattr(mirror, "Expired", Noted)
            monkeypatch.setattr(client, "Expired", Noted)
            proxy.set(hole=True)  # who comes back waits here
            proxy.reset()
            await change(api, web, "10.1.0.2", "10.1.0.3")
            await own_cluster.kill()
            await own_cluster.start()
            proxy.set()
            await watched.until(lambda: says(watched.now)["web"] == ["10.1.0.2", "10.1.0.3"], "what was changed")
            assert expired
            assert not watched.lost
            assert all("web" in says(view) for view in watched.views[1:])


@pytest.mark.promise("R-04")
async def test_a_server_that_is_frozen_and_goes_on_removes_nothing(own_cluster: ApiServer, tmp_path: Path) -> None:
    async with own_cluster.client() as api:
        web = await make(api, "default", "web", "10.1.0.1")
        async with reading(own_cluster.kubeconfig(tmp_path), "default", timeout="2s") as watched:
            first = await watched.first()
            own_cluster.pause()
            try:
                await watched.until_lost(first)
            finally:
                own_cluster.resume()
            await change(api, web, "10.1.0.2")
            await watched.until(lambda: says(watched.now)["web"] == ["10.1.0.2"], "what was changed")
            assert all(view.services.keys() == first.services.keys() for view in watched.views)


@pytest.mark.promise("R-03")
async def test_a_half_open_connection_is_noticed(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    web = await make(api, namespace, "web", "10.1.0.1")
    async with FaultProxy("127.0.0.1", cluster.port) as proxy:
        kubeconfig = cluster.kubeconfig(tmp_path, server=f"https://127.0.0.1:{proxy.port}")
        async with reading(kubeconfig, namespace, timeout="2s") as watched:
            first = await watched.first()
            proxy.set(deaf=True)
            await watched.until_lost(first)
            await change(api, web, "10.1.0.2")
            proxy.set()
            await shows(watched, {"web": ["10.1.0.2"]})


@pytest.mark.promise("R-35")
async def test_an_etcd_that_was_put_back_is_listed_anew_and_the_guard_keeps_what_is_missing(
    own_cluster: ApiServer, tmp_path: Path
) -> None:
    async with own_cluster.client() as api:
        await make(api, "default", "before", "10.1.0.1")
        saved = await own_cluster.save()
        later = [await make(api, "default", f"after-{number}", f"10.1.1.{number + 1}") for number in range(10)]
        async with reading(own_cluster.kubeconfig(tmp_path), "default") as watched:
            first = await watched.first()
            guard = Guard(BLIND, None)
            guard.step(Seen(first), 0)
            assert set(later) <= first.services.keys()
            await own_cluster.restore(saved)
            await watched.until(lambda: not set(later) & watched.now.services.keys(), "what the restored server says")
            verdict = guard.step(Seen(watched.now), 10)
            assert verdict.flood
            assert all(verdict.services[name].endpoints for name in later), "nobody believes it"
            await make(api, "default", "new", "10.1.2.1")
            await watched.until(lambda: says(watched.now).get("new") == ["10.1.2.1"], "what came after the restore")


@pytest.mark.promise("R-02")
async def test_a_server_that_lost_everything_is_not_believed(own_cluster: ApiServer, tmp_path: Path) -> None:
    async with own_cluster.client() as api:
        names = [await make(api, "default", f"web-{number}", f"10.1.1.{number + 1}") for number in range(5)]
        async with reading(own_cluster.kubeconfig(tmp_path), "default") as watched:
            guard = Guard(BLIND, None)
            guard.step(Seen(await watched.first()), 0)
            await own_cluster.wipe()
            await watched.until(lambda: not set(names) & watched.now.services.keys(), "what the empty server says")
            verdict = guard.step(Seen(watched.now), 10)
            assert verdict.flood
            assert all(verdict.services[name].endpoints for name in names)


@pytest.mark.promise("S-15")
@pytest.mark.parametrize("right", ["list services", "watch services", "list endpointslices", "watch endpointslices"])
async def test_each_right_that_is_missing_is_one_clear_line(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path, right: str
) -> None:
    verb, resource = right.split()
    await api.allow("reader", [_without(rule, resource, verb) for rule in READS], namespace)
    async with reading(cluster.kubeconfig(tmp_path, "reader"), namespace) as watched:
        await watched.until_lost()
        error = watched.lost[0]
        assert isinstance(error, Denied)
        assert f'User "reader" cannot {verb} resource "{resource}"' in str(error)
        assert f'in the namespace "{namespace}"; grant it to that user by a Role' in str(error)
        await api.allow("reader", READS, namespace)
        await shows(watched, {})


@pytest.mark.promise("S-15")
async def test_who_only_reads_knows_who_claims_to_write_there_and_reads_on_where_it_may_not(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    await api.allow("reader", [rule for rule in READS if rule[1] != "leases"], namespace)
    await make(api, namespace, "web", "10.1.0.1")
    claim = Claim("east", "cluster-b", 3, 1_750_000_000.0)
    await api.create(claims.body(claim, Target("b"), namespace, None))
    async with reading(cluster.kubeconfig(tmp_path, "reader"), namespace) as watched:
        view = await watched.first()
        assert (says(view), view.unread, view.others) == ({"web": ["10.1.0.1"]}, (), ())
        [problem] = view.problems
        assert (problem.kind, problem.where) == ("claims", f"leases of namespace {namespace}")
        assert 'User "reader" cannot list resource "leases"' in problem.what
        await api.allow("reader", READS, namespace)
        await watched.until(lambda: not watched.now.problems, "that claims are read")
        assert [(of, replace(one, revision=None)) for of, one in watched.now.others] == [
            (f"lease {namespace}/{claims.name('east', Target('b'))}", claim)
        ]


async def test_a_namespace_that_is_not_allowed_harms_no_other(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    other = await api.namespace()
    await api.allow("reader", READS, namespace)
    await make(api, namespace, "web", "10.1.0.1")
    await make(api, other, "ci", "10.1.0.2")
    async with reading(cluster.kubeconfig(tmp_path, "reader"), namespace, other) as watched:
        view = await watched.first()
        assert says(view) == {"web": ["10.1.0.1"]}
        [unread] = view.unread
        assert unread.never
        assert f'User "reader" cannot list resource "services" in API group "" in the namespace "{other}"' in unread.why
        await api.allow("reader", READS, other)
        await shows(watched, {"web": ["10.1.0.1"], "ci": ["10.1.0.2"]})
        await watched.until(lambda: not watched.now.unread, "that all is read")


async def test_a_token_that_the_server_does_not_know_is_denied(cluster: ApiServer, tmp_path: Path) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, token="expired-long-ago")
    async with reading(kubeconfig, "default") as watched:
        await watched.until_lost()
        assert isinstance(watched.lost[0], Denied)
        assert "the credentials are refused; they may have expired" in str(watched.lost[0])
        cluster.kubeconfig(tmp_path)
        await watched.first()


@pytest.mark.promise("S-03")
async def test_no_slice_fills_a_service_of_another_namespace(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    other = await api.namespace()
    await make(api, namespace, "web", "10.1.0.1")
    await make(api, other, "web", "10.66.6.6")
    async with reading(cluster.kubeconfig(tmp_path), namespace) as watched:
        view = await watched.first()
        assert {str(name): [one.address for one in each.endpoints] for name, each in view.services.items()} == {
            f"{namespace}/web": ["10.1.0.1"]
        }


@pytest.mark.timeout(900)
async def test_a_watch_that_is_cut_anywhere_loses_nothing(
    cluster: ApiServer, api: Client, namespace: str, tmp_path: Path
) -> None:
    """Two hundred cuts while everything changes: after each, what is read is what is there, and nobody was missed."""
    rolls = random.Random(5)
    async with FaultProxy("127.0.0.1", cluster.port) as proxy:
        kubeconfig = cluster.kubeconfig(tmp_path, server=f"https://127.0.0.1:{proxy.port}")
        churn = Churn(api, namespace, rolls)
        for name in churn.names:
            await churn.make(name)
        async with reading(kubeconfig, namespace) as watched:
            await shows(watched, churn.state)
            for _ in range(200):
                before, seen = dict(churn.state), len(watched.views)
                cut = asyncio.create_task(_cut(proxy, rolls))
                touched = await churn.some()
                await cut
                await shows(watched, churn.state)
                stays = {name: at for name, at in before.items() if name not in touched}
                for view in watched.views[seen:]:
                    said = says(view)
                    assert stays == {name: said.get(name) for name in stays}
            assert proxy.accepted > 200


class Churn:
    """Services that come, change and go by a die; `state` is what is there."""

    def __init__(self, api: Client, namespace: str, rolls: random.Random) -> None:
        self.names = [f"s{number}" for number in range(6)]
        self.state: dict[str, list[str]] = {}
        self._api = api
        self._namespace = namespace
        self._rolls = rolls

    async def make(self, name: str) -> None:
        at = self._addresses()
        await make(self._api, self._namespace, name, *at)
        self.state[name] = at

    async def some(self) -> set[str]:
        """A few changes; of which services."""
        touched = set(self._rolls.sample(self.names, self._rolls.randint(1, 3)))
        for name in sorted(touched):
            if name not in self.state:
                await self.make(name)
            elif self._rolls.random() < 0.25:
                await self._api.delete("Service", name, self._namespace)
                await doubles.collect(self._api, self._namespace)
                del self.state[name]
            else:
                at = self._addresses()
                await change(self._api, ServiceName(self._namespace, name), *at)
                self.state[name] = at
        return touched

    def _addresses(self) -> list[str]:
        return [f"10.1.0.{number}" for number in sorted(self._rolls.sample(range(10, 30), self._rolls.randint(1, 5)))]


async def _cut(proxy: FaultProxy, rolls: random.Random) -> None:
    """At some moment, between two bytes or within an answer."""
    await asyncio.sleep(rolls.random() * 0.05)
    if rolls.random() < 0.5:
        proxy.set(truncate=rolls.randrange(8_000))
        await asyncio.sleep(rolls.random() * 0.05)
    proxy.reset()
    proxy.set()


def _without(rule: Rule, resource: str, verb: str) -> Rule:
    group, resources, verbs = rule
    return group, resources, " ".join(one for one in verbs.split() if resources != resource or one != verb)
