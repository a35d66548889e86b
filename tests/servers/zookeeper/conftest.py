"""A real ZooKeeper for the session, one of a test's own, and somebody who writes there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.zookeeper import owner
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.jars import POM, Java, NoJavaError, fetch
from tests.servers.zookeeper.peer import SOURCES, Fleet, build
from tests.servers.zookeeper.server import Ensemble, ZooKeeper


@pytest.fixture(scope="session")
def java(request: pytest.FixtureRequest) -> Java:
    """A JVM and the jars, of the POM that a test is parametrised with; without them it is skipped, with the reason."""
    try:
        return fetch(getattr(request, "param", POM), say=print)
    except NoJavaError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Java:
    """Those of `java/`, or of its folder that a test is parametrised with, compiled with the libraries that they use.

    Without a JDK the test is skipped, with the reason.
    """
    try:
        return build(getattr(request, "param", SOURCES), tmp_path_factory.mktemp("classes"), say=print)
    except NoJavaError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def standing(java: Java, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """The session's server, for every test that leaves it running."""
    made = ZooKeeper(java, tmp_path_factory.mktemp("zookeeper"))
    asyncio.run(made.start())
    yield made
    asyncio.run(made.stop())


@pytest.fixture
def fleet(program: Java, standing: ZooKeeper, tmp_path: Path) -> Fleet:
    """Those who are in the session's server with these programs."""
    return Fleet(program, tmp_path, standing.hosts)


@pytest.fixture
async def own(java: Java, tmp_path: Path) -> AsyncIterator[ZooKeeper]:
    """A server of this test alone."""
    async with ZooKeeper(java, tmp_path / "zookeeper") as made:
        yield made


@pytest.fixture
async def ensemble(java: Java, tmp_path: Path) -> AsyncIterator[Ensemble]:
    """Three servers of this test alone."""
    async with Ensemble(java, tmp_path / "ensemble") as made:
        yield made


@pytest.fixture
async def hand(standing: ZooKeeper) -> AsyncIterator[Hand]:
    """Somebody who writes into the session's server."""
    async with Hand(standing.hosts) as made:
        yield made


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that a busy machine keeps waiting is not silent yet, where a test writes and nobody tries it again."""
    monkeypatch.setattr(owner, "SILENCE", 60.0)


@pytest.fixture
async def proxy(standing: ZooKeeper) -> AsyncIterator[FaultProxy]:
    """A way to the session's server that can be made to fail."""
    async with FaultProxy("127.0.0.1", standing.port) as made:
        yield made
