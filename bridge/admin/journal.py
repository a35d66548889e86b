"""What the log says of problems: each one once, when it first comes up, and never a flood of them."""

from collections.abc import Iterable

import structlog

from bridge.adapter import Problem
from bridge.model import SourceName
from bridge.runtime.reading import Reading

SHOWN = 5
"""Problems of one reading that are told one by one; the rest are counted."""

_log = structlog.get_logger("bridge.problems")


class Journal:
    """Remembers which problems there are, so that only new ones are told."""

    def __init__(self) -> None:
        self._known: dict[SourceName, frozenset[Problem]] = {}

    def read(self, reading: Reading) -> None:
        """Tell what is new in a reading; what its loss was already told with is not told twice."""
        known = self._known.get(reading.source, frozenset())
        problems = frozenset(reading.problems)
        if problems == known:
            return
        self._known[reading.source] = problems
        told = reading.why if reading.lost is not None else ""
        new = [one for one in reading.problems if one not in known and not (one.where and one.where in told)]
        self._tell(reading.source, new)
        if known and not problems:
            _log.info("problems are over", source=reading.source, count=sum(one.count for one in known))

    def _tell(self, source: SourceName, new: Iterable[Problem]) -> None:
        new = list(dict.fromkeys(new))
        for one in new[:SHOWN]:
            _log.warning("problem", source=source, kind=one.kind, where=one.where, what=one.what, count=one.count)
        if len(new) > SHOWN:
            _log.warning(
                "more problems",
                source=source,
                count=sum(one.count for one in new[SHOWN:]),
                see="registry-bridge show problems",
            )
