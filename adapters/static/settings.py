"""What the configuration says of a registry of `kind: static`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from adapters.static.file_sd import Labels
from adapters.static.inventory import Format
from adapters.static.records import Scope
from adapters.static.registry import Static, read_once
from adapters.static.schema import INVENTORY_SCHEMA
from bridge.adapter import Observation, Source
from bridge.kit import Kit
from bridge.kit.settings import ConfigPath, RegistrySettings, Several, Strict

Label = Annotated[str, Field(min_length=1, max_length=128)]


class FileSdSettings(Strict):
    """The labels of file_sd that say what a target is of; labels that begin with `__` are otherwise not read."""

    service: Label = "job"
    zone: Label = "zone"
    weight: Label = "weight"


class Settings(RegistrySettings):
    """Inventory files of the operator's own: native, or Prometheus file_sd."""

    inventory_schema: ClassVar[Mapping[str, Any] | None] = INVENTORY_SCHEMA

    kind: Literal["static"] = Field(description="which adapter reads it")
    files: Annotated[Several[ConfigPath], Field(min_length=1)] = Field(
        description="paths and globs; relative ones are taken from the configuration file's folder"
    )
    format: Format = Field(default="auto", description="auto goes by the shape of the content")
    file_sd: FileSdSettings = FileSdSettings()

    def open(self, kit: Kit) -> Source:
        return Static(self.files, self.format, self._scope(), self._labels(), kit.clock)

    def check(self) -> Observation:
        return read_once(self.files, self.format, self._scope(), self._labels())

    def _scope(self) -> Scope:
        return Scope(self.namespace or "", self.locality.value(), self.network)

    def _labels(self) -> Labels:
        return Labels(self.file_sd.service, self.file_sd.zone, self.file_sd.weight)
