"""A lease as JSON, for registries that have nothing of their own for one."""

import json
from collections.abc import Hashable
from typing import Any

from bridge.kit.candidate import Standing, Write


def written(write: Write, wall: float) -> bytes:
    """What to put there at this time, seconds since the epoch: by that alone two renewals differ."""
    said = {"holder": write.holder, "seconds": write.seconds, "transitions": write.transitions, "renewed": wall}
    return json.dumps(said, separators=(",", ":")).encode()


def read(content: bytes, seconds: float, moved: Hashable) -> Standing:
    """What it says; one that somebody edited counts as far as it can be read.

    It is held for `seconds` where it does not say for how long. `moved` is its revision.
    """
    try:
        said: Any = json.loads(content)
    except (ValueError, RecursionError):
        said = {}
    said = said if isinstance(said, dict) else {}
    holder, its, transitions = said.get("holder"), said.get("seconds"), said.get("transitions")
    return Standing(
        holder if isinstance(holder, str) else "",
        float(its) if isinstance(its, int | float) and 0 < its < 3600 else seconds,
        transitions if type(transitions) is int and transitions >= 0 else 0,
        moved,
    )
