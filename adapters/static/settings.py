"""What the configuration says of a registry of `kind: static`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.static import ansible
from adapters.static.csv_table import Columns
from adapters.static.file_sd import Labels
from adapters.static.inventory import How
from adapters.static.records import Scope, foreign_name
from adapters.static.registry import Static, read_once
from adapters.static.schema import INVENTORY_SCHEMA
from adapters.static.shapes import Format
from bridge.adapter import Observation, Source
from bridge.kit import Kit
from bridge.kit.place import excerpt
from bridge.kit.settings import ConfigPath, RegistrySettings, Several, Strict

Label = Annotated[str, Field(min_length=1, max_length=128)]


class FileSdSettings(Strict):
    """The labels of file_sd that say what a target is of; labels that begin with `__` are otherwise not read."""

    service: Label = "job"
    zone: Label = "zone"
    weight: Label = "weight"

    def value(self) -> Labels:
        return Labels(self.service, self.zone, self.weight)


def _variable(name: str) -> str:
    if name == "ansible_port":
        raise ValueError("'ansible_port' is the port of SSH, and not of a service; name another variable")
    return name


def _services(groups: dict[str, str]) -> dict[str, str]:
    for group, service in groups.items():
        try:
            foreign_name(service.replace("{group}", "x"), "x")
        except ValueError as error:
            raise ValueError(f"{excerpt(group)}: {error}") from None
    return groups


class AnsiblePortSettings(Strict):
    """Where the port of a host's service comes from."""

    var: Annotated[Label, AfterValidator(_variable)] | None = Field(
        default=None, description="the variable that has it"
    )
    default: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="for hosts without that variable"
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.var is None and self.default is None:
            raise ValueError("say where the port comes from; write `var:`, or `default:`, or both")
        return self


class AnsibleSettings(Strict):
    """Which groups of an Ansible inventory are services."""

    groups: Annotated[dict[Label, Label], Field(min_length=1), AfterValidator(_services)] = Field(
        description="a group or a pattern of groups to the name of the service; {group} stands for the group's name"
    )
    port: AnsiblePortSettings

    def value(self) -> ansible.Groups:
        return ansible.Groups(tuple(self.groups.items()), self.port.var or "", self.port.default)


class ColumnsSettings(Strict):
    """Which columns of a CSV file say what; `zone` and `weight` are read if they are there, `status` if it is named."""

    service: Label = "service"
    address: Label = "address"
    port: Label = "port"
    zone: Label | None = None
    weight: Label | None = None
    status: Label | None = None


class CsvSettings(Strict):
    """How a CSV file is to be understood."""

    columns: ColumnsSettings = ColumnsSettings()
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(default=None, description="found in the header by default")
    active: Several[Label] = Field(default=(), description="the values of `status` with which a line counts")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.columns.status is None) != (not self.active):
            raise ValueError("`columns.status` and `active` belong together; write both, or neither")
        return self

    def value(self) -> Columns:
        columns = self.columns
        return Columns(
            columns.service,
            columns.address,
            columns.port,
            columns.zone,
            columns.weight,
            columns.status,
            self.delimiter or "",
            self.active,
        )


class Settings(RegistrySettings):
    """Inventory files of the operator's own: native, or of a format that others write."""

    inventory_schema: ClassVar[Mapping[str, Any] | None] = INVENTORY_SCHEMA

    kind: Literal["static"] = Field(description="which adapter reads it")
    files: Annotated[Several[ConfigPath], Field(min_length=1)] = Field(
        description="paths and globs; relative ones are taken from the configuration file's folder"
    )
    format: Format = Field(default="auto", description="auto goes by the shape of the content")
    file_sd: FileSdSettings = FileSdSettings()
    ansible: AnsibleSettings | None = None
    csv: CsvSettings = CsvSettings()

    def open(self, kit: Kit) -> Source:
        return Static(self.files, self._how(), kit.clock)

    def check(self) -> Observation:
        return read_once(self.files, self._how())

    def _how(self) -> How:
        scope = Scope(self.namespace or "", self.locality.value(), self.network)
        groups = None if self.ansible is None else self.ansible.value()
        return How(self.format, scope, self.file_sd.value(), groups, self.csv.value())

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        if self.format == "ansible" and self.ansible is None:
            raise ValueError("format `ansible` needs `ansible: {groups: …, port: …}`, which say what is a service")
        return self
