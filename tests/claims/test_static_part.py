"""What is made of one reading of a file after the other, without files and without waiting."""

import hashlib
from pathlib import Path

import pytest

from adapters.static.inventory import Inventory, Reader
from adapters.static.part import AGAIN, LONG, QUIET, TRIES, Part
from adapters.static.whole import Whole
from bridge.errors import ConfigError
from bridge.kit.files import Content, Stamp
from tests.builders import endpoint, name, service
from tests.claims.test_static_inventory import LABELS, SCOPE

ONE = "services: [{name: a, port: 80, endpoints: [10.0.0.1, 10.0.0.2]}]\n"
TWO = "services: [{name: a, port: 80, endpoints: [10.0.0.1]}]\n"
WALL = 1_790_000_000.0


class File:
    """A part, and what it is shown."""

    def __init__(self, text: str = ONE) -> None:
        self.part = Part(Path("vms.yaml"), Reader("vms.yaml", "auto", SCOPE, LABELS))
        self.show(text, 0.0)

    def show(self, text: str | bytes | None, now: float, inode: int = 1) -> float | None:
        """Seconds until it wants to look again."""
        content = None
        if text is not None:
            data = text.encode() if isinstance(text, str) else text
            content = Content(data, hashlib.blake2b(data).digest(), Stamp(1, inode, len(data), 0, 0))
        self.part.take(content, now, WALL + now)
        return None if self.part.again is None else self.part.again - now

    @property
    def addresses(self) -> list[str]:
        good = self.part.good
        return [] if good is None else [one.address for said in good.services.values() for one in said.endpoints]

    @property
    def why(self) -> str:
        return str(self.part.problem) if self.part.problem else ""


def test_another_file_in_its_place_is_believed_at_once() -> None:
    file = File()
    assert file.show(TWO, 1.0, inode=2) is None
    assert file.addresses == ["10.0.0.1"]


@pytest.mark.promise("R-22")
def test_a_file_written_in_place_waits_for_a_second_equal_reading() -> None:
    file = File()
    assert file.show(TWO, 1.0) == QUIET
    assert file.addresses == ["10.0.0.1", "10.0.0.2"]
    assert file.show(TWO, 1.0 + QUIET / 2) == QUIET / 2
    assert file.show(TWO, 1.0 + QUIET) is None
    assert file.addresses == ["10.0.0.1"]
    assert not file.why


@pytest.mark.promise("R-22")
@pytest.mark.parametrize("until", range(1, len(TWO)))
def test_no_half_of_a_file_that_is_written_in_place_is_ever_believed(until: int) -> None:
    file = File()
    file.show(TWO[:until], 1.0)
    assert file.show(TWO, 1.3) == QUIET
    assert file.addresses == ["10.0.0.1", "10.0.0.2"]
    assert file.show(TWO, 1.3 + QUIET) is None
    assert file.addresses == ["10.0.0.1"]


@pytest.mark.promise("R-22")
@pytest.mark.parametrize("until", range(1, len(ONE) - 1))
def test_a_file_left_half_written_keeps_the_last_good_view(until: int) -> None:
    file = File()
    file.show(ONE[:until], 1.0)
    file.show(ONE[:until], 2.0)
    assert file.addresses == ["10.0.0.1", "10.0.0.2"]
    assert file.why.startswith("vms.yaml:")
    assert "its view of 2026-" in file.why
    assert file.part.unread is not None
    assert file.part.unread.since == 2.0


def test_a_file_put_back_as_it_was_before_the_second_reading_changes_nothing() -> None:
    file = File()
    file.show("", 1.0)
    assert file.show(ONE, 1.1) is None
    assert not file.why


@pytest.mark.promise("R-22")
def test_a_failure_lasts_from_its_beginning_to_the_next_good_reading() -> None:
    file = File()
    file.show("", 1.0, inode=2)
    file.show("services: [", 5.0, inode=3)
    assert file.part.unread is not None
    assert file.part.unread.since == 1.0
    assert "is not YAML" in file.part.unread.why
    file.show(ONE, 6.0, inode=4)
    assert file.part.unread is None


def test_a_bad_file_seen_again_unchanged_stays_bad() -> None:
    file = File()
    for now in (1.0, 6.0, 11.0):
        file.show("", now, inode=2)
        assert "is empty" in file.why


@pytest.mark.promise("R-22")
def test_a_file_that_changes_whenever_it_is_read_is_read_again_and_becomes_a_problem() -> None:
    file = File()
    for attempt in range(TRIES):
        assert file.show(None, attempt * AGAIN) == pytest.approx(AGAIN)
        assert not file.why
    assert file.show(None, 1.0) == pytest.approx(AGAIN)
    assert "changes whenever it is read" in file.why
    assert file.part.settled
    file.show(ONE, 2.0)
    assert not file.why


