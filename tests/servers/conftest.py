"""Real registries: a server for the session, one of a test's own, and a place of its own for each test in it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.golang import NoProgramError
from tests.servers.deploy import Tools
from tests.servers.kubernetes.binaries import Binaries, find
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.server import ApiServer

HERE = Path(__file__).parent
_binaries = pytest.StashKey[Binaries | NoProgramError]()
_tools = pytest.StashKey[Tools | NoProgramError]()
T = TypeVar("T")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the tests need before the first of them: it takes minutes, which are no test's."""
    if session.config.option.collectonly:
        return
    needed = {name for item in session.items if HERE in item.path.parents for name in getattr(item, "fixturenames", ())}
    if "binaries" in needed:
        session.config.stash[_binaries] = _had(find)
    if "tools" in needed:
        session.config.stash[_tools] = _had(Tools)


def _had(make: Callable[[Callable[[str], None]], T]) -> T | NoProgramError:
    try:
        return make(print)
    except NoProgramError as error:
        return error


def _or_skip(found: T | NoProgramError) -> T:
    if isinstance(found, NoProgramError):
        pytest.skip(str(found))
    return found


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Binaries:
    """etcd and kube-apiserver; without them the test is skipped, with the reason."""
    return _or_skip(pytestconfig.stash[_binaries])


@pytest.fixture(scope="session")
def tools(pytestconfig: pytest.Config) -> Tools:
    """kustomize, Helm and what reads Dockerfiles; without them the test is skipped, with the reason."""
    return _or_skip(pytestconfig.stash[_tools])


@pytest.fixture(scope="session")
def cluster(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The session's Kubernetes, for every test that leaves it running."""
    made = ApiServer(binaries, tmp_path_factory.mktemp("kubernetes"))
    asyncio.run(made.start())
    yield made
    asyncio.run(made.close())


@pytest.fixture
async def own_cluster(binaries: Binaries, tmp_path: Path) -> AsyncIterator[ApiServer]:
    """A Kubernetes of this test alone."""
    folder = tmp_path / "kubernetes"
    folder.mkdir()
    async with ApiServer(binaries, folder) as made:
        yield made


@pytest.fixture
async def api(cluster: ApiServer) -> AsyncIterator[Client]:
    """A client of the session's Kubernetes that may do everything."""
    async with cluster.client() as made:
        yield made


@pytest.fixture
async def namespace(api: Client) -> str:
    """A namespace of this test alone."""
    return await api.namespace()
