"""The one thread that speaks to kazoo.

Requests are pipelined, and their answers taken in the order in which a server gives them, so that ten thousand cost one
thread hop a batch and not one each. No more are under way than kazoo can queue without blocking its caller (278, when
nobody answers), and none is begun while there is no connection.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from kazoo import exceptions
from kazoo.client import KazooClient
from kazoo.protocol.states import EventType, KazooState, KeeperState, WatchedEvent
from kazoo.security import ACL, Id, Permissions

from adapters.zookeeper import operations
from adapters.zookeeper.access import Access
from adapters.zookeeper.ear import Ear
from adapters.zookeeper.operations import Answer, Operation, Refused
from bridge.errors import BridgeError

WINDOW: Final = 128
"""How many requests are under way at most."""

SILENCE: Final = 3.0
"""Seconds without an answer, while one is due, after which a server counts as silent: so a frozen one is noticed. kazoo
would notice it in two thirds of a session, but every request puts that off."""

LOOK = 0.1
"""Seconds between two looks at the clock, and at what is new, while no answer comes."""

_RIGHTS = {
    "r": Permissions.READ,
    "w": Permissions.WRITE,
    "c": Permissions.CREATE,
    "d": Permissions.DELETE,
    "a": Permissions.ADMIN,
}
_WORDS: tuple[tuple[type[Exception], str, str], ...] = (
    (exceptions.NoNodeError, operations.NO_NODE, "there is no such node"),
    (exceptions.NoAuthError, operations.NO_AUTH, "we may not"),
    (exceptions.NodeExistsError, operations.EXISTS, "it is there already"),
    (exceptions.BadVersionError, operations.VERSION, "it was changed meanwhile"),
    (exceptions.NotEmptyError, operations.NOT_EMPTY, "it has children"),
)


class Connected(NamedTuple):
    """There is a connection, and a session of this number."""

    session: int


class Disconnected(NamedTuple):
    """There is none; kazoo tries to have one again, unless this is the `end` of it."""

    end: bool
    denied: bool


class Event(NamedTuple):
    """A watch fired: something about this node is another."""

    path: str


class Batch:
    """Operations that go together, and their answers; `error` instead, where they did not all come."""

    __slots__ = ("answers", "denied", "error", "late", "left", "operations", "until")

    def __init__(self, asked: Sequence[Operation], until: float) -> None:
        """`until` is when the last answer has to be there, by the clock of the owner."""
        self.operations = asked
        self.until = until
        self.left = len(asked)
        self.answers: list[Answer] = [None] * len(asked)
        self.error = ""
        self.denied = self.late = False


News = Connected | Disconnected | Event | Batch | BridgeError | None
"""BridgeError: kazoo could not be started at all. None: the thread is at its end."""


class Owner(threading.Thread):
    """Runs one client of kazoo from its start to its end; `post` is called by several threads."""

    def __init__(self, access: Access, name: str, ear: Ear, now: Callable[[], float], post: Callable[[News], None]):
        super().__init__(name=name, daemon=True)
        self._access = access
        self._ear = ear
        self._ear.gave_up = lambda: post(Disconnected(True, False))
        self._now = now
        self._post = post
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._todo: deque[tuple[Batch, int]] = deque()
        self._flying: deque[tuple[Batch, int, Any]] = deque()
        self._open: dict[Batch, None] = {}
        self._heard = 0.0  # when an answer came, or the first one was due
        self._stopping = self._over = False
        self._kazoo: KazooClient | None = None

    @property
    def zxid(self) -> int:
        """The last transaction that the server has told of."""
        return self._kazoo.last_zxid if self._kazoo is not None else 0

    def ask(self, batch: Batch) -> None:
        """Have it answered; never blocks."""
        self._queue.put(batch)
        if self._over:
            self._refuse()

    def stop(self) -> None:
        """Close the session and end, soon; never blocks."""
        self._queue.put(None)

    def run(self) -> None:
        """See `threading.Thread`."""
        try:
            self._serve()
        finally:
            self._over = True
            self._refuse()
            self._post(None)

    def _refuse(self) -> None:
        """Fail what came too late, by whichever thread is there."""
        with suppress(queue.Empty):
            while True:
                batch = self._queue.get_nowait()
                if batch is not None:
                    batch.error = "the session was closed"
                    self._post(batch)

    def _serve(self) -> None:
        try:
            kazoo = self._access.client(self.name, self._ear, lambda state: self._state(kazoo, state))
        except BridgeError as error:
            self._post(error)
            return
        self._kazoo = kazoo
        kazoo.start_async()
        try:
            while not self._stopping:
                self._take()
                self._begin(kazoo)
                self._finish()
                self._expire()
        finally:
            try:
                kazoo.stop()
                kazoo.close()
            except (exceptions.KazooException, OSError) as error:  # its thread hangs: it ends when that does
                self._ear.hear(error)
            for batch in list(self._open):
                self._fail(batch, "the session was closed")

    def _take(self) -> None:
        """All that is new; wait for it when there is nothing else to do."""
        try:
            while True:
                batch = self._queue.get(block=not (self._todo or self._flying))
                if batch is None:
                    self._stopping = True
                    return
                self._open[batch] = None
                self._todo.extend((batch, index) for index in range(len(batch.operations)))
        except queue.Empty:
            pass

    def _begin(self, kazoo: KazooClient) -> None:
        while self._todo and len(self._flying) < WINDOW:
            batch, index = self._todo.popleft()
            if batch.error:
                continue
            if not kazoo.connected:
                self._fail(batch, self._ear.why or "is not connected")
                continue
            try:
                result = _send(kazoo, batch.operations[index], self._fired)
            except (TypeError, ValueError, exceptions.KazooException) as error:
                self._answer(batch, index, Refused(operations.OTHER, f"cannot be asked: {error!r}"))
            else:
                if not self._flying:
                    self._heard = self._now()
                self._flying.append((batch, index, result))

    def _finish(self) -> None:
        """Take the answers that are there, once half of them are: each wait is a change of threads."""
        if self._flying:
            self._flying[len(self._flying) // 2][2].wait(LOOK)
        while self._flying and self._flying[0][2].ready():
            batch, index, result = self._flying.popleft()
            self._heard = self._now()
            if batch.error:
                continue
            error = result.exception
            if error is None:
                self._answer(batch, index, _answer(batch.operations[index], result.value))
            elif isinstance(error, exceptions.AuthFailedError):
                self._fail(batch, "refuses our credentials", denied=True)
            elif isinstance(error, _LOST):
                self._fail(batch, self._ear.why or "the connection was lost")
            else:
                self._answer(batch, index, _refused(error))

    def _expire(self) -> None:
        """Fail what waits too long. What is under way stays in the window: its answer may still come, in its turn."""
        now = self._now()
        silent = bool(self._flying) and self._heard + SILENCE <= now
        for batch in [one for one in self._open if silent or one.until <= now]:
            batch.late = True
            self._fail(batch, "does not answer")

    def _answer(self, batch: Batch, index: int, answer: Answer) -> None:
        batch.answers[index] = answer
        batch.left -= 1
        if not batch.left:
            self._close(batch)

    def _fail(self, batch: Batch, why: str, *, denied: bool = False) -> None:
        if not batch.error:
            batch.error, batch.denied = why, denied
            self._close(batch)

    def _close(self, batch: Batch) -> None:
        del self._open[batch]
        self._post(batch)

    def _state(self, kazoo: KazooClient, state: str) -> None:
        """By kazoo's connection thread, which must not wait for anything here."""
        if state == KazooState.CONNECTED:
            self._post(Connected(kazoo.client_id[0] if kazoo.client_id else 0))
        else:
            ended = kazoo.client_state in (KeeperState.CLOSED, KeeperState.AUTH_FAILED)
            denied = self._ear.denied or kazoo.client_state == KeeperState.AUTH_FAILED
            self._post(Disconnected(ended, denied))

    def _fired(self, event: WatchedEvent) -> None:
        """By kazoo's thread for watches; those of a lost connection say nothing, for all is read again after it."""
        if event.type != EventType.NONE:
            self._post(Event(event.path))


