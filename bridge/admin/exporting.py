"""What the API says of exports: targets, plans, what is withheld, and what is wrong with them; plain values for JSON.

A target is named by its registry and, where that has several, by itself. Texts of records are shown as UTF-8, with
other bytes written out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from bridge.adapter import Change, Problem, Put
from bridge.model import EndpointId, ServiceName
from bridge.plan import Withheld
from bridge.runtime.exported import Exported, State

Row = dict[str, Any]

SHOWN = 100
"""Problems of one kind and target that are told one by one; the rest are counted."""

TOLD = ("export", "parked")
"""Kinds of problems of which the log has a line of its own."""

_WRONG = {State.ANOTHER, State.WITHDRAWN, State.FAILING}
_LIVE = {State.WRITES, State.IN_STEP, State.FAILING}
_UNTOLD = {"upsert-only", "waiting"}  # reasons that are as the operator wants it, or soon over


def place(of: Exported) -> str:
    """`consul-dc2`, or `vms targets.json` where a registry has several targets."""
    return f"{of.registry} {of.target}".strip()


def claimed(of: Exported) -> bool:
    """Whether the target is ours to write at this moment."""
    return of.state in _LIVE


def export(of: Exported, now: float) -> Row:
    """A line of `exports`.

    `registry`, `target`, `mode`; `state` as in `bridge.runtime.exported` with `why`; `leading`: this replica writes;
    `complete`: the plan rests on a whole view of everything, `waits_for` names the sources that it does not rest on;
    `services` and `endpoints` that should stand there, `records` that do; changes that are left: `puts`, `removals`;
    `withheld`: reason to how many, and how many removals may go at once now: `budget`; `parked`: records that were
    rejected; `waits`: services that are left alone for a while; `problems` counted; `written`: when the last change was
    made (seconds since the epoch); `made`: what came of all changes since the start.
    """
    return {
        "registry": of.registry,
        "target": of.target,
        "mode": of.mode,
        "state": of.state.value,
        "why": of.why,
        "leading": of.leading,
        "complete": of.complete,
        "waits_for": list(of.unseen),
        "services": len(of.wanted),
        "endpoints": sum(len(service.endpoints) for service in of.wanted.values()),
        "records": of.records,
        "puts": of.puts,
        "removals": of.removals,
        "withheld": _counts(of),
        "budget": of.budget,
        "parked": [
            {
                "service": str(one.service),
                "key": one.change.record.key,
                "why": one.why,
                "for": round(now - one.since, 3),
            }
            for one in of.parked
        ],
        "waits": [{"service": str(one.service), "kind": one.kind, "why": one.why} for one in of.waits],
        "problems": sum(problem.count for problems in of.problems.values() for problem in problems),
        "written": of.written,
        "made": dict(sorted(of.made.items())),
    }


def _counts(of: Exported) -> dict[str, int]:
    counts = Counter[str](of.counts)
    counts.update(one.reason for plan in of.plans.values() for one in plan.withheld)
    return dict(sorted(counts.items()))


def changes(of: Exported, service: str = "") -> Iterator[Row]:
    """The lines of `plan`: what is left to be made, in its order, of the services whose name is or begins with this.

    `change`: add, edit or remove; `before` and `after`: the record's text, null where there is none; `parked`: why it
    is not tried again, "" where it will be.
    """
    parked = {one.change.record.key: one.why for one in of.parked}
    for name in sorted(of.plans):
        if str(name).startswith(service):
            for change in of.plans[name].changes:
                yield _change(of, name, change, parked.get(change.record.key, ""))


def _change(of: Exported, name: ServiceName, change: Change, parked: str) -> Row:
    before = change.replaces if isinstance(change, Put) else change.record
    return {
        "registry": of.registry,
        "target": of.target,
        "service": str(name),
        "change": ("add" if before is None else "edit") if isinstance(change, Put) else "remove",
        "key": change.record.key,
        "before": None if before is None else text(before.content),
        "after": text(change.record.content) if isinstance(change, Put) else None,
        "parked": parked,
    }


def text(content: bytes) -> str:
    """A record's content as people read it."""
    return content.decode("utf-8", "backslashreplace")


