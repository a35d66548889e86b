"""Following one thing for as long as it takes: a question after the other, never hot, never in step with others."""

from collections.abc import Callable
from typing import Final, Protocol

from adapters.consul.answer import Cursor
from adapters.consul.client import Api
from bridge.errors import BridgeError, Denied
from bridge.kit import Clock
from bridge.kit.backoff import pause

WAITED: Final = 1.0
"""Seconds after which an answer did not come at once."""


class Followed(Protocol):
    """What can be asked again and again."""

    cursor: Cursor

    @property
    def pace(self) -> float:
        """Seconds from one question to the next: a lone change is told at once whatever it is."""
        ...

    async def poll(self, api: Api) -> tuple[bool, bool]:
        """Whether something differs, and whether the index has gone back."""
        ...

    def failed(self, error: BridgeError, now: float) -> None: ...


async def follow(it: Followed, api: Api, clock: Clock, differs: Callable[[], None], back: Callable[[], None]) -> None:
    """Ask until cancelled, and tell what differs (an error too), and that the index went back."""
    vain = 0  # answers in a row that came at once, and from which the next question goes on where this one did
    errors = 0
    while True:
        begun, before = clock.now(), it.cursor.index
        try:
            news, gone_back = await it.poll(api)
        except BridgeError as error:
            errors += 1
            it.failed(error, clock.now())
            it.cursor.forget()
            differs()
            await clock.sleep(pause(errors, isinstance(error, Denied)))
            continue
        errors = 0
        if news:
            differs()
        if gone_back:
            back()
        vain = 0 if it.cursor.index > before or clock.now() - begun >= WAITED else vain + 1
        rest = pause(vain - 1, denied=False) if vain > 1 else 0.0
        await clock.sleep(max(rest, begun + it.pace - clock.now(), 0.0))
