"""`convert`: other programs' files as native inventories."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

import click

from bridge.adapter import Problem
from bridge.cli import output
from bridge.errors import BridgeError, ConfigError
from bridge.model import Service, ServiceName

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


@click.command(short_help="Make a native inventory of another program's file.")
@click.argument("form", metavar="FORMAT")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@click.option("--namespace", default="default", show_default=True, help="Of services that are named without one.")
@click.option("--output", "-o", "output_", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def convert(form: str, file: Path, namespace: str, output_: str) -> None:
    """Make a native inventory of FILE (`-` is standard input), and print it.

    FORMAT is haproxy (its backends), nginx (upstreams), envoy (ClusterLoadAssignment), istio (ServiceEntry with
    WorkloadEntry), endpointslice, or one that is installed besides. What cannot be said in an inventory is left out,
    and named on standard error.

    Exit codes: 0 done, 1 no service was found, 2 the file cannot be understood.

    \b
    Examples:
      registry-bridge convert haproxy /etc/haproxy/haproxy.cfg --namespace shop > vms.yaml
      kubectl get endpointslices -o yaml | registry-bridge convert endpointslice - > pods.yaml
    """
    from bridge.kit.names import label

    try:
        label(namespace)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--namespace") from None
    where = "standard input" if str(file) == "-" else str(file)
    found: Convert = _entry(CONVERTERS, form).load()
    services, problems = found(_text(file, where), where, namespace)
    for problem in problems:
        output.note(f"left out: {problem}")
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
