"""`plan` and `apply`: what is left to be written to other registries, and writing it without a running bridge."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher, unified_diff
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import click

from bridge.cli import options, output
from bridge.cli.client import Client
from bridge.errors import BridgeError
from bridge.model import ServiceName, SourceName

Row = Mapping[str, Any]

CHANGES = 3
"""The exit code of a plan that has changes, and of an `apply` that left something."""

LED = 4
"""The exit code of an `apply` beside somebody who leads."""

SHOWN = 20
"""Services of which it is said one by one what is withheld; the rest are counted."""


class Found(NamedTuple):
    """Targets, what is left to be changed there, what is withheld, and what cannot be said there.

    `wrong` is why that is not whole, `idle` of which exports nothing comes.
    """

    exports: Sequence[Row]
    changes: Sequence[Row]
    withheld: Sequence[Row]
    unsaid: Sequence[Row]
    wrong: Sequence[str]
    idle: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        return {**self._asdict(), "wrong": list(self.wrong), "idle": list(self.idle)}

    @property
    def nothing(self) -> str:
        """What is said of no changes: nothing at all where it is not known whether there are."""
        return "" if self.wrong else "nothing to do"


registry = click.option("--registry", default="", metavar="NAME", help="Only what is written to this registry.")
target = click.option("--target", default=None, metavar="TARGET", help="Only this target of it.")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.command(short_help="Show what would be written to other registries.")
@click.argument("service", required=False, default="")
@registry
@target
@click.option("--diff", is_flag=True, help="A unified diff of every record instead of a line.")
@click.option("--accept", "accept_", is_flag=True, help="Let go what is withheld, after a summary.")
@yes
@options.config
@options.admin
@click.option("--offline", is_flag=True, help="Read the registries once; ask no running bridge.")
@output.option
def plan(
    *,
    service: str,
    registry: str,
    target: str | None,
    diff: bool,
    accept_: bool,
    yes: bool,
    path: Path | None,
    url: str | None,
    offline: bool,
    output_: str,
) -> None:
    """Show what is left to be written to other registries, and what is withheld; nothing is written.

    Asks the running bridge; where none runs, the registries are read once. SERVICE is a name, or how names begin.
    With --accept, the endpoints that are withheld for a limit, or as orphans, may go: at once where a bridge runs,
    else with the next `apply --once` within the hour; SERVICE is then one name.

    Exit codes: 0 nothing to do (or accepted), 3 changes, 1 an error: something could not be read.

    \b
    Examples:
      registry-bridge plan
      registry-bridge plan shop/payments --diff
      registry-bridge plan --accept --registry vms
    """
    client = options.running(path, url, offline)
    it = found(client, path, registry=registry, target=target, service=service)
    if accept_:
        _accept(client, it, path, registry=registry, target=target, service=service, yes=yes, output_=output_)
        return
    if not output.document(output_, it.document()):
        if diff:
            _diff(it)
        else:
            _table(it)
        tell_withheld(it.withheld)
        tell_unsaid(it.unsaid)
        _sum(it)
    _tell_notes(it)
    if it.wrong:
        raise click.exceptions.Exit(1)
    if it.changes:
        raise click.exceptions.Exit(CHANGES)


@click.command(short_help="Write once what should be written, and end.")
@click.option("--once", "once_", is_flag=True, help="Read, write, and end: the only way that there is.")
@click.option(
    "--wait",
    callback=options.duration,
    default="75s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for the lead where another process has it.",
)
@options.config
@output.option
def apply(*, once_: bool, wait: float, path: Path | None, output_: str) -> None:
    """Read every registry, write what may be written now, and end: for a timer, or where no bridge is to run.

    What an earlier run wrote and nobody wants any more is withheld: `plan --accept` lets it go with the next run.
    A running bridge writes by itself; beside one, on the same state folder, this is refused. Where another process
    leads, as `leader:` says, that is told at once, and the lead is waited for: it is free when that one ends, or its
    lease does.

    Exit codes: 0 everything is as it should be, 3 something is withheld, rejected, or a source was not read, 1 a target
    was not written, 4 another process leads, and writes.

    \b
    Examples:
      registry-bridge apply --once --config bridge.yaml
      registry-bridge apply --once --wait 0s
    """
    from bridge.cli import once

    if not once_:
        raise click.UsageError("say --once: a bridge that runs writes by itself")

    def tell(leader: str) -> None:
        if wait:
            output.note(f"note: {leader} leads; the lead is waited for, for at most {wait:g} s (--wait)")

    seen = once.apply(options.load(path), wait, tell)
    it = _of(seen, "", None, "")
    failed = once.failures(seen)
    if once.led(seen):
        what = "nothing is written here beside it; `registry-bridge plan` asks it, or stop it and say this again"
        failed.append(f"{seen.leader} leads, and did so for all of --wait ({wait:g} s): {what}")
    if not output.document(output_, {**it.document(), "failed": failed}):
        for row in it.exports:
            unread = row["state"] in ("waiting", "lost")
            output.say(f"{place(row)}: {'not read, so left as it is' if unread else _made(row)}")
            for why in _refused(row):
                output.say(f"rejected: {place(row)}: {why}")
        tell_withheld(it.withheld)
        tell_unsaid(it.unsaid)
    _tell_notes(it)
    for line in failed:
        output.note(f"error: {line}")
    if once.led(seen):
        raise click.exceptions.Exit(LED)
    if failed or any(row["state"] in ("waiting", "lost") for row in it.exports):
        raise click.exceptions.Exit(1)
    if it.withheld or it.changes or it.wrong:
        raise click.exceptions.Exit(CHANGES)


def _tell_notes(found: Found) -> None:
    """What is not whole, and what names nothing."""
    for line in found.wrong:
        output.note(f"error: {line}")
    for line in found.idle:
        output.note(f"note: {line}")


def _made(row: Row) -> str:
    made = row["made"]
    done = [f"{made[key]:,} {word}" for key, word in (("put", "written"), ("removed", "removed")) if made.get(key)]
    parked = f", {output.many(len(row['parked']), 'record')} rejected" if row["parked"] else ""
    left = row["puts"] + row["removals"] - len(row["parked"])
    undone = f"{output.many(left, 'change')} left to make" if left > 0 else ""
    said = ", ".join(one for one in (*done, undone) if one)
    return f"{said or 'nothing to do'}{parked}; {output.many(row['records'], 'record')} there"


def _refused(row: Row) -> list[str]:
    """Why records are parked, the first of them."""
    told = [f"{one['service']}: {one['why']}" for one in row["parked"][:SHOWN]]
    more = len(row["parked"]) - SHOWN
    return [*told, f"and {more} more; --output json has them all"] if more > 0 else told


# Where it comes from.


def found(client: Client | None, path: Path | None, *, registry: str, target: str | None, service: str) -> Found:
    """What a running bridge says, or the registries, read once where there is none."""
    return _asked(client, registry, target, service) if client is not None else _once(path, registry, target, service)


def _asked(client: Client, registry: str, target: str | None, service: str) -> Found:
    words = {"registry": registry, "service": service} | ({} if target is None else {"target": target})
    query = urlencode(words)
    exports = client.get(f"/api/v1/exports?{query}")["exports"]
    changes = client.get(f"/api/v1/plan?{query}")["changes"]
    withheld = client.get(f"/api/v1/withheld?{query}")["withheld"]
    unsaid = client.get(f"/api/v1/unsaid?{query}")["unsaid"]
    return Found(exports, changes, withheld, unsaid, [line for row in exports for line in _unread(row)])


def _unread(row: Row) -> Iterable[str]:
    """Why a running bridge's plan is not whole; one that is merely behind the newest change is."""
    if row["state"] in ("waiting", "lost"):
        yield f"{place(row)}: {row['state']}: {row['why']}"
    elif row["waits_for"]:
        yield f"{place(row)}: not read whole yet: {', '.join(row['waits_for'])}"


