"""Several replicas of one bridge, as processes, on a real Kubernetes: one writes, all go by the same decisions."""

import asyncio
import itertools
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.runtime.keep import meanwhile
from bridge.testing.xds import EDS, XdsClient
from tests.chaos.test_app import command, started, until, until_async
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.leases import NAME
from tests.servers.kubernetes.objects import lease, service
from tests.servers.kubernetes.server import ApiServer
from tests.servers.replicas import Inventory, Replica, elects, said, says, written

SHORT = ", lease: 2s, renew: 1500ms, retry: 200ms"
STEADY = ", lease: 30s, renew: 20s, retry: 200ms"
"""It is not lost while a busy machine has no time for its holder."""


class Replicas:
    """Replicas that share an inventory, a namespace and an election."""

    def __init__(self, cluster: ApiServer, api: Client, namespace: str, folder: Path) -> None:
        self.api = api
        self.namespace = namespace
        self.kubeconfig = cluster.kubeconfig(folder)
        self.running: list[Replica] = []
        self._folder = folder
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Replicas":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def inventory(self, services: Inventory) -> None:
        fresh = self._folder / ".vms.yaml.new"
        fresh.write_text(written(self.namespace, services))
        fresh.replace(self._folder / "vms.yaml")

    async def service(self, *names: str) -> None:
        for name in names:
            await self.api.create(service(self.namespace, name, [("http", 80)]))

    async def start(self, timing: str = STEADY, state: str = "") -> Replica:
        made = Replica(
            self._folder,
            self.kubeconfig,
            self.namespace,
            leader=elects(self.kubeconfig, self.namespace, timing),
            state=state or f"state-{next(self._numbers)}",
        )
        await self._stack.enter_async_context(started(made))
        await made.until_ready()
        self.running.append(made)
        return made

    async def end(self, one: Replica, number: signal.Signals = signal.SIGTERM) -> None:
        self.running.remove(one)
        await one.end(number)

    async def leader(self) -> Replica:
        """Who leads; one does at last."""
        found: list[Replica] = []

        async def one_leads() -> bool:
            found[:] = [one for one in self.running if await one.leads()]
            return len(found) == 1

        await until_async(one_leads, "one leads")
        return found[0]

    async def until_says(self, services: Inventory) -> None:
        await until_async(lambda: says(self.api, self.namespace, services), f"the slices say {services}")


