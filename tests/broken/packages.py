"""Adapters that packages with a fault: settings, entry points."""

from typing import Literal

from pydantic import ConfigDict

from bridge.adapter import Source
from bridge.kit import Kit
from bridge.kit.settings import RegistrySettings
from bridge.testing.memory import MemoryRegistry


class Nowhere(RegistrySettings):
    """Of a kind that no entry point names."""

    kind: Literal["nowhere"]

    def open(self, kit: Kit) -> Source:
        return MemoryRegistry()


class Lax(RegistrySettings):
    """Takes keys that mean nothing."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["lax"]

    def open(self, kit: Kit) -> Source:
        return MemoryRegistry()
