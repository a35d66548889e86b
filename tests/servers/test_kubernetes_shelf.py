"""Operators' decisions in a ConfigMap of a real Kubernetes: every replica goes by them, and a restart forgets none."""

import asyncio
from pathlib import Path

import pytest

from adapters.kubernetes.shelf import KEY, MOST
from bridge.errors import Conflict, Denied, Unavailable
from bridge.kit.election import Kept, Shelf
from bridge.model import SourceName
from bridge.runtime.decisions import Decisions
from tests.servers.electing import CLOCK, shelf
from tests.servers.kubernetes.client import Client
from tests.servers.kubernetes.leases import elector
from tests.servers.kubernetes.objects import thing
from tests.servers.kubernetes.server import ApiServer

NAME = "registry-bridge-decisions"


@pytest.fixture
def kubeconfig(cluster: ApiServer, tmp_path: Path) -> Path:
    return cluster.kubeconfig(tmp_path)


async def test_of_many_that_decide_at_once_none_is_lost(kubeconfig: Path, namespace: str) -> None:
    them = [Decisions(shelf(elector(kubeconfig, namespace)), CLOCK) for _ in range(8)]
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(them):
            group.create_task(one.freeze(SourceName(f"s{number}"), CLOCK.wall() + 60))
    await them[0].load()
    assert len(them[0].current.value) == 8
    for one in them:
        task = asyncio.create_task(one.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


async def write(one: Shelf, content: bytes, replaces: Kept | None) -> Kept:
    await one.write(content, replaces)
    kept = await one.read()
    assert kept is not None
    return kept


async def test_a_write_names_what_it_replaces_and_leaves_what_else_is_there(
    kubeconfig: Path, api: Client, namespace: str
) -> None:
    mine, other = (shelf(elector(kubeconfig, namespace)) for _ in range(2))
    try:
        assert await mine.read() is None
        await api.create(thing("ConfigMap", NAME, namespace, labels={"team": "edge"}, data={"note": "made ahead"}))
        with pytest.raises(Conflict):
            await mine.write(b"one", None)
        kept = await mine.read()
        assert kept is not None
        assert kept.content is None
        assert await other.read() == kept
        one = await write(mine, b"one", kept)
        with pytest.raises(Conflict):
            await other.write(b"two", kept)
        assert one.content == b"one"
        stored = await api.get("ConfigMap", NAME, namespace)
        assert stored["data"] == {"note": "made ahead", KEY: "one"}
        assert stored["metadata"]["labels"] == {"team": "edge"}
        await api.delete("ConfigMap", NAME, namespace)
        with pytest.raises(Conflict):
            await mine.write(b"three", one)
        await write(mine, b"four", await mine.read())
    finally:
        await mine.close()
        await other.close()


async def test_what_cannot_be_kept_is_said_with_what_to_do(
    cluster: ApiServer, kubeconfig: Path, api: Client, namespace: str, tmp_path: Path
) -> None:
    lost = shelf(elector(kubeconfig, "nowhere"))
    mine = shelf(elector(cluster.kubeconfig(tmp_path, token=await api.account(namespace), name="limited"), namespace))
    user = f"system:serviceaccount:{namespace}:bridge"
    try:
        with pytest.raises(Unavailable, match="make the namespace nowhere, or name another; nothing was decided"):
            await lost.write(b"{}", None)
        with pytest.raises(Unavailable, match="more than 1,000,000; accept fewer at once"):
            await mine.write(b" " * (MOST + 1), None)
        with pytest.raises(Denied, match='cannot get resource "configmaps"'):
            await mine.read()
        await api.allow(user, [("", "configmaps", "get")], namespace)
        with pytest.raises(Denied, match=r'cannot create resource "configmaps".*nothing was decided'):
            await mine.write(b"{}", await mine.read())
        await api.allow(user, [("", "configmaps", "get create")], namespace)
        await mine.write(b"{}", await mine.read())
        with pytest.raises(Denied, match=r'cannot update resource "configmaps".*nothing was decided'):
            await mine.write(b"[]", await mine.read())
        await api.patch(thing("ConfigMap", NAME, namespace), {"immutable": True})
        await api.allow(user, [("", "configmaps", "get create update")], namespace)
        with pytest.raises(Denied, match=r"immutable.*nothing was decided"):
            await mine.write(b"[]", await mine.read())
    finally:
        await mine.close()
        await lost.close()


async def test_the_largest_document_that_is_written_is_taken(kubeconfig: Path, namespace: str) -> None:
    mine = shelf(elector(kubeconfig, namespace))
    try:
        kept = await write(mine, b"x" * MOST, None)
        await write(mine, b"y" * MOST, kept)
    finally:
        await mine.close()
