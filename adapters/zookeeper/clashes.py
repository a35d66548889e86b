"""What registries of one configuration, or bridges, do to each other in one ZooKeeper."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from adapters.zookeeper.claims import Standing
from adapters.zookeeper.paths import Tree, meet, pattern
from adapters.zookeeper.target import TreeTarget
from bridge.adapter import Problem
from bridge.kit.place import excerpt

APART: Final = "one tree has one export: join them, or write elsewhere"
_TOGETHER: Final = "read and write it in one registry, which is never told what it knows"
_AS_IT_STANDS: Final = "name one dialect, or write elsewhere"


class Use(NamedTuple):
    """A tree that a registry reads; or writes, and then `sources` are the registries whose services it writes there.

    `key` is where the configuration says so; `tree` has the chroot before it.
    """

    registry: str
    key: str
    path: str
    tree: Tree
    dialect: str
    sources: tuple[str, ...] = ()


def clash(one: Use, other: Use) -> str:
    """What is wrong with one while there is the other, and what to do; "" where nothing is."""
    its = f"{other.key} of {excerpt(other.registry)}, {other.path}"
    meet = one.tree.meets(other.tree)
    match bool(one.sources), bool(other.sources):
        case True, True if one.tree.meets(other.tree, within=True):
            return f"writes into the tree of {its}, on the same servers; {APART}"
        case True, False if meet and other.registry in one.sources:
            return f"writes what {excerpt(other.registry)} knows into where that is read, {its}; {_TOGETHER}"
        case False, True if meet and one.registry in other.sources:
            return f"is read from where what is known of it is written, {its}; {_TOGETHER}"
        case False, False if meet and (one.dialect, one.tree.mapped.namespace) == (
            other.dialect,
            other.tree.mapped.namespace,
        ):
            return f"reads what is read in {its}, on the same servers: all of it would count twice; remove one of them"
        case True, False if meet and not _alike(one.dialect, other.dialect):
            return f"writes {one.dialect} into what is read as {other.dialect}, {its}; {_AS_IT_STANDS}"
        case False, True if meet and not _alike(one.dialect, other.dialect):
            return f"reads {one.dialect} where {other.dialect} is written, {its}; {_AS_IT_STANDS}"
        case _:
            return ""


def _alike(one: str, other: str) -> bool:
    """Whether readers of one dialect can read the other."""
    return one == other or {one, other} == {"curator", "spring"}


def of_others(target: TreeTarget, claims: Iterable[Standing], ours: Collection[str]) -> Iterator[Problem]:
    """What other bridges write into a tree that we write, in another way or at another depth."""
    for claim, path, dialect in ((one.claim, one.target, one.dialect) for one in claims):
        if claim.owner in ours or claim.tombstone or not path.startswith("/"):
            continue
        words, alike = pattern(path), dialect in ("", target.dialect.name)
        if meet(target.tree.words, words, within=True) and not (alike and len(words) == len(target.tree.words)):
            what = (
                f"owner {claim.owner} writes {excerpt(path)} there, dialect {excerpt(dialect)}: readers of one cannot "
                "read the other; let one of you write elsewhere"
            )
            yield Problem("clash", f"{target.target}: dialect {target.dialect.name}", what)
