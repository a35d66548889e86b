"""Nothing is waited for that would not come."""

import json
from typing import Any

import pytest

from adapters.consul.answer import FROM_START, INDEX, Answer
from adapters.consul.watch import Watch
from bridge.errors import Unavailable

API: Any = None
"""A watch asks by itself."""


async def test_at_first_and_after_an_error_it_is_read_at_once_and_then_waited_for() -> None:
    """A Consul in which nothing was ever written waits for what is newer than any index."""
    asked: list[int] = []

    async def ask(index: int) -> Answer:
        asked.append(index)
        return Answer.of({INDEX: "1"}, b"null", lambda: None)

    watch = Watch("claims", ask)
    await watch.poll(API)
    await watch.poll(API)
    watch.failed(Unavailable("is gone"), 0.0)
    watch.cursor.forget()
    await watch.poll(API)
    await watch.poll(API)
    assert asked == [0, FROM_START, 0, FROM_START]
    assert watch.failure is None


@pytest.mark.parametrize(
    ("answers", "back"),
    [
        ([(9, "{}"), (1, "null")], False),
        ([(9, "{}"), (8, "null")], True),
        ([(9, "{}"), (8, "{}")], True),
        ([(9, "{}"), (1, "{}")], True),
    ],
)
async def test_of_what_is_not_there_any_more_no_index_has_gone_back(answers: list[tuple[int, str]], back: bool) -> None:
    async def ask(_: int) -> Answer:
        index, body = answers.pop(0)
        return Answer.of({INDEX: str(index)}, body.encode(), lambda: json.loads(body))

    watch = Watch("node a", ask)
    assert await watch.poll(API) == (True, False)
    assert (await watch.poll(API))[1] is back
