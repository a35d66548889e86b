"""A session with ZooKeeper for an event loop: asked with values, answered with values, never blocking.

kazoo has threads, and calls that can block for ever while no server answers. All of that is in one thread of ours
(`owner.py`); what it has to tell comes back through one `call_soon_threadsafe`.
"""

import asyncio
import threading
from collections import deque

from adapters.zookeeper.access import Access
from adapters.zookeeper.ear import Ear
from adapters.zookeeper.operations import Answer, Exists, Operation
from adapters.zookeeper.owner import Batch, Connected, Disconnected, Event, News, Owner
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.place import in_a_line

NOBODY = "no server answers; correct `hosts`, or see to the servers"

CLOSE = 2.0
"""Seconds for which the end of a session is waited for; it takes ten milliseconds where a server answers."""

PATIENCE = 30.0
"""Seconds within which all of a batch has to be answered."""


class SilentError(Unavailable):
    """A server that has a connection to us did not answer in time."""


class Client:
    """One session, which is opened without waiting for a server.

    `place` is what messages call the registry. `changed` is set at each change of the connection, and when watches
    fired, whose paths are in `fired`.
    """

    def __init__(self, access: Access, place: str, clock: Clock, changed: asyncio.Event) -> None:
        self.fired: set[str] = set()
        self.connected = False
        self.session = 0
        self.epoch = 0
        """Counts connections: watches that were set in an earlier one are gone."""
        self.since = clock.now()
        """When the connection was made, or lost."""
        self._changed = changed
        self._place = place
        self._once = access.tries == 1
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._ear = Ear()
        self._post = deque[News]()
        self._posting = threading.Lock()
        self._posted = False
        self._asked: dict[Batch, asyncio.Future[None]] = {}
        self._end: BridgeError | None = None
        self._gone = self._loop.create_future()
        self._owner = Owner(access, f"zookeeper {place}", self._ear, clock.now, self._tell)
        self._owner.start()

    async def close(self) -> None:
        """Close the session; a server that does not answer is waited for in the background, and not long here."""
        self._owner.stop()
        await asyncio.wait({self._gone}, timeout=CLOSE)

    @property
    def why(self) -> str:
        """Why there is no connection, "" while that is not known."""
        return str(self._end) if self._end is not None else self._ear.why

    @property
    def end(self) -> BridgeError | None:
        """Why no connection will come any more, and this client is to be thrown away."""
        return self._end

    @property
    def zxid(self) -> int:
        """The last transaction that the server has told of."""
        return self._owner.zxid

    async def up(self, within: float) -> None:
        """Return when there is a connection; Unavailable or Denied when there will be none, within so many seconds."""
        timer = asyncio.ensure_future(self._clock.sleep(within))
        try:
            while not self.connected:
                if self._end is not None:
                    raise self._end
                if timer.done():
                    raise self._unavailable(NOBODY)
                self._changed.clear()
                news = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
        finally:
            timer.cancel()

    async def ask(self, *asked: Operation, within: float = PATIENCE) -> list[Answer]:
        """The answers, in order; SilentError when they do not all come within so many seconds or the server falls
        silent meanwhile, Unavailable when the connection is lost, Denied.

        What was asked may then have been done, or be done later.
        """
        if not asked:
            return []
        batch = Batch(asked, self._clock.now() + within)
        done = self._asked[batch] = self._loop.create_future()
        try:
            self._owner.ask(batch)
            await done
        finally:
            del self._asked[batch]
        if batch.error:
            kind = Denied if batch.denied else SilentError if batch.late else Unavailable
            raise kind(f"{self._place}: {batch.error}; {'correct `auth`' if batch.denied else 'it is tried again'}")
        return batch.answers

    async def alive(self) -> None:
        """Return when a server has answered; SilentError when it is silent."""
        await self.ask(Exists("/"))

    def _tell(self, news: News) -> None:
        """By any thread; nothing is told after the loop was closed."""
        with self._posting:
            self._post.append(news)
            if self._posted:
                return
            self._posted = True
        try:
            self._loop.call_soon_threadsafe(self._receive)
        except RuntimeError:
            return

    def _receive(self) -> None:
        with self._posting:
            news, self._post, self._posted = self._post, deque(), False
        for one in news:
            match one:
                case Batch():
                    done = self._asked.get(one)
                    if done is not None and not done.done():
                        done.set_result(None)
                    continue
                case Event(path):
                    self.fired.add(path)
                case Connected(session):
                    self.epoch += 1
                    self._moved(True, session)
                case Disconnected(end, denied):
                    self._moved(False, self.session)
                    if end and denied:
                        self._end = Denied(f"{self._place}: refuses our credentials; correct `auth`")
                    elif end:
                        self._end = self._unavailable("the client ended")
                case BridgeError():
                    self._end = Unavailable(f"{self._place}: {in_a_line(one)}")
                case None:
                    if not self._gone.done():
                        self._gone.set_result(None)
            self._changed.set()

    def _unavailable(self, unless_known: str) -> Unavailable:
        """Why there is no connection, as far as that is known."""
        again = "" if self._once else "; it is tried again"
        return Unavailable(f"{self._place}: {self._ear.why or unless_known}{again}")

    def _moved(self, connected: bool, session: int) -> None:
        if connected != self.connected:
            self.since = self._clock.now()
        self.connected, self.session = connected, session
