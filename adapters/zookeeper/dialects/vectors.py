"""The weights that siblings of a ServerSet's members give them.

A `vector_…` node holds rules, each of which selects members by name, address or shard and says a weight. Weights
multiply over rules and vectors, of which those that say the same count once; 1.0 is everybody's, -1.0 takes a member
out, and only a JSON number with a fraction counts. (Finagle's serverset2 `Vector` and `Descriptor`.) Vectors are read
once, as members are.

What is written is one for each member that weighs more than 1, with one rule, which selects by its name: so it means
nobody else's member, of whatever address or shard, and no two of several bridges multiply.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, Final, NamedTuple, TypeVar

from adapters.zookeeper.dialects import words
from bridge.kit.place import excerpt

PREFIX: Final = "vector_"
SCALE: Final = 100
"""So finely are weights with a fraction taken."""

_VECTOR: Final = "vector"
K = TypeVar("K")


class Rule(NamedTuple):
    """What it selects by (`member`, `inet`, `shard`), which, and the weight; nobody heeds a priority."""

    by: str
    which: str
    weight: float
    priority: int = 1


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
    said = words.json_object(data).get(_VECTOR)
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
    priority = said.get("priority")
    return Rule(by, which, words.finite(weight, "weight"), priority if type(priority) is int else 1)


def write(member: str, weight: int) -> bytes:
    """A vector that gives the member of that name this weight."""
    return words.compact({_VECTOR: [{"select": f"member={member}", "weight": float(weight), "priority": 1}]})


def weights(members: Mapping[K, Member], vectors: Iterable[Vector]) -> dict[K, int]:
    """What each of these weighs; 0 for one that is to get nothing.

    The smallest whole numbers of one proportion, 1.0 among them: where all weights are whole, they are the same here.
    """
    counting = {vector.rules for vector in vectors}
    hundredths = {key: _hundredths(member, counting) for key, member in members.items()}
    unit = gcd(SCALE, *hundredths.values())
    return {key: min(weight // unit, words.MAX_WEIGHT) for key, weight in hundredths.items()}


def _hundredths(member: Member, counting: Iterable[tuple[Rule, ...]]) -> int:
    """The product of all weights that select the member."""
    known = member._asdict()
    product = 1.0
    for rules in counting:
        for rule in rules:
            if known[rule.by] == rule.which:
                product *= rule.weight
    return max(round(min(product, words.MAX_WEIGHT) * SCALE), 1) if product > 0 else 0
