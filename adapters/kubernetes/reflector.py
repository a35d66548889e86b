"""Keeps the mirror of one collection true: lists it, watches it, and lists it anew wherever that may be needed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, NamedTuple, TypeVar

import structlog

from adapters.kubernetes.client import Api, Busy, Expired, Silent, path
from adapters.kubernetes.mirror import Changes, Mirror
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit import Clock
from bridge.kit.backoff import pause

T = TypeVar("T")

PAGE: Final = 500
"""Objects of a page of a list."""

SILENCE: Final = 75.0
"""Seconds without a word after which a watch is not believed: bookmarks come every 60."""

LASTS: Final = (270, 310)
"""Seconds after which the server is to end a watch: some time between, so that not all come back together."""

SPACING: Final = 1.0
"""Seconds between two beginnings, whatever happens."""

STEADY: Final = 10.0
"""Seconds for which a watch that says nothing has to last to be as good as one that speaks."""

SLICE: Final = 50
"""Objects that are read before others have their turn."""

_NO_QUERY: Mapping[str, str] = {}

_log = structlog.get_logger("adapters.kubernetes")


class Collection(NamedTuple, Generic[T]):
    """A kind of object: `group` are the first parts of its path, `query` what is asked for besides."""

    group: tuple[str, ...]
    resource: str
    parse: Callable[[Mapping[str, Any]], T]
    query: Mapping[str, str] = _NO_QUERY

    def path(self, namespace: str) -> str:
        """Of those in a namespace, or of all for ""."""
        return path(*self.group, *(("namespaces", namespace) if namespace else ()), self.resource)


class Failure(NamedTuple):
    """Why a collection cannot be read, and since when, in seconds monotonic."""

    since: float
    error: BridgeError


class Reflector(Generic[T]):
    """`take` gets what changes, and `news` is called whenever something is another thing than before.

    What it mirrors outlives `run`. `looked` is the last number with which it was asked to list anew and did, and
    follows since, or could not.
    """

    def __init__(
        self,
        api: Api,
        collection: Collection[T],
        namespace: str,
        mirror: Mirror[T],
        *,
        take: Callable[[Changes[T]], None],
        news: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.failure: Failure | None = None
        self.looked = 0
        self._api = api
        self._query = collection.query
        self._path = collection.path(namespace)
        self._where = f"{api.where}: {self._path}"
        self._mirror = mirror
        self._take = take
        self._news = news
        self._clock = clock
        self._asked = 0
        self._due = True
        self._limit: asyncio.Timeout | None = None
        self._errors = 0

    @property
    def never(self) -> bool:
        """Whether there is no view of it at all."""
        return not self._mirror.version

    def relist(self, asked: int) -> None:
        """List anew, past everything that was heard; `asked` grows each time."""
        self._asked, self._due = asked, True
        if self._limit is not None and self._limit.when() is None:
            self._limit.reschedule(0)

    async def run(self) -> None:
        """Read it until cancelled, whatever goes wrong."""
        self._errors = 0
        while True:
            begun, asked = self._clock.now(), self._asked
            try:
                if self._due:
                    await self._list()
                if await self._watch(asked):
                    self._errors, wait = 0, 0.0
                else:
                    self._errors += 1
                    wait = pause(self._errors, False)
            except BridgeError as error:
                wait = self._fail(error, asked)
            spaced = max(begun + SPACING - self._clock.now(), 0.0)
            await self._clock.sleep(spaced)
            async with self._unless_asked(asked):
                await self._clock.sleep(max(wait - spaced, 0.0))

    async def _list(self) -> None:
        """Read all pages, or nothing."""
        self._due = False
        listing = self._mirror.listing()
        try:
            while not listing.whole:
                following = {"continue": listing.following} if listing.following else {}
                text = await self._api.text(self._path, {**self._query, "limit": str(PAGE), **following})
                for number, _ in enumerate(listing.page(text), 1):
                    if number % SLICE == 0:
                        await self._clock.sleep(0)
        except BaseException as error:
            self._due = True
            if isinstance(error, ValueError):
                raise Unavailable(f"{self._where}: the list is refused: {error}; it is read again") from None
            raise
        if self._mirror.restored(listing):
            versions = {"was": self._mirror.version, "now": listing.version}
            _log.warning("a list is older than what was said before: was etcd restored?", at=self._where, **versions)
        self._changed(self._mirror.take(listing))

    async def _watch(self, asked: int) -> bool:
        """Follow until it ends or a newer list is asked for; whether it was of any use."""
        query = {
            **self._query,
            "resourceVersion": self._mirror.version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*LASTS)),  # noqa: S311  # it spreads load, no secret
        }
        begun, opened, spoke = self._clock.now(), False, False
        try:
            async with self._api.watch(self._path, query, SILENCE) as lines, self._unless_asked(asked):
                opened = True
                self._well(asked)
                async for batch in lines:
                    await self._read(batch)
                    spoke = True
        except (Expired, Silent):
            self._due = True
            if not opened and self.looked != asked:
                raise  # it would be listed again and again, and nobody would know
            return spoke or self._clock.now() - begun >= STEADY
        except Unavailable:
            if not opened:
                raise
        return spoke or self._asked != asked or self._clock.now() - begun >= STEADY

    async def _read(self, batch: list[bytes]) -> None:
        for number, line in enumerate(batch, 1):
            if line:
                self._changed(self._mirror.event(line))
            if number % SLICE == 0:
                await self._clock.sleep(0)

    def _changed(self, changes: Changes[T]) -> None:
        if changes:
            self._take(changes)
            self._news()

    def _well(self, asked: int) -> None:
        if self.failure is not None or self.looked != asked:
            self.failure, self.looked = None, asked
            self._news()

    def _fail(self, error: BridgeError, asked: int) -> float:
        """Remember why; the seconds for which it is left alone.

        That a watch cannot be taken up again is no failure the first time: behind one name servers come and go.
        """
        now = self._clock.now()
        self._errors += 1
        denied = isinstance(error, Denied)
        if denied or self._errors > 1 or self._due or self.looked != asked:
            self.failure = Failure(now if self.failure is None else self.failure.since, error)
            self.looked = asked
            self._news()
        wait = pause(self._errors, denied)
        if isinstance(error, Busy):
            wait = max(wait, error.until - now + random.uniform(0, SPACING))  # noqa: S311  # as above
        return wait

    @asynccontextmanager
    async def _unless_asked(self, asked: int) -> AsyncIterator[None]:
        """What is within is left as soon as somebody asks for a newer list."""
        try:
            async with asyncio.timeout(None) as self._limit:
                if self._asked != asked:
                    self._limit.reschedule(0)
                yield
        except TimeoutError:
            pass
        finally:
            self._limit = None
