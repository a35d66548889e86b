"""How long to wait before something is tried again."""

from math import inf

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random
from tenacity.wait import wait_base

from bridge.errors import Denied
from bridge.kit import Clock

SOON = wait_exponential(multiplier=1, max=30) + wait_random(0, 1)
"""After most errors, seconds: at most one attempt a second, never in step with other processes."""

SLOWLY = wait_exponential(multiplier=10, max=60) + wait_random(0, 5)
"""After Denied: a token is not mended in a second, and registries count failed logins."""


class _ByReaction(wait_base):
    def __init__(self, most: float) -> None:
        self._most = most

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return SLOWLY(retry_state) if isinstance(error, Denied) else min(SOON(retry_state), self._most)


def again(clock: Clock, but: type[Exception] | None = None, most: float = inf) -> AsyncRetrying:
    """Attempts without end, further and further apart after each error; `but` and a cancellation go through.

    They are never more than `most` seconds apart, but for Denied.

    Whoever has success sets `attempt.retry_state.attempt_number = 1`, so that the next error is a first one.
    """

    def retry(error: BaseException) -> bool:
        return isinstance(error, Exception) and not (but is not None and isinstance(error, but))

    return AsyncRetrying(sleep=clock.sleep, wait=_ByReaction(most), retry=retry_if_exception(retry), reraise=True)


def pause(attempt: int, denied: bool) -> float:
    """Seconds to leave one thing alone after its error number `attempt`, from 1, while others go on."""
    state = RetryCallState(_RETRYING, None, (), {})
    state.attempt_number = attempt
    return (SLOWLY if denied else SOON)(state)


_RETRYING = AsyncRetrying()
