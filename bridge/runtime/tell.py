"""What the log says of holds: one line for what a step began, one for what it ended."""

from collections import Counter

import structlog

from bridge.guard import Hold, Verdict
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.table import Table, changed

Holds = Table[ServiceName, tuple[Hold, ...]]

_NONE: Holds = Table()

_log = structlog.get_logger("bridge.holds")


def tell(source: SourceName, before: Verdict | None, after: Verdict) -> None:
    """Log what differs between two verdicts on one source: floods, freezes, holds."""
    if before is not after:
        _states(source, before, after)
        _began(source, before.holds if before else _NONE, after.holds)
        _ended(source, after)


def _states(source: SourceName, before: Verdict | None, after: Verdict) -> None:
    for what in ("flood", "health_flood", "frozen"):
        was, is_ = bool(before and getattr(before, what)), bool(getattr(after, what))
        if was is not is_:
            _log.warning(f"{what.replace('_', ' ')} {'began' if is_ else 'ended'}", source=source)


def _began(
    source: SourceName, before: Table[ServiceName, tuple[Hold, ...]], after: Table[ServiceName, tuple[Hold, ...]]
) -> None:
    new = [
        hold
        for name in changed(before, after)
        for hold in after.get(name, ())
        if hold.endpoint.id not in {old.endpoint.id for old in before.get(name, ())}
    ]
    if new:
        first = min(new, key=lambda hold: (hold.service, hold.endpoint.id))
        _log.warning(
            "endpoints held",
            source=source,
            count=len(new),
            services=len({hold.service for hold in new}),
            first=f"{first.service} {first.endpoint.id}",
            why=first.why,
            wait=first.wait,
        )


def _ended(source: SourceName, after: Verdict) -> None:
    """By reason; the guard says each end once, in the verdict of the step that ended it."""
    by_reason: Counter[str] = Counter()
    firsts: dict[str, tuple[ServiceName, EndpointId]] = {}
    for service, endpoint, reason in sorted(after.ended):
        by_reason[reason] += 1
        firsts.setdefault(reason, (service, endpoint))
    for reason, (service, endpoint) in sorted(firsts.items()):
        _log.info("holds ended", source=source, reason=reason, count=by_reason[reason], first=f"{service} {endpoint}")
