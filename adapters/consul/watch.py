"""One question whose answer is kept: what of ours stands in a Consul, and who claims to write there."""

from collections.abc import Awaitable, Callable
from typing import Any

from adapters.consul.answer import FROM_START, Answer, Cursor, pace
from adapters.consul.client import Api
from adapters.consul.part import Failure
from bridge.errors import BridgeError, Denied


class Watch:
    """`value` is the last answer's; `known`: there was one. `version` is another whenever the value may be.

    `among` so many that are large together it is read.
    """

    def __init__(
        self, what: str, ask: Callable[[int], Awaitable[Answer]], right: str = "all that it may write"
    ) -> None:
        """`what` is what messages call it, and `right` what a token has to be allowed to read."""
        self.what = what
        self._right = right
        self.among = 1
        self.cursor = Cursor()
        self.value: Any = None
        self.known = False
        self.version = 0
        self.failure: Failure | None = None
        self._ask = ask
        self._digest = b""
        self._size = 0

    def __str__(self) -> str:
        return self.what

    @property
    def pace(self) -> float:
        """Seconds until it is asked again."""
        return pace(self._size * self.among)

    async def read(self) -> bool:
        """Read it now; whether it differs."""
        return self._take(await self._ask(0))

    async def poll(self, _: Api) -> tuple[bool, bool]:
        """Wait for what is newer; whether it differs, and whether the index has gone back.

        At first and after an error it is read at once: where nothing was ever written, as after a wipe, any index
        waits.
        """
        answer = await self._ask(self.cursor.index if self.known and self.failure is None else 0)
        back = self.cursor.follow(answer.index)
        if back and answer.index == FROM_START and answer.read() is None:
            back = False  # of what is not there a Consul says no index
        return self._take(answer), back

    def failed(self, error: BridgeError, now: float) -> None:
        self.failure = Failure.after(self.failure, error, now)

    def _take(self, answer: Answer) -> bool:
        if answer.filtered:
            raise Denied(
                f"{self.what}: may not be read whole by the token; give it `read` for {self._right}",
                whole=False,
            )
        self._size = answer.size
        mended, self.failure = self.failure is not None, None
        if self.known and answer.digest == self._digest:
            return mended
        self.value, self._digest, self.known = answer.read(), answer.digest, True
        self.version += 1
        return True
