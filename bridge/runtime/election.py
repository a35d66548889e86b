"""Which replica writes, and the election of one: a single process that always leads."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Literal

import structlog
from tenacity import RetryCallState

from bridge.adapter import Problem
from bridge.errors import BridgeError
from bridge.kit import Clock
from bridge.kit.election import Elector, Shelf, Term
from bridge.kit.files import replace
from bridge.kit.settings import Sample, Strict
from bridge.runtime.backoff import again
from bridge.runtime.keep import unless_cancelled
from bridge.runtime.latest import Latest

__all__ = ["Alone", "AloneSettings", "Elector", "Leadership", "Term", "deployment"]

FILE = "deployment"

SOON = 5.0
"""Seconds after which an election out of reach is entered again, at the latest."""

_NAME = re.compile(r"alone-[0-9a-f]{16}")

_log = structlog.get_logger("bridge.election")


class Alone:
    """The election of a process that nobody shares one with."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment

    @property
    def deployment(self) -> str:
        return self._deployment

    @property
    def shelf(self) -> Shelf | None:
        """Decisions are kept in the state folder."""
        return None

    @property
    def lasting(self) -> Mapping[str, bytes]:
        """What has to stand in the state folder for a restart to be known again, by file."""
        return {FILE: f"{self._deployment}\n".encode()}

    async def terms(self) -> AsyncIterator[Term]:
        """One term without end."""
        yield Term(1, inf)
        await asyncio.get_running_loop().create_future()


class AloneSettings(Strict):
    """`leader: {kind: none}`: one process, which always leads."""

    kind: Literal["none"] = "none"

    def open(self, clock: Clock, folder: Path | None) -> Elector:
        """The elector; `folder` is where what outlives the process is kept."""
        return Alone(deployment(folder))

    def check(self) -> Sequence[Problem]:
        """Nothing is needed."""
        return ()

    async def sample(self, clock: Clock, within: float) -> Sequence[Sample]:
        """Nobody else leads."""
        return ()


def deployment(folder: Path | None) -> str:
    """The name by which what writes here is known again after a restart, kept in `folder`.

    Another one for each process where nothing can be kept: it then waits for its own old claims to lapse.
    """
    fresh = f"alone-{secrets.token_hex(8)}"
    if folder is None:
        return fresh
    path = folder / FILE
    try:
        known = path.read_text("ascii").strip()
    except (OSError, ValueError):
        known = ""
    if _NAME.fullmatch(known):
        return known
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, [fresh.encode() + b"\n"])
    except OSError as error:
        _log.warning("deployment has no lasting name", path=str(path), why=str(error))
    return fresh


class Leadership:
    """Follows the election; `term` is the newest one, None until one was won."""

    def __init__(self, elector: Elector, clock: Clock) -> None:
        self._elector = elector
        self._clock = clock
        self.term: Latest[Term | None] = Latest(None)
        self.why = ""  # the election cannot be reached

    @property
    def deployment(self) -> str:
        return self._elector.deployment

    def problems(self) -> tuple[Problem, ...]:
        """Why it is not known who leads."""
        if not self.why:
            return ()
        return (Problem("leader", self.deployment, f"{self.why}; this replica writes no longer than its term lasts"),)

    def leads(self) -> bool:
        """Whether this replica leads now."""
        term = self.term.value
        return term is not None and self._clock.now() < term.until

    async def run(self) -> None:
        """Follow until cancelled; the lead is then given back."""
        async for attempt in again(self._clock, most=SOON):
            with attempt:
                terms = self._elector.terms()
                try:
                    await unless_cancelled(self._follow(terms, attempt.retry_state))
                    raise BridgeError("the election ended without a word; it is entered again")
                except Exception as error:
                    why = str(error) or repr(error)
                    if why != self.why:
                        _log.warning("election out of reach", why=why, leading=self.leads())
                        self.why = why
                        self.term.set(self.term.value)  # whoever shows it shows why it may end
                    raise
                finally:
                    close = getattr(terms, "aclose", None)
                    if close is not None:
                        await close()

    async def _follow(self, terms: AsyncIterator[Term], state: RetryCallState) -> None:
        while (term := await self._next(terms)) is not None:
            state.attempt_number = 1
            led, before, self.why = self.leads(), self.term.value, ""
            self.term.set(term)
            if self.leads() and (not led or before is None or before.number != term.number):
                _log.info("leads", deployment=self.deployment, term=term.number)
            elif led and not self.leads():
                _log.warning("no longer leads", deployment=self.deployment)

    async def _next(self, terms: AsyncIterator[Term]) -> Term | None:
        """The next term; None: there is none. When this is cancelled we lead no more, and then give the lead back.

        When it is cancelled once more meanwhile, that is given up too: what is left running could not be closed.
        """
        step = asyncio.ensure_future(anext(terms, None))
        try:
            await asyncio.wait((step,))
        except asyncio.CancelledError:
            if (last := self.term.value) is not None:
                self.term.set(last._replace(until=min(last.until, self._clock.now())))
            while not step.done():
                step.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((step,))
            raise
        return step.result()
