"""The memory registry keeps every promise of the contract that the core is tested with."""

import pytest

from bridge.testing.conformance import Bench, Claiming, Fitting, Package, Reading, Writing
from tests.benches import MemoryBench


@pytest.fixture
def bench() -> Bench:
    return MemoryBench()


class TestReading(Reading): ...


class TestFitting(Fitting): ...


class TestWriting(Writing): ...


class TestClaiming(Claiming): ...


class TestPackage(Package): ...