@pytest.fixture
async def replicas(cluster: ApiServer, api: Client, namespace: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    await api.create(lease(namespace, NAME, "", seconds=1))  # as an earlier bridge gave it back
    async with Replicas(cluster, api, namespace, tmp_path) as made:
        yield made


def addresses(*numbers: int, weight: int = 1) -> dict[str, int]:
    return {f"10.0.0.{number}": weight for number in numbers}


def hosts(envoy: XdsClient, name: str) -> int:
    return len(envoy.hosts(name)) if name in envoy.have(EDS) else 0


@pytest.mark.promise("R-21")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_when_the_leader_is_gone_another_replica_writes(
    replicas: Replicas, how: signal.Signals, record_property: Callable[[str, object], None]
) -> None:
    """With the lease that it has when nobody says anything; how long it took is measured, not judged."""
    replicas.inventory({"web": addresses(1)})
    await replicas.service("web")
    for _ in range(2):
        await replicas.start(timing="")
    await replicas.until_says({"web": addresses(1)})
    first = await replicas.leader()
    (other,) = [one for one in replicas.running if one is not first]
    web = f"{replicas.namespace}/web"
    async with other.client() as envoy:
        await envoy.ask(EDS, web)
        await envoy.until(lambda: hosts(envoy, web) == 1, "it is served by who follows")
        await replicas.end(first, how)
        began = asyncio.get_running_loop().time()
        replicas.inventory({"web": addresses(1, 2)})
        await envoy.until(lambda: hosts(envoy, web) == 2, "it goes on being served")
        served = asyncio.get_running_loop().time() - began
        await replicas.until_says({"web": addresses(1, 2)})
        took = asyncio.get_running_loop().time() - began
    record_property("seconds", took)
    print(f"{how.name}: Envoy had it {served:.2f} s later, and another wrote it after {took:.1f} s")


@pytest.mark.promise("R-19")
async def test_of_two_deployments_with_one_owner_the_second_does_not_write_and_says_so(replicas: Replicas) -> None:
    replicas.inventory({"web": addresses(1)})
    await replicas.service("web")
    await replicas.api.create(lease(replicas.namespace, "another-bridge", "", seconds=1))
    first = await replicas.start()
    await replicas.until_says({"web": addresses(1)})
    second = await replicas.start(timing=f"{STEADY}, name: another-bridge")

    async def stopped() -> bool:
        return bool((await second.exported())["state"] == "another")

    await until_async(stopped, "the second one stopped")
    row = await second.exported()
    assert "another deployment" in row["why"]
    assert "give each deployment an `owner:` of its own" in row["why"]
    assert (row["leading"], row["made"]) == (True, {})
    await until(lambda: [line["level"] for line in second.said("export stopped")] == ["error"], "it is said")

    async def told() -> bool:
        return any("another" in problem["what"] for problem in await second.rows("problems"))

    await until_async(told, "it is told")
    replicas.inventory({"web": addresses(1, 2)})
    await replicas.until_says({"web": addresses(1, 2)})
    assert (await first.exported())["state"] in ("writes", "in step")
    assert (await second.exported())["made"] == {}


async def post(one: Replica, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.post(f"http://{one.admin}/api/v1/{path}", json=body) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_a_word_said_to_one_replica_counts_on_all_of_them_and_after_a_restart(replicas: Replicas) -> None:
    replicas.inventory({"web": addresses(*range(1, 11))})
    await replicas.service("web")
    for _ in range(2):
        await replicas.start()
    await replicas.until_says({"web": addresses(*range(1, 11))})
    first = await replicas.leader()
    (other,) = [one for one in replicas.running if one is not first]

    async def frozen() -> bool:
        return all([(await one.rows("sources"))[0]["frozen"] for one in replicas.running])

    code, _, err = await command("freeze", "vms", "--for", "10m", "--config", str(other.config))
    assert code == 0, err
    await until_async(frozen, "both are frozen")
    for one in list(replicas.running):
        await replicas.end(one)
    for state in ("fresh-1", "fresh-2"):
        await replicas.start(state=state)
    await until_async(frozen, "they are frozen from the start on, without a folder that knows")
    await post(replicas.running[0], "unfreeze", {"source": "vms"})

    async def free() -> bool:
        return not any([(await one.rows("sources"))[0]["frozen"] for one in replicas.running])

    await until_async(free, "both are free again")


async def test_a_hold_accepted_on_a_replica_that_follows_is_gone_from_envoy_and_from_the_slices(
    replicas: Replicas,
) -> None:
    replicas.inventory({"web": addresses(*range(1, 11))})
    await replicas.service("web")
    for _ in range(2):
        await replicas.start()
    await replicas.until_says({"web": addresses(*range(1, 11))})
    first = await replicas.leader()
    (other,) = [one for one in replicas.running if one is not first]
    replicas.inventory({"web": addresses(1, 2, 3)})

    async def held() -> bool:
        return all([(await one.rows("sources"))[0]["holds"] == 7 for one in replicas.running])

    await until_async(held, "both hold them")
    await post(other, "holds/accept", {"source": "vms"})
    await replicas.until_says({"web": addresses(1, 2, 3)})

    async def gone() -> bool:
        return all([(await one.rows("sources"))[0]["holds"] == 0 for one in replicas.running])

    await until_async(gone, "no replica holds them")


async def test_a_removal_accepted_on_a_replica_that_follows_is_made_by_the_one_that_leads(replicas: Replicas) -> None:
    replicas.inventory({"web": addresses(1), "old": addresses(2)})
    await replicas.service("web", "old")
    before = await replicas.start()
    await replicas.until_says({"web": addresses(1), "old": addresses(2)})
    await replicas.end(before)
    replicas.inventory({"web": addresses(1)})
    for state in ("fresh-1", "fresh-2"):
        await replicas.start(state=state)
    first = await replicas.leader()
    (other,) = [one for one in replicas.running if one is not first]

    async def withheld() -> bool:
        return all([(await one.exported())["withheld"] == {"orphan": 1} for one in replicas.running])

    await until_async(withheld, "both withhold what they never wanted")
    assert (await said(replicas.api, replicas.namespace))["old"]
    code, out, err = await command("plan", "--accept", "--yes", "--config", str(other.config))
    assert code == 0, err
    assert "accepted: 1 endpoint" in out
    await replicas.until_says({"web": addresses(1)})


@pytest.mark.timeout(600)
@pytest.mark.promise("R-20", "R-34", "law-6")
async def test_replicas_that_are_paused_and_killed_under_churn_double_nothing_and_lose_nothing(
    replicas: Replicas,
) -> None:
    """What stays wanted all the while is there in every view of the cluster, and nothing is ever there twice."""
    names = [f"s{number}" for number in range(6)]
    lasting = {name: addresses(1, 2) for name in names}
    now = {name: dict(them) for name, them in lasting.items()}
    replicas.inventory(now)
    await replicas.service(*names)
    for _ in range(3):
        await replicas.start(timing=SHORT)
    await replicas.until_says(now)
    rng, looks = random.Random(20), 0

    async def churn() -> None:
        while True:
            one = rng.choice(names)
            extra = rng.sample(range(3, 30), rng.randrange(0, 6))
            now[one] = lasting[one] | {address: rng.randrange(1, 9) for address in addresses(*extra)}
            replicas.inventory(now)
            await asyncio.sleep(0.05)

    async def look() -> None:
        nonlocal looks
        while True:
            stands = await said(replicas.api, replicas.namespace)
            looks += 1
            for name in names:
                there = stands.get(name, {})
                assert lasting[name].keys() <= there.keys(), f"{name} lost {lasting[name].keys() - there.keys()}"
                assert all(len(weights) == 1 for weights in there.values()), f"{name} is doubled: {there}"
            await asyncio.sleep(0.02)

    async with meanwhile(look()):
        async with meanwhile(churn()):
            for _ in range(12):
                victim = rng.choice(replicas.running)
                if rng.random() < 0.5:
                    victim.send(signal.SIGSTOP)
                    await asyncio.sleep(rng.uniform(0.2, 4))
                    victim.send(signal.SIGCONT)
                else:
                    await replicas.end(victim, signal.SIGKILL)
                    await asyncio.sleep(rng.uniform(0, 2))
                    await replicas.start(timing=SHORT, state=victim.state)
                await asyncio.sleep(rng.uniform(0, 1))

        async def agreed() -> bool:
            """What nobody wants any more goes by an operator's word: after a restart nobody knows that it once was."""
            one = rng.choice(replicas.running)
            await post(one, "holds/accept", {"all": True})
            await post(one, "plan/accept", {"all": True})
            await asyncio.sleep(1)
            return await says(replicas.api, replicas.namespace, now)

        await until_async(agreed, f"the slices say {now}")
    print(f"{looks} views of the cluster")
