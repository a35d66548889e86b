"""What `registry-bridge check` says of a registry, or of an election, that only a running bridge asks."""

from collections.abc import Callable, Iterable

from bridge.adapter import Observation, Problem
from bridge.errors import ConfigError
from bridge.table import Table


def in_the_way(needed: Iterable[Callable[[], object]]) -> Observation | None:
    """None where nothing is; else its problems, in a reading that never was."""
    problems = lacking(needed)
    return Observation(Table(), 0, problems) if problems else None


def lacking(needed: Iterable[Callable[[], object]]) -> tuple[Problem, ...]:
    """A problem for each line of what these raise as ConfigError.

    The bridge starts all the same, and asks as soon as its files are there.
    """
    problems = []
    for one in needed:
        try:
            one()
        except ConfigError as error:
            for line in str(error).split("\n"):
                where, _, what = line.partition(": ")
                problems.append(Problem("access", where, what))
    return tuple(problems)
