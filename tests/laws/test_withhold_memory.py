"""What came and went leaves nothing behind in the judge of removals."""

import pytest

from bridge.table import Table
from bridge.withhold import AGREEMENT, Judge
from tests.builders import eid, hosts, service, services
from tests.withholding import PAY, SYNCED, Sink, export, pay, reasons


@pytest.mark.promise("law-7")
def test_what_came_and_went_leaves_nothing_behind() -> None:
    sink = Sink()
    for round_ in range(100):
        sink.say(*(service(f"shop/s{i}", *hosts(2, net=f"10.{round_}")) for i in range(5)), after=1)
    sink.say()
    for _ in range(5):
        sink.wait(AGREEMENT + 1)
    assert sink.there == {}
    kept = vars(sink.judge)
    sizes = {key: len(value) for key, value in kept.items() if isinstance(value, dict | list | set) or key == "_spent"}
    assert max(size for key, size in sizes.items() if key not in ("_in", "_texts")) <= 64, sizes


@pytest.mark.promise("law-7")
def test_a_thousand_changes_of_mind_in_a_minute_leave_no_more_than_the_last() -> None:
    sink = Sink(pay("10.0.0.9:80"), floor=0, at_once=0.0)
    for _ in range(1000):
        sink.say(pay(*hosts(1)), after=0.06)
        sink.words = {(PAY, eid("10.0.0.1:80")): sink.now}
        sink.say()
    sink.words = {}
    sink.say(pay(*hosts(1)))
    sizes = {key: len(value) for key, value in vars(sink.judge).items() if isinstance(value, dict | list | set)}
    assert (sizes["_ages"] < 100, sizes["_waiting"] < 100, sizes["_left"], sizes["_used"]) == (True, True, 0, 0), sizes


def test_what_was_wanted_and_never_written_is_remembered_for_thirty_minutes() -> None:
    sink = Sink()
    sink.wants = services(pay(*hosts(1)))
    sink.look()
    sink.wants = services()
    sink.look()
    sink.now += AGREEMENT
    sink.look()
    assert sink.judge._left == {}


def test_what_is_wanted_again_or_is_withheld_is_not_remembered_besides() -> None:
    sink = Sink(floor=0, at_once=0.0)
    for wants in ([pay(*hosts(1))], [], [pay(*hosts(1))]):
        sink.wants = services(*wants)
        sink.look()
    assert sink.judge._left == {}
    sink.say(pay(*hosts(1)))
    assert reasons(sink.say()) == {"limit": 1}
    assert sink.judge._left == {}


@pytest.mark.promise("law-7")
def test_what_was_wanted_and_never_written_is_remembered_up_to_a_bound() -> None:
    judge = Judge(export())
    for i in range(30):
        wants = services(service("shop/s", *hosts(1000, net=f"10.{i}0")))
        judge.step(wants, Table(), SYNCED, {}, float(i))
    assert len(judge._left) <= 10_000
