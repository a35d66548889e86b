"""What is asked for from time to time, and comes whole each time: a URL, the answer of a tool."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable

from adapters.static.inventory import Reader
from adapters.static.standing import Standing
from bridge.errors import ConfigError
from bridge.kit import Clock
from bridge.kit.files import Stamp

JITTER = 0.1
"""By which share the time between two askings varies, so that replicas do not ask together."""


class Feed(Standing):
    """Asks by `fetch` (the content; ConfigError says why there is none) each `interval` seconds, or when woken."""

    def __init__(self, where: str, kind: str, reader: Reader, fetch: Callable[[], Awaitable[bytes]], interval: float):
        super().__init__(where, reader)
        self.kind = kind
        self.looked = float("-inf")
        """When the asking began whose answer was last judged; monotonic."""
        self.stamp: Stamp | None = None
        """The state of the file behind it, where there is one, when it was last woken for that."""
        self._fetch = fetch
        self._interval = interval
        self._awake = asyncio.Event()
        self._taken: tuple[bytes, ConfigError | None] | None = None

    def wake(self) -> None:
        """Ask now, or once more if that is under way."""
        self._awake.set()

    async def run(self, clock: Clock, changed: asyncio.Event) -> None:
        """Ask for ever, and set `changed` after each answer."""
        while True:
            self._awake.clear()
            await self.ask(clock)
            changed.set()
            await self._pause(clock)

    async def ask(self, clock: Clock) -> None:
        """Ask once, and judge what comes."""
        begun = clock.now()
        try:
            data = await self._fetch()
        except ConfigError as error:
            self._fail(error, clock.now())
        else:
            digest = hashlib.blake2b(data, digest_size=16).digest()
            if self._taken is None or self._taken[0] != digest:
                self._taken = digest, await asyncio.to_thread(self._judge, data)
            if self._taken[1] is None:
                self._succeed(clock.wall())
            else:
                self._fail(self._taken[1], clock.now())
        self.looked = begun

    async def _pause(self, clock: Clock) -> None:
        seconds = self._interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # it spreads load, no secret
        timer = asyncio.ensure_future(clock.sleep(seconds))
        woken = asyncio.ensure_future(self._awake.wait())
        try:
            await asyncio.wait({timer, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            woken.cancel()
