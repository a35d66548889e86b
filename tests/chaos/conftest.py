"""Fixtures of the tests that meet a real machine."""

from collections.abc import Iterator

import pytest

from tests.capabilities import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, without

collect_ignore = ["worked_adapter"]
"""It is a distribution of its own, whose tests run where it is installed."""


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root reads and writes what permissions forbid, by two capabilities that these tests do without."""
    with without(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        yield
