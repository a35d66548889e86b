"""What a benchmark says: rows of figures, a table of them, and the same as JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a scenario's table: whose figures, under which circumstances.

    `figures` are the columns, numbers in the unit that the column's name says; `runs` is all that was measured, for
    the JSON.
    """

    scenario: str
    case: str
    subject: str
    figures: Mapping[str, Any]
    runs: Sequence[Any] = field(default=())


def middle(values: Sequence[float]) -> float:
    """The median, to three significant digits, which is more than the weather allows."""
    return float(f"{median(values):.3g}")


def show(rows: Sequence[Row], console: Console) -> None:
    """Print one table for each scenario."""
    for scenario in sorted({row.scenario for row in rows}):
        mine = [row for row in rows if row.scenario == scenario]
        columns = list(dict.fromkeys(name for row in mine for name in row.figures))
        table = Table(title=scenario, title_justify="left")
        table.add_column("case")
        table.add_column("of")
        for name in columns:
            table.add_column(name, justify="right")
        for row in mine:
            table.add_row(row.case, row.subject, *(_cell(row.figures.get(name)) for name in columns))
        console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write(scenario: str, rows: Sequence[Row], quick: bool) -> Path:
    """The rows as JSON under tests/bench/out, with what one must know of the machine."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{scenario}{'-quick' if quick else ''}.json"
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    return path