_LOST = (
    exceptions.ConnectionLoss,
    exceptions.ConnectionClosedError,
    exceptions.SessionExpiredError,
    exceptions.OperationTimeoutError,
    exceptions.SessionMovedError,
)


def _send(kazoo: KazooClient, asked: Operation, fired: Callable[[WatchedEvent], None]) -> Any:
    """Kazoo's promise of an answer; a lone surrogate would end its connection thread for good, and is refused."""
    for path in _paths(asked):
        path.encode("utf-8")
    watch = fired if getattr(asked, "watch", False) else None
    match asked:
        case operations.Children(path):
            return kazoo.get_children_async(path, watch=watch, include_data=True)
        case operations.Get(path):
            return kazoo.get_async(path, watch=watch)
        case operations.Exists(path):
            return kazoo.exists_async(path, watch=watch)
        case operations.Sync(path):
            return kazoo.sync_async(path)
        case operations.Create(path, data, acl, ephemeral, sequential):
            return kazoo.create_async(path, data, acl=_acl(acl), ephemeral=ephemeral, sequence=sequential)
        case operations.Put(path, data, version):
            return kazoo.set_async(path, data, version)
        case operations.Delete(path, version):
            return kazoo.delete_async(path, version)
        case operations.Multi(parts):
            return _transaction(kazoo, parts)