def _once(path: Path | None, registry: str, target: str | None, service: str) -> Found:
    from bridge.cli import once

    config = options.load(path)
    once.targets(config, (registry,) if registry else ())
    return _of(once.plan(config), registry, target, service)


def _of(seen: Any, registry: str, target: str | None, service: str) -> Found:
    from bridge.admin import exporting

    chosen = [
        one for one in seen.exported if registry in ("", one.registry) and (target is None or target == one.target)
    ]
    return Found(
        [exporting.export(one, seen.now) for one in chosen],
        [row for one in chosen for row in exporting.changes(one, service)],
        [row for one in chosen for row in exporting.withheld(one, seen.now, service)],
        [row for one in chosen for row in exporting.unsaid(one, service)],
        seen.wrong,
        seen.idle,
    )


# Accepting.


def _accept(
    client: Client | None,
    found: Found,
    path: Path | None,
    *,
    registry: str,
    target: str | None,
    service: str,
    yes: bool,
    output_: str,
) -> None:
    if service:
        try:
            ServiceName.parse(service)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    rows = [row for row in found.withheld if row["acceptable"] and service in ("", row["service"])]
    if not rows:
        for line in found.wrong:
            output.note(f"error: {line}")
        raise BridgeError("nothing that a word would let go is withheld; `registry-bridge plan` shows what is")
    for line in _summary(rows):
        output.note(line)
    output.confirm(yes, f"Let {output.many(len(rows), 'endpoint')} go?")
    if client is not None:
        given = {"registry": registry or None, "target": target, "service": service or None}
        body: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        accepted = client.post("/api/v1/plan/accept", body or {"all": True})["accepted"]
    else:
        accepted = _write_down(path, rows)
    if not output.document(output_, {"accepted": accepted}):
        when = "" if client is not None else "; it goes with the next `registry-bridge apply --once` within the hour"
        output.say(f"accepted: {output.many(len(accepted), 'endpoint')}{when}")


