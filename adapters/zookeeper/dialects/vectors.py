"""The weights that siblings of a ServerSet's members give them.

A `vector_…` node holds rules, each of which selects members by name, address or shard and says a weight. Weights
multiply over rules and vectors; 1.0 is everybody's, -1.0 takes a member out, and only a JSON number with a fraction
counts. (Finagle's serverset2 `Vector` and `Descriptor`.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from adapters.zookeeper.dialects import words
from bridge.kit.place import excerpt

PREFIX: Final = "vector_"
SCALE: Final = 100
"""What 1.0 comes to: weights here are whole numbers."""


class Rule(NamedTuple):
    """What it selects by (`member`, `inet`, `shard`), which, and the weight."""

    by: str
    which: str
    weight: float


@dataclass(frozen=True, slots=True)
class Vector:
    """`passed` are sentences on rules that nobody heeds."""

    rules: tuple[Rule, ...]
    passed: tuple[str, ...] = ()


class Member(NamedTuple):
    """By what a rule knows a member; `shard` is "" where it has none."""

    member: str
    inet: str
    shard: str


def read(data: bytes) -> Vector:
    """The rules of a vector; ValueError when it is none."""
    said = words.json_object(data).get("vector")
    if not isinstance(said, list):
        raise ValueError(f"vector {excerpt(said)} is not a list")  # noqa: TRY004  # told like the rest
    rules, passed = [], []
    for one in said:
        try:
            rules.append(_rule(words.mapping(one, "rule")))
        except ValueError as error:
            passed.append(str(error))
    return Vector(tuple(rules), tuple(passed))


def _rule(said: Mapping[str, Any]) -> Rule:
    """ValueError for what Finagle, too, passes over."""
    by, _, which = words.text(said.get("select"), "select").partition("=")
    if by not in Member._fields or not which:
        raise ValueError(f"select {excerpt(said['select'])} is none of member=, inet= and shard=")
    weight = said.get("weight", 1.0)
    if not isinstance(weight, float):
        raise ValueError(f"weight {excerpt(weight)} is without a fraction, and counts for no reader; write 2.0 for 2")  # noqa: TRY004  # told like the rest
    return Rule(by, which, words.finite(weight, "weight"))


def weight(member: Member, vectors: Iterable[Vector]) -> int:
    """The product of all weights that select the member, in hundredths; 0 for one that is to get nothing."""
    known = member._asdict()
    product = 1.0
    for vector in vectors:
        for rule in vector.rules:
            if known[rule.by] == rule.which:
                product *= rule.weight
    return max(round(min(product * SCALE, words.MAX_WEIGHT)), 1) if product > 0 else 0
