"""`show` and `explain`: what the bridge knows, and why Envoy was told what it was told."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from bridge.cli import exporting, options, output
from bridge.cli.client import Client
from bridge.errors import BridgeError
from bridge.model import ServiceName

Row = Mapping[str, Any]


def _pairs(pairs: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in pairs.items())


def _ports(row: Row) -> str:
    return " ".join(
        f"{name}:{number}" if name != str(number) else name
        for name, numbers in row["ports"].items()
        for number in (numbers if isinstance(numbers, list) else [numbers])
    )


def _health(row: Row) -> str:
    check = row["check"]
    failed = f" ({check['what']})" if check is not None and check["health"] == "unhealthy" else ""
    return f"{row['health'] or '-'}{' (held)' if row['held'] else ''}{failed}"


def _where(row: Row) -> str:
    return "/".join(row["locality"].get(key, "") for key in ("region", "zone", "sub_zone")).strip("/")


def _state(row: Row) -> str:
    also = [word.replace("_", " ") for word in ("flood", "health_flood", "frozen") if row[word]]
    if row["frozen_for"] is not None:
        also[-1:] = [f"frozen for {output.seconds(row['frozen_for'])}"]
    return ", ".join([row["state"], *also])


def _types(row: Row) -> str:
    told = []
    for one in row["types"]:
        what = "clusters" if one["type"] == "Cluster" else "endpoints"
        asked = "all" if one["wildcard"] else str(one["names"])
        parked = f", {len(one['parked'])} refused" if one["parked"] else ""
        told.append(f"{what}: {asked} asked, {one['told']} told{parked}")
    return "; ".join(told)


TABLES: dict[str, tuple[tuple[str, ...], Callable[[Row], tuple[object, ...]], str]] = {
    "services": (
        ("service", "endpoints", "healthy", "held", "ports", "sources"),
        lambda row: (
            row["name"],
            row["endpoints"],
            row["healthy"],
            row["held"] or "",
            _ports(row),
            ", ".join(row["sources"]),
        ),
        "none",
    ),
    "endpoints": (
        ("service", "endpoint", "health", "weight", "ports", "locality", "network", "source", "metadata"),
        lambda row: (
            row["service"],
            row["endpoint"],
            _health(row),
            row["weight"],
            _ports(row),
            _where(row),
            row["network"],
            ", ".join([row["source"], *row["also"]]),
            _pairs(row["metadata"]),
        ),
        "none",
    ),
    "sources": (
        ("source", "kind", "state", "age", "services", "endpoints", "holds", "problems", "how", "why"),
        lambda row: (
            row["name"],
            row["kind"],
            _state(row),
            output.seconds(row["age"]),
            row["services"],
            row["endpoints"],
            row["holds"],
            row["problems"],
            row["how"],
            row["why"] or "; ".join(f"{one['part']}: {one['why']}" for one in row["unread"]),
        ),
        "none",
    ),
    "problems": (
        ("source", "kind", "where", "what", "times"),
        lambda row: (
            row["source"] or "(the bridge)",
            row["kind"],
            row["where"],
            row["what"],
            row["count"],
        ),
        "none: nothing was refused",
    ),
    "holds": (
        ("source", "service", "endpoint", "for", "health", "why", "waits for"),
        lambda row: (
            row["source"],
            row["service"],
            row["endpoint"],
            output.seconds(row["for"]),
            row["health"] or "-",
            row["why"],
            row["waits_for"],
        ),
        "none: nothing is missing",
    ),
    "exports": (
        (
            "registry",
            "target",
            "mode",
            "state",
            "leading",
            "services",
            "records",
            "to do",
            "withheld",
            "parked",
            "not said",
            "why",
        ),
        lambda row: (
            row["registry"],
            row["target"],
            row["mode"],
            row["state"],
            "yes" if row["leading"] else "no",
            row["services"],
            row["records"],
            row["puts"] + row["removals"] or "",
            ", ".join(f"{count} {reason}" for reason, count in row["withheld"].items()),
            len(row["parked"]) or "",
            row["problems"] or "",
            row["why"] or "; ".join(f"{name} is not read yet" for name in row["waits_for"]),
        ),
        "none: no registry has an `export:`",
    ),
    "streams": (
        ("peer", "node", "cluster", "agent", "service", "protocol", "for", "responses", "what"),
        lambda row: (
            row["peer"],
            row["node"],
            row["cluster"],
            row["agent"],
            row["service"],
            row["protocol"],
            output.seconds(row["for"]),
            row["responses"],
            _types(row),
        ),
        "none: no Envoy is connected",
    ),
}
"""What can be shown: columns, a row's cells, and what is said of no rows."""