def withheld(of: Exported, now: float, service: str = "") -> Iterator[Row]:
    """The lines of `withheld`: what is not done, and why.

    `what` is an endpoint that may not go yet, or a record that cannot be written; `acceptable`: an operator's word
    lets it go; `for`: since when, null where it is so for as long as the target is as it is.
    """
    for name in sorted({*of.withheld, *of.plans}):
        if str(name).startswith(service):
            for one in _of_service(of, name):
                yield {
                    "registry": of.registry,
                    "target": of.target,
                    "service": str(name),
                    "what": str(one.what),
                    "reason": one.reason,
                    "why": one.text,
                    "acceptable": acceptable(one),
                    "for": None if one.since is None else round(now - one.since, 3),
                }


def unsaid(of: Exported, service: str = "") -> Iterator[Row]:
    """What of that which is wanted cannot be said there: `kind` and `what` are as a problem's, `count` how many."""
    for name in sorted(of.problems):
        if str(name).startswith(service):
            for one in of.problems[name]:
                yield {
                    "registry": of.registry,
                    "target": of.target,
                    "service": str(name),
                    "kind": one.kind,
                    "where": one.where,
                    "what": one.what,
                    "count": one.count,
                }


def _of_service(of: Exported, name: ServiceName) -> Iterator[Withheld]:
    yield from of.withheld.get(name, ())
    if name in of.plans:
        yield from of.plans[name].withheld


def acceptable(one: Withheld) -> bool:
    """Whether an operator's word lets it go."""
    return one.reason in ("limit", "orphan") and isinstance(one.what, EndpointId)


def may_go(of: Exported, service: ServiceName | None = None) -> Iterator[tuple[ServiceName, EndpointId]]:
    """Every endpoint that an operator's word would let go, sorted."""
    for name in sorted(of.withheld) if service is None else (service,):
        for one in of.withheld.get(name, ()):
            if acceptable(one) and isinstance(one.what, EndpointId):
                yield name, one.what


def problems(of: Exported) -> tuple[Problem, ...]:
    """What is wrong with one target: its state, what waits for a word, what was rejected, taken, or does not fit."""
    found: list[Problem] = []
    if of.state in _WRONG:
        found.append(Problem("export", place(of), f"{of.state.value}: {of.why}"))
    found += [Problem("same", place(of), what) for what in same(of)]
    found += _waiting_for_a_word(of)
    found += _bounded(
        of,
        "parked",
        (
            Problem("parked", f"{place(of)}: {one.change.record.key}", f"rejected: {one.why}", one.service)
            for one in of.parked
        ),
    )
    found += _bounded(
        of,
        "taken",
        (
            Problem("taken", f"{place(of)}: {one.what}", one.text, name)
            for name in sorted(of.plans)
            for one in of.plans[name].withheld
        ),
    )
    found += _bounded(of, "fit", (one for name in sorted(of.problems) for one in of.problems[name]))
    return tuple(found)


def same(of: Exported) -> list[str]:
    """Of each source that is the registry itself: what is not done, and what to correct."""
    return [
        f"{source} is the same registry as {of.registry}, reached in another way: what it knows stands there, and is "
        f"not written again; take {source} out of `from`"
        for source in of.same
    ]


def _waiting_for_a_word(of: Exported) -> Iterator[Problem]:
    for reason in sorted(of.counts.keys() - _UNTOLD):
        rows = (row for name in sorted(of.withheld) for row in of.withheld[name])
        first = next((row for row in rows if row.reason == reason), None)
        if first is not None:
            what = f"endpoints of ours stay there, first {first.service} {first.what}: {first.text}"
            yield Problem("withheld", f"{place(of)}: {reason}", what, None, of.counts[reason])


def _bounded(of: Exported, kind: str, them: Iterable[Problem]) -> Iterator[Problem]:
    rest = 0
    for number, one in enumerate(them):
        if number < SHOWN:
            yield one
        else:
            rest += one.count
    if rest:
        yield Problem(
            kind,
            place(of),
            f"and more of them: see `registry-bridge show exports --registry {of.registry}`",
            None,
            rest,
        )
