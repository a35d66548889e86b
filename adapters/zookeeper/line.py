"""A way to a ZooKeeper that is watched, and laid anew when it will not come back by itself."""

import asyncio
from typing import Final

from adapters.zookeeper.access import Access
from adapters.zookeeper.client import Client, SilentError
from adapters.zookeeper.operations import Answer, Operation
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock

CANARY: Final = 3.0
"""Seconds after which a server that had nothing to answer is asked whether it is there."""

SILENT: Final = 1.0
"""The same, while it does not answer."""

MOMENT: Final = 0.1

BLIP: Final = 0.5
"""Seconds within which a connection that was lost may be had again unnoticed, as when one server of several ends."""

REBUILD: Final = 1.5
"""Sessions after which a client without a connection is thrown away: a server that was restored to an older state
refuses one that has seen a newer one, and goes on to do so; one that has seen nothing it takes."""

PAUSE: Final = 2.0
"""Seconds between a client that ended by itself and the next one."""


class Line:
    """Asks one client after the other; whoever holds it calls `look` when `due` has come. All times are monotonic."""

    def __init__(self, access: Access, place: str, clock: Clock, changed: asyncio.Event) -> None:
        """`changed` is set when there is something to look at."""
        self._access = access
        self._place = place
        self._clock = clock
        self._changed = changed
        self._clients = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._client = self._open()
        self._heard = clock.now()
        self._quiet: tuple[tuple[int, int], float] | None = None  # over which connection nobody answers, and since when
        self._why = ""  # why a client before this one had no connection: this one will take a while to know

    @property
    def connection(self) -> tuple[int, int]:
        """Another one each time that there is a new connection: then all watches are gone."""
        return self._clients, self._client.epoch

    @property
    def _silent(self) -> float | None:
        """Since when a server with a connection does not answer."""
        return self._quiet[1] if self._quiet is not None and self._quiet[0] == self.connection else None

    @property
    def connected(self) -> bool:
        return self._client.connected and self._silent is None

    @property
    def session(self) -> int:
        """The number of our session."""
        return self._client.session

    @property
    def zxid(self) -> int:
        """The last transaction that a server has told of."""
        return self._client.zxid

    @property
    def since(self) -> float:
        """When it was last connected, or ceased to be."""
        return self._client.since if self._silent is None else self._silent

    @property
    def lost(self) -> BridgeError | None:
        """Why nothing can be asked; None while all is well, or may soon be."""
        if self.connected or (self._client.end is None and self._clock.now() - self.since < BLIP):
            return None
        if self._client.end is not None:
            return self._client.end
        why = (self._client.why or self._why) if self._silent is None else "does not answer any more"
        return Unavailable(f"{self._place}: {why or 'no server answers'}; it is tried again")

    @property
    def known(self) -> bool:
        """Whether it is known why there is no connection."""
        return bool(self._client.why)

    @property
    def due(self) -> float:
        """When it is to be looked at again."""
        if self._client.end is not None:
            return max(self.since, self._laid) + PAUSE
        if self._client.connected:
            return self._heard + (CANARY if self._silent is None else SILENT)
        now = self._clock.now()
        return min((at for at in (self.since + BLIP, self._doomed) if at > now), default=now)

    async def look(self) -> None:
        """Ask a server that was silent whether it is there, and lay the line anew where that is due.

        Raises Denied when the credentials are refused.
        """
        now = self._clock.now()
        if isinstance(self._client.end, Denied):
            raise self._client.end
        if (
            now >= (self._doomed if self._client.end is None else max(self.since, self._laid) + PAUSE)
            and not self.connected
        ):
            self._lay()
        elif self._client.connected and now >= self.due:
            try:
                await self._client.alive()
            except SilentError:
                self._silence()
            except Unavailable:
                self._heard += MOMENT  # that the connection is lost is told by then
            else:
                self._hear()

    async def ready(self, within: float) -> None:
        """Return when there is a connection; Unavailable when there is none within so many seconds."""
        timer = asyncio.ensure_future(self._clock.sleep(within))
        try:
            while not self.connected and not timer.done():
                news = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
        finally:
            timer.cancel()
        if not self.connected:
            raise self.lost or Unavailable(f"{self._place}: is not connected yet; it is tried again")

    async def ask(self, *asked: Operation) -> list[Answer]:
        """See `Client.ask`; one that is not answered is a reason to look."""
        try:
            answers = await self._client.ask(*asked)
        except SilentError:
            self._silence()
            raise
        self._hear()
        return answers

    def fired(self) -> set[str]:
        """The nodes of which a watch has told since this was last asked."""
        fired, self._client.fired = self._client.fired, set()
        return fired

    async def close(self) -> None:
        """End all sessions."""
        self._leave()
        await asyncio.wait(self._closing)

    @property
    def _doomed(self) -> float:
        return max(self.since, self._laid) + REBUILD * self._access.session

    def _open(self) -> Client:
        self._clients += 1
        self._laid = self._clock.now()
        return Client(self._access, self._place, self._clock, self._changed)

    def _lay(self) -> None:
        if self._client.end is None:
            self._why = self._client.why or self._why
        self._leave()
        since, self._client = self.since, self._open()
        self._client.since = since
        self._quiet, self._heard = None, self._laid

    def _leave(self) -> None:
        task = asyncio.create_task(self._client.close(), name=f"zookeeper {self._place}: closing")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _hear(self) -> None:
        self._heard, self._quiet, self._why = self._clock.now(), None, ""

    def _silence(self) -> None:
        if self._client.connected and self._silent is None:
            self._quiet = self.connection, self._heard
        self._heard = self._clock.now()
        self._changed.set()
