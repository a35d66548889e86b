"""All that an adapter gets from outside, and what it may use besides."""

from dataclasses import dataclass
from typing import Protocol

from bridge.kit.mark import Mark


class Clock(Protocol):
    """Where time comes from; `bridge.runtime.clock` keeps the real one, `bridge.testing` one that tests move."""

    def now(self) -> float:
        """Seconds, monotonic, from an unknown start."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch; for showing and for what outlives the process, never for waiting."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; at least one turn of the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class Kit:
    """What the core hands to an adapter when it is opened.

    `registry` is its name in the configuration; `mark` what to put on what is written, None where nothing is.
    """

    registry: str
    clock: Clock
    mark: Mark | None = None
