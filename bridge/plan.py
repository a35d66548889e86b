"""The changes that bring what a sink has of ours to what it should have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.adapter import Change, Holding, Put, Record, RecordKey, Remove
from bridge.model import EndpointId, ServiceName

Reason = Literal["waiting", "limit", "orphan", "upsert-only", "taken", "twice"]
"""Why something is withheld.

A source of the export was not read whole yet; more would go than may at once; no run of this process ever wanted it;
the export never removes; somebody else has the name; two records would have it.
"""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A change that is not made: an endpoint that may not go yet, or a record that cannot be written.

    `text` tells an operator why, and what to do or to wait for; `since` is when it began, in seconds, monotonic, None
    where it is so for as long as the sink is as it is.
    """

    service: ServiceName
    what: EndpointId | RecordKey
    reason: Reason
    text: str
    since: float | None = None

    def __str__(self) -> str:
        return f"{self.service}: {self.what}: {self.text}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of one service, to be made in this order, the removals only when every put is done.

    What stands there before a change and after it is in its records: `Put.replaces`, `Put.record`, `Remove.record`.
    """

    changes: tuple[Change, ...] = ()
    withheld: tuple[Withheld, ...] = ()


NOTHING = Plan()


def plan(fitted: Sequence[Record], holding: Holding) -> Plan:
    """The changes that make `holding` say what `fitted` says, removals last.

    Puts in the order of `fitted`, removals by key. Only records that are ours are replaced or removed, and each change
    names the one that it means; a key that somebody else holds is left to them. Records of equal content are left
    alone. Deterministic: equal inputs give equal plans in equal order.
    """
    ours = {record.key: record for record in holding.records}
    taken = dict(holding.taken)
    changes: list[Change] = []
    withheld: list[Withheld] = []
    said: set[RecordKey] = set()
    for record in fitted:
        key, standing = record.key, ours.get(record.key)
        if key in said:
            text = "two records of the service come to this key; the first one is written: give one another name"
            withheld.append(Withheld(record.service, key, "twice", text))
            continue
        said.add(key)
        if key in taken:
            text = f"belongs to {taken[key]} and is left as it is: remove it there, or export under another name"
            withheld.append(Withheld(record.service, key, "taken", text))
        elif standing is None or standing.content != record.content:
            changes.append(Put(record, standing))
    changes += [Remove(ours[key]) for key in sorted(ours) if key not in said and key not in taken]
    return Plan(tuple(changes), tuple(withheld)) if changes or withheld else NOTHING
