"""The names of all services: which there are, and that something of one of them has changed."""

from collections.abc import Mapping
from typing import Final

from adapters.consul.answer import PACE, Answer, Cursor
from adapters.consul.client import Api
from adapters.consul.objects import tags_of
from adapters.consul.part import Failure
from bridge.errors import BridgeError, Denied, Unavailable

_BLIND: Final = (
    "no service at all may be seen, not even Consul itself; give `token_file` a token with `service:read` and "
    "`node:read` for what is to be read"
)


class Listing:
    """`names` are those that our token may see, with the tags of their instances; None until they were read once.

    A Consul without any service does not exist, for it is one: who sees none has no right to.
    """

    pace: Final = PACE

    def __init__(self) -> None:
        self.cursor = Cursor()
        self.names: Mapping[str, frozenset[str]] | None = None
        self.failure: Failure | None = None
        self._digest = b""

    def __str__(self) -> str:
        return "the list of services"

    async def read(self, api: Api) -> None:
        """Read it now."""
        self._take(await api.services(), api)

    async def poll(self, api: Api) -> tuple[bool, bool]:
        """Wait for a change of any instance, which the names need not show; and whether the index has gone back."""
        before = self.cursor.index
        answer = await api.services(before)
        back = self.cursor.follow(answer.index)
        self._take(answer, api)
        return self.cursor.index != before, back

    def failed(self, error: BridgeError, now: float) -> None:
        self.failure = Failure.after(self.failure, error, now)

    def _take(self, answer: Answer, api: Api) -> None:
        if answer.digest == self._digest:
            self.failure = None
            return
        try:
            names = tags_of(answer.read())
        except ValueError as error:
            raise Unavailable(f"{api.where}: {error}") from None
        if not names:
            raise Denied(f"{api.where}: {_BLIND}")
        self.names, self._digest = names, answer.digest
        self.failure = None
