"""Bridges that are no more, and what they left behind.

A bridge renews its claim twice a minute. Whose claims all stand still for a day has stopped for good, and what it wrote
is nobody's word any more: it is left out, and told, until somebody withdraws it or starts that bridge again. Whoever
has no claim that can be seen is believed.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bridge.adapter import Claim, Problem
from bridge.model import Endpoint, Service, ServiceName, Services
from bridge.table import Table, changed

SILENCE = 86_400.0
"""Seconds without a heartbeat after which an owner is gone."""


class _Beat(NamedTuple):
    """A claim as it last moved, and when that was, in monotonic seconds, as far as is known."""

    face: tuple[str, int, float]
    since: float


class Owners:
    """Whose claims were seen, and when they moved.

    Two machines never agree on the time, so a beat is compared with our wall clock once, when it is first seen; from
    then on only its moving counts, by our monotonic one.
    """

    def __init__(self) -> None:
        self._beats: dict[tuple[str, str], _Beat] = {}  # by owner, and what its claim is of

    def see(self, claims: Iterable[tuple[str, Claim]], now: float, wall: float) -> None:
        """These stand there, each with the name of what it is the claim of; others do not any more."""
        beats: dict[tuple[str, str], _Beat] = {}
        for of, claim in claims:
            key, face = (claim.owner, of), (claim.deployment, claim.term, claim.beat)
            before = self._beats.get(key)
            if before is None:
                beats[key] = _Beat(face, now - max(0.0, wall - claim.beat))
            else:
                beats[key] = before if before.face == face else _Beat(face, now)
        self._beats = beats

    def gone(self, now: float) -> dict[str, float]:
        """The owners that have stopped, each with the seconds for which none of its claims has moved; sorted."""
        last = self._last()
        return {owner: now - last[owner] for owner in sorted(last) if now - last[owner] >= SILENCE}

    def wake_at(self, now: float) -> float | None:
        """When another one will have stopped, if it does not move; monotonic seconds."""
        return min((since + SILENCE for since in self._last().values() if since + SILENCE > now), default=None)

    def _last(self) -> dict[str, float]:
        last: dict[str, float] = {}
        for (owner, _), beat in self._beats.items():
            last[owner] = max(beat.since, last.get(owner, beat.since))
        return last


class Left(NamedTuple):
    """`services` without what the `owners` wrote, of those that were `said`, and how many endpoints that was."""

    said: Services
    owners: frozenset[str]
    services: Services
    out: Table[ServiceName, tuple[tuple[str, int], ...]]


NOBODY = Left(Table(), frozenset(), Table(), Table())


def without(said: Services, owners: frozenset[str], previous: Left) -> Left:
    """Leave out what these owners wrote; `previous` saves the work for what is as it was, and changes no answer."""
    if not owners:
        return Left(said, owners, said, Table())
    if previous.owners != owners:
        previous = Left(Table(), owners, Table(), Table())
    services: dict[ServiceName, Service | None] = {}
    out: dict[ServiceName, tuple[tuple[str, int], ...] | None] = {}
    for name in changed(previous.said, said):
        service = said.get(name)
        theirs = [] if service is None else [one for one in service.endpoints if _writer(one) in owners]
        if service is None or not theirs:
            services[name], out[name] = service, None
            continue
        kept = [one for one in service.endpoints if _writer(one) not in owners]
        services[name] = Service(name, tuple(kept), service.metadata) if kept else None
        writers = [_writer(one) for one in theirs]
        out[name] = tuple((owner, writers.count(owner)) for owner in sorted(set(writers)))
    return Left(said, owners, previous.services.with_(services), previous.out.with_(out))


def told(left: Left, gone: dict[str, float]) -> tuple[Problem, ...]:
    """A problem for each owner of whom something was left out."""
    counts: dict[str, int] = {}
    for rows in left.out.values():
        for owner, number in rows:
            counts[owner] = counts.get(owner, 0) + number
    return tuple(
        Problem(
            "abandoned",
            f"the bridge {owner}",
            f"has not renewed its claim for {gone.get(owner, SILENCE) / 3600:.0f} h, so the {counts[owner]} endpoints "
            f"that it wrote are left out; start it again, or take away what it left: `registry-bridge withdraw "
            f"--owner {owner}` where this one exports to the same place",
        )
        for owner in sorted(counts)
    )


def _writer(endpoint: Endpoint) -> str:
    """The owner that wrote it, "" where none did."""
    return endpoint.via.rpartition(" ")[2]
