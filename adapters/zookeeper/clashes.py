"""What registries of one configuration do to each other in one ZooKeeper."""

from typing import Final, NamedTuple

from adapters.zookeeper.paths import Tree
from bridge.kit.place import excerpt

APART: Final = "one tree has one export: join them, or write elsewhere"
_TOGETHER: Final = "read and write it in one registry, which is never told what it knows"


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
        case _:
            return ""
