"""From an inventory file through a real Kubernetes to a real Envoy, and to an answer of the machine that was meant.

One bridge writes what is in a file into Kubernetes; another one reads nothing but Kubernetes and serves an Envoy.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.testing.envoy import fetch
from bridge.testing.ports import free_port
from bridge.xds.bootstrap import bootstrap
from tests.apart import Apart, NoNetworkError
from tests.envoy.harness import LOCKS, Routing, Sample, until
from tests.servers.kubernetes import doubles
from tests.servers.kubernetes.binaries import Binaries
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object, Pod, ingress, node, service, thing
from tests.servers.kubernetes.server import ApiServer
from tests.whole import Whole

pytestmark = pytest.mark.envoy

VMS = ("10.99.1.1", "10.99.1.2")
PODS = ("10.99.2.1", "10.99.2.2")
NODES = ("10.99.3.1", "10.99.3.2")
BALANCER = "10.99.4.1"
PORT, NODE_PORT = 8080, 30080


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """A network in which VMs and pods have addresses: the API server refuses those of loopback."""
    try:
        with Apart() as made:
            yield made
    except NoNetworkError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def envoy_binary() -> Path:
    return fetch(LOCKS / "newest.lock", print)


@dataclass
class World:
    """A cluster with a namespace `shop`, an inventory that is exported into it, and an Envoy that knows the cluster."""

    api: Client
    envoy: Routing
    inventory: Path

    def write(self, service: str, *addresses: str) -> None:
        """The inventory has this service alone, by rename."""
        said = {"name": service, "ports": {"http": PORT}, "endpoints": list(addresses)}
        fresh = self.inventory.with_suffix(".new")
        fresh.write_text(json.dumps({"services": [said]}))
        fresh.replace(self.inventory)

    async def pods(self, of: Object, *addresses: str) -> None:
        """What the controller of EndpointSlices writes for pods with these addresses."""
        await doubles.endpoints(self.api, of, [Pod(one) for one in addresses], [("http", PORT)])

    async def has(self, name: str, *addresses: str, port: int = PORT) -> None:
        """Wait until the Envoy has exactly these hosts for a service."""
        await self.envoy.becomes({name: {f"{one}:{port}" for one in addresses}})

    async def is_(self, name: str, host: str, health: str) -> bool:
        """Whether the Envoy has been told so of a host."""
        return (await self.envoy.hosts(name))[host].health == health

    async def answers(self, name: str, requests: int = 20) -> Counter[str]:
        """Who answers requests to a service, without their port; the status where it is no 200."""
        said = [await self.envoy.request(name) for _ in range(requests)]
        return Counter(text.partition(":")[0] if status == 200 else str(status) for status, text in said)

    async def answered(self, name: str, *addresses: str) -> None:
        """Wait until all of these answer and nobody else: of what an Envoy tells its workers hear a little later."""

        async def so() -> bool:
            return set(await self.answers(name)) == set(addresses)

        await until(so, f"{name} is answered by {', '.join(addresses)}")


@asynccontextmanager
async def world(
    binaries: Binaries, envoy: Path, folder: Path, *, writes: bool = True, mode: str = "pod"
) -> AsyncIterator[World]:
    """Everything running, machines and pods included, with nothing in the cluster and the file yet.

    `mode` is how the Envoy reaches pods.
    """
    async with AsyncExitStack() as stack:
        for address in (*VMS, *PODS):
            await stack.enter_async_context(Sample(address, PORT))
        (folder / "kubernetes").mkdir()
        cluster = await stack.enter_async_context(ApiServer(binaries, folder / "kubernetes"))
        api = await stack.enter_async_context(cluster.client())
        await api.create(thing("Namespace", "shop"))
        inventory = folder / "vms.json"
        inventory.write_text('{"services": []}')
        k8s: dict[str, Any] = {
            "name": "k8s",
            "kind": "kubernetes",
            "kubeconfig": str(cluster.kubeconfig(folder, "admin")),
        }
        vms = {"name": "vms", "kind": "static", "files": [str(inventory)]}
        export = [{"services": ["shop/*"], "from": ["vms"]}]
        writing = {"owner": "writing", "registries": [vms, {**k8s, "export": export}]}
        if writes:
            await stack.enter_async_context(Whole(folder / "writing", writing))
        read = {**k8s, "import": {"namespaces": ["shop"], "address_mode": mode}}
        reading = await stack.enter_async_context(Whole(folder / "reading", {"registries": [read]}))
        made = bootstrap(
            "ads",
            ("127.0.0.1", reading.xds),
            listen=("127.0.0.1", free_port()),
            admin=("127.0.0.1", free_port()),
        )
        (folder / "envoy").mkdir()
        routing = await stack.enter_async_context(Routing(envoy, made, folder / "envoy"))
        await until(routing.live, "Envoy is live")
        yield World(api, routing, inventory)


def test_a_vm_in_a_file_answers_to_an_envoy_that_knows_nothing_but_kubernetes(
    apart: Apart, binaries: Binaries, envoy_binary: Path, tmp_path: Path
):
    async def scenario() -> None:
        async with world(binaries, envoy_binary, tmp_path) as all_:
            await all_.api.create(service("shop", "ledger"))
            all_.write("shop/ledger", *VMS)
            await all_.has("shop/ledger", *VMS)
            await all_.answered("shop/ledger", *VMS)
            all_.write("shop/ledger", VMS[0])
            await all_.has("shop/ledger", VMS[0])
            await all_.answered("shop/ledger", VMS[0])

    apart.run(scenario())


def test_a_pod_answers(apart: Apart, binaries: Binaries, envoy_binary: Path, tmp_path: Path):
    async def scenario() -> None:
        async with world(binaries, envoy_binary, tmp_path, writes=False) as all_:
            of = await all_.api.create(service("shop", "orders", selector={"app": "orders"}))
            await all_.pods(of, *PODS)
            await all_.has("shop/orders", *PODS)
            await all_.answered("shop/orders", *PODS)

    apart.run(scenario())


def test_vms_and_pods_answer_behind_one_service_while_it_moves(
    apart: Apart, binaries: Binaries, envoy_binary: Path, tmp_path: Path
):
    """Beside a selector VMs stand only where the Service says so; then pods take their place, one by one."""

    async def scenario() -> None:
        async with world(binaries, envoy_binary, tmp_path) as all_:
            of = await all_.api.create(service("shop", "web", selector={"app": "web"}))
            all_.write("shop/web", *VMS)
            await all_.pods(of, PODS[0])
            await all_.has("shop/web", PODS[0])
            await all_.api.patch(of, {"metadata": {"annotations": {"registry-bridge.dev/beside-selector": "true"}}})
            await all_.has("shop/web", *VMS, PODS[0])
            await all_.answered("shop/web", *VMS, PODS[0])
            answers = await all_.answers("shop/web", 60)
            assert min(answers.values()) == 20, "each takes its share"
            await all_.pods(of, *PODS)
            await all_.has("shop/web", *VMS, *PODS)
            all_.write("shop/web", VMS[0])
            await all_.has("shop/web", VMS[0], *PODS)
            await all_.answered("shop/web", VMS[0], *PODS)

    apart.run(scenario())


def test_a_pod_answers_through_the_port_of_its_node(
    apart: Apart, binaries: Binaries, envoy_binary: Path, tmp_path: Path
):
    """Of two nodes the one that has the pod; then the other one too, until its node is not ready."""

    async def scenario() -> None:
        async with world(binaries, envoy_binary, tmp_path, writes=False, mode="node") as all_:
            for number in (1, 2):
                await all_.api.create(node(f"node-{number}", internal=[NODES[number - 1]]))
            ports = [{"name": "http", "port": 80, "nodePort": NODE_PORT}]
            made = service("shop", "orders", selector={"app": "orders"}, type="NodePort")
            made["spec"]["ports"] = ports
            of = await all_.api.create(made)
            async with Sample(NODES[0], NODE_PORT), Sample(NODES[1], NODE_PORT):  # as kube-proxy listens there
                await doubles.endpoints(all_.api, of, [Pod(PODS[0], node="node-1")], [("http", PORT)])
                await all_.has("shop/orders", NODES[0], port=NODE_PORT)
                await all_.answered("shop/orders", NODES[0])
                pods = [Pod(PODS[0], node="node-1"), Pod(PODS[1], node="node-2")]
                await doubles.endpoints(all_.api, of, pods, [("http", PORT)])
                await all_.has("shop/orders", *NODES, port=NODE_PORT)
                await all_.answered("shop/orders", *NODES)
                gone = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
                await all_.api.patch(await all_.api.get("Node", "node-2"), gone, part="status")
                await until(lambda: all_.is_("shop/orders", f"{NODES[1]}:{NODE_PORT}", "UNHEALTHY"), "it is unhealthy")
                await all_.answered("shop/orders", NODES[0])

    apart.run(scenario())


def test_pods_answer_through_their_load_balancer(apart: Apart, binaries: Binaries, envoy_binary: Path, tmp_path: Path):
    async def scenario() -> None:
        async with world(binaries, envoy_binary, tmp_path, writes=False, mode="loadbalancer") as all_:
            made = service("shop", "orders", [("http", PORT)], selector={"app": "orders"}, type="LoadBalancer")
            of = await all_.api.create(made)
            await all_.pods(of, PODS[0])
            await all_.api.patch(of, {"status": ingress(BALANCER)}, part="status")
            async with Sample(BALANCER, PORT):
                await all_.has("shop/orders", BALANCER)
                await all_.answered("shop/orders", BALANCER)

    apart.run(scenario())
