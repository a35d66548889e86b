"""Replicas of one bridge, as processes: from an inventory file into the EndpointSlices of the tests' Kubernetes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.test_app import Process
from tests.servers.kubernetes.client import Client

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
