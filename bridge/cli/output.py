"""How a command prints what it found: a table for people, JSON or YAML for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.admin.text import hide, printable
from bridge.errors import BridgeError

WIDE = 100_000
"""Columns of an output that is no terminal: names are never cut or wrapped there."""

FORMATS = ("table", "json", "yaml")

option = click.option(
    "--output",
    "-o",
    "output_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="A table for people, JSON or YAML for programs.",
)


def clean(value: object) -> str:
    """`value` as text on one line: control characters (line breaks, terminal escapes) written out, no passwords."""
    return printable(hide("" if value is None else str(value)))


def rows(title: str, columns: Sequence[str], lines: Iterable[Sequence[object]], empty: str) -> None:
    """Print a table under its title, or the sentence `empty` when it has no lines.

    On a terminal long cells are folded into their column; elsewhere nothing is, so that every row is one line.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*(Text(clean(cell)) for cell in line))
    if not table.row_count:
        say(f"{title}: {empty}" if title else empty)
        return
    if title:
        say(title)
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def say(text: str) -> None:
    """Print one line (or several, by `\\n`) to standard output, as it is."""
    for line in text.split("\n"):
        click.echo(clean(line))


def note(text: str) -> None:
    """Print a remark to standard error, so that what is printed for programs stays whole."""
    for line in text.split("\n"):
        click.echo(clean(line), err=True)


def document(output: str, value: Any) -> bool:
    """Print `value` as JSON or YAML when that was asked for; False when a table was."""
    if output == "json":
        click.echo(hide(json.dumps(value, indent=2)))
    elif output == "yaml":
        click.echo(hide(yaml.safe_dump(value, sort_keys=False)).rstrip("\n"))
    return output != "table"


def seconds(value: float | None) -> str:
    """A length of time as people say it: `12s`, `4m 10s`, `2h 5m`; "" for None."""
    if value is None:
        return ""
    whole = int(value)
    if value < 10:
        return f"{value:.1f}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def confirm(yes: bool, question: str) -> None:
    """Ask on standard error, unless `yes`; raises BridgeError where the answer is no, or nobody gives one."""
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)  # the question's line ends
        raise BridgeError("nobody answered, and nothing was changed; --yes does not ask") from None
    if not agreed:
        raise BridgeError("nothing was changed")


def many(count: int, what: str) -> str:
    """`1 endpoint`, `2 endpoints`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
