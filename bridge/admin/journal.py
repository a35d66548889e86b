"""What the log says of problems: each one once, when it first comes up, and never a flood of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from bridge.adapter import Problem
from bridge.admin import exporting
from bridge.model import SourceName
from bridge.runtime.exported import Exported
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
        told = reading.why if reading.lost is not None else ""
        self._compare(reading.source, [(_seen(one), one) for one in reading.problems], told)

    def wrote(self, exported: Exported) -> None:
        """Tell what is new in how a target is written; how many removals are withheld is told when they begin to be.

        What the outlet logs by itself, its state and each record that is parked, is not told again.
        """
        found = [one for one in exporting.problems(exported) if one.kind not in exporting.TOLD]
        self._compare(exported.registry, [(_face(one), one) for one in found], "")

    def _compare(self, source: SourceName, found: Sequence[tuple[Problem, Problem]], told: str) -> None:
        """`found` are the problems, each after what makes it another than those before."""
        known = self._known.get(source, frozenset())
        faces = frozenset(face for face, _ in found)
        if faces == known:
            return
        self._known[source] = faces
        self._tell(source, [one for face, one in found if face not in known and not (one.where and one.where in told)])
        if known and not faces:
            _log.info("problems are over", source=source, count=sum(one.count for one in known))

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


def _face(one: Problem) -> Problem:
    """What makes a problem another than before: how many are withheld, and which is the first, does not."""
    return replace(one, what="", count=1) if one.kind == "withheld" else replace(one, count=1)


def _seen(one: Problem) -> Problem:
    """Likewise of what is read: of what cannot be checked, which is the first and how many there are does not."""
    return replace(one, where="", service=None, count=1) if one.kind == "check" else one
