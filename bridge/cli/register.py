"""`register` and `deregister`: one endpoint by hand, in an inventory that is kept so."""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import click

from bridge.errors import ConfigError

REGISTRARS = "bridge.registrars"
"""Entry points: the name of an inventory's format to the module that keeps it (`Registrar`)."""


class Registrar(Protocol):
    """What keeps inventories; each function returns what it did, in a sentence."""

    def register(
        self,
        inventory: Path,
        name: str,
        address: str,
        ports: Sequence[tuple[str, int]],
        labels: Mapping[str, str],
        *,
        weight: int,
        zone: str,
        adopt: bool,
    ) -> str:
        """Put an endpoint into the file; ConfigError says what will not do."""
        ...

    def deregister(self, inventory: Path, name: str, address: str, port: int | None) -> str:
        """Take an endpoint out of the file; BridgeError when it is not there."""
        ...


class _Port(click.ParamType[tuple[str, int]]):
    name = "[NAME=]NUMBER"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        name, _, number = str(value).rpartition("=")
        if not (number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= 65535):
            self.fail(f"{value!r} is not a port; write such as http=8080, or 8080", param, context)
        return name, int(number)


class _Labels(click.ParamType[tuple[tuple[str, str], ...]]):
    name = "KEY=VALUE[,KEY=VALUE…]"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        pairs = [one.partition("=") for one in str(value).split(",")]
        if not all(key and equals for key, equals, _ in pairs):
            self.fail(f"{value!r} is not of the form key=value, or key=value,key=value", param, context)
        return tuple((key, said) for key, _, said in pairs)


_inventory = click.option(
    "--inventory",
    "-i",
    required=True,
    type=click.Path(path_type=Path),
    help="The inventory, a .yaml file; `register` makes it where there is none.",
)


@click.command(short_help="Put one machine into an inventory.")
@click.argument("name")
@click.argument("address")
@_inventory
@click.option("--port", "ports", type=_Port(), multiple=True, required=True, help="The first one is the primary port.")
@click.option("--labels", "-l", type=_Labels(), multiple=True, help="Metadata of the machine; may be repeated.")
@click.option("--weight", type=click.IntRange(1, 65535), default=1, show_default=True)
@click.option("--zone", default="", help="Where it is.")
@click.option("--adopt", is_flag=True, help="Take over an inventory written by hand; its comments are lost.")
def register(
    *,
    name: str,
    address: str,
    inventory: Path,
    ports: tuple[tuple[str, int], ...],
    labels: tuple[tuple[tuple[str, str], ...], ...],
    weight: int,
    zone: str,
    adopt: bool,
) -> None:
    """Put the machine at ADDRESS into the service NAME (namespace/name) of an inventory.

    One that is there under that address and primary port is replaced. A file that was not made so is left alone.
    A bridge that reads the file follows at once.

    Exit codes: 0 it is there, 2 it will not do.

    \b
    Example:
      registry-bridge register shop/payments 10.20.0.7 --port http=8080 --labels team=payments -i vms.yaml
    """
    said = {key: value for pairs in labels for key, value in pairs}
    click.echo(_registrar().register(inventory, name, address, ports, said, weight=weight, zone=zone, adopt=adopt))


@click.command(short_help="Take one machine out of an inventory.")
@click.argument("name")
@click.argument("address")
@_inventory
@click.option("--port", type=click.IntRange(1, 65535), help="Only what has this primary port.")
def deregister(name: str, address: str, inventory: Path, port: int | None) -> None:
    """Take the machine at ADDRESS out of the service NAME of an inventory that `register` made.

    Exit codes: 0 it is gone, 1 it was not there, 2 the file is not one of ours.

    \b
    Example:
      registry-bridge deregister shop/payments 10.20.0.7 -i vms.yaml
    """
    click.echo(_registrar().deregister(inventory, name, address, port))


def _registrar() -> Registrar:
    found = sorted(entry_points(group=REGISTRARS), key=lambda entry: entry.name)
    if not found:
        raise ConfigError("nothing that keeps inventories is installed; install registry-bridge[static]")
    registrar: Registrar = found[0].load()
    return registrar
