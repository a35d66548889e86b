"""What the tests need is made side by side, and all that is missing is said at once."""

from collections.abc import Callable
from threading import Barrier

from tests.golang import NoProgramError
from tests.servers.parts import PARTS, missing

Say = Callable[[str], None]


def lacking(why: str) -> Callable[[Say], object]:
    def make(_: Say) -> object:
        raise NoProgramError(why)

    return make


def test_one_that_is_missing_keeps_no_other_from_being_made() -> None:
    said: list[str] = []
    parts = {"one": lacking("no `go`"), "two": lambda say: say("building it"), "three": lacking("no network")}
    assert missing(parts, said.append) == ["one: no `go`", "three: no network"]
    assert said[0] == "two: building it"
    assert said[1].startswith("two: ready after ")


def test_what_is_there_is_not_spoken_of() -> None:
    said: list[str] = []
    assert missing({"one": lambda _: "its path"}, said.append) == []
    assert said == []


def test_they_are_made_side_by_side() -> None:
    both = Barrier(2, timeout=60)
    assert missing({"one": lambda _: both.wait(), "two": lambda _: both.wait()}, print) == []


def test_every_server_of_the_tests_is_one() -> None:
    assert {"Kubernetes", "ZooKeeper", "Consul", "Consul 1.8", "Envoy"} <= PARTS.keys()
