"""Nothing is waited for that would not come."""

from typing import Any

from adapters.consul.answer import FROM_START, INDEX, Answer
from adapters.consul.watch import Watch
from bridge.errors import Unavailable

API: Any = None
"""A watch asks by itself."""


async def test_after_an_error_it_is_read_at_once_and_then_waited_for() -> None:
    """A Consul in which nothing was ever written waits for what is newer than any index."""
    asked: list[int] = []

    async def ask(index: int) -> Answer:
        asked.append(index)
        return Answer.of({INDEX: "1"}, b"null", lambda: None)

    watch = Watch("claims", ask)
    await watch.poll(API)
    watch.failed(Unavailable("is gone"), 0.0)
    watch.cursor.forget()
    await watch.poll(API)
    await watch.poll(API)
    assert asked == [FROM_START, 0, FROM_START]
    assert watch.failure is None