def table(kind: str, rows: Iterable[Row], title: str = "") -> None:
    """Print rows of the API as a table."""
    columns, cells, empty = TABLES[kind]
    output.rows(title, columns, (cells(row) for row in rows), empty)


@click.command(short_help="Show what the bridge knows.")
@click.argument("what", metavar="[WHAT]", default="sources", type=click.Choice(list(TABLES)))
@click.option("--service", default="", metavar="NAME", help="Only services whose name is or begins with this.")
@click.option("--source", default="", metavar="NAME", help="Only what this registry says.")
@options.config
@options.admin
@click.option("--offline", is_flag=True, help="Read the registries once; ask no running bridge.")
@output.option
def show(
    *, what: str, service: str, source: str, path: Path | None, url: str | None, offline: bool, output_: str
) -> None:
    """Show what the bridge knows.

    WHAT is services, endpoints, sources (which is what is shown where nothing is said), problems, holds, exports or
    streams.

    Asks the running bridge; where none runs, the registries are read once.

    \b
    Example:
      registry-bridge show endpoints --service shop/payments --output json
    """
    client = options.running(path, url, offline)
    if what == "exports":
        _exports(client, path, service=service, source=source, output_=output_)
        return
    if client is not None:
        query = urlencode({key: value for key, value in (("service", service), ("source", source)) if value})
        rows = client.get(f"/api/v1/{what}" + (f"?{query}" if query else ""))[what]
    else:
        from bridge.cli.offline import look

        if what in ("holds", "streams"):
            raise BridgeError(f"{what}: only a running bridge has them; start one with `registry-bridge run`")
        rows = look(options.load(path)).get(what, service, source)
    rows = [row for row in rows if _wanted(row, service, source)]
    if not output.document(output_, {what: rows}):
        table(what, rows)
        if what == "streams":
            _refusals(rows)


def _exports(client: Client | None, path: Path | None, *, service: str, source: str, output_: str) -> None:
    """The targets, and what is withheld or rejected there."""
    found = exporting.found(client, path, registry=source, target=None, service=service)
    if output.document(output_, {"exports": found.exports, "withheld": found.withheld, "unsaid": found.unsaid}):
        return
    table("exports", found.exports)
    exporting.tell_withheld(found.withheld)
    exporting.tell_unsaid(found.unsaid)
    for row in found.exports:
        for one in row["parked"]:
            output.say(
                f"rejected: {exporting.place(row)}: {one['key']}: {one['why']}; not tried again until it changes"
            )
        for one in row["waits"]:
            output.say(f"put off ({one['kind']}): {exporting.place(row)}: {one['service']}: {one['why']}")


def _refusals(rows: Iterable[Row]) -> None:
    """What clients refused, and is not sent to them again until it changes."""
    for row in rows:
        for kind in row["types"]:
            for one in kind["parked"]:
                output.say(f"{row['peer']} refused {one['name']} ({one['version']}): {one['error']}")


def _wanted(row: Row, service: str, source: str) -> bool:
    """What the API leaves to its readers: the lists that it does not select from."""
    name = row.get("service") or row.get("name") or ""
    of_source = {row.get("source"), *row.get("sources", ()), *row.get("also", ())}
    if "state" in row:
        return not source or row["name"] == source
    if "peer" in row:
        return True
    return name.startswith(service) and (not source or source in of_source)


