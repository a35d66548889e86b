"""A lease that is kept as JSON: read as it was written, and as far as it can be where somebody edited it."""

import json

import pytest

from bridge.kit import lease_json
from bridge.kit.candidate import Standing, Write


def test_it_is_read_as_it_was_written() -> None:
    content = lease_json.written(Write("a_1", 15.0, 3, acquires=True), 1_764_300_000.25)
    assert lease_json.read(content, 10.0, 7) == Standing("a_1", 15.0, 3, 7)


def test_two_renewals_are_never_the_same_text() -> None:
    write = Write("a_1", 15.0, 3, acquires=False)
    assert lease_json.written(write, 1_764_300_000.25) != lease_json.written(write, 1_764_300_002.25)


@pytest.mark.parametrize("content", [b"", b"\xff", b"held", b"[" * 100_000, b"[]", b"null", b"{}"])
def test_what_is_no_lease_is_held_by_nobody_for_as_long_as_ours(content: bytes) -> None:
    assert lease_json.read(content, 15.0, 7) == Standing("", 15.0, 0, 7)


@pytest.mark.parametrize("seconds", [0, -1, 3600, "15", None, float("nan"), float("inf")])
def test_one_that_says_no_sensible_time_is_held_for_as_long_as_ours(seconds: object) -> None:
    content = json.dumps({"holder": "a_1", "seconds": seconds, "transitions": -1}).encode()
    assert lease_json.read(content, 15.0, 7) == Standing("a_1", 15.0, 0, 7)
