"""Which removals are believed.

One guard a source, sans-IO: `step(event, now) -> Verdict`. What is seen is served at once; what is missing is *held*
until there is evidence that it is gone:

1. it was draining, or unhealthy for 30 s outside a health flood: at once (`draining`, `unhealthy`);
2. the service has had as many endpoints as before for 1 s (`replaced`);
3. after `gather` the loss of its service and of its source is small, and there is no flood (`small`);
4. four probes a second apart found it closed while the controls were open (`closed`);
5. a complete reading made `confirm` later agrees, and there is no flood (`confirmed`);
6. in a flood: 30 minutes and a complete reading (`released`), or an operator's word (`accepted`);
7. it had another writer, or is missing since a snapshot, and stands there as ours now (`ours`): we took its place.

`loss` says how much is missing, `probes` what is proven closed, `health` which turns for the worse are believed.
"""

from bridge.guard.guard import Guard
from bridge.guard.values import (
    Accepted,
    Elapsed,
    Event,
    Frozen,
    Hold,
    Lost,
    Probed,
    Reason,
    Removals,
    Seen,
    Verdict,
    Why,
)

__all__ = [
    "Accepted",
    "Elapsed",
    "Event",
    "Frozen",
    "Guard",
    "Hold",
    "Lost",
    "Probed",
    "Reason",
    "Removals",
    "Seen",
    "Verdict",
    "Why",
]
