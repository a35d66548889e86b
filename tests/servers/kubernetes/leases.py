"""Elections by a Lease of the tests' Kubernetes."""

from pathlib import Path
from typing import Any, Final

from adapters.kubernetes.election import LeaderSettings
from bridge.kit import Clock
from bridge.kit.election import Elector
from tests.servers.electing import CLOCK, SHORT
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.objects import Object

NAME: Final = "registry-bridge"


def elector(kubeconfig: Path, namespace: str, clock: Clock = CLOCK, **more: Any) -> Elector:
    given = {"kind": "kubernetes", "kubeconfig": str(kubeconfig), "namespace": namespace, **SHORT, **more}
    return LeaderSettings.model_validate(given).open(clock, None)


async def lease(api: Client, namespace: str) -> Object:
    """What the Lease says."""
    found: Object = (await api.get("Lease", NAME, namespace))["spec"]
    return found
