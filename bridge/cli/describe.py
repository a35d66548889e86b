"""`schema`, `adapters` and `envoy-bootstrap`: what may be written, what is installed, and what Envoy starts with."""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import yaml

from bridge.cli import options, output
from bridge.errors import BridgeError, ConfigError


@click.command(short_help="Print a JSON schema: of the configuration, of an inventory.")
@click.argument("what", type=click.Choice(["config", "inventory"]))
@click.option("--kind", default="static", show_default=True, help="The kind of registry, for `inventory`.")
def schema(what: str, kind: str) -> None:
    """Print a JSON schema, for editors: of the configuration, or of an inventory.

    \b
    Example:
      registry-bridge schema inventory > inventory.schema.json
    """
    from bridge.config import installed
    from bridge.config import schema as config_schema

    if what == "config":
        printed = config_schema()
    else:
        adapters = installed()
        if kind not in adapters:
            raise ConfigError(f"--kind {kind!r} is not installed here; known are {', '.join(adapters) or 'none'}")
        inventory = adapters[kind]().inventory_schema
        if inventory is None:
            raise ConfigError(f"--kind {kind}: nobody writes inventories for this kind of registry")
        printed = dict(inventory)
    click.echo(json.dumps(printed, indent=2))


@click.command(short_help="List the kinds of registries that are installed.")
@output.option
def adapters(output_: str) -> None:
    """List the kinds of registries that are installed, and where they come from.

    \b
    Example:
      registry-bridge adapters
    """
    from bridge.config import ENTRY_POINTS, installation

    rows: list[dict[str, Any]] = []
    for entry in sorted(entry_points(group=ENTRY_POINTS)):
        try:
            entry.load()
            why = ""
        except ImportError as error:
            why = f"{error}; {installation(entry.name)}"
        distribution = entry.dist
        rows.append(
            {
                "kind": entry.name,
                "distribution": "" if distribution is None else distribution.name,
                "version": "" if distribution is None else distribution.version,
                "loads": not why,
                "why": why,
            }
        )
    if not output.document(output_, {"adapters": rows}):
        output.rows(
            "",
            ("kind", "distribution", "version", "state"),
            ((one["kind"], one["distribution"], one["version"], one["why"] or "ready") for one in rows),
            "none is installed; pip install 'registry-bridge[static]'",
        )


def _address(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, int] | None:
    from bridge.kit.settings import HostPort

    if value is None:
        return None
    try:
        found = HostPort.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return found.host, found.port


@click.command("envoy-bootstrap", short_help="Print a bootstrap with which Envoy works with the bridge.")
@click.option(
    "--mode", type=click.Choice(["ads", "eds"]), default="ads", show_default=True, help="What Envoy asks for."
)
@click.option("--service", "services", multiple=True, metavar="NAME", help="A cluster of mode eds; may be repeated.")
@click.option("--bridge", callback=_address, metavar="HOST:PORT", help="Where Envoy finds the bridge.  [xds.listen]")
@click.option("--listen", callback=_address, default="127.0.0.1:10000", show_default=True, help="Envoy's own listener.")
@click.option("--envoy-admin", callback=_address, default="127.0.0.1:9901", show_default=True, help="Its admin port.")
@click.option("--node", default="envoy", show_default=True, help="What this Envoy calls itself.")
@click.option("--sotw", is_flag=True, help="State of the world instead of delta.")
@click.option("--ca", metavar="FILE", help="The authority of the bridge's certificate, a file on Envoy's machine.")
@click.option("--cert", metavar="FILE", help="Envoy's own certificate, where the bridge asks for one.")
@click.option("--key", metavar="FILE", help="The key of --cert.")
@options.config
@click.option("--output", "-o", "output_", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def envoy_bootstrap(
    *,
    mode: str,
    services: tuple[str, ...],
    bridge: tuple[str, int] | None,
    listen: tuple[str, int],
    envoy_admin: tuple[str, int],
    node: str,
    sotw: bool,
    ca: str | None,
    cert: str | None,
    key: str | None,
    path: Path | None,
    output_: str,
) -> None:
    """Print a bootstrap with which Envoy works with this bridge.

    Its listener sends a request to the cluster that the header `x-service` names. Mode `ads` takes all clusters from
    the bridge; mode `eds` has the clusters of --service, and takes only their endpoints from it.

    \b
    Examples:
      registry-bridge envoy-bootstrap > envoy.yaml && envoy -c envoy.yaml
      registry-bridge envoy-bootstrap --mode eds --service shop/payments > envoy.yaml
    """
    from bridge.xds.bootstrap import BridgeTls, bootstrap

    config = options.load(path)
    xds = config.root.xds
    if mode == "eds" and not services:
        raise click.UsageError("--mode eds has the clusters in the file: name them with --service")
    if mode == "ads" and services:
        raise click.UsageError("--service belongs to --mode eds; in mode ads every cluster comes from the bridge")
    tls = None
    if xds.tls is not None:
        if ca is None:
            raise BridgeError("the bridge shows a certificate: name its authority with --ca, as Envoy's machine has it")
        if xds.tls.client_ca is not None and not (cert and key):
            raise BridgeError("the bridge asks for a certificate: name Envoy's own with --cert and --key")
        tls = BridgeTls(ca=ca, cert=cert or "", key=key or "")
    elif ca or cert or key:
        raise click.UsageError("--ca, --cert and --key belong to xds.tls, which the configuration does not have")
    made = bootstrap(
        "eds" if mode == "eds" else "ads",
        bridge or _reachable(xds.listen.host, xds.listen.port),
        clusters=services,
        delta=not sotw,
        listen=listen,
        admin=envoy_admin,
        node=node,
        tls=tls,
    )
    click.echo(json.dumps(made, indent=2) if output_ == "json" else yaml.safe_dump(made, sort_keys=False), nl=False)


def _reachable(host: str, port: int) -> tuple[str, int]:
    """Where a client on this machine finds what listens there."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port