@pytest.mark.promise("R-22")
def test_a_file_that_is_written_to_without_end_becomes_a_problem() -> None:
    file = File()
    now = 1.0
    while now < 1.0 + LONG + 1:
        file.show(f"{ONE}# {now}\n", now)
        now += 0.25
    assert "has been written to" in file.why
    assert file.addresses == ["10.0.0.1", "10.0.0.2"]
    file.show(TWO, now)
    file.show(TWO, now + QUIET)
    assert not file.why
    assert file.addresses == ["10.0.0.1"]


@pytest.mark.promise("R-22")
def test_a_file_that_lost_its_count_is_half_written() -> None:
    counted = "services:\n  - {name: a, endpoints: []}\n  - {name: b, endpoints: []}\ncount: 2\n"
    file = File(counted)
    file.show(counted[: counted.index("  - {name: b")], 1.0, inode=2)
    assert "`count:`" in file.why
    assert file.part.good is not None
    assert len(file.part.good.services) == 2


def test_a_path_that_is_not_there_is_a_failure_and_its_return_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    part = Part(path, Reader(str(path), "auto", SCOPE, LABELS))
    part.look(0.0, WALL)
    assert isinstance(part.error, ConfigError)
    assert part.problem is not None
    assert "nothing good was ever read here" in part.problem.what
    path.write_text(ONE)
    part.look(1.0, WALL)
    assert part.error is None
    path.unlink()
    part.look(2.0, WALL)
    assert "is not there" in str(part.error)
    assert part.good is not None
    path.write_text(ONE)
    part.look(3.0, WALL)
    assert part.error is None


# several files as one


def inventory(*services: object, **spelled: str) -> Inventory:
    return Inventory(
        {one.name: one for one in services}, (), {name(k.replace("_", "/")): v for k, v in spelled.items()}
    )  # type: ignore[attr-defined]


def test_services_of_several_files_are_united_and_the_first_one_counts() -> None:
    whole = Whole()
    first = endpoint("10.0.0.1:80", weight=1)
    second = endpoint("10.0.0.1:80", weight=2)
    whole.take({"a": inventory(service("s/x", first)), "b": inventory(service("s/x", second, "10.0.0.2:80"))})
    assert whole.services[name("s/x")] == service("s/x", first, "10.0.0.2:80")
    (problem,) = whole.problems
    assert problem.kind == "duplicate"
    assert problem.where == "b"
    assert "10.0.0.1:80" in problem.what


def test_a_change_of_one_file_leaves_the_services_of_the_others_the_same_objects() -> None:
    whole = Whole()
    b = inventory(service("s/x", "10.0.0.2:80"), service("s/z", "10.0.0.9:80"))
    whole.take({"a": inventory(service("s/x", "10.0.0.1:80"), service("s/y", "10.0.0.1:80")), "b": b})
    before = whole.services
    whole.take({"a": inventory(service("s/x", "10.0.0.1:80"), service("s/y", "10.0.0.3:80")), "b": b})
    assert whole.services[name("s/x")] is before[name("s/x")]
    assert whole.services[name("s/z")] is before[name("s/z")]
    assert whole.services[name("s/y")] == service("s/y", "10.0.0.3:80")
    again = whole.services
    whole.take({"a": inventory(service("s/x", "10.0.0.1:80"), service("s/y", "10.0.0.3:80")), "b": b})
    assert whole.services is again


def test_two_files_whose_names_come_to_one_are_not_mixed() -> None:
    whole = Whole()
    a = inventory(service("s/x-y", "10.0.0.1:80"), **{"s_x-y": "s/x_y"})
    b = inventory(service("s/x-y", "10.0.0.2:80"), **{"s_x-y": "s/x.y"})
    whole.take({"a": a, "b": b})
    assert whole.services[name("s/x-y")] == service("s/x-y", "10.0.0.1:80")
    assert [problem.kind for problem in whole.problems] == ["name"]
    whole.take({"a": a, "b": inventory(service("s/x-y", "10.0.0.2:80"), **{"s_x-y": "s/x_y"})})
    assert len(whole.services[name("s/x-y")].endpoints) == 2
    assert whole.problems == []


def test_a_file_that_is_no_longer_meant_takes_its_services_with_it() -> None:
    whole = Whole()
    whole.take({"a": inventory(service("s/x", "10.0.0.1:80")), "b": inventory(service("s/x", "10.0.0.1:80"))})
    whole.take({"b": inventory(service("s/x", "10.0.0.1:80"))})
    assert whole.problems == []
    whole.take({})
    assert whole.services == {}
