"""The Lease of an election as the API has it: what it says, and what to write in its place; pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.kit.candidate import Standing, Write

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def read(found: Mapping[str, Any], seconds: float) -> Standing:
    """What an object says; one that does not say for how long is held for `seconds`."""
    spec = found.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    holder = spec.get("holderIdentity")
    return Standing(
        holder if isinstance(holder, str) else "",
        float(_number(spec.get("leaseDurationSeconds"))) or seconds,
        _number(spec.get("leaseTransitions")),
        (spec.get("acquireTime"), spec.get("renewTime")),
    )


def written(found: Mapping[str, Any] | None, write: Write, wall: float, namespace: str, name: str) -> dict[str, Any]:
    """The object to put in the place of `found`, by its resourceVersion, or to make; `wall` is seconds since the epoch.

    What others wrote into it stays. Its time of renewal is another one whatever the clock says: by that the others
    know that its holder lives.
    """
    before = dict(found or {})
    spec = before.get("spec")
    spec = dict(spec) if isinstance(spec, dict) else {}
    moment = datetime.fromtimestamp(wall, UTC)
    if moment.strftime(_TIME) == spec.get("renewTime"):
        moment += timedelta(microseconds=1)
    now = moment.strftime(_TIME)
    spec |= {
        "holderIdentity": write.holder,
        "leaseDurationSeconds": math.ceil(write.seconds),
        "leaseTransitions": write.transitions,
        "renewTime": now,
    }
    if write.acquires:
        spec["acquireTime"] = now
    metadata = before.get("metadata") or {"name": name, "namespace": namespace}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _number(value: object) -> int:
    return max(0, value) if isinstance(value, int) else 0
