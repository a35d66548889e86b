"""A real Consul for the session, one of a test's own, three that elect, and somebody who uses them."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.consul import spread
from bridge.testing.proxy import FaultProxy
from tests.golang import NoProgramError
from tests.servers.consul.hand import Hand
from tests.servers.consul.readers import find_reader
from tests.servers.consul.server import Agent, Three, find, find18, standing_for

EACH = 25
HERE = Path(__file__).parent
BUILDS = {"program": find, "program18": find18, "reader": find_reader}
_built = pytest.StashKey[dict[str, Path | NoProgramError]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the tests need before the first of them: it takes minutes, which are no test's."""
    if session.config.option.collectonly:
        return
    ours = [item for item in session.items if HERE in item.path.parents]
    needed = {name for item in ours for name in getattr(item, "fixturenames", ())}
    session.config.stash[_built] = {name: _had(build) for name, build in BUILDS.items() if name in needed}


def _had(build: Callable[[Callable[[str], None]], Path]) -> Path | NoProgramError:
    try:
        return build(print)
    except NoProgramError as error:
        return error


def _or_skip(found: Path | NoProgramError) -> Path:
    if isinstance(found, NoProgramError):
        pytest.skip(str(found))
    return found


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> Path:
    """The agent; without it the test is skipped, with the reason."""
    return _or_skip(pytestconfig.stash[_built]["program"])


@pytest.fixture(scope="session")
def program18(pytestconfig: pytest.Config) -> Path:
    """That of 1.8, likewise."""
    return _or_skip(pytestconfig.stash[_built]["program18"])


@pytest.fixture(scope="session")
def reader(pytestconfig: pytest.Config) -> Path:
    """The program of Consul's Go client, likewise."""
    return _or_skip(pytestconfig.stash[_built]["reader"])


@pytest.fixture(scope="session")
def standing(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The session's server, for every test that leaves it running."""
    with standing_for(Agent(program, tmp_path_factory.mktemp("consul") / "server")) as made:
        yield made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node of ours has room for few instances, so that few fill several."""
    monkeypatch.setattr(spread, "EACH", EACH)


@pytest.fixture
async def own(program: Path, tmp_path: Path) -> AsyncIterator[Agent]:
    """A server of this test alone."""
    async with Agent(program, tmp_path / "server") as made:
        yield made


@pytest.fixture
async def three(program: Path, tmp_path: Path) -> AsyncIterator[Three]:
    """Three servers of this test alone."""
    async with Three(program, tmp_path) as made:
        yield made


@pytest.fixture
async def hand(standing: Agent) -> AsyncIterator[Hand]:
    """Somebody with every right in the session's server, who leaves nothing on nodes that are not its own."""
    async with standing.hand() as made:
        yield made
        await made.clear(but=standing.node)


@pytest.fixture
async def proxy(standing: Agent) -> AsyncIterator[FaultProxy]:
    """A way to the session's server that can be made to fail."""
    async with FaultProxy("127.0.0.1", standing.port) as made:
        yield made


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings with which an answer that is late is none that failed, which would be asked for once more."""
    for late in ("adapters.consul.client.SLACK", "adapters.consul.registry.BEAT"):
        monkeypatch.setattr(late, 60.0)
    return {"timeout": "60s"}
