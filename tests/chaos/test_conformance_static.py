"""The static adapter keeps every promise of the contract, on a real file system, in every layout that it writes."""

from pathlib import Path

import pytest

from bridge.testing.conformance import Bench, Claiming, Fitting, Package, Reading, Writing
from tests.inventories import StaticBench

LAYOUTS = {
    "native-yaml": ("native", ".yaml"),
    "native-json": ("native", ".json"),
    "file_sd-json": ("file_sd", ".json"),
    "file_sd-yaml": ("file_sd", ".yaml"),
    "csv": ("csv", ".csv"),
    "hosts": ("hosts", ".hosts"),
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return StaticBench(tmp_path)


class TestReading(Reading): ...


class TestClaiming(Claiming): ...


class TestPackage(Package): ...


class InEachLayout:
    """A bench that writes in each layout."""

    @pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS)
    def bench(self, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
        return StaticBench(tmp_path, *request.param)


class TestFitting(InEachLayout, Fitting): ...


class TestWriting(InEachLayout, Writing): ...
