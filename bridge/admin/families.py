"""Families of metrics in the form that Prometheus is told, under one prefix."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

PREFIX = "registry_bridge_"


def gauge(name: str, what: str, value: float) -> Metric:
    """A value that goes up and down."""
    return GaugeMetricFamily(PREFIX + name, what, value)


def counter(name: str, what: str, value: float) -> Metric:
    """A value that only grows; `_total` is put behind its name."""
    return CounterMetricFamily(PREFIX + name, what, value)


def summary(name: str, what: str, count: int, total: float) -> Metric:
    """A count of events and the sum of what they measured."""
    return SummaryMetricFamily(PREFIX + name, what, count, total)


def labelled(
    name: str, what: str, labels: tuple[str, ...], values: Iterable[tuple[str | tuple[str, ...], float]]
) -> Metric:
    """A gauge for each combination of labels: their values in the order of `labels`."""
    family = GaugeMetricFamily(PREFIX + name, what, labels=labels)
    for key, value in values:
        family.add_metric((key,) if isinstance(key, str) else key, value)
    return family
