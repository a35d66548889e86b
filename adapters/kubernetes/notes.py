"""Notes beside a Service: one Event for each kind, which is updated, and which `kubectl describe` shows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from adapters.kubernetes.objects import MANAGER
from bridge.adapter import Note

LONGEST: Final = 1024
"""Characters of an Event's message."""

_REASONS: Final[Mapping[str, str]] = {
    "taken": "NameTaken",
    "parked": "Rejected",
    "withheld": "RemovalWithheld",
    "unsaid": "NotExported",
}


def name(note: Note, writer: str) -> str:
    """The Event's name; `writer` is a digest of who writes there."""
    return f"{note.service.name}.{note.kind}.{writer}"


def body(note: Note, writer: str, uid: str, wall: float) -> dict[str, Any]:
    """The Event as it is made; `uid` is the Service's, `wall` the time in seconds since the epoch."""
    now = _time(wall)
    service = note.service
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name(note, writer), "namespace": service.namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": service.namespace,
            "name": service.name,
            "uid": uid,
        },
        "type": "Normal" if note.kind == "withheld" else "Warning",
        "reason": _REASONS.get(note.kind, "NotExported"),
        "message": message(note),
        "source": {"component": MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def again(note: Note, wall: float, count: int | None) -> dict[str, Any]:
    """What changes of an Event that stands there; `count` is how often it then was, None where nobody knows."""
    change: dict[str, Any] = {"message": message(note), "lastTimestamp": _time(wall)}
    return change if count is None else {**change, "count": count}


def message(note: Note) -> str:
    return note.text if len(note.text) <= LONGEST else f"{note.text[: LONGEST - 1]}…"


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
