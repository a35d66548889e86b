"""An adapter as the core observes it: every view is looked at, and remembered as it was."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bridge.adapter import Held, Holding, Observation, Source, Target
from bridge.errors import Denied, Unavailable
from bridge.model import Service, ServiceName
from bridge.testing.conformance.bench import Bench
from bridge.testing.conformance.views import well_formed

PAUSE = 0.02
"""Seconds until a source that was lost is observed again."""

_NOTHING = Holding()


class Watched:
    """A source that is observed, again and again as long as it says that it is Unavailable or Denied."""

    task: asyncio.Task[None]

    def __init__(self, source: Source, patience: float) -> None:
        self.source = source
        self.views: list[Observation] = []
        self.lost: list[Unavailable | Denied] = []
        self._said: list[str] = []
        self._patience = patience
        self._news = asyncio.Event()

    @property
    def now(self) -> Observation:
        assert self.views, f"nothing was observed: {self.lost[-1] if self.lost else 'no view, and no error'}"
        return self.views[-1]

    def service(self, name: ServiceName) -> Service | None:
        """What was last said of a service."""
        found: Service | None = self.now.services.get(name)
        return found

    def held(self, target: Target) -> Held | None:
        """What was last said of a target."""
        found: Held | None = self.now.held.get(target)
        return found

    def holding(self, target: Target, name: ServiceName) -> Holding:
        """What was last said of ours for a service."""
        held = self.held(target)
        assert held is not None, f"target {target!r} is not in `held`, and so nothing may be written there"
        found: Holding = held.holdings.get(name, _NOTHING)
        return found

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until it is so, with every view; AssertionError says that it never was."""
        try:
            async with asyncio.timeout(self._patience):
                while not (self.views and true()):
                    await self._changed()
        except TimeoutError:
            raise AssertionError(f"not within {self._patience:g} s: {what}") from None

    async def until_lost(self, stands: Observation | None = None) -> None:
        """Wait for an error, or for a view that says itself that something of it is unread.

        Until then every view says what `stands` says, and there is none where nothing does.
        """
        before = len(self.lost)

        def lost() -> bool:
            for view in self.views:
                assert stands is not None, "there is no view before one that is whole: raise Unavailable or Denied"
                assert view.services == stands.services, "the last good view stands, or raise Unavailable"
                assert view.read <= stands.read or view.unread, "a reading that was not complete does not count as one"
            return len(self.lost) > before or bool(self.views and self.now.unread)

        try:
            async with asyncio.timeout(self._patience):
                while not lost():
                    await self._changed()
        except TimeoutError:
            raise AssertionError(f"not noticed within {self._patience:g} s: the registry is out of reach") from None

    async def first(self) -> Observation:
        """The first view."""
        await self.until(lambda: True, "a first view")
        return self.views[0]

    async def again(self) -> Observation:
        """Ask for a new reading, and wait for it."""
        before = self.now.read
        self.source.refresh()
        await self.until(lambda: self.now.read > before, "a view whose `read` has grown after refresh()")
        return self.now

    async def run(self) -> None:
        """Observe until cancelled."""
        while True:
            views = self.source.observe()
            try:
                async for view in views:
                    self._see(view)
                raise AssertionError("the source ended without a word; it waits, or raises Unavailable")
            except (Unavailable, Denied) as error:
                self.lost.append(error)
                self._news.set()
            finally:
                await close(views)
            await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """Cancel what observes, and wait until it has ended."""
        self.task.cancel()
        _, left = await asyncio.wait({self.task}, timeout=self._patience)
        assert not left, f"not within {self._patience:g} s: that a cancelled source ends"

    def unchanged(self) -> None:
        """AssertionError unless every view still says what it said when it was observed, and every error something."""
        assert all(map(str, self.lost)), "an error tells the operator what and where"
        for view, said in zip(self.views, self._said, strict=True):
            assert repr(view) == said, "a view changed after it was observed"

    def _see(self, view: Observation) -> None:
        well_formed(view)
        if self.views:
            assert view.read >= self.now.read, "`read` never falls"
        self.views.append(view)
        self._said.append(repr(view))
        self._news.set()

    async def _changed(self) -> None:
        """Wait for a view or an error; what else the source raised is raised here."""
        self._news.clear()
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        if self.task.done():
            self.task.result()


@asynccontextmanager
async def watching(bench: Bench, source: Source) -> AsyncIterator[Watched]:
    """Observe while the context lasts; then every view must still be as it was."""
    watched = Watched(source, bench.patience)
    watched.task = asyncio.create_task(watched.run(), name="conformance")
    try:
        yield watched
    finally:
        await watched.stop()
    if not watched.task.cancelled():
        watched.task.result()
    watched.unchanged()


async def close(views: AsyncIterator[Observation]) -> None:
    """Close what `observe` gave, as the core does."""
    closing = getattr(views, "aclose", None)
    if closing is not None:
        await closing()