def _summary(rows: Sequence[Row]) -> Iterable[str]:
    counts = Counter((place(row), row["service"]) for row in rows)
    for (where, name), count in sorted(counts.items())[:SHOWN]:
        yield f"{where}: {name}: {output.many(count, 'endpoint')} will be removed there"
    if len(counts) > SHOWN:
        yield f"and of {output.many(len(counts) - SHOWN, 'more service')}"


def _write_down(path: Path | None, rows: Sequence[Row]) -> list[dict[str, str]]:
    from bridge.adapter import Target
    from bridge.admin.shapes import endpoint_id
    from bridge.cli import once

    once.accept(
        options.load(path),
        [
            (
                SourceName(row["registry"]),
                Target(row["target"]),
                ServiceName.parse(row["service"]),
                endpoint_id(row["what"]),
            )
            for row in rows
        ],
    )
    return [
        {"registry": row["registry"], "target": row["target"], "service": row["service"], "endpoint": row["what"]}
        for row in rows
    ]


# What is printed.


def place(row: Row) -> str:
    """`consul-dc2`, or the registry and its target where it has several."""
    return f"{row['registry']} {row['target']}".strip()


def _table(found: Found) -> None:
    if not found.changes and not found.nothing:
        return
    output.rows(
        "",
        ("to", "service", "change", "record", "lines"),
        (
            (place(row), row["service"], row["change"], row["key"], f"{_lines(row)}{_rejected(row)}")
            for row in found.changes
        ),
        found.nothing,
    )


def _rejected(row: Row) -> str:
    return f"  rejected: {row['parked']}" if row["parked"] else ""


def _lines(row: Row) -> str:
    """How many lines come and go: `+2 -1`."""
    before, after = _text(row["before"]), _text(row["after"])
    added = gone = 0
    for what, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what != "equal":
            gone, added = gone + j - i, added + m - k
    return " ".join(f"{sign}{count}" for sign, count in (("+", added), ("-", gone)) if count)


def _diff(found: Found) -> None:
    if not found.changes and found.nothing:
        output.say(found.nothing)
    for row in found.changes:
        name = f"{place(row)}: {row['key']}"
        there = f"{name} (is)" if row["before"] is not None else "(nothing)"
        wanted = f"{name} (should be)" if row["after"] is not None else "(nothing)"
        for line in unified_diff(_text(row["before"]), _text(row["after"]), there, wanted, lineterm=""):
            output.say(line)


def _text(content: str | None) -> list[str]:
    """A record's lines; JSON in one line is opened up, so that a difference shows."""
    if content is None:
        return []
    if content[:1] in ("{", "[") and "\n" not in content:
        try:
            return json.dumps(json.loads(content), indent=1, ensure_ascii=False).split("\n")
        except ValueError:
            pass
    return content.split("\n")


def tell_withheld(rows: Sequence[Row]) -> None:
    """What is withheld, by target, service and reason, with the first of each."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((place(row), row["reason"], row["service"]), []).append(row)
    for (where, reason, service), them in sorted(groups.items())[:SHOWN]:
        first = them[0]
        more = f" and {len(them) - 1} more" if len(them) > 1 else ""
        output.say(f"withheld ({reason}): {where}: {service}: {first['what']}{more}: {first['why']}")
    if len(groups) > SHOWN:
        output.say(f"and more is withheld of {len(groups) - SHOWN} services; --output json has it all")


def tell_unsaid(rows: Sequence[Row]) -> None:
    """What is wanted and cannot be said, by target and reason, with the first of each."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((place(row), row["kind"], row["what"]), []).append(row)
    for (where, kind, what), them in sorted(groups.items())[:SHOWN]:
        more = f" and {len(them) - 1} more" if len(them) > 1 else ""
        output.say(f"not said ({kind}): {where}: {them[0]['service']}{more}: {what}")
    if len(groups) > SHOWN:
        output.say(f"and more is not said, for {len(groups) - SHOWN} other reasons; --output json has it all")


def _sum(found: Found) -> None:
    if found.changes or found.withheld:
        counts = Counter(row["change"] for row in found.changes)
        said = [f"{counts[word]} to {word}" for word in ("add", "edit", "remove") if counts[word]]
        output.say(f"records: {', '.join(said) or 'none to change'}; withheld: {len(found.withheld)}")
    for row in found.exports:
        if row["state"] not in ("in step", "writes", "dry-run", "follows", "waiting"):
            output.say(f"{place(row)}: {row['state']}: {row['why']}")
