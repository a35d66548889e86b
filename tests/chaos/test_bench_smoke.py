"""The benchmarks run, and the counts that they print hold: those do not depend on the weather."""

from dataclasses import replace

import pytest

from tests.bench.fanout import OURS, Load, measure, subjects

ONE = Load(services=40, endpoints=3, streams=4, names=10, changes=12, delta=False)
ALL = Load(services=1, endpoints=3, streams=6, names=1, changes=4, delta=False)


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
@pytest.mark.parametrize(("load", "subscribers"), [(ONE, 1), (ALL, 6)], ids=["one", "all"])
def test_a_change_is_told_to_its_subscribers_and_to_nobody_else(load: Load, subscribers: int, delta: bool) -> None:
    ours = next(subject for subject in subjects(None, snapshot=False) if subject.name == OURS)
    seen = measure(None, ours, replace(load, delta=delta))
    assert seen["responses"] == subscribers * load.changes
    assert seen["needless"] == 0
