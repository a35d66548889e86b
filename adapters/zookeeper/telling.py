"""What is told of a ZooKeeper: a whole view of what its mirrors have, or why there is none."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final

from adapters.zookeeper import claims
from adapters.zookeeper.clashes import of_others
from adapters.zookeeper.mirror import Failure, Mirror, shown
from adapters.zookeeper.operations import NO_AUTH, NO_NODE
from adapters.zookeeper.target import TreeTarget
from adapters.zookeeper.whole import Trees, Whole
from bridge.adapter import Claim, Held, Observation, Problem, Target, Unread
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit.mark import Mark
from bridge.kit.problems import bounded
from bridge.table import Table

SHOWN: Final = 500
"""How many problems an observation tells one by one."""


class Telling:
    """The mirrors of one registry, those that are read, those that are written, and that of the claims."""

    def __init__(
        self,
        place: str,
        read: Sequence[Mirror],
        trees: Trees,
        mark: Mark | None = None,
        written: Mapping[TreeTarget, Trees] = MappingProxyType({}),
        *,
        beside: Sequence[Mirror] = (),
    ) -> None:
        """`trees` are those that are read, as a whole; so is each of those that are written.

        `beside` is what says something of them and is not missed.
        """
        self.targets = tuple(written)
        ephemeral = frozenset(one.target for one in written if one.ephemeral)
        self.whole = Whole(trees, {one.target: of for one, of in written.items()}, ephemeral)
        self.restored: Problem | None = None
        """Told beside everything else while it is there."""
        self._place = place
        self._mark = mark
        self._claims = claims.mirror()
        self._trees = (*read, *(one.mirror for one in written))
        self._beside = tuple(beside)
        self._held: Table[Target, Held] = Table()

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        return (*self._trees, *self._beside, self._claims)

    def refused(self) -> BridgeError | None:
        """Why nothing at all can be read over a connection that is there, which is no view."""
        unread = [one for mirror in self._trees for one in self._unread(mirror)]
        if len(unread) < sum(mirror.parts for mirror in self._trees):
            return None
        why = "; ".join(self._unread(mirror)[0].why for mirror in self._trees)
        failures = (failure for mirror in self._trees for failure in mirror.failures.values())
        denied = any(failure.word == NO_AUTH for failure in failures)
        return (Denied if denied else Unavailable)(f"{self._place}: {why}")

    def retired(self, target: Target) -> list[str]:
        """See `claims.retired`."""
        return claims.retired(claims.standing(self._claims), target)

    def view(self, read: int, lost: str, since: float) -> Observation:
        """All that is known; `lost` is why nothing can be asked at present, "" while it can."""
        if lost:
            parts = len(self._trees)
            unread = [Unread(mirror.tree.root, since, lost) for mirror in self._trees]
        else:
            parts = sum(mirror.parts for mirror in self._trees)
            unread = [one for mirror in self._trees for one in self._unread(mirror)]
            if self.targets:
                unread += self._unread(self._claims)
                parts += len(self._unread(self._claims))
        restored = [self.restored] if self.restored is not None else []
        standing = claims.standing(self._claims)
        self._hold(standing)
        ours = () if self._mark is None else (self._mark.owner, *self._mark.former)
        clashing = chain.from_iterable(of_others(one, standing, ours) for one in self.targets)
        found = chain(restored, clashing, self._unheeded(), self._unclaimed(), self.whole.problems())
        told = bounded(found, SHOWN, self._place)
        others = (
            () if self.targets else tuple((one.target, one.claim) for one in standing if one.claim.owner not in ours)
        )
        return Observation(self.whole.services, read, told, parts, tuple(unread), self._held, others)

    def _unclaimed(self) -> Iterator[Problem]:
        """Why who only reads does not know which bridges are no more; nothing else suffers from it."""
        for one in () if self.targets else self._unread(self._claims):
            what = f"{one.why}; what a bridge left that is no more cannot be told from what stands"
            yield Problem("claims", one.part, what)

    def _hold(self, standing: Sequence[claims.Standing]) -> None:
        """What there is of ours in each target; one of which a part was never read is left out, and not written."""
        for one in self.targets:
            failures = chain(one.mirror.failures.values(), self._claims.failures.values())
            known = self._mark is not None and not any(failure.never for failure in failures)
            before = self._held.get(one.target)
            if not known or self._mark is None:
                self._held = self._held.with_({one.target: None})
                continue
            holdings = self.whole.holdings[one.target]
            its: tuple[Claim, ...] = claims.of_target(standing, self._mark, one.target)
            if before is None or before.holdings is not holdings or before.claims != its:
                self._held = self._held.with_({one.target: Held(holdings, its)})

    def _unheeded(self) -> Iterator[Problem]:
        """What of the documents beside the trees cannot be read, which keeps nobody from believing the trees."""
        for mirror in self._beside:
            for path, failure in sorted(mirror.failures.items()):
                yield Problem("unheeded", shown(path), self._remedy(failure))

    def _unread(self, mirror: Mirror) -> list[Unread]:
        """What of a tree cannot be read, its root first: a level of it or a service, whatever of that it is."""
        by_part: dict[str, list[tuple[str, Failure]]] = {}
        for path, failure in sorted(mirror.failures.items()):
            by_part.setdefault(mirror.part(path), []).append((path, failure))
        return [
            Unread(
                shown(part),
                min(failure.since for _, failure in failures),
                f"{shown(failures[0][0])}: {self._remedy(failures[0][1])}",
                any(failure.never for _, failure in failures),
            )
            for part, failures in by_part.items()
        ]

    def _remedy(self, failure: Failure) -> str:
        return remedy(failure.word, failure.what, self._place, never=failure.never)


def remedy(word: str, what: str, place: str, *, never: bool) -> str:
    """Why a node of that place, such as `zookeeper zk1:2181/app`, cannot be read, and what to do; see `Failure`."""
    if word == NO_NODE:
        _, slash, chroot = place.rpartition(" ")[2].partition("/")
        within = f" below the chroot /{chroot}" if slash else ""
        then = "what it said last stands; make it again, empty if there is nothing"
        correct = f"correct {'the chroot, or ' if slash else ''}the path of the tree"
        return f"is not there{within}; {correct if never else then}"
    if word == NO_AUTH:
        return "may not be read by us; give us `r` there, or correct `auth`"
    return f"cannot be read: {what}"
