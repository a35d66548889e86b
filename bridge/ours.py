"""Whether what an adapter says of ours can be what stands there, before anything that is written rests on it.

Plans are made from it: what is upside down here would be taken for a record to remove. So a target of which one thing
cannot be is not written at all until that is over, and its neighbours, and all that is read, go on.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from bridge.adapter import Claim, Held, Holding, Holdings, Problem, Record, Target
from bridge.model import Endpoint, ServiceName, order
from bridge.table import Table, changed


class Sound(NamedTuple):
    """`held` without the targets of which something cannot be, and a problem for each of those, by target.

    `judged` is what was looked at, `faults` what was found, target by target.
    """

    judged: Mapping[Target, Holdings]
    faults: Mapping[Target, Table[ServiceName, str]]
    held: Table[Target, Held]
    problems: tuple[Problem, ...]


NOTHING = Sound({}, {}, Table(), ())


def sound(said: Table[Target, Held], previous: Sound) -> Sound:
    """Look at what changed since `previous`, which saves work and changes no answer."""
    judged: dict[Target, Holdings] = {}
    faults: dict[Target, Table[ServiceName, str]] = {}
    wrong: dict[Target, str] = {}
    for target, held in said.items():
        try:
            _claims(held)
            before, known = previous.judged.get(target, Table()), previous.faults.get(target, Table())
            found = {name: _fault(name, held.holdings.get(name)) or None for name in changed(before, held.holdings)}
        except Exception as error:  # it may be anything: a bug of an adapter costs its target and nothing else
            wrong[target] = repr(error)
            continue
        judged[target], faults[target] = held.holdings, known.with_(found)
        if faults[target]:
            name = min(faults[target])
            wrong[target] = f"{name}: {faults[target][name]}"
    if not wrong:
        return Sound(judged, faults, said, ())
    problems = tuple(
        Problem("held", str(target), f"its adapter says of ours what cannot be ({why}); nothing is written there")
        for target, why in sorted(wrong.items())
    )
    return Sound(judged, faults, said.with_(dict.fromkeys(wrong)), problems)


def _claims(held: Held) -> None:
    if not all(isinstance(claim, Claim) for claim in held.claims):
        raise TypeError("a claim is no Claim")


def _fault(name: ServiceName, holding: Holding | None) -> str:
    """What cannot be, "" when all can."""
    if holding is None:
        return ""
    try:
        return _records(name, holding) or _endpoints(holding)
    except Exception as error:  # likewise
        return repr(error)


def _records(name: ServiceName, holding: Holding) -> str:
    records: Sequence[Any] = holding.records
    for record in records:
        if not isinstance(record, Record) or not isinstance(record.content, bytes):
            return f"{record!r:.200} is no record"
        if record.service != name:
            return f"the record {record.key} is of {record.service}"
    keys = [record.key for record in holding.records]
    if not all(one < following for one, following in pairwise(keys)):
        return "its records are not in the order of their keys, or one stands twice"
    if taken := {key for key, _ in holding.taken}.intersection(keys):
        return f"{min(taken)} is ours and somebody else's"
    return ""


def _endpoints(holding: Holding) -> str:
    endpoints: Sequence[Any] = holding.endpoints
    for endpoint in endpoints:
        if not isinstance(endpoint, Endpoint) or not endpoint.ports:
            return f"{endpoint!r:.200} is no endpoint"
        if endpoint.held:
            return f"{endpoint.id} is held, which only the guard says"
    if not all(order(one) < order(following) for one, following in pairwise(holding.endpoints)):
        return "its endpoints are not in the order of their ids, or one stands twice"
    if holding.endpoints and not holding.records:
        return "it has endpoints and no record that says them"
    return ""
