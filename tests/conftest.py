"""Profiles of hypothesis, and the promises of `promises.toml` that tests say they show."""

import math
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

for profile, examples in ("fast", 10), ("ci", 100):  # the same ones in every run: what is red is so for everybody
    settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.register_profile(
    "fuzz", max_examples=1_000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

PROMISES: dict[str, str] = tomllib.loads((Path(__file__).parent / "promises.toml").read_text("utf-8"))["promises"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promise", help="run only the tests that show this rule")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a marker whose promise nobody has written down; keep the tests of one rule where one is asked for.

    Files with tests that may take long begin, so that none of them is what everybody waits for at the end.
    """
    for item in items:
        if unknown := _shown(item) - PROMISES.keys():
            raise pytest.UsageError(f"{item.nodeid}: {min(unknown)} is not in tests/promises.toml")
    if (asked := config.getoption("promise")) is not None:
        others = [item for item in items if asked not in _shown(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if asked in _shown(item)]
    longest: dict[Path, float] = {}
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0.0), _patience(item))
    items.sort(key=lambda item: -longest[item.path])


def _patience(item: pytest.Item) -> float:
    """Seconds that a test asks for, 0 where the usual ones do."""
    marker = item.get_closest_marker("timeout")
    return 0.0 if marker is None else marker.args[0] or math.inf


def _shown(item: pytest.Item) -> set[str]:
    return {promise for marker in item.iter_markers("promise") for promise in marker.args}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Where nothing may be skipped, say that it was."""
    if _skipped(terminalreporter):
        terminalreporter.write_line("CI allows no skip: install what the reasons above name", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of CI in which a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and session.exitstatus == pytest.ExitCode.OK and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped(reporter: pytest.TerminalReporter) -> bool:
    """Whether a test did not run; a promise of the conformance suite that a registry does not offer is none."""
    reasons = [report.longrepr[2] for report in reporter.stats.get("skipped", ())]
    return bool(os.environ.get("CI")) and any("not offered: " not in reason for reason in reasons)