def _transaction(kazoo: KazooClient, parts: Sequence[operations.Part]) -> Any:
    made = kazoo.transaction()
    for part in parts:
        match part:
            case operations.Create(path, data, acl, ephemeral, sequential):
                made.create(path, data, acl=_acl(acl), ephemeral=ephemeral, sequence=sequential)
            case operations.Put(path, data, version):
                made.set_data(path, data, version)
            case operations.Delete(path, version):
                made.delete(path, version)
            case operations.Check(path, version):
                made.check(path, version)
    return made.commit_async()


def _paths(asked: Operation) -> list[str]:
    return [part.path for part in asked.parts] if isinstance(asked, operations.Multi) else [asked.path]


def _acl(acl: Sequence[operations.Acl]) -> list[ACL]:
    return [ACL(sum(_RIGHTS[one] for one in each.rights), Id(each.scheme, each.identity)) for each in acl]


def _answer(asked: Operation, value: Any) -> Answer:
    match asked:
        case operations.Children():
            names, stat = value
            return operations.Listing(tuple(names), _stat(stat))
        case operations.Get():
            data, stat = value
            return operations.Node(data, _stat(stat))
        case operations.Exists() | operations.Put():
            return None if value is None else _stat(value)
        case operations.Multi():
            return _answers(asked, value)
        case _:
            return value if isinstance(value, str) else True


def _answers(asked: operations.Multi, values: Sequence[Any]) -> Answer:
    """Kazoo returns the errors of a transaction among its results, and does not raise them."""
    for index, value in enumerate(values):
        silent = isinstance(value, exceptions.RolledBackError | exceptions.RuntimeInconsistency)
        if isinstance(value, Exception) and not silent:
            return _refused(value)._replace(part=index)
    if any(isinstance(value, Exception) for value in values):
        return Refused(operations.OTHER, "the transaction was rolled back")
    parts = zip(asked.parts, values, strict=True)
    return tuple(_stat(value) if isinstance(part, operations.Put) else value for part, value in parts)


def _stat(stat: Any) -> operations.Stat:
    return operations.Stat(stat.version, stat.czxid, stat.ephemeralOwner, stat.numChildren)


def _refused(error: Exception) -> Refused:
    for kind, word, what in _WORDS:
        if isinstance(error, kind):
            return Refused(word, what)
    return Refused(operations.OTHER, f"{type(error).__name__.removesuffix('Error')} {error}".strip())
