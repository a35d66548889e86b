"""The bridge does all that it does with exactly the rights that the chart grants, and says which one is missing."""

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import grpc
import pytest

from bridge.testing.xds import EDS, XdsClient
from tests.envoy.harness import until
from tests.servers.deploy import Tools, configuration, named
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.client import granted as granted_by
from tests.servers.kubernetes.objects import Object, service
from tests.servers.kubernetes.server import ApiServer
from tests.whole import Whole


class Granted(NamedTuple):
    """A right: by the role that grants it (what its name adds to the release's), its resource and its verb."""

    role: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb}-{self.resource}{self.role}"


RIGHTS = [
    Granted("-read", "services", "list"),
    Granted("-read", "services", "watch"),
    Granted("-read", "endpointslices", "list"),
    Granted("-read", "endpointslices", "watch"),
    Granted("-nodes", "nodes", "list"),
    Granted("-nodes", "nodes", "watch"),
    Granted("-write", "endpointslices", "create"),
    Granted("-write", "endpointslices", "update"),
    Granted("-write", "endpointslices", "delete"),
    Granted("-write", "services", "get"),
    Granted("-write", "services", "create"),
    Granted("-write", "services", "update"),
    Granted("-write", "services", "delete"),
    Granted("-write", "events", "create"),
    Granted("-write", "events", "patch"),
    Granted("-claims", "leases", "get"),
    Granted("-claims", "leases", "list"),
    Granted("-claims", "leases", "watch"),
    Granted("-claims", "leases", "create"),
    Granted("-claims", "leases", "update"),
    Granted("", "leases", "get"),
    Granted("", "leases", "create"),
    Granted("", "leases", "update"),
    Granted("", "configmaps", "get"),
    Granted("", "configmaps", "create"),
    Granted("", "configmaps", "update"),
]
"""All that a bridge with every feature in use is granted."""

QUICK = {"settled": "1s", "gather": "100ms", "confirm": "1s", "last": "1s", "flood_release": "1s", "probe": False}
T = TypeVar("T")


class RefusedError(Exception):
    """The cluster refused the bridge something."""


