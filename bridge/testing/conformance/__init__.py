"""Every promise of the adapter contract as tests: an author says how their registry is handled, and subclasses these.

    @pytest.fixture
    def bench(tmp_path): return MyBench(tmp_path)

    class TestReading(Reading): ...
    class TestFitting(Fitting): ...      # of a sink
    class TestWriting(Writing): ...      # of a sink
    class TestClaiming(Claiming): ...    # of a sink
    class TestPackage(Package): ...

What a registry cannot be made to do is skipped with the reason that the bench gives. `adapters/README.md` shows a whole
adapter that passes.
"""

import pytest

for _room in ("claiming", "fitting", "package", "reading", "views", "watching", "writing", "wrote"):
    pytest.register_assert_rewrite(f"{__name__}.{_room}")

from bridge.testing.conformance.bench import Bench, cannot  # noqa: E402
from bridge.testing.conformance.claiming import Claiming  # noqa: E402
from bridge.testing.conformance.fitting import Fitting  # noqa: E402
from bridge.testing.conformance.package import Package  # noqa: E402
from bridge.testing.conformance.reading import Reading  # noqa: E402
from bridge.testing.conformance.writing import Writing  # noqa: E402

__all__ = ["Bench", "Claiming", "Fitting", "Package", "Reading", "Writing", "cannot"]
