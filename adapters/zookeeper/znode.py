"""One znode that several processes read whole and replace by compare-and-set."""

import asyncio
from collections.abc import Sequence
from typing import Final

from adapters.zookeeper.access import Access
from adapters.zookeeper.client import Client
from adapters.zookeeper.operations import (
    EXISTS,
    NO_AUTH,
    NO_NODE,
    OPEN,
    VERSION,
    Acl,
    Answer,
    Create,
    Exists,
    Get,
    Node,
    Operation,
    Put,
    Refused,
    Stat,
    Sync,
)
from bridge.errors import Conflict, Denied, Unavailable
from bridge.kit import Clock

TIMES: Final = 3


class Znode:
    """Connects when it is asked, and stays connected until it is closed, or nobody answers."""

    def __init__(self, access: Access, path: str, clock: Clock, within: float) -> None:
        """`within` so many seconds an answer is there, or it is Unavailable."""
        self.place = f"zookeeper {access.hosts}: {path}"
        self._access = access
        self._path = path
        self._clock = clock
        self._within = within
        self._client: Client | None = None

    async def read(self) -> Node | None:
        """What stands there now, None where nothing does: of a server that has caught up with its leader."""
        _, answer = await self._ask(Sync(self._path), Get(self._path))
        match answer:
            case Node():
                return answer
            case Refused(word) if word == NO_NODE:
                return None
            case _:
                raise self._refused(answer)

    async def make(self, data: bytes) -> Stat:
        """Put it there where nothing is, with the znodes above; Conflict when something is."""
        for _ in range(TIMES):
            (answer,) = await self._ask(Create(self._path, data, self._access.acl))
            if isinstance(answer, Refused) and answer.word == NO_NODE:
                await self._parents(OPEN)
                continue
            if not isinstance(answer, str):
                raise self._refused(answer)
            (stat,) = await self._ask(Exists(self._path))
            if not isinstance(stat, Stat):
                raise self._refused(stat)
            return stat
        raise Conflict(f"{self.place}: what is above it is deleted again and again")

    async def replace(self, data: bytes, version: int) -> Stat:
        """Put it in the place of that version; Conflict when something else stands there by now."""
        (answer,) = await self._ask(Put(self._path, data, version))
        if not isinstance(answer, Stat):
            raise self._refused(answer)
        return answer

    async def close(self) -> None:
        """End the connection; whoever asks again makes another one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _parents(self, acl: Sequence[Acl]) -> None:
        parts = self._path[1:].split("/")[:-1]
        for end in range(1, len(parts) + 1):
            path = "/" + "/".join(parts[:end])
            (answer,) = await self._ask(Create(path, b"", acl))
            if isinstance(answer, Refused) and answer.word != EXISTS:
                (stat,) = await self._ask(Exists(path))  # where we may make none, a server says that, and no more
                if not isinstance(stat, Stat):
                    raise self._refused(answer)

    async def _ask(self, *asked: Operation) -> list[Answer]:
        if self._client is None:
            self._client = Client(self._access, self.place, self._clock, asyncio.Event())
        client = self._client
        try:
            await client.up(self._within)
            return await client.ask(*asked, within=self._within)
        except (Unavailable, Denied):
            await self.close()  # one that hangs, or is refused for what it has seen, never comes back by itself
            raise

    def _refused(self, answer: object) -> Exception:
        match answer:
            case Refused(word) if word == NO_AUTH:
                return Denied(f"{self.place}: may not be read or written by us; give us `crw` there, or correct `auth`")
            case Refused(word, what) if word in (EXISTS, VERSION, NO_NODE):
                return Conflict(f"{self.place}: {what}")
            case Refused(_, what):
                return Denied(f"{self.place}: the server refuses it: {what}")
            case _:
                return Unavailable(f"{self.place}: was answered by something else; it is tried again")
