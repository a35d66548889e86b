"""What Prometheus is told: every figure is read from the running rooms when it is asked for."""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from bridge.admin import export_metrics
from bridge.admin.families import PREFIX, counter, gauge, labelled, summary
from bridge.admin.state import State
from bridge.model import Health, ServiceName, Services, SourceName
from bridge.runtime.reading import Reading
from bridge.table import Table, changed

STATES = ("waiting", "stand-in", "synced", "lost", "denied")

_HELD, _UNKNOWN = "held", "unknown"


class Tally:
    """How many endpoints of a source are in which health, counted anew only where a service changed."""

    __slots__ = ("_seen", "health")

    def __init__(self) -> None:
        self._seen: Services = Table()
        self.health: Counter[str] = Counter()

    def update(self, services: Services) -> None:
        """Count what differs from the last time."""
        for name in changed(self._seen, services):
            self._add(self._seen, name, -1)
            self._add(services, name, 1)
        self._seen = services

    def _add(self, services: Services, name: ServiceName, sign: int) -> None:
        service = services.get(name)
        for endpoint in service.endpoints if service is not None else ():
            health = _UNKNOWN if endpoint.health is None else endpoint.health.name.lower()
            self.health[_HELD if endpoint.held else health] += sign


class Metrics(Collector):
    """A collector over the state of the bridge; several listeners may share one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tallies: dict[SourceName, Tally] = {}

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: what there is depends on the configuration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        yield from self._process()
        yield from self._sources(self._state.readings())
        yield from self._streams()
        yield from export_metrics.collect(self._state.exported())

    def _process(self) -> Iterator[Metric]:
        state = self._state
        engine, counts, garbage = state.engine, state.engine.counts, state.engine.garbage
        catalog = engine.catalog.value
        build = InfoMetricFamily(f"{PREFIX}build", "the version that runs")
        build.add_metric([], {"version": state.version})
        yield build
        yield gauge(
            "ready", "whether Envoys should come", float(engine.ready() and state.serving and not state.stopping)
        )
        yield gauge("services", "services in the catalog", len(catalog.services))
        yield gauge("waiting", "sources neither seen nor stood in for", len(catalog.waiting))
        yield summary("merge_seconds", "time to merge a round of changes", counts.merges, counts.merge_seconds)
        yield summary(
            "settle_seconds", "from the first change of a round to its publishing", counts.rounds, counts.settle_seconds
        )
        yield gauge("loop_lag_seconds", "how late the event loop was, last sample", counts.lag)
        yield gauge("loop_lag_max_seconds", "how late the event loop was, longest", counts.lag_longest)
        yield summary("gc_pause_seconds", "pauses for garbage collection", garbage.pauses, garbage.seconds)
        yield gauge("gc_pause_max_seconds", "pauses for garbage collection, longest", garbage.longest)
        yield counter("task_restarts", "tasks that died and were started again", state.restarts())
        yield gauge("tasks_dead", "tasks that could not be kept running", len(state.ailing()))
        kinds = Counter[str]()
        for one in state.own():
            kinds[one.kind] += one.count
        yield labelled("own_problems", "what is wrong with the bridge itself", ("kind",), kinds.items())

    def _sources(self, readings: list[Reading]) -> Iterator[Metric]:
        now = self._state.clock.now()
        label = ("source",)
        yield labelled(
            "source_up",
            "whether the source is in sync",
            label,
            ((one.source, float(one.state == "synced")) for one in readings),
        )
        yield labelled(
            "source_state",
            "1 for the state that the source is in",
            ("source", "state"),
            (((one.source, state), float(one.state == state)) for one in readings for state in STATES),
        )
        yield labelled(
            "source_age_seconds",
            "age of the last whole view",
            label,
            ((one.source, now - one.since) for one in readings if one.observation is not None),
        )
        yield labelled(
            "source_lost_seconds",
            "how long the source has been lost; 0 while it is not",
            label,
            ((one.source, 0.0 if one.lost is None else now - one.lost) for one in readings),
        )
        yield labelled(
            "source_unread_parts",
            "parts of the source that fail to be read",
            label,
            ((one.source, len(one.observation.unread)) for one in readings if one.observation is not None),
        )
        yield labelled(
            "source_services",
            "services believed of the source",
            label,
            ((one.source, len(one.services)) for one in readings if one.services is not None),
        )
        yield self._endpoints(readings)
        verdicts = [(one.source, one.verdict) for one in readings if one.verdict is not None]
        yield labelled(
            "holds",
            "endpoints that went missing and are kept until that is believed",
            label,
            ((source, sum(map(len, verdict.holds.values()))) for source, verdict in verdicts),
        )
        for name, what, value in (
            ("flood", "whether so much is missing that it looks like an accident", "flood"),
            ("health_flood", "whether so much turned unhealthy that it is not believed", "health_flood"),
            ("frozen", "whether an operator froze the source", "frozen"),
        ):
            yield labelled(
                name, what, label, ((source, float(getattr(verdict, value))) for source, verdict in verdicts)
            )
        yield labelled(
            "checks",
            "endpoints that are checked from here, by what is known of them",
            ("source", "state"),
            (
                ((one.source, state), count)
                for one in readings
                if any(one.counts)
                for state, count in one.counts._asdict().items()
            ),
        )
        problems = Counter[tuple[str, str]]()
        for one in readings:
            for problem in one.problems:
                problems[one.source, problem.kind] += problem.count
        yield labelled("problems", "what a source says that was refused", ("source", "kind"), sorted(problems.items()))

    def _endpoints(self, readings: list[Reading]) -> Metric:
        family = GaugeMetricFamily(
            f"{PREFIX}endpoints", "endpoints believed of the source, by health", labels=("source", "health")
        )
        words = (*(health.name.lower() for health in Health), _UNKNOWN, _HELD)
        for one in readings:
            if one.services is not None:
                tally = self._tallies.setdefault(one.source, Tally())
                tally.update(one.services)
                for word in words:
                    family.add_metric((one.source, word), tally.health[word])
        return family

    def _streams(self) -> Iterator[Metric]:
        sums, totals = self._state.server.sums(), self._state.server.totals
        yield gauge("streams", "xDS streams that are open", sums.streams)
        yield gauge("subscriptions", "names that open streams ask for", sums.names)
        yield gauge("parked", "versions that clients refused and that are not sent again", sums.parked)
        yield counter("responses", "xDS responses sent", totals.responses)
        yield counter("response_bytes", "bytes of xDS responses sent", totals.sent)
        yield counter("requests", "xDS requests received", totals.requests)
        yield counter("nacks", "xDS responses that clients refused", totals.nacks)
        yield counter("streams_refused", "xDS streams that were refused", totals.refused)
        yield counter("stream_failures", "xDS streams ended by a mistake of the bridge", totals.failures)
