"""Replicas of one bridge, as processes: from an inventory file into the EndpointSlices of the tests' Kubernetes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.test_app import Process
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.leases import NAME

OWNER = "prod"
EXTRAS = "registry-bridge.dev/endpoints"
RATE = "{per_second: 500, burst: 500}"

Inventory = Mapping[str, Mapping[str, int]]
"""Service name to the weight of each address."""


def written(namespace: str, services: Inventory) -> str:
    """The inventory as a file has it."""
    return json.dumps(
        {
            "services": [
                {
                    "name": f"{namespace}/{name}",
                    "ports": {"http": 8080},
                    "endpoints": [{"address": address, "weight": weight} for address, weight in them.items()],
                }
                for name, them in services.items()
            ],
            "count": len(services),
        }
    )


class Replica(Process):
    """A process with a state folder of its own, on the inventory and in the election that it shares with others."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str, *, leader: str, state: str) -> None:
        super().__init__(folder, state=state)
        self.namespace = namespace
        self.kubeconfig = kubeconfig
        self.leader = leader

    def configure(self, text: str) -> None:
        super().configure(text)
        before = "registries: [{name: vms, kind: static, files: [vms.yaml]}]\n"
        self.config.write_text(
            self.config.read_text().replace(
                before,
                f"owner: {OWNER}\nregistries:\n- {{name: vms, kind: static, files: [vms.yaml]}}\n"
                f"- name: k8s\n  kind: kubernetes\n  kubeconfig: {self.kubeconfig}\n"
                f"  import: {{namespaces: [{self.namespace}]}}\n  export:\n"
                f"  - services: ['{self.namespace}/*']\n    from: [vms]\n    claim_namespace: {self.namespace}\n"
                f"    rate: {RATE}\n"
                f"leader: {self.leader}\n",
            )
        )

    async def exported(self) -> dict[str, Any]:
        (row,) = await self.rows("exports")
        return row

    async def leads(self) -> bool:
        """Whether it answers that it does."""
        status, body = await self.get("/api/v1/exports")
        return status == 200 and bool(body["exports"][0]["leading"])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


def elects(kubeconfig: Path, namespace: str, timing: str = "") -> str:
    return f"{{kind: kubernetes, kubeconfig: {kubeconfig}, namespace: {namespace}{timing}}}"


class Accepted(NamedTuple):
    """An accepted write of a slice or of the election's Lease; `version` is its place in the cluster's order."""

    version: int
    user: str
    verb: str
    name: str
    leads: bool | None  # whether the Lease is the user's by it; None: it is a slice


AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch"],
            "resources": [
                {"group": "discovery.k8s.io", "resources": ["endpointslices"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ],
        },
        {"level": "None"},
    ],
}


def audited(folder: Path) -> tuple[Path, list[str]]:
    """Where the server writes who made and changed which slice, and the flags by which it does so."""
    policy, log = folder / "audit-policy.json", folder / "audit.log"
    policy.write_text(json.dumps(AUDIT))
    return log, [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking-strict"]


class Audit:
    """Reads the server's audit log as it grows."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._found: list[Accepted] = []

    def accepted(self) -> list[Accepted]:
        """Every write so far that was accepted, in the order in which they were made."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._found += _accepted(json.loads(line))
        return sorted(self._found)


def _accepted(said: dict[str, Any]) -> list[Accepted]:
    kind, name = said["objectRef"]["resource"], said["objectRef"].get("name", "")
    if said["responseStatus"].get("code", 0) >= 300 or (kind == "leases" and name not in ("", NAME)):
        return []
    made = said["responseObject"]
    if kind == "leases" and made["metadata"]["name"] != NAME:
        return []
    leads = bool(made["spec"].get("holderIdentity")) if kind == "leases" else None
    version = int(made["metadata"]["resourceVersion"])
    return [Accepted(version, said["user"]["username"], said["verb"], made["metadata"]["name"], leads)]


class Late(NamedTuple):
    """A write of a slice that was accepted from somebody who led no more, after whoever leads had begun to write.

    `undoes`: the one who leads had written that slice.
    """

    write: Accepted
    undoes: bool


def late(writes: list[Accepted]) -> list[Late]:
    leader, begun, found = "", set[str](), list[Late]()
    for one in writes:
        if one.leads is not None:
            if one.leads and one.user != leader:
                leader, begun = one.user, set()
        elif one.user == leader:
            begun.add(one.name)
        elif begun:
            found.append(Late(one, one.name in begun))
    return found


async def said(api: Client, namespace: str) -> dict[str, dict[str, list[int]]]:
    """What all our slices say: service to address to its weights, one for each slice that has it."""
    found: dict[str, dict[str, list[int]]] = {}
    label = f"registry-bridge.dev/owner={OWNER}"
    for one in await api.list("EndpointSlice", namespace, labelSelector=label):
        meta = one["metadata"]
        extras = json.loads(meta.get("annotations", {}).get(EXTRAS, "{}"))
        there = found.setdefault(meta["labels"]["kubernetes.io/service-name"], {})
        for endpoint in one["endpoints"] or ():
            for address in endpoint["addresses"]:
                there.setdefault(address, []).append(extras.get(address, {}).get("weight", 1))
    return found


async def says(api: Client, namespace: str, services: Inventory) -> bool:
    """Whether they say exactly this, each endpoint once."""
    once = {name: {address: [weight] for address, weight in them.items()} for name, them in services.items() if them}
    return {name: them for name, them in (await said(api, namespace)).items() if them} == once
