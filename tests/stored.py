"""What commands meet where no bridge runs: registries in memory that outlive them, `vms` read and `out` written."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from bridge.adapter import Claim, RecordKey, Target
from bridge.cli.once import TICK
from bridge.kit import Kit
from bridge.model import Service
from bridge.runtime.election import deployment
from bridge.testing.memory import MemoryRegistry, MemorySettings
from bridge.testing.store import Store
from tests.builders import service
from tests.exporting import ONLY, config

PAYMENTS = service("shop/payments", "10.0.0.1:80", "10.0.0.2:80")
LEDGER = service("shop/ledger", "10.0.1.1:80")
KEY = RecordKey("shop/payments#0")


class StoreSettings(MemorySettings):
    """Memory registries that outlive a command: each opens anew what is in its store."""

    stores: ClassVar[dict[str, Store]] = {}
    spoil: ClassVar[Callable[[MemoryRegistry], None] | None] = None

    def open(self, kit: Kit) -> MemoryRegistry:
        registry = MemoryRegistry(mark=kit.mark, store=self.stores[kit.registry])
        if StoreSettings.spoil is not None:
            StoreSettings.spoil(registry)
        return registry


def begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a configuration that no bridge runs with: `vms` knows shop/payments, `out` is empty."""
    config(folder)
    monkeypatch.setattr("bridge.config.installed", lambda: {"memory": lambda: StoreSettings})
    monkeypatch.setattr(StoreSettings, "stores", {"vms": Store(), "out": Store()})
    monkeypatch.setattr(StoreSettings, "spoil", None)
    knows(PAYMENTS)
    says("out")


def knows(*services: Service) -> None:
    says("vms", *services)


def says(registry: str, *services: Service) -> None:
    MemoryRegistry(store=StoreSettings.stores[registry]).set(*services)


def out() -> Store:
    return StoreSettings.stores["out"]


def there() -> list[str]:
    return [str(key) for key in out().stands()]


def ours(folder: Path) -> str:
    return deployment(folder / "state")


def claim(owner: str = "prod") -> Claim:
    return out().claims[ONLY][owner]


def claims_are_seen_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before it was asked again whether there is any hope."""

    async def claim(_: MemoryRegistry, target: Target, claim: Claim) -> None:
        asyncio.get_running_loop().call_later(2 * TICK, out().claim, target, claim)

    monkeypatch.setattr(MemoryRegistry, "claim", claim)
