"""Who writes: the claims of owners, each a znode of its own, far from what anybody takes for a service.

`/registry-bridge/OWNER/DIGEST`, where the digest stands for the target; the data are JSON that says which it is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from adapters.zookeeper.dialects import words
from adapters.zookeeper.dialects.dialect import Branch, Child, Dialect, Part
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.paths import Mapped, Tree
from bridge.adapter import Claim, Target
from bridge.kit.mark import FORMAT, Mark, owner_name

ROOT: Final = "/registry-bridge"


class Revision(NamedTuple):
    """In which state a claim stood there."""

    created: int
    version: int


class Standing(NamedTuple):
    """A claim that stands there, and the target that it is of; `dialect` is how that is written, "" if not said."""

    target: str
    claim: Claim
    dialect: str = ""


@dataclass(frozen=True)
class _Claims(Dialect):
    """Children of an owner's node; what they say is read by `standing`."""

    name: ClassVar[str] = "claims"
    branches: ClassVar = (Branch(changes=True),)

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def read(self, child: Child) -> Part:
        return None


def mirror() -> Mirror:
    """All that stands there; nothing may, and that is no failure."""
    return Mirror(Tree.of(f"{ROOT}/{{name}}", Mapped("claims")), _Claims(), ours=True)


def path(owner: str, target: Target) -> str:
    """Where an owner's claim of a target stands."""
    return f"{ROOT}/{owner}/{words.digest(target)}"


def written(claim: Claim, target: Target, dialect: str) -> bytes:
    """What is written there."""
    said: dict[str, Any] = {
        "format": FORMAT,
        "target": target,
        "dialect": dialect,
        "deployment": claim.deployment,
        "term": claim.term,
        "beat": claim.beat,
    }
    if claim.tombstone:
        said["tombstone"] = True
    return json.dumps(said, separators=(",", ":")).encode()


def standing(of: Mirror) -> tuple[Standing, ...]:
    """The claims that a mirror has, sorted; what an edit by hand left unreadable counts as far as it can be read."""
    found = []
    for node in of.nodes.values():
        owner = node.found.node
        for child in node.children.values():
            try:
                owner_name(owner)
                found.append(_read(owner, child))
            except ValueError:
                continue  # nobody's: no owner is called so, or nobody wrote a claim of that name
    return tuple(sorted(found, key=lambda one: (one.claim.owner, one.claim.deployment, one.target)))


def _read(owner: str, child: Child) -> Standing:
    try:
        said = words.json_object(child.data)
    except ValueError:
        said = {}
    term, beat, deployment = said.get("term"), said.get("beat"), said.get("deployment")
    claim = Claim(
        owner,
        deployment if isinstance(deployment, str) else "",
        term if type(term) is int and term >= 0 else 0,
        float(beat) if isinstance(beat, int | float) else 0.0,
        said.get("tombstone") is True,
        Revision(child.created, child.version),
    )
    target, dialect = said.get("target"), said.get("dialect")
    of = target if isinstance(target, str) and words.digest(target) == child.name else child.name
    return Standing(of, claim, dialect if isinstance(dialect, str) else "")


def of_target(them: Sequence[Standing], mark: Mark, target: Target) -> tuple[Claim, ...]:
    """The claims that count for a target of ours: our own of this target, and all of others, whose targets are theirs.

    Sorted by owner and deployment.
    """
    ours = (mark.owner, *mark.former)
    return tuple(one.claim for one in them if one.claim.owner not in ours or _is_of(one, target))


def retired(them: Sequence[Standing], target: Target) -> list[str]:
    """The owners who write into a target no more: they were withdrawn, or what they wrote was taken over."""
    return [one.claim.owner for one in them if one.claim.tombstone and _is_of(one, target)]


def _is_of(one: Standing, target: Target) -> bool:
    return one.target in (target, words.digest(target))
