"""What the log says of a guard's step: one line for what it began, one for each reason for which it ended something."""

from collections import Counter

import structlog

from bridge.guard import Verdict
from bridge.model import EndpointId, ServiceName, SourceName

_log = structlog.get_logger("bridge.holds")


def tell(source: SourceName, before: Verdict | None, after: Verdict) -> None:
    """Log what the step to `after` changed: floods, freezes, holds."""
    for what in ("flood", "health_flood", "frozen"):
        was, is_ = before is not None and getattr(before, what), getattr(after, what)
        if was is not is_:
            word = f"registry-bridge holds accept --health --source {source}"
            see = {"until": f"it passes, half an hour is over, or {word}"} if is_ and what == "health_flood" else {}
            _log.warning(f"{what.replace('_', ' ')} {'began' if is_ else 'ended'}", source=source, **see)
    if after.began:
        _began(source, after)
    if after.ended:
        _ended(source, after)


def _began(source: SourceName, after: Verdict) -> None:
    service, endpoint = after.began[0]
    hold = next((hold for hold in after.holds.get(service, ()) if hold.endpoint.id == endpoint), None)
    _log.warning(
        "endpoints held",
        source=source,
        count=len(after.began),
        services=len({name for name, _ in after.began}),
        first=f"{service} {endpoint}",
        why=hold.why if hold else "",
        wait=hold.wait if hold else "",
    )


def _ended(source: SourceName, after: Verdict) -> None:
    counts: Counter[str] = Counter()
    firsts: dict[str, tuple[ServiceName, EndpointId]] = {}
    for service, endpoint, reason in after.ended:
        counts[reason] += 1
        firsts.setdefault(reason, (service, endpoint))
    for why, (service, endpoint) in sorted(firsts.items()):
        _log.info("holds ended", source=source, reason=why, count=counts[why], first=f"{service} {endpoint}")
