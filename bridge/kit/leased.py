"""An election by one lease, which every replica reads and replaces by compare-and-set, wherever it is kept."""

import asyncio
import platform
import random
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, Protocol, Self

import structlog
from pydantic import Field, model_validator

from bridge.errors import BridgeError, Conflict, Unavailable
from bridge.kit import Clock
from bridge.kit.candidate import Candidate, Standing, Timing, Write
from bridge.kit.election import Shelf, Term
from bridge.kit.place import excerpt
from bridge.kit.settings import Duration, Sample, Strict

LONGEST: Final = 150
"""Characters of a holder's name that are shown."""

_log = structlog.get_logger("bridge.election")


class Lease(Protocol):
    """Where the lease is kept."""

    @property
    def place(self) -> str:
        """What messages call it."""
        ...

    async def look(self) -> Standing | None:
        """What stands there, None where nothing does; Unavailable or Denied when that is not known."""
        ...

    async def write(self, write: Write) -> Standing:
        """Put this in the place of what was looked at or written last, and say what stands there then.

        Raises Conflict when something else stands there by now, Denied, or Unavailable, after which it may stand there.
        """
        ...

    async def close(self) -> None:
        """Release what it holds; whoever looks again gets it again."""
        ...


class LeaseSettings(Strict, ABC):
    """An election by a lease, and how long that lasts."""

    lease: Duration = Field(default="15s", validate_default=True, description="others wait so long for a silent leader")
    renew: Duration = Field(default="10s", validate_default=True, description="a leader that cannot renew stops then")
    retry: Duration = Field(default="2s", validate_default=True, description="between two requests")

    @abstractmethod
    def open(self, clock: Clock, folder: Path | None) -> "LeasedElection":
        """This replica's part in it; nothing is connected before it is asked."""

    async def sample(self, clock: Clock, within: float) -> Sequence[Sample]:
        """Who leads, for `check --sample`; ConfigError, Unavailable or Denied when that is not known."""
        return (await self.open(clock, None).sample(within),)

    @property
    def timing(self) -> Timing:
        return Timing(self.lease, self.renew, self.retry)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.retry < self.renew < self.lease:
            raise ValueError("`retry` must be less than `renew`, and `renew` less than `lease`")
        if self.lease < 1 or self.retry < 0.1:
            raise ValueError("`lease` is at least 1s, and `retry` at least 100ms")
        return self


class LeasedElection:
    """One replica's part in the election; what it knows outlives a lease that is away."""

    def __init__(self, lease: Lease, clock: Clock, *, deployment: str, timing: Timing, shelf: Shelf) -> None:
        self.deployment = deployment
        self.shelf = shelf
        self.identity = f"{platform.node()[:100] or 'bridge'}_{secrets.token_hex(8)}"
        self._lease = lease
        self._timing = timing
        self._clock = clock
        self._candidate = Candidate(self.identity, timing)

    async def terms(self) -> AsyncIterator[Term]:
        """Yield where we stand at first, and whenever that is another."""
        told: tuple[object, str] | None = None
        try:
            while True:
                await self._step()
                term, other = self._candidate.term, _shown(self._candidate.other)
                if told != (term, other):
                    told = term, other
                    yield Term(*(term or (0, self._clock.now())), other)
                spread = random.random()  # noqa: S311  # it spreads load, no secret
                await self._clock.sleep(self._candidate.pause(self._clock.now(), spread))
        except (GeneratorExit, asyncio.CancelledError):
            await self._give_back()
            raise
        finally:
            await self._lease.close()

    async def sample(self, within: float) -> Sample:
        """Who leads by it, whether it is alive or not; it is neither made nor written."""
        try:
            async with asyncio.timeout(within):
                standing = await self._lease.look()
        except TimeoutError:
            what = f"has no answer within {within:g} s; see to the servers, or wait longer (--timeout)"
            raise Unavailable(f"{self._lease.place}: {what}") from None
        finally:
            await self._lease.close()
        return Sample(self._lease.place, _says(standing), True)

    async def _step(self) -> None:
        """One request, and another look where that found something else than expected."""
        write = self._candidate.next(self._clock.now())
        if write is None:
            await self._look()
            return
        try:
            await self._write(write)
        except Conflict:
            await self._look()

    async def _look(self) -> None:
        standing = await self._lease.look()
        self._candidate.see(standing, self._clock.now())

    async def _write(self, write: Write) -> None:
        sent = self._clock.now()
        standing = await self._lease.write(write)
        self._candidate.wrote(standing, sent, self._clock.now())

    async def _give_back(self) -> None:
        self._candidate.lose(self._clock.now())
        write = self._candidate.release()
        if write is None:
            return
        try:
            try:
                await self._write(write)
            except Conflict:  # the answer to a renewal may have been lost
                await self._look()
                if (write := self._candidate.release()) is not None:
                    await self._write(write)
        except BridgeError as error:
            _log.warning("lead not given back", why=str(error), next_leads_in=self._timing.lease)


def _says(standing: Standing | None) -> str:
    if standing is None:
        return "is not there yet; who leads first makes it"
    return f"is held by {_shown(standing.holder)}" if standing.holder else "is held by nobody"


def _shown(holder: str) -> str:
    """A name as messages have it, "" for nobody's."""
    return excerpt(holder, LONGEST) if holder else ""