@click.command(short_help="Explain why Envoy was told what it was told.")
@click.argument("service", metavar="SERVICE")
@options.config
@options.admin
@click.option("--offline", is_flag=True, help="Read the registries once; ask no running bridge.")
@output.option
def explain(*, service: str, path: Path | None, url: str | None, offline: bool, output_: str) -> None:
    """Explain why Envoy was told what it was told about SERVICE.

    Which source said what, what the guard holds and what that waits for, what merge and traffic policy made of it,
    and under which names it is told to how many streams.

    \b
    Example:
      registry-bridge explain shop/payments
    """
    try:
        name = ServiceName.parse(service)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    client = options.running(path, url, offline)
    if client is not None:
        found = client.get(f"/api/v1/explain/{quote(name.namespace, safe='')}/{quote(name.name, safe='')}")
    else:
        from bridge.cli.offline import look

        found = look(options.load(path)).explain(name)
        if found is None:
            raise BridgeError(f"{name}: no source knows this service; `registry-bridge show services` lists them")
    if not output.document(output_, found):
        _explained(found)


def _explained(found: Row) -> None:
    if found["waiting"]:
        output.say(f"not seen yet: {', '.join(found['waiting'])}")
    for one in found["sources"]:
        says = {row["endpoint"]: row for row in one["says"]}
        holds = {row["endpoint"]: row for row in one["holds"]}
        believed = {row["endpoint"]: row for row in one["believed"]}
        lines = []
        for text in sorted({*says, *believed}):
            row, held = says.get(text) or believed[text], holds.get(text)
            lines.append(
                (
                    text,
                    _health(says[text]) if text in says else "not listed",
                    row["weight"],
                    _ports(row),
                    _where(row),
                    _verdict(text, says, believed, held),
                )
            )
        title = f"{one['source']} ({one['state']}) says"
        output.rows(title, ("endpoint", "health", "weight", "ports", "locality", "the guard"), lines, "nothing")
        for problem in one["problems"]:
            output.say(f"  refused: {problem['where']}: {problem['what']}")
    _told(found)


def _verdict(text: str, says: Mapping[str, Row], believed: Mapping[str, Row], held: Row | None) -> str:
    if held is not None:
        return f"held for {output.seconds(held['for'])} ({held['why']}); waits for {held['waits_for']}"
    if text not in believed:
        return "not taken over yet"
    if text in says and says[text]["health"] != believed[text]["health"]:
        return f"still believed {believed[text]['health'] or 'healthy'} (health flood)"
    return "believed"


def _told(found: Row) -> None:
    merged = found["merged"]
    if merged is not None:
        groups = ", ".join(f"{one['source']}: {len(one['endpoints'])}" for one in merged["groups"])
        output.say(f"merged: {groups or 'no endpoints'}")
        shared = [row for one in merged["groups"] for row in one["endpoints"] if row["also"]]
        for row in shared[:10]:
            output.say(f"  {row['endpoint']} is told by {row['source']}, known to {', '.join(row['also'])} too")
        if merged["reused"]:
            output.say(f"  left out, in use by another service now: {', '.join(merged['reused'])}")
    cluster = found["policy"]["cluster"]
    outliers = "on" if cluster["outlier_detection"] else "off"
    output.say(
        f"policy: port {found['policy']['port'] or '(by rule)'}, {cluster['lb']}, connect timeout "
        f"{cluster['connect_timeout']:g}s, outlier detection {outliers}"
    )
    for one in found["told"]:
        streams = f"{one['streams']} stream{'' if one['streams'] == 1 else 's'}"
        output.rows(
            f"Envoy is told under {one['name']} ({streams})",
            ("endpoint", "health", "weight", "locality"),
            ((row["endpoint"], row["health"], row["weight"], _where(row)) for row in one["endpoints"]),
            "no endpoints",
        )
