"""The claims beside files that other bridges write, and that are read here."""

import os
from collections.abc import Iterable
from pathlib import Path

from adapters.static import claims
from bridge.adapter import Claim
from bridge.errors import ConfigError
from bridge.kit import files
from bridge.kit.files import Stamp


class Neighbours:
    """What was last read of them: a file of claims that cannot be read at present says what it said."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Stamp, tuple[Claim, ...]]] = {}

    def look(self, paths: Iterable[Path]) -> tuple[tuple[str, Claim], ...]:
        """The claims of these files, each with its file, in their order; what is as it was is not read again."""
        known: dict[Path, tuple[Stamp, tuple[Claim, ...]]] = {}
        for path in paths:
            beside = claims.beside(
                Path(os.path.realpath(path)) if path.is_symlink() else path
            )  # resolve() raises in loops
            stamp = files.stamp(beside)
            if stamp is None:
                continue
            before = self._known.get(beside)
            if before is None or before[0] != stamp:
                read = _read(beside)
                before = (stamp, read) if read is not None else before
            if before is not None:
                known[beside] = before
        self._known = known
        return tuple((str(beside), claim) for beside, (_, found) in known.items() for claim in found)


def _read(beside: Path) -> tuple[Claim, ...] | None:
    """None when nothing can be made of it now: its writer is told so where it writes."""
    try:
        content = files.read(beside, str(beside), claims.MAX_BYTES)
        return None if content is None else claims.parse(content.data, str(beside))
    except ConfigError:
        return None
