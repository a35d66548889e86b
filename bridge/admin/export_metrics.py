"""What Prometheus is told of what is written to other registries."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, SummaryMetricFamily

from bridge.admin import exporting
from bridge.admin.families import PREFIX, labelled
from bridge.runtime.exported import Exported, State

_LABELS = ("registry", "target")
_RESULTS = ("put", "removed", "conflict", "rejected", "denied", "unavailable", "failed")


def collect(them: Sequence[Exported]) -> Iterator[Metric]:
    """All metrics of all targets, as they are now; none where nothing is written."""
    if them:
        yield from _state(them)
        yield from _left(them)
        yield from _done(them)


def _state(them: Sequence[Exported]) -> Iterator[Metric]:
    yield labelled(
        "export_state",
        "1 for the state that the export is in",
        (*_LABELS, "state"),
        (((*_of(one), state.value), float(one.state is state)) for one in them for state in State),
    )
    yield _each("export_leading", "whether this replica is the one that writes", them, lambda one: one.leading)
    yield _each("export_claimed", "whether the target's claim is ours", them, exporting.claimed)
    yield _each("export_complete", "whether the plan rests on whole views", them, lambda one: one.complete)
    yield _each("export_services", "services that should stand there", them, lambda one: len(one.wanted))
    yield _each("export_records", "records of ours that stand there", them, lambda one: one.records)


def _left(them: Sequence[Exported]) -> Iterator[Metric]:
    yield labelled(
        "export_pending",
        "changes that are left to be made",
        (*_LABELS, "change"),
        (
            ((*_of(one), change), count)
            for one in them
            for change, count in (("put", one.puts), ("remove", one.removals))
        ),
    )
    yield labelled(
        "export_withheld",
        "endpoints of ours that are not wanted and may not go yet",
        (*_LABELS, "reason"),
        (((*_of(one), reason), count) for one in them for reason, count in sorted(one.counts.items())),
    )
    yield _each("export_budget", "endpoints that may be removed at once now", them, lambda one: one.budget)
    yield _each("export_parked", "records that were rejected", them, lambda one: len(one.parked))
    yield _each("export_conflicts", "records that somebody else holds, or changes", them, _conflicts)
    yield labelled(
        "export_problems",
        "what is wrong with what is written",
        (*_LABELS, "kind"),
        (((*_of(one), kind), count) for one in them for kind, count in sorted(_problems(one).items())),
    )


def _done(them: Sequence[Exported]) -> Iterator[Metric]:
    made = CounterMetricFamily(
        f"{PREFIX}export_changes", "what came of the changes that were tried", labels=(*_LABELS, "result")
    )
    seconds = SummaryMetricFamily(f"{PREFIX}export_change_seconds", "time in the registry's hands", labels=_LABELS)
    for one in them:
        for result in _RESULTS:
            made.add_metric((*_of(one), result), one.made.get(result, 0))
        seconds.add_metric(_of(one), sum(one.made.values()), one.seconds)
    yield made
    yield seconds
    yield labelled(
        "export_written_timestamp_seconds",
        "when the last change was made, since the epoch",
        _LABELS,
        ((_of(one), one.written) for one in them if one.written is not None),
    )


def _of(one: Exported) -> tuple[str, str]:
    return one.registry, one.target


def _each(name: str, what: str, them: Sequence[Exported], value: Callable[[Exported], float]) -> Metric:
    return labelled(name, what, _LABELS, ((_of(one), float(value(one))) for one in them))


def _conflicts(one: Exported) -> int:
    waits = sum(it.kind in ("conflict", "drift") for it in one.waits)
    return waits + sum(it.reason == "taken" for plan in one.plans.values() for it in plan.withheld)


def _problems(one: Exported) -> Counter[str]:
    counts = Counter[str]()
    for problem in exporting.problems(one):
        counts[problem.kind] += problem.count
    return counts
