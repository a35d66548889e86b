"""`holds` and `freeze`: the operator's word on what has disappeared."""

from collections import Counter
from pathlib import Path

import click

from bridge.cli import options, output
from bridge.cli.client import Client
from bridge.cli.show import table
from bridge.errors import BridgeError
from bridge.model import ServiceName


@click.group(invoke_without_command=True, short_help="List and accept what is gone and not yet believed to be.")
@options.config
@options.admin
@output.option
@click.pass_context
def holds(context: click.Context, path: Path | None, url: str | None, output_: str) -> None:
    """List what is held: gone from its registry, and not yet believed to be gone.

    A hold ends by itself when there is evidence, or by your word: `holds accept`. Registries in a health flood are
    named too.

    \b
    Example:
      registry-bridge holds
    """
    if context.invoked_subcommand is None:
        _list(options.client(path, url), output_, "", "")


@holds.command("list", short_help="List what is held.")
@click.argument("service", required=False, default="")
@click.option("--source", default="", metavar="NAME", help="Only those of this registry.")
@options.config
@options.admin
@output.option
def list_(*, service: str, source: str, path: Path | None, url: str | None, output_: str) -> None:
    """List what is held, since when, why, and what it waits for.

    \b
    Example:
      registry-bridge holds list shop/payments
    """
    _list(options.client(path, url), output_, service, source)


def _list(client: Client, output_: str, service: str, source: str) -> None:
    rows = _held(client, service, source, "")
    if not output.document(output_, {"holds": rows}):
        table("holds", rows)
        _doubted(client, source)


def _doubted(client: Client, source: str) -> None:
    """Name the registries of which so much turned unhealthy at a time that it waits for a word too."""
    for row in client.get("/api/v1/sources")["sources"]:
        if row["health_flood"] and source in ("", row["name"]):
            word = f"registry-bridge holds accept --health --source {row['name']}"
            output.note(f"{row['name']}: so much turned unhealthy at a time that it is doubted; `{word}` believes it")


def _held(client: Client, service: str, source: str, endpoint: str) -> list[dict[str, str]]:
    rows = client.get("/api/v1/holds")["holds"]
    return [
        row
        for row in rows
        if service in ("", row["service"]) and source in ("", row["source"]) and endpoint in ("", row["endpoint"])
    ]


@holds.command(short_help="Say that what is held is meant to go.")
@click.argument("service", required=False, default="")
@click.option("--source", default="", metavar="NAME", help="Only those of this registry.")
@click.option("--endpoint", default="", metavar="ADDRESS:PORT", help="Only this one.")
@click.option("--all", "all_", is_flag=True, help="Everything that is held.")
@click.option("--health", is_flag=True, help="Believe the bad health that --source reports, in a health flood.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@options.config
@options.admin
@output.option
def accept(
    *,
    service: str,
    source: str,
    endpoint: str,
    all_: bool,
    health: bool,
    yes: bool,
    path: Path | None,
    url: str | None,
    output_: str,
) -> None:
    """Say that what is held is meant to go: it is deleted at once.

    The word counts for what is held now, and for an hour; what comes back and disappears again is held again.

    \b
    Examples:
      registry-bridge holds accept shop/payments
      registry-bridge holds accept --source vms --all --yes
    """
    if service:
        try:
            ServiceName.parse(service)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    client = options.client(path, url)
    if health:
        _accept_health(client, source, yes, output_)
        return
    if not (service or source or endpoint or all_):
        raise click.UsageError("say which: SERVICE, --source, --endpoint, or --all")
    rows = _held(client, service, source, endpoint)
    if not rows:
        raise BridgeError("nothing like that is held; `registry-bridge holds` lists what is")
    counts = Counter((row["source"], row["service"]) for row in rows)
    for (of, name), count in sorted(counts.items()):
        output.note(f"{of}: {name}: {count} endpoint{'' if count == 1 else 's'} will be deleted")
    output.confirm(yes, f"Delete {len(rows)} held endpoint{'' if len(rows) == 1 else 's'}?")
    body: dict[str, object] = {
        key: value for key, value in (("service", service), ("source", source), ("endpoint", endpoint)) if value
    }
    accepted = client.post("/api/v1/holds/accept", body or {"all": True})
    if not output.document(output_, accepted):
        done = len(accepted["accepted"])
        output.say(f"accepted: {done} endpoint{'' if done == 1 else 's'}")


def _accept_health(client: Client, source: str, yes: bool, output_: str) -> None:
    if not source:
        raise click.UsageError("--health needs --source: the registry whose bad health is to be believed")
    output.confirm(yes, f"Believe all the bad health that {source} reports?")
    accepted = client.post("/api/v1/holds/accept", {"source": source, "health": True})
    if not output.document(output_, accepted):
        output.say(f"accepted: the health that {source} reports")


def _for(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if not (seconds := options.duration(context, parameter, value)):
        raise click.BadParameter("a freeze takes some time; write such as 30m or 1h, or say --off")
    return seconds


@click.command(short_help="Let the last view of a registry stand, for maintenance.")
@click.argument("source")
@click.option("--for", "for_", callback=_for, metavar="TIME", help="How long, such as 30m or 1h.")
@click.option("--off", is_flag=True, help="End the freeze.")
@options.config
@options.admin
@output.option
def freeze(*, source: str, for_: float | None, off: bool, path: Path | None, url: str | None, output_: str) -> None:
    """Let the last view of a registry stand during maintenance: whatever it says meanwhile.

    \b
    Examples:
      registry-bridge freeze vms --for 1h
      registry-bridge freeze vms --off
    """
    if off is (for_ is not None):
        raise click.UsageError("say --for TIME, or --off")
    client = options.client(path, url)
    if for_ is None:
        done = client.post("/api/v1/unfreeze", {"source": source})
    else:
        done = client.post("/api/v1/freeze", {"source": source, "for": for_})
    if not output.document(output_, done):
        output.say(f"{source}: frozen for {output.seconds(for_)}" if for_ else f"{source}: not frozen any more")
