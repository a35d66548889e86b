"""What `registry-bridge check` says of a registry that only a running bridge reads."""

from collections.abc import Callable, Iterable

from bridge.adapter import Observation, Problem
from bridge.errors import ConfigError
from bridge.table import Table


def in_the_way(needed: Iterable[Callable[[], object]]) -> Observation | None:
    """None where nothing is; else a problem for each of these that raises ConfigError, in a reading that never was.

    The bridge starts all the same, and reads the registry as soon as its files are there.
    """
    problems = []
    for one in needed:
        try:
            one()
        except ConfigError as error:
            where, _, what = str(error).partition(": ")
            problems.append(Problem("access", where, what))
    return Observation(Table(), 0, tuple(problems)) if problems else None
