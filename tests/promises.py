"""`python -m tests.promises`: every rule that is due, and the tests that show it; exit 1 when one has none."""

import contextlib
import io
import sys
from collections import defaultdict

import pytest

from tests.conftest import PROMISES


class _Gather:
    """A pytest plug-in that only reads the markers."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            for marker in item.iter_markers("promise"):
                for promise in marker.args:
                    self.tests[promise].add(item.nodeid.partition("[")[0])


def main() -> int:
    gather = _Gather()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(
            ["--collect-only", "-qq", "--no-header", "--assert=plain", "-p", "no:xdist", "tests"], plugins=[gather]
        )
    if code != pytest.ExitCode.OK:
        print(f"{said.getvalue()}\nthe tests could not be collected (pytest says {code})", file=sys.stderr)
        return 1
    for promise, sentence in PROMISES.items():
        print(f"{promise}: {sentence}")
        for test in sorted(gather.tests[promise]):
            print(f"    {test}")
    bare = [promise for promise in PROMISES if not gather.tests[promise]]
    if bare:
        print(f"\n{len(bare)} of {len(PROMISES)} rules have no test: {', '.join(bare)}", file=sys.stderr)
        return 1
    print(f"\n{len(PROMISES)} rules, each with a test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
