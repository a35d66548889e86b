"""How long to wait before something is tried again."""

from math import inf

from tenacity import AsyncRetrying, RetryCallState, wait_exponential, wait_random
from tenacity.wait import wait_base

from bridge.errors import Denied

SOON = wait_exponential(multiplier=1, max=30) + wait_random(0, 1)
"""After most errors, seconds: at most one attempt a second, never in step with other processes."""

SLOWLY = wait_exponential(multiplier=10, max=60) + wait_random(0, 5)
"""After Denied: a token is not mended in a second, and registries count failed logins."""


class ByReaction(wait_base):
    """As the error of the last attempt asks for it, and not more than `most` seconds but for Denied."""

    def __init__(self, most: float = inf) -> None:
        self._most = most

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return SLOWLY(retry_state) if isinstance(error, Denied) else min(SOON(retry_state), self._most)


def pause(attempt: int, denied: bool) -> float:
    """Seconds to leave one thing alone after its error number `attempt`, from 1, while others go on."""
    state = RetryCallState(_RETRYING, None, (), {})
    state.attempt_number = attempt
    return (SLOWLY if denied else SOON)(state)


_RETRYING = AsyncRetrying()
