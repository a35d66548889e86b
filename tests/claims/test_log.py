"""The log: one line an event, no floods, no secrets; and what is said of problems."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bridge.adapter import Problem
from bridge.admin.journal import SHOWN, Journal
from bridge.admin.log import LINES, WINDOW, Throttle, configure
from bridge.model import SourceName
from bridge.runtime.reading import Reading
from tests.running import log_as_before

VMS = SourceName("vms")


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    with log_as_before():
        yield


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == "", "standard output belongs to what commands print"
    return [json.loads(line) for line in err.splitlines()]


@pytest.mark.promise("S-09")
@pytest.mark.parametrize("form", ["json", "console"])
def test_an_event_is_one_line_whatever_is_in_it(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(form, "info")
    structlog.get_logger().warning(
        "source lost", why='a\r\n{"event": "forged"}\x1b[2J', where=["b\nc"], of={"d": "e\nf"}
    )
    logging.getLogger("library").warning("g\nh")
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 2
    assert "\x1b" not in err


@pytest.mark.promise("S-12")
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_password_of_a_url_and_no_local_variable_is_told(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(form, "debug")

    def fail() -> None:
        token = "hunter" + "2"
        raise ValueError(f"https://bridge:{token}@consul:8501: 403")

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("source failed", url="https://bridge:hunter2@consul:8501")
    err = capsys.readouterr().err
    assert "hunter2" not in err
    assert "***@consul:8501: 403" in err


def test_the_level_leaves_out_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("loud", "warning")
    assert line["timestamp"].endswith("Z")


@pytest.mark.promise("R-24")
def test_a_storm_of_events_is_a_few_lines_and_a_number() -> None:
    now = 100.0
    throttle = Throttle(lambda: now)

    def passes(source: str) -> dict[str, Any] | None:
        try:
            return dict(throttle(None, "", {"event": "endpoints held", "source": source}))
        except structlog.DropEvent:
            return None

    assert sum(passes("vms") is not None for _ in range(1_000)) == LINES
    assert passes("other") is not None, "its neighbours are heard"
    now += WINDOW
    assert passes("vms") == {"event": "endpoints held", "source": "vms", "left_out": 1_000 - LINES}
    assert passes("vms") == {"event": "endpoints held", "source": "vms"}


def test_the_throttle_keeps_no_memory_of_what_is_over() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    for number in range(10_000):
        now = number * 1.0
        throttle(None, "", {"event": f"event {number}"})
    assert len(throttle._kinds) <= 1_001


def test_a_problem_is_told_once_for_as_long_as_it_is_there() -> None:
    bad, worse = Problem("port", "a.yaml:1", "no port"), Problem("port", "a.yaml:2", "no port")
    journal = Journal()
    with structlog.testing.capture_logs() as said:
        for problems in ((bad,), (bad,), (bad, worse), (worse,), (), (bad,)):
            journal.read(Reading(VMS, 0.0, problems=problems))
    assert [(line["event"], line.get("where")) for line in said] == [
        ("problem", "a.yaml:1"),
        ("problem", "a.yaml:2"),
        ("problems are over", None),
        ("problem", "a.yaml:1"),
    ]


@pytest.mark.promise("R-23")
def test_what_cannot_be_checked_is_told_once_whoever_is_the_first_and_however_many_there_are() -> None:
    def check(number: int, what: str) -> Problem:
        return Problem("check", f"health[0]: shop/web 10.0.0.{number}:80", what, None, number)

    journal = Journal()
    with structlog.testing.capture_logs() as said:
        for number in (1, 2, 200, 7):
            journal.read(Reading(VMS, 0.0, problems=(check(number, "network is unreachable"),)))
        journal.read(Reading(VMS, 0.0, problems=(check(7, "network is unreachable"), check(9, "no port is named 'a'"))))
    assert [(one["what"], one["where"]) for one in said] == [
        ("network is unreachable", "health[0]: shop/web 10.0.0.1:80"),
        ("no port is named 'a'", "health[0]: shop/web 10.0.0.9:80"),
    ]


def test_many_problems_are_a_few_lines_and_a_number() -> None:
    many = tuple(Problem("port", f"a.yaml:{number}", "no port", count=2) for number in range(100))
    with structlog.testing.capture_logs() as said:
        Journal().read(Reading(VMS, 0.0, problems=many))
    assert len(said) == SHOWN + 1
    assert said[-1]["count"] == 2 * (100 - SHOWN)
    assert "show problems" in said[-1]["see"]


def test_what_a_loss_was_told_with_is_not_told_twice() -> None:
    empty = Problem("file", "/etc/vms.yaml", "is empty")
    other = Problem("file", "/etc/more.yaml", "is not UTF-8")
    why = "vms: 2 of 2 parts cannot be read, first /etc/vms.yaml: is empty"
    with structlog.testing.capture_logs() as said:
        Journal().read(Reading(VMS, 0.0, lost=1.0, why=why, problems=(empty, other)))
    assert [line["where"] for line in said] == ["/etc/more.yaml"]
