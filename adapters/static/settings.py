"""What the configuration says of a registry of `kind: static`."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.static import ansible
from adapters.static.csv_table import Columns
from adapters.static.feed import Feed
from adapters.static.file_sd import Labels
from adapters.static.http_sd import Access, fetch, shown
from adapters.static.inventory import How
from adapters.static.layouts.formats import HOST, Written, layout
from adapters.static.layouts.layout import Layout
from adapters.static.records import Scope, foreign_name
from adapters.static.registry import Static, read_once
from adapters.static.schema import INVENTORY_SCHEMA
from adapters.static.shapes import Format
from adapters.static.standing_file import hindrance
from adapters.static.target import TargetFile
from bridge.adapter import Observation, Problem, Source, Target, Unread
from bridge.kit import Kit
from bridge.kit.address import host
from bridge.kit.place import excerpt
from bridge.kit.settings import ConfigPath, Duration, ExportSettings, RegistrySettings, Secret, Several, Strict
from bridge.table import Table

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
    command: Annotated[Several[Label], Field(min_length=1)] = Field(
        default=(),
        description="the tool and its options, such as [ansible-inventory]: it reads the files instead of the bridge, "
        "and may run what they name",
    )

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


def _url(text: str) -> str:
    # no message repeats the value: it may hold a password
    try:
        parts = urlsplit(text)
        port_will_do = parts.port != 0
    except ValueError:
        raise ValueError("is not a URL; write such as https://sd.example/targets") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_will_do or not text.isprintable():
        raise ValueError("is not a URL of http or https; write such as https://sd.example/targets")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or a password in it; put a token into a file, and name it with `http_sd.token`")
    if parts.fragment or " " in text:
        raise ValueError("has a blank or a `#` in it, which no server is sent; remove it")
    return text


class HttpSdSettings(Strict):
    """How the servers of `urls` are asked."""

    ca: ConfigPath | None = Field(default=None, description="the authority of their certificates; else the system's")
    token: Secret | None = Field(default=None, description="a bearer token, read anew each time")
    refresh: Duration = Field(default="60s", validate_default=True, description="the time between two questions")

    @model_validator(mode="after")
    def _gentle(self) -> Self:
        if self.refresh < 1:
            raise ValueError("`refresh` is less than 1s; that is no way to treat a server")
        return self


def _one_file(path: Path) -> Path:
    if not path.name or path.name == ".." or has_magic(str(path)):
        raise ValueError(f"{excerpt(str(path))} is not the name of one file")
    return path


def _host(text: str) -> str:
    try:
        made = host(text.format(name="a", namespace="b"))
    except (ValueError, KeyError, IndexError, AttributeError):
        made = ""
    if not made or "{name}" not in text:
        raise ValueError(f"{excerpt(text)} makes no host name; write such as {HOST}")
    return text


class FileExportSettings(ExportSettings):
    """A file that is written, with a block for each service; one that does not carry our mark is never touched."""

    file: Annotated[ConfigPath, AfterValidator(_one_file)] = Field(description="the file to be written")
    format: Written = Field(
        description="file_sd is JSON unless the file is named .yaml, native is YAML unless it is named .json"
    )
    host: Annotated[str, AfterValidator(_host)] = Field(
        default=HOST, description="the names in a hosts file, made of {name} and {namespace}"
    )

    @property
    def target(self) -> Target:
        return Target(str(self.file))

    @property
    def place(self) -> str:
        return os.path.realpath(self.file)

    @model_validator(mode="after")
    def _hosts_only(self) -> Self:
        if self.host != HOST and self.format != "hosts":
            raise ValueError("`host` makes the names of a hosts file; remove it, or write `format: hosts`")
        return self

    def layout(self, labels: Labels) -> Layout:
        """How the file is laid out."""
        yaml = self.file.suffix in (".yaml", ".yml")
        as_json = not yaml if self.format == "file_sd" else self.file.suffix == ".json"
        return layout(self.format, as_json=as_json, labels=labels, host=self.host)


class Settings(RegistrySettings):
    """Inventories of the operator's own, in files and behind URLs: native, or of a format that others write."""

    inventory_schema: ClassVar[Mapping[str, Any] | None] = INVENTORY_SCHEMA

    kind: Literal["static"] = Field(description="which adapter reads it")
    files: Annotated[Several[ConfigPath], Field(min_length=1)] = Field(
        default=(),
        description="paths and globs; relative ones are taken from the configuration file's folder",
    )
    urls: Annotated[Several[Annotated[str, AfterValidator(_url)]], Field(min_length=1)] = Field(
        default=(),
        description="where servers tell targets in the manner of Prometheus (http_sd)",
    )
    format: Format = Field(default="auto", description="auto goes by the shape of the content")
    file_sd: FileSdSettings = FileSdSettings()
    ansible: AnsibleSettings | None = None
    csv: CsvSettings = CsvSettings()
    http_sd: HttpSdSettings = HttpSdSettings()
    export: Several[FileExportSettings] = Field(default=(), description="files that are written")

    def open(self, kit: Kit) -> Source:
        """Without a mark nothing is known as ours, and nothing is written."""
        mark, labels = kit.mark, self.file_sd.value()
        written = [
            TargetFile(one.target, one.file, one.layout(labels), mark) for one in self.export if mark is not None
        ]
        how = self._how()._replace(owner=mark.owner if mark is not None else "")
        return Static(self.files, how, kit.clock, self._feeds(), self._tool, written=written)

    def check(self, owner: str = "") -> Observation | None:
        unread = [Unread(where, 0.0, "is not asked offline") for where in self._places()]
        if self._tool:
            unread += [Unread(str(path), 0.0, "is not read offline: `ansible.command` reads it") for path in self.files]
        wrong = {one.target: hindrance(one.file, owner) for one in self.export}
        problems = tuple(
            Problem("export", target, why.removeprefix(f"{target}: ")) for target, why in wrong.items() if why
        )
        if not self.files:
            return Observation(Table(), 1, problems, len(unread), tuple(unread))
        read = read_once(() if self._tool else self.files, self._how()._replace(owner=owner), unread)
        return replace(read, problems=(*read.problems, *problems))

    @property
    def _tool(self) -> tuple[str, ...]:
        return () if self.ansible is None else self.ansible.command

    def _places(self) -> dict[str, str]:
        """What messages call each of the URLs, and the URL."""
        places: dict[str, str] = {}
        for index, url in enumerate(self.urls):
            where = shown(url)
            places[f"{where} (urls[{index}])" if where in places else where] = url
        return places

    def _feeds(self) -> list[Feed]:
        access = Access(self.http_sd.ca, self.http_sd.token, self.http_sd.refresh)
        how = self._how()._replace(form="file_sd")
        return [
            Feed(where, "url", how.reader(where), partial(fetch, url, where, access), access.refresh)
            for where, url in self._places().items()
        ]

    def _how(self) -> How:
        scope = Scope(self.namespace or "", self.locality.value(), self.network)
        groups = None if self.ansible is None else self.ansible.value()
        return How(self.format, scope, self.file_sd.value(), groups, self.csv.value())

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.files and not self.urls and not self.export:
            raise ValueError("says not where the inventory is; write `files:`, or `urls:`, or both")
        places: dict[str, int] = {}
        for index, one in enumerate(self.export):
            first = places.setdefault(one.place, index)
            if first != index:
                raise ValueError(
                    f"export[{first}].file and export[{index}].file are one file, {one.place}; name another"
                )
        if self._tool and self.format != "ansible":
            raise ValueError("`ansible.command` reads all of the files; write `format: ansible` too")
        if self.http_sd.token is not None:
            for url in self.urls:
                if url.startswith("http:") and urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost"):
                    raise ValueError(f"{shown(url)} would be sent `http_sd.token` in plain text; write https")
        return self

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        if self.format == "ansible" and self.ansible is None:
            raise ValueError("format `ansible` needs `ansible: {groups: …, port: …}`, which say what is a service")
        return self
