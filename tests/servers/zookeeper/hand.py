"""A plain client of ZooKeeper for tests, independent of the adapter's: what others do there, and an administrator."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Self, TypeVar

from kazoo.client import KazooClient, TransactionRequest
from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError, SessionExpiredError
from kazoo.retry import KazooRetry
from kazoo.security import ACL, OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from tests.servers.zookeeper.records import curator

T = TypeVar("T")

ADMIN = "admin:secret"
PATIENCE = 90.0
_RIGHTS = {"c": "create", "d": "delete", "r": "read", "w": "write"}


def batched(them: Iterable[T], size: int) -> Iterator[list[T]]:
    """So many at once."""
    rest = iter(them)
    while some := list(islice(rest, size)):
        yield some


def _quiet() -> logging.Logger:
    made = logging.Logger("hand")
    made.addHandler(logging.NullHandler())
    return made


async def expire(hosts: str, session: int) -> None:
    """End somebody's session while it is connected: a second client opens it too, and closes it."""
    client = KazooClient(hosts, timeout=20.0, client_id=(session, _password(session)), logger=_quiet())
    await asyncio.to_thread(client.start, PATIENCE)
    number, _ = client.client_id
    assert number == session, "it was another's"
    await asyncio.to_thread(client.stop)
    await asyncio.to_thread(client.close)


def _password(session: int) -> bytes:
    """That of a session: the sixteen bytes that Java's Random gives for its number: no secret at all."""
    state = (session ^ 0xB3415C00 ^ 0x5DEECE66D) % 2**48
    made = b""
    while len(made) < 16:
        state = (state * 0x5DEECE66D + 0xB) % 2**48
        made += (state >> 16).to_bytes(4, "little")
    return made


class Hand:
    """Somebody who writes there; `async with` connects and leaves. What it makes it may always change."""

    def __init__(self, hosts: str, **options: Any) -> None:
        retry = KazooRetry(max_tries=-1, delay=0.1, max_delay=0.5)
        self.kazoo = KazooClient(hosts, timeout=20.0, auth_data=[("digest", ADMIN)], connection_retry=retry, **options)
        self._losses = 0

    async def __aenter__(self) -> Self:
        await self.do(self.kazoo.start, PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.do(self.kazoo.stop)
        await self.do(self.kazoo.close)

    async def do(self, what: Callable[..., T], *args: Any, **options: Any) -> T:
        """Let kazoo do it in a thread, again whenever the connection is lost meanwhile: then it may be done or not."""
        while True:
            try:
                return await asyncio.to_thread(what, *args, **options)
            except (ConnectionLoss, SessionExpiredError):
                self._losses += 1
                await asyncio.sleep(0.05)

    @property
    def session(self) -> int:
        """The number of its session."""
        number, _ = self.kazoo.client_id
        return int(number)

    async def say(self, *where: str, service: str = "web", root: str = "/services") -> None:
        """Register these (`10.0.0.1:80`), as Curator does it."""
        for one in where:
            await self.make(f"{root}/{service}/{one}", curator(one, service))

    async def make(self, path: str, data: bytes = b"", **how: Any) -> str:
        """A node, with those above it."""
        losses = self._losses
        try:
            return str(await self.do(self.kazoo.create, path, data, makepath=True, **how))
        except NodeExistsError:
            if self._losses == losses:
                raise
            return path  # it was made, and the answer lost

    async def many(self, nodes: Iterable[tuple[str, bytes]]) -> None:
        """Many nodes, some in a transaction; those above them are made where they are missing."""
        parents: set[str] = set()
        for some in batched(nodes, 1_000):
            for parent in {path.rpartition("/")[0] for path, _ in some} - parents:
                await self.do(self.kazoo.ensure_path, parent)
                parents.add(parent)
            at_once = self.kazoo.transaction()
            for path, data in some:
                at_once.create(path, data)
            await self._commit(at_once)

    async def write(self, path: str, data: bytes) -> None:
        await self.do(self.kazoo.set, path, data)

    async def remove(self, path: str) -> None:
        """A node and all below it, if it is there."""
        with suppress(NoNodeError):
            await self.do(self.kazoo.delete, path, recursive=True)

    async def remove_at_once(self, path: str) -> None:
        """A node and all below it, in one transaction: nobody sees a part of it gone."""
        at_once = self.kazoo.transaction()
        for each in reversed(await self.all(path)):
            at_once.delete(each)
        await self._commit(at_once)

    async def _commit(self, at_once: TransactionRequest) -> None:
        """Kazoo sends a transaction once."""
        failed = [one for one in await asyncio.to_thread(at_once.commit) if isinstance(one, Exception)]
        assert not failed, failed[0]

    async def stat(self, path: str) -> Any:
        return await self.do(self.kazoo.exists, path)

    async def names(self, path: str) -> list[str]:
        """Its children, sorted; none of a node that is not there."""
        try:
            return sorted(await self.do(self.kazoo.get_children, path))
        except NoNodeError:
            return []

    async def until_empty(self, path: str) -> None:
        """Wait until it has no children: a session that is ended ends a little later."""
        async with asyncio.timeout(PATIENCE):
            while await self.names(path):
                await asyncio.sleep(0.05)

    async def read(self, path: str) -> bytes:
        data, _ = await self.do(self.kazoo.get, path)
        return bytes(data)

    async def read_if(self, path: str) -> bytes | None:
        """The same, None where nothing is."""
        try:
            return await self.read(path)
        except NoNodeError:
            return None

    async def all(self, path: str) -> list[str]:
        """It, and all below it."""
        found = [path]
        for name in await self.names(path):
            found += await self.all(f"{path.rstrip('/')}/{name}")
        return found

    async def keep(self, path: str) -> None:
        """Let nobody but an administrator read what is there, or change it."""
        user, _, password = ADMIN.partition(":")
        await self._protect(path, [make_digest_acl(user, password, all=True)])

    async def grant(self, path: str, who: str, rights: str) -> None:
        """Let somebody, `user:password`, have these rights, such as `cdrw`, at this one node, and nobody else any."""
        has = {_RIGHTS[right]: True for right in rights}
        acl = [make_digest_acl(*ADMIN.split(":"), all=True), make_digest_acl(*who.split(":"), **has)]
        await self.do(self.kazoo.set_acls, path, acl)

    async def share(self, path: str) -> None:
        """Let everybody do everything."""
        await self._protect(path, OPEN_ACL_UNSAFE)

    async def show(self, path: str) -> None:
        """Let everybody read, and nobody but an administrator change."""
        user, _, password = ADMIN.partition(":")
        await self._protect(path, [make_digest_acl(user, password, all=True), make_acl("world", "anyone", read=True)])

    async def _protect(self, path: str, acl: Sequence[ACL]) -> None:
        for each in reversed(await self.all(path)):
            await self.do(self.kazoo.set_acls, each, list(acl))
