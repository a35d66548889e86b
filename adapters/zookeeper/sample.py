"""What a few records of a tree look like, for whoever writes a configuration."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from adapters.zookeeper.access import Access
from adapters.zookeeper.client import Client
from adapters.zookeeper.dialects.dialect import Child, Dialect
from adapters.zookeeper.dialects.guess import Guess, guess, suits
from adapters.zookeeper.mirror import shown
from adapters.zookeeper.operations import NO_NODE, Children, Get, Listing, Node, Refused
from adapters.zookeeper.paths import Tree
from adapters.zookeeper.telling import remedy
from bridge.kit import Clock
from bridge.kit.settings import Sample

SERVICES: Final = 5
"""Of a tree, those that have children."""

RECORDS: Final = 20
"""Of a service."""

LOOKED_AT: Final = 200
"""Znodes of one level at most."""

BESIDE: Final = 10
"""Names that are told beside a path that is not there."""

NO_CHROOT: Final = "the chroot is not there"


class Sampled(NamedTuple):
    """A tree and where it stands in the configuration; `founded`: its root is made by us, with the first record."""

    where: str
    tree: Tree
    dialect: Dialect
    founded: bool


async def sample(access: Access, trees: Sequence[Sampled], clock: Clock, within: float) -> tuple[Sample, ...]:
    """One for each tree, under its name; Unavailable or Denied when there is no connection within so many seconds."""
    place = f"zookeeper {access.hosts}"
    client = Client(access, place, clock, asyncio.Event())
    try:
        await client.up(within)
        return tuple([await _tree(client, place, one) for one in trees])
    finally:
        await client.close()


async def _tree(client: Client, place: str, sampled: Sampled) -> Sample:
    tree = sampled.tree
    at = f"{sampled.where} ({tree.root})"
    paths, more = [tree.root], False
    for level in range(tree.depth):
        listings = await client.ask(*map(Children, paths))
        if level == 0 and isinstance(listings[0], Refused):
            word, what, _ = listings[0]
            beside = await _beside(client, tree.root) if word == NO_NODE else ""
            if sampled.founded and beside and beside != NO_CHROOT:
                return Sample(at, "is not there yet; it is made with the first record that is exported", True)
            return Sample(at, remedy(word, what, place, never=True) + (f" ({beside})" if beside else ""), False)
        below = [
            f"{path.rstrip('/')}/{name}"
            for path, listing in zip(paths, listings, strict=True)
            for name in sorted(_names(listing))
            if tree.admits(level, name)
        ]
        above, paths = paths, below[:LOOKED_AT]
        more |= len(below) > LOOKED_AT
        if not paths and any(map(_names, listings)):
            path, names = next(
                (path, names) for path, one in zip(above, listings, strict=True) if (names := _names(one))
            )
            word = tree.parts[len(tree.parts) - tree.depth + level]
            return Sample(
                at,
                shown(f"there are no records to look at: {path} has {_some(names)}, and {word} is none of them"),
                False,
            )
    found: list[Child] = []
    services = 0
    for path in paths:
        children = await _children(client, path)
        found += children
        services += bool(children)
        if services == SERVICES:
            break
    if not found:
        where = f" in the first {LOOKED_AT} znodes of a level" if more else ""
        return Sample(at, f"there are no records to look at{where}", True)
    deeper = any(child.children for child in found)
    return _judged(at, sampled.dialect, guess(found, sampled.dialect.name), len(found), services, deeper=deeper)


async def _beside(client: Client, path: str) -> str:
    """What there is where a path ends that is not there, for whoever mistyped it."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        (listing,) = await client.ask(Children(path))
        if isinstance(listing, Listing):
            return shown(f"{path} has {_some(listing.names) or 'no children'}")
    return NO_CHROOT


async def _children(client: Client, path: str) -> list[Child]:
    """The first children of a service's node, with their data."""
    (listing,) = await client.ask(Children(path))
    names = sorted(_names(listing))[:RECORDS]
    nodes = await client.ask(*(Get(f"{path.rstrip('/')}/{name}") for name in names))
    return [
        Child("", name, node.data, children=node.stat.children)
        for name, node in zip(names, nodes, strict=True)
        if isinstance(node, Node)
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:BESIDE]) + (", …" if len(names) > BESIDE else "")


def _names(listing: object) -> tuple[str, ...]:
    return listing.names if isinstance(listing, Listing) else ()


def _judged(
    at: str, dialect: Dialect, guesses: Sequence[Guess], records: int, services: int, *, deeper: bool
) -> Sample:
    of = f"of {_many(records, 'record')} in {_many(services, 'service')}"
    if not guesses:
        but = "; they have children: the path may end a level too early" if deeper else ""
        return Sample(
            at, f"none {of} looks like any dialect that is known; the configuration says {dialect.name}{but}", False
        )
    told = ", ".join(f"{one.children} like {one.dialect}" for one in guesses)
    fits = suits(dialect.name, guesses)
    then = "as the configuration says" if fits else f"and the configuration says {dialect.name}"
    return Sample(at, f"{of} {told}, {then}", fits)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