class Release:
    """A release of the chart in namespaces of its own, and the bridge that runs by its configuration and its rights."""

    def __init__(self, tools: Tools, cluster: ApiServer, api: Client, folder: Path) -> None:
        self.folder = folder
        self.name = ""
        self.config: Any = None
        self._home = self._shop = ""
        self._tools = tools
        self._cluster = cluster
        self._api = api
        self._bridge: Whole | None = None
        self._said = ""

    async def install(self, without: Granted | None = None, *, apart: bool = False) -> None:
        """Apply what the chart renders, less one right, and start the bridge; `apart`: its namespace is named."""
        self._home, claims = await self._api.namespace("home"), await self._api.namespace("claims")
        self._shop = await self._api.namespace("shop")
        self.name = f"{self._home}-registry-bridge"
        reads = {"namespaces": [self._shop]} if apart else {"nodes": True}
        objects = self._tools.template(self._values(claims, reads), release=self._home, namespace=self._home)
        assert granted(objects, self.name) == {one for one in RIGHTS if not (apart and one.resource == "nodes")}
        assert apart != any(one["kind"] == "ClusterRole" for one in objects)
        for one in objects:
            if without is not None:
                take(one, self.name, without)
            await self._api.apply(one)
        await self._heard(objects)
        await self._configure(objects)
        await self._api.create(service(self._shop, "taken", selector={"app": "taken"}))
        self.write()
        await self.start()

    async def _heard(self, objects: list[Object]) -> None:
        """Until whoever decides knows of all that is granted."""
        account = f"system:serviceaccount:{self._home}:{self.name}"
        for one in objects:
            if one["kind"] in ("Role", "ClusterRole"):
                await self._api.heard(account, granted_by(one), one["metadata"].get("namespace", ""))

    def _values(self, claims: str, reads: Mapping[str, Any]) -> dict[str, Any]:
        export = {"services": [f"{self._shop}/*"], "from": ["vms"], "create_services": True, "claim_namespace": claims}
        return {
            "kubernetes": {"import": reads, "export": [export]},
            "registries": [{"name": "vms", "kind": "static", "files": ["vms.yaml"], "removals": QUICK}],
            "config": {"start": {"wait": "1s"}, "leader": {"lease": "2s", "renew": "1500ms", "retry": "200ms"}},
        }

    async def _configure(self, objects: list[Object]) -> None:
        """What a pod has in its volumes; the cluster is found by a kubeconfig instead of a pod's environment."""
        (self.folder / "tls").mkdir(parents=True)
        for file, content in named(objects, "Secret", f"{self.name}-tls")["data"].items():
            (self.folder / "tls" / file).write_bytes(base64.b64decode(content))
        token = await self._api.token(self._home, self.name)
        kubeconfig = str(self._cluster.kubeconfig(self.folder, "pod", token=token, namespace=self._home))
        self.config = configuration(objects)
        self.config["registries"][0]["kubeconfig"] = self.config["leader"]["kubeconfig"] = kubeconfig
        self.config["snapshot"]["path"] = "state"
        del self.config["probes"]

    async def start(self) -> None:
        self._bridge = await Whole(self.folder, self.config).__aenter__()

    async def stop(self) -> None:
        if self._bridge is not None:
            self._said += self._bridge.log()
            await self._bridge.__aexit__()
            self._bridge = None

    def write(self, *addresses: str, **ports: int) -> None:
        """The inventory: `ledger` at these addresses, if there are any, and `taken`, which is a Service of pods."""
        said = [{"name": f"{self._shop}/taken", "ports": {"http": 80}, "endpoints": ["10.20.0.1"]}]
        if addresses:
            said.append({"name": f"{self._shop}/ledger", "ports": ports, "endpoints": list(addresses)})
        fresh = self.folder / ".vms.new"
        fresh.write_text(json.dumps({"services": said}))
        fresh.replace(self.folder / "vms.yaml")

    async def order(self, path: str, **body: Any) -> None:
        """An operator's word; what is answered counts as said."""
        assert self._bridge is not None
        url = f"http://127.0.0.1:{self._bridge.admin}/api/v1/{path}"
        async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
            self._said += await answer.text()

    async def told(self) -> list[str]:
        """What an Envoy hears of `ledger` that shows the certificate which the chart made for it."""
        assert self._bridge is not None
        secret = (await self._api.get("Secret", f"{self.name}-client", self._home))["data"]
        ca, key, cert = (base64.b64decode(secret[one]) for one in ("ca.crt", "tls.key", "tls.crt"))
        credentials, name = grpc.ssl_channel_credentials(ca, key, cert), f"{self._shop}/ledger"
        async with XdsClient(f"localhost:{self._bridge.xds}", credentials=credentials) as client:
            await client.ask(EDS, name)
            await client.until(lambda: name in client.have(EDS))
            return client.hosts(name)

    def refused(self) -> list[tuple[str, str]]:
        """Verb and resource of all that was refused so far, each time that it was said."""
        said = self._said + (self._bridge.log() if self._bridge is not None else "")
        return re.findall(r'cannot (\w+) resource \\"([\w/]+)\\"', said)

    async def becomes(self, ask: Callable[[], Awaitable[T]], wanted: T) -> None:
        """Wait until that is the answer; RefusedError as soon as something was refused."""
        await self._hears(ask, lambda answer: answer == wanted)

    async def changes(self, ask: Callable[[], Awaitable[T]], before: T) -> T:
        """Wait for another answer; RefusedError as soon as something was refused."""
        return await self._hears(ask, lambda answer: answer != before)

    async def _hears(self, ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        found: list[T] = []

        async def is_so() -> bool:
            if self.refused():
                raise RefusedError(f"while {ask.__name__} was {found}")
            found[:] = [await ask()]
            return good(found[0])

        await until(is_so, f"{ask.__name__} is another one")
        return found[0]

    async def ledger(self) -> tuple[list[int], list[str]]:
        """The ports of the Service `ledger`, none where it is not there, and the addresses in its slices."""
        services = [one for one in await self._api.list("Service", self._shop) if one["metadata"]["name"] == "ledger"]
        slices = await self._api.list("EndpointSlice", self._shop, labelSelector="kubernetes.io/service-name=ledger")
        addresses = sorted(one["addresses"][0] for slice_ in slices for one in slice_["endpoints"])
        return sorted(port["port"] for one in services for port in one["spec"]["ports"]), addresses

    async def note(self) -> list[str]:
        """The versions of the notes why `taken` is not written."""
        said = await self._api.list("Event", self._shop)
        return [one["metadata"]["resourceVersion"] for one in said if one["involvedObject"]["name"] == "taken"]

    async def frozen(self) -> bool:
        """Whether the decisions that all replicas read have the inventory frozen."""
        kept = [one["data"] for one in await self._api.list("ConfigMap", self._home)]
        return any('"vms"' in one.get("decisions.json", "") for one in kept)


def granted(objects: list[Object], name: str) -> set[Granted]:
    return {
        Granted(one["metadata"]["name"].removeprefix(name), resource, verb)
        for one in objects
        if one["kind"] in ("Role", "ClusterRole")
        for rule in one["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def take(role: Object, name: str, right: Granted) -> None:
    """Take a right from the role that grants it."""
    if role["kind"] in ("Role", "ClusterRole") and role["metadata"]["name"] == name + right.role:
        for rule in role["rules"]:
            if right.resource in rule["resources"] and right.verb in rule["verbs"]:
                rule["verbs"].remove(right.verb)
        role["rules"] = [rule for rule in role["rules"] if rule["verbs"]]


async def everything(one: Release) -> None:
    """All that a bridge does in a cluster, each of its rights used."""
    one.write("10.20.0.7", http=8080)
    await one.becomes(one.ledger, ([8080], ["10.20.0.7"]))
    one.write("10.20.0.7", "10.20.0.8", http=8080)
    await one.becomes(one.ledger, ([8080], ["10.20.0.7", "10.20.0.8"]))
    one.write("10.20.0.7", "10.20.0.8", http=8080, admin=9090)
    await one.becomes(one.ledger, ([8080, 9090], ["10.20.0.7", "10.20.0.8"]))
    await one.becomes(one.told, ["10.20.0.7:8080", "10.20.0.8:8080"])
    one.write()
    await one.becomes(one.ledger, ([], []))

    await one.order("freeze", source="vms", **{"for": 3600})
    await one.becomes(one.frozen, True)
    await one.order("unfreeze", source="vms")
    await one.becomes(one.frozen, False)

    note = await one.changes(one.note, [])
    await one.stop()
    await one.start()
    assert len(await one.changes(one.note, note)) == len(note) == 1


@pytest.fixture
async def release(tools: Tools, cluster: ApiServer, api: Client, tmp_path: Path) -> AsyncIterator[Release]:
    made = Release(tools, cluster, api, tmp_path / "bridge")
    yield made
    await made.stop()


@pytest.mark.promise("S-15")
@pytest.mark.parametrize("apart", [False, True], ids=["everywhere", "in-one-namespace"])
async def test_the_rights_that_are_granted_suffice_for_everything(release: Release, apart: bool) -> None:
    await release.install(apart=apart)
    await everything(release)
    assert release.refused() == []


@pytest.mark.promise("S-15")
@pytest.mark.parametrize("right", RIGHTS, ids=str)
async def test_each_right_is_needed_and_one_line_says_that_it_is_missing(release: Release, right: Granted) -> None:
    await release.install(without=right)
    with pytest.raises(RefusedError):
        await everything(release)
    assert release.refused() == [(right.verb, right.resource)]
