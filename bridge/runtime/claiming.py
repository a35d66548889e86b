"""Whether one target may be written, as its claim and the election tell.

Sans-IO: the outlet tells what it observed, what the election says and what became of its writes, and asks `state`,
`due` and `wake_at`. What two machines call the time is never compared: another's claim is alive while it is seen to
move, by our own monotonic clock.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from bridge.adapter import Claim
from bridge.kit.election import Term
from bridge.kit.mark import Mark

BEAT = 30.0
"""Seconds between two renewals of a claim."""

VALID = 45.0
"""Seconds for which a renewal entitles its writer to write, counted from before it was sent."""

LAPSE = 60.0
"""Seconds without a move after which a claim is nobody's; more than VALID: a writer stops before others start."""

CONFIRM = 5.0
"""Seconds after which a claim that was written and is not seen has the registry read again."""


class Standing(Enum):
    """What a target's claim means for us."""

    FOLLOWS = "follows"  # this replica does not lead
    CLAIMS = "claims"  # we lead, and are about to claim
    WRITES = "writes"
    ANOTHER = "another"  # somebody else writes under our owner
    WITHDRAWN = "withdrawn"  # the tombstone


class Opinion(NamedTuple):
    """A standing, and for the operator what it comes from and what to do."""

    standing: Standing
    why: str = ""


class Seen(NamedTuple):
    """The claim of our owner as it was when it last moved."""

    claim: Claim | None
    since: float  # monotonic


class _Sent(NamedTuple):
    """A claim that was written, or may have been, and is not seen yet."""

    claim: Claim
    asked: float  # when a reading was asked for, monotonic
    read: int  # what had been read
    refused: bool  # something else stood there than what it was to replace


