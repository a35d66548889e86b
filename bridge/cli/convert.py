"""`convert`: other programs' files, and what stands in a registry, as native inventories."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from bridge.adapter import Problem
from bridge.cli import options, output
from bridge.errors import BridgeError, ConfigError
from bridge.model import Service, ServiceName

if TYPE_CHECKING:
    from bridge.cli.natives import Natives

CONVERTERS = "bridge.converters"
"""Entry points: the name of a format to `convert(text, where, namespace)`, its services and what is left out."""

WRITERS = "bridge.writers"
"""Entry points: the name of a format to the module that writes it (`Writer`)."""

Convert = Callable[[str, str, str], tuple[Mapping[ServiceName, Service], Sequence[Problem]]]


class Writer(Protocol):
    """What writes services in a format."""

    def text(self, services: Iterable[Service]) -> str:
        """The file."""
        ...

    def document(self, services: Iterable[Service]) -> dict[str, Any]:
        """The same as plain values."""
        ...


REGISTRY = "registry"
"""The format of what is no file, but a registry of the configuration."""


class _Where(click.ParamType[tuple[str, str]]):
    name = "KEY=GLOB"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> tuple[str, str]:
        key, equals, glob = str(value).partition("=")
        if not (key and equals and glob):
            self.fail(f"{value!r} is not of the form key=glob, such as registered-on=db-*", param, context)
        return key, glob


@click.command(short_help="Make a native inventory of another program's file, or of a registry.")
@click.argument("form", metavar="FORMAT")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@click.option("--namespace", default="default", show_default=True, help="Of services that are named without one.")
@click.option(
    "--where", "wheres", type=_Where(), multiple=True, help="Of a registry: only endpoints with this metadata."
)
@options.config
@click.option("--output", "-o", "output_", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def convert(
    *, form: str, file: Path, namespace: str, wheres: tuple[tuple[str, str], ...], path: Path | None, output_: str
) -> None:
    """Make a native inventory of FILE (`-` is standard input), and print it.

    FORMAT is haproxy (its backends), nginx (upstreams), envoy (ClusterLoadAssignment), istio (ServiceEntry with
    WorkloadEntry), endpointslice, or one that is installed besides. What cannot be said in an inventory is left out,
    and named on standard error.

    With the FORMAT registry, FILE names a registry of the configuration, which is read once: what others than bridges
    have there, such as hosts that were registered in a Consul by hand. Health that is good is not written down; other
    health is, and named. How consul-esm looked at them stands in a comment, as `health:` of the registry that will read
    the inventory.

    Exit codes: 0 done, 1 no service was found, 2 the file cannot be understood.

    \b
    Examples:
      registry-bridge convert haproxy /etc/haproxy/haproxy.cfg --namespace shop > vms.yaml
      kubectl get endpointslices -o yaml | registry-bridge convert endpointslice - > pods.yaml
      registry-bridge convert registry consul-dc2 --where "registered-on=db-*" > vms.yaml
    """
    from bridge.kit.names import label

    if form == REGISTRY:
        from bridge.cli.looked_at import looked_at

        there = _natives(str(file), path, wheres)
        for line in looked_at(there.services, there.probes):
            click.echo(f"# {line}", err=output_ == "json")
        _print(there.services, str(file), output_)
        return
    if wheres:
        raise click.UsageError("--where belongs to the format registry; a file is converted whole")

    try:
        label(namespace)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--namespace") from None
    where = "standard input" if str(file) == "-" else str(file)
    found: Convert = _entry(CONVERTERS, form).load()
    services, problems = found(_text(file, where), where, namespace)
    for problem in problems:
        output.note(f"left out: {problem}")
    _print(services, where, output_)


def _natives(registry: str, path: Path | None, wheres: Sequence[tuple[str, str]]) -> "Natives":
    """What stands in a registry; what is wrong with it is named."""
    from bridge.cli.natives import natives

    found = natives(options.load(path), registry, wheres)
    for problem in found.said.problems:
        output.note(f"left out: {problem}")
    for service in found.services.values():
        for one in service.endpoints:
            if one.health is not None:
                output.note(f"note: {service.name}: {one.id} is {one.health.name.lower()}, and is written down as that")
    return found


def _print(services: Mapping[ServiceName, Service], where: str, output_: str) -> None:
    """The inventory; BridgeError when it is empty."""
    writer: Writer = _entry(WRITERS, "native").load()
    if output_ == "json":
        click.echo(json.dumps(writer.document(services.values()), indent=2, ensure_ascii=False))
    else:
        click.echo(writer.text(services.values()), nl=False)
    if not services:
        raise BridgeError(f"{where}: no service was found")


def _entry(group: str, name: str) -> EntryPoint:
    known = {entry.name: entry for entry in entry_points(group=group)}
    if name not in known:
        raise ConfigError(
            f"{name!r} is no format that is installed here; known are {', '.join(sorted(known)) or 'none'}"
        )
    return known[name]


def _text(file: Path, where: str) -> str:
    from bridge.kit import files

    if str(file) == "-":
        data = sys.stdin.buffer.read(files.MAX_BYTES + 1)
        if len(data) > files.MAX_BYTES:
            raise ConfigError(f"{where}: holds more than {files.MAX_BYTES:,} bytes; split it into several files")
    else:
        content = files.read(file, where)
        if content is None:
            raise ConfigError(f"{where}: changes while it is read; try again")
        data = content.data
    text = files.text(data, where)
    if not text.strip():
        raise ConfigError(f"{where}: is empty")
    return text
