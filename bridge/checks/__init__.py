"""What is known of a registry's endpoints by checking them from here.

One machine a registry, sans-IO: `Checks.step(event, now) -> Round`. Nothing is known of an endpoint until its first
verdict: one pass, or `fall` failures in a row; after that `rise` passes or `fall` failures in a row turn it. What could
not be checked for a reason of our own says nothing. `worst` lays what is known over what the registry says, before the
guard, which does not believe it when half of a registry turns unhealthy at a time.
"""

from bridge.checks.checks import Checks
from bridge.checks.values import (
    Ask,
    Check,
    Counts,
    Elapsed,
    Event,
    Exist,
    Failed,
    Found,
    Hindered,
    Key,
    Kind,
    Opinion,
    Opinions,
    Passed,
    Result,
    Round,
)
from bridge.checks.worst import Judged, judged

__all__ = [
    "Ask",
    "Check",
    "Checks",
    "Counts",
    "Elapsed",
    "Event",
    "Exist",
    "Failed",
    "Found",
    "Hindered",
    "Judged",
    "Key",
    "Kind",
    "Opinion",
    "Opinions",
    "Passed",
    "Result",
    "Round",
    "judged",
]
