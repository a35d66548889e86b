"""What kazoo says of its connection is heard, and not passed on: it says it ten times a second while nobody answers."""

import logging
import math
import re
import select
from collections.abc import Callable, Sequence
from socket import socket
from threading import Thread
from typing import Any

from kazoo.exceptions import AuthFailedError, SessionClosedRequireSaslError
from kazoo.handlers.threading import SequentialThreadingHandler

_HEARD = re.compile(r"(?:Connection dropped|Connection time-out): (?:socket connection error: )?(.*)", re.DOTALL)
_MEANS = tuple(
    (re.compile(said, re.IGNORECASE), means)
    for said, means in (
        (
            r"certificate verify failed(?:: (.*?)\.?(?: \(_ssl|$))?",
            "its certificate is refused: {0}; correct `tls.ca`, or the name of the host in `hosts`",
        ),
        (
            "alert.*(?:certificate|unknown.ca)",
            "it wants a certificate of ours; write `tls.cert` and `tls.key`, signed by whom it trusts",
        ),
        ("wrong.version.number|eof occurred", "does not speak TLS on that port; take the secure port, or remove `tls`"),
        ("connection refused", "nobody listens on that port; correct `hosts`, or see to the servers"),
        (
            "connection broken",
            "closed the connection: it ended, lacks its quorum, or wants TLS; see to it, or to `tls`",
        ),
        ("socket time-out", "accepts the connection, and does not answer; see to it"),
        ("timed out", "does not answer; correct `hosts`, or see to it"),
        ("ping not received", "does not answer any more; see to it"),
    )
)


def _meaning(said: str) -> str:
    """What an operator makes of what kazoo says: what is wrong, and what to do."""
    for part, means in _MEANS:
        if (found := part.search(said)) is not None:
            return means.format(*(one or "it is not to be trusted" for one in found.groups()))
    return said[:200]


class Ear(logging.Handler):
    """The logger of one client.

    `why` is the last reason why it is not connected, in words for an operator; `denied` that it is our credentials.
    `gave_up` is called when no server takes the client as often as it tries, of which kazoo tells nobody else.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.why = ""
        self.denied = False
        self.gave_up: Callable[[], None] = lambda: None
        self.logger = logging.Logger("kazoo", logging.WARNING)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if record.exc_info is not None and isinstance(record.exc_info[1], Exception):
            self.hear(record.exc_info[1])
            return
        said = record.getMessage()
        if said.startswith("Cannot resolve "):
            host = said.removeprefix("Cannot resolve ").partition(":")[0]
            self.why = f"{host} is no name that can be resolved; correct `hosts`, or see to the resolver"
        elif (heard := _HEARD.match(said)) is not None:
            self.why = _meaning(heard[1])
        elif said.startswith("Failed connecting to Zookeeper"):
            self.gave_up()

    def hear(self, error: Exception) -> None:
        """An error that ends a thread of kazoo's, and with it the client."""
        self.denied = isinstance(error, AuthFailedError | SessionClosedRequireSaslError)
        self.why = repr(error)[:300]


class Threads(SequentialThreadingHandler):  # type: ignore[misc]  # kazoo has no types
    """kazoo's threads, by the name of their client; an error that ends one is heard, and not printed.

    They wait for their socket with one system call: kazoo makes an epoll four times a request, and closes it again,
    which is near half of what a thousand requests cost.
    """

    def __init__(self, name: str, ear: Ear) -> None:
        super().__init__()
        self._name = name
        self._ear = ear

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Thread:
        """See `kazoo.interfaces.IHandler`."""

        def run() -> None:
            try:
                func(*args, **kwargs)
            except Exception as error:
                self._ear.hear(error)

        thread = Thread(target=run, name=f"{self._name}: {func.__name__.strip('_')}", daemon=True)
        thread.start()
        return thread

    def select(
        self, rlist: Sequence[socket], wlist: Sequence[socket], xlist: Sequence[socket], timeout: float | None = None
    ) -> tuple[list[socket], list[socket], list[socket]]:
        """See `kazoo.interfaces.IHandler`; what is closed or broken counts as ready, and says so when it is used."""
        poll = select.poll()
        for sockets, event in ((rlist, select.POLLIN), (wlist, select.POLLOUT)):
            for one in sockets:
                poll.register(one, event)
        ready = {number for number, _ in poll.poll(None if timeout is None else math.ceil(timeout * 1_000))}
        return [one for one in rlist if one.fileno() in ready], [one for one in wlist if one.fileno() in ready], []
