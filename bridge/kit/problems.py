"""Problems are told up to a bound: a registry of nothing but garbage costs a page, not the memory."""

from collections.abc import Iterable
from itertools import islice

from bridge.adapter import Problem


def bounded(problems: Iterable[Problem], most: int, where: str) -> tuple[Problem, ...]:
    """The first `most` one by one, and one more that counts the rest."""
    rest = iter(problems)
    told = tuple(islice(rest, most))
    more = sum(problem.count for problem in rest)
    return (*told, Problem("more", where, "further problems; correct the ones above", None, more)) if more else told
