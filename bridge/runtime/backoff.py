"""Attempts without end."""

from math import inf

from tenacity import AsyncRetrying, retry_if_exception

from bridge.kit import Clock
from bridge.kit.backoff import ByReaction


def again(clock: Clock, but: type[Exception] | None = None, most: float = inf) -> AsyncRetrying:
    """Attempts without end, further and further apart after each error; `but` and a cancellation go through.

    They are never more than `most` seconds apart, but for Denied.

    Whoever has success sets `attempt.retry_state.attempt_number = 1`, so that the next error is a first one.
    """

    def retry(error: BaseException) -> bool:
        return isinstance(error, Exception) and not (but is not None and isinstance(error, but))

    return AsyncRetrying(sleep=clock.sleep, wait=ByReaction(most), retry=retry_if_exception(retry), reraise=True)
