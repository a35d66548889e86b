"""The static adapter keeps every promise of the contract, on a real file system."""

from pathlib import Path

import pytest

from bridge.testing.conformance import Bench, Package, Reading
from tests.inventories import StaticBench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return StaticBench(tmp_path)


class TestReading(Reading): ...


class TestPackage(Package): ...
