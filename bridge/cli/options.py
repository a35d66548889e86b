"""What several commands ask for: the configuration, the running bridge."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.client import Client, NotRunningError
from bridge.cli.output import note
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.config import Config

config = click.option(
    "--config",
    "-c",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="REGISTRY_BRIDGE_CONFIG",
    show_envvar=True,
    help="The configuration.  [default: bridge.yaml here, else /etc/registry-bridge/bridge.yaml]",
)

admin = click.option(
    "--admin",
    "url",
    metavar="URL",
    envvar="REGISTRY_BRIDGE_ADMIN",
    show_envvar=True,
    help="Ask the bridge whose admin port is there.  [default: admin.listen of the configuration]",
)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(_: click.Context, __: click.Parameter, value: str) -> float:
    """A time as a command takes it, in seconds."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", value, re.ASCII)
    if match is None:
        raise click.BadParameter("write a number with a unit, such as 30s, 10m or 1h")
    return float(int(match[1]) * _UNITS[match[2]])


def load(path: Path | None) -> "Config":
    """The configuration that was named, or the one in the usual place."""
    from bridge.config import find
    from bridge.config import load as load_config

    return load_config(find(path))


def client(path: Path | None, url: str | None) -> Client:
    """The admin port that was named, or that of the configuration, or the default one where there is none."""
    if url is not None:
        return Client(url)
    from bridge.config import AdminSettings, find

    try:
        found = find(path)
    except ConfigError:
        return Client(f"http://{AdminSettings().listen}")
    return Client(f"http://{load(found).root.admin.listen}")


def running(path: Path | None, url: str | None, offline: bool) -> Client | None:
    """The bridge to ask; None when the files are to be read instead, which is said on standard error."""
    if offline:
        return None
    found = client(path, url)
    try:
        found.get("/api/v1/status")
    except NotRunningError as error:
        if url is not None:
            raise
        note(f"note: {error}")
        note("note: reading the registries once instead; nothing is held then, and nobody asks (--offline says so)")
        return None
    return found