class Claiming:
    """The claim of one target."""

    def __init__(self, mark: Mark, end: bool) -> None:
        """`end`: what is claimed is the tombstone, since all of the owner is withdrawn."""
        self._mark = mark
        self._end = end
        self._term: Term | None = None  # of the election
        self._seen: Seen | None = None  # None: the target was not observed yet
        self._read = 0
        self._held: int | None = None  # the term that we claimed in this term of the election
        self._elected: int | None = None  # that term of the election
        self._highest = 0  # term that ever stood there
        self._renewed = float("-inf")
        self._sent: _Sent | None = None

    def lead(self, term: Term | None) -> None:
        """What the election says now."""
        self._term = term

    def see(self, claims: Iterable[Claim], read: int, now: float) -> None:
        """The claims that stand there, as of the reading of that number."""
        ours = [one for one in claims if one.owner == self._mark.owner]
        claim = max(ours, key=lambda one: one.term, default=None)
        if self._seen is None or _face(claim) != _face(self._seen.claim):
            self._seen = Seen(claim, now)
        else:
            self._seen = Seen(claim, self._seen.since)  # with its newest revision
        self._read = read
        if claim is not None:
            self._highest = max(self._highest, claim.term)
        if (sent := self._sent) is not None:
            other = sent.refused and (claim.revision if claim is not None else None) != sent.claim.revision
            if other or _same(claim, sent.claim) or read >= sent.read + 2:  # the one before may have begun earlier
                self._sent = None

    def sent(self, claim: Claim, before: float) -> None:
        """The registry took `claim`; `before` is when it was sent."""
        assert self._term is not None
        self._held, self._elected, self._renewed = claim.term, self._term.number, before
        self._highest = max(self._highest, claim.term)
        self._sent = _Sent(claim, before, self._read, False)

    def refused(self, claim: Claim, now: float) -> None:
        """The registry has another claim than the one that we saw: look before going on."""
        self._sent = _Sent(claim, now, self._read, True)

    @property
    def term(self) -> int | None:
        """The term of the claim that we wrote last."""
        return self._held

    def opinion(self, now: float) -> Opinion:
        """Whether we may write at `now`."""
        claim = self._seen.claim if self._seen is not None else None
        if claim is not None and claim.tombstone and not self._end:
            return Opinion(
                Standing.WITHDRAWN, f"the owner {claim.owner} was withdrawn here; `registry-bridge adopt` ends that"
            )
        if self._term is None or now >= self._term.until:
            leader = self._term.leader if self._term is not None else ""
            why = f"another replica leads, {leader}" if leader else "nobody is known to lead"
            return Opinion(Standing.FOLLOWS, why)
        if claim is not None and self._stranger(claim) and now < self._lapses():
            who = "another deployment" if claim.deployment != self._mark.deployment else "another process"
            return Opinion(
                Standing.ANOTHER,
                f"{who} ({claim.deployment}, term {claim.term}) writes as owner {claim.owner}; "
                "give each deployment an `owner:` of its own, or stop one: "
                f"{LAPSE:.0f} s after its last sign of life the other goes on",
            )
        if self._holds() and self._ours(claim) and now < self._renewed + VALID:
            return Opinion(Standing.WRITES)
        return Opinion(Standing.CLAIMS, "the claim is not written yet")

    def patience(self, now: float) -> float:
        """Seconds for which what is sent now may be under way: no longer than we lead, nor than our claim entitles."""
        left = self._term.until - now if self._term is not None else 0.0
        if self._holds() and now < self._renewed + VALID:
            left = min(left, self._renewed + VALID - now)
        return max(left, 0.0)

    def due(self, now: float, wall: float) -> Claim | None:
        """The claim that is to be written now, None when none is."""
        opinion = self.opinion(now)
        if self._seen is None or self._sent is not None:
            return None
        claim = self._seen.claim
        if opinion.standing is Standing.WRITES:
            if now < self._renewed + BEAT:
                return None
            term = self._held or 1
        elif opinion.standing is Standing.CLAIMS:
            again = self._holds() and self._ours(claim)  # too late for a renewal, and nobody came between
            term = self._held if again and self._held else self._highest + 1
        else:
            return None
        revision = claim.revision if claim is not None else None
        return Claim(self._mark.owner, self._mark.deployment, term, wall, self._end, revision)

    def unseen(self, now: float) -> bool:
        """Whether the registry has to be read again, since what was written is not seen for too long."""
        return self._sent is not None and now >= self._sent.asked + CONFIRM

    def looked(self, now: float) -> None:
        """The registry was asked to be read again."""
        if self._sent is not None:
            self._sent = self._sent._replace(asked=now)

    def wake_at(self, now: float) -> float | None:
        """When an answer could be another one, without anything being observed; monotonic seconds."""
        moments = [self._lapses(), self._renewed + BEAT, self._renewed + VALID]
        if self._term is not None:
            moments.append(self._term.until)
        if self._sent is not None:
            moments.append(self._sent.asked + CONFIRM)
        return min((one for one in moments if now < one < float("inf")), default=None)

    def _holds(self) -> bool:
        """Whether we claimed the target in the term of the election that is now."""
        return self._held is not None and self._term is not None and self._elected == self._term.number

    def _ours(self, claim: Claim | None) -> bool:
        return (
            claim is not None
            and claim.deployment == self._mark.deployment
            and claim.term == self._held
            and claim.tombstone is self._end
        )

    def _stranger(self, claim: Claim) -> bool:
        """Whether somebody writes there who is neither we nor a predecessor whom the election has ended."""
        if claim.deployment != self._mark.deployment:
            return True
        return self._holds() and self._held is not None and claim.term > self._held

    def _lapses(self) -> float:
        return self._seen.since + LAPSE if self._seen is not None else float("-inf")


def _face(claim: Claim | None) -> tuple[object, ...]:
    """What moves when its writer lives."""
    return () if claim is None else (claim.deployment, claim.term, claim.beat, claim.tombstone)


def _same(one: Claim | None, other: Claim) -> bool:
    return one is not None and _face(one) == _face(other)
