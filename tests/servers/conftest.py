"""Real registries: a server for the session, one of a test's own, and a place of its own for each test in it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.golang import NoProgramError
from tests.servers.kubernetes.binaries import Binaries, find
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.server import ApiServer

HERE = Path(__file__).parent
_binaries = pytest.StashKey[Binaries | NoProgramError]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the servers before the first test: it takes minutes, which are no test's."""
    if session.config.option.collectonly or not any(HERE in item.path.parents for item in session.items):
        return
    try:
        session.config.stash[_binaries] = find(print)
    except NoProgramError as error:
        session.config.stash[_binaries] = error


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Binaries:
    """etcd and kube-apiserver; without them the test is skipped, with the reason."""
    found = pytestconfig.stash[_binaries]
    if isinstance(found, NoProgramError):
        pytest.skip(str(found))
    return found


@pytest.fixture(scope="session")
def cluster(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The session's Kubernetes, for every test that leaves it running."""
    made = ApiServer(binaries, tmp_path_factory.mktemp("kubernetes"))
    asyncio.run(made.start())
    yield made
    asyncio.run(made.stop())


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
