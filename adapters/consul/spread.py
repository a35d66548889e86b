"""On which of our nodes an instance stands: where it is; else where there is room.

Pure. A write costs a Consul as much as stands on its node, so that none shall have much. To move costs writes too, and
whoever comes next may see otherwise how much there is: so what stands somewhere stays there, and only what is new looks
for a place. Nodes are made one after the other as they fill up, and go when they are empty and there is room without.
"""

import re
from collections.abc import Collection, Mapping
from itertools import count
from typing import Final

EACH: Final = 500
"""Instances on a node, where there may be another one."""

CROWD: Final = 2
"""So many times as many are a crowd: who is written anew leaves it."""


def home(loads: Mapping[str, int], most: int, stands: str = "") -> str:
    """The node for an instance that `stands` on one of these, or on none; "" for one that is to be made.

    `loads` says how many instances each of the nodes has that may be written, in their order; `most` how many nodes
    there may be.
    """
    if stands in loads and loads[stands] <= CROWD * EACH:
        return stands
    if (roomy := next((node for node, load in loads.items() if load < EACH), None)) is not None:
        return roomy
    if len(loads) < most:
        return ""
    return stands if stands in loads else min(loads, key=lambda node: loads[node])


def spare(loads: Mapping[str, int]) -> tuple[str, ...]:
    """The empty nodes that nobody needs, the last ones first, and never the first of all.

    There stays room for half a node's instances, so that none is made and goes to and fro.
    """
    room = sum(max(EACH - load, 0) for load in loads.values())
    found = []
    for node in reversed(list(loads)[1:]):
        if not loads[node] and room - EACH >= EACH // 2:
            room -= EACH
            found.append(node)
    return tuple(found)


def number(first: str, node: str) -> int | None:
    """Which of the nodes that begin with `first` one is, 0 for that itself; None where it is none of them."""
    if node == first:
        return 0
    found = re.fullmatch(r"-([1-9][0-9]{0,2})", node.removeprefix(first), re.ASCII)
    return int(found[1]) if found and node.startswith(first) else None


def named(first: str, number: int) -> str:
    """What the node of a number is called."""
    return f"{first}-{number}" if number else first


def free(first: str, taken: Collection[str]) -> str:
    """What the next node is called."""
    return next(node for node in (named(first, number) for number in count()) if node not in taken)
