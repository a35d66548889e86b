"""One service as it was last read; what it said last stands while it cannot be read, or may not be.

An answer that has less than the last one is believed only after a plain question: what was waited for does not say
what an ACL has taken out of it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from adapters.consul.answer import PACE, Answer, Cursor
from adapters.consul.client import Api
from adapters.consul.names import shown
from adapters.consul.objects import Broken, Instance, instances_of
from bridge.errors import BridgeError, Denied, Unavailable
from bridge.kit.backoff import pause

TRIES: Final = 3
"""How often a reading is begun anew because a change came in between."""

_RIGHT = "give it `service:read` for the service and `node:read` for its nodes, or leave the service out"


class Failure(NamedTuple):
    """Why something cannot be read, since when, and when to try again, in seconds, monotonic."""

    error: BridgeError
    since: float
    tries: int
    due: float

    @classmethod
    def after(cls, before: "Failure | None", error: BridgeError, now: float) -> "Failure":
        """The one that follows another without a success between them."""
        tries = 1 if before is None else before.tries + 1
        since = now if before is None else before.since
        return cls(error, since, tries, now + pause(tries, isinstance(error, Denied)))


class Part:
    """`said` is None until it was read once; `filtered`: some of it may not be read, and was not from the start."""

    pace: Final = PACE

    def __init__(self, name: str) -> None:
        self.name = name
        self.cursor = Cursor()
        self.said: Sequence[Instance | Broken] | None = None
        self.failure: Failure | None = None
        self.filtered = False
        self._digest = b""
        self._taken = 0

    def __str__(self) -> str:
        return f"service {shown(self.name)}"

    @property
    def nodes(self) -> frozenset[str]:
        """Those that its instances are on."""
        return frozenset(one.node.name for one in self.said or () if isinstance(one, Instance))

    async def read(self, api: Api) -> bool:
        """Read it now; whether something differs. It raises what the question does."""
        for _ in range(TRIES):
            taken = self._taken
            answer = await api.instances(self.name)
            if taken == self._taken:
                break
        self._taken += 1
        return self._take(answer)

    async def poll(self, api: Api) -> tuple[bool, bool]:
        """Wait for what is newer, or read it now; whether something differs, and whether the index has gone back."""
        answer = await api.instances(self.name, self.cursor.index)
        self._taken += 1
        back = self.cursor.follow(answer.index)
        if answer.digest != self._digest and self._lost(self._parsed(answer)):
            answer = await api.instances(self.name)
        return self._take(answer), back

    def failed(self, error: BridgeError, now: float) -> None:
        self.failure = Failure.after(self.failure, error, now)

    def _take(self, answer: Answer) -> bool:
        """Believe an answer, or raise Denied because of what it may not say."""
        before, self.failure = self.failure, None
        if answer.digest == self._digest and (answer.streaming or answer.filtered == self.filtered):
            return before is not None
        said = self._parsed(answer)
        if answer.filtered and not self.filtered:
            never = self.said is None
            if (never and not said) or (not never and self._lost(said)):
                self.failure = before
                what = "may not be read" if not said else "may not be read whole any more"
                raise Denied(f"{self} {what} by the token: {_RIGHT}", whole=False)
        self.said, self._digest = said, answer.digest
        if not answer.streaming:
            self.filtered = answer.filtered
        return True

    def _parsed(self, answer: Answer) -> Sequence[Instance | Broken]:
        try:
            return tuple(instances_of(answer.read()))
        except ValueError as error:
            raise Unavailable(f"{self}: {error}") from None

    def _lost(self, said: Sequence[Instance | Broken]) -> bool:
        """Whether something that was there is not any more."""
        if not self.said:
            return False
        return not _keys(self.said) <= _keys(said)


def _keys(said: Sequence[Instance | Broken]) -> set[tuple[str, str]]:
    return {one.key if isinstance(one, Instance) else ("", one.where) for one in said}
