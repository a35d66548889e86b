"""Which slice an endpoint stands in: it stays where it is, and what is new fills what has room.

Nothing here is of Kubernetes: slices have names, members of a slice have something in common (their group), and a
slice holds so many.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
G = TypeVar("G", bound=Hashable)


class Pack(NamedTuple, Generic[G]):
    """What one slice holds: members that are of one group, sorted."""

    group: G
    members: tuple[str, ...]


def pack(
    wanted: Mapping[G, Collection[str]], standing: Mapping[K, Pack[G]], size: int, fresh: Iterator[K]
) -> dict[K, Pack[G]]:
    """The slices that hold all that is wanted, by name, none with more than `size` members.

    A member that is wanted in the group in which it stands stays in its slice, as far as `size` allows. What is new
    goes into the first slice of its group with room, in the order of `standing`; then into one that nobody is left in,
    so that a group that changes as a whole is put once; then into new ones, named by `fresh`. So what comes, goes or
    changes changes one slice, and never that of a neighbour. Deterministic, in the order of `wanted`.
    """
    left = {group: dict.fromkeys(sorted(members)) for group, members in wanted.items()}
    packs: dict[K, tuple[G, list[str]]] = {}
    vacant: list[K] = []
    for key, there in standing.items():
        here = left.get(there.group, {})
        stay = [member for member in dict.fromkeys(there.members) if member in here][:size] if here else []
        for member in stay:
            del here[member]
        if stay:
            packs[key] = there.group, stay
        else:
            vacant.append(key)
    names = chain(vacant, fresh)
    for group, come in left.items():
        new = list(come)
        for of, stay in [*packs.values()]:
            if of == group and new:
                room = size - len(stay)
                stay += new[:room]
                new = new[room:]
        while new:
            packs[next(names)] = group, new[:size]
            new = new[size:]
    return {key: Pack(group, tuple(sorted(members))) for key, (group, members) in packs.items()}
