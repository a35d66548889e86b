"""What becomes of what this process never wanted: left by an earlier one, or added by hand."""

from dataclasses import replace

import pytest

from bridge.adapter import Holding
from bridge.model import Service, ServiceName, SourceName
from bridge.withhold import AGREEMENT, Sources
from tests.builders import endpoint, holdings, hosts, name, record, service, services
from tests.withholding import HOUR, LOST, PAY, PER, SYNCED, UNSEEN, Sink, pay, reasons, told


@pytest.mark.promise("law-1", "law-2")
def test_a_fresh_process_that_meets_a_wiped_registry_removes_nothing() -> None:
    sink = Sink(pay(*hosts(10)), service("shop/cart", *hosts(1)))
    found = sink.say()
    assert (sink.left, reasons(found)) == (11, {"orphan": 11})
    assert sink.wait(AGREEMENT - 1).retained == services(pay(*hosts(10)), service("shop/cart", *hosts(1)))


def test_an_orphan_is_withheld_from_the_first_one_on_and_goes_after_thirty_minutes_of_agreement() -> None:
    sink = Sink(pay(*hosts(2)))
    found = sink.say(pay(*hosts(1)))
    assert told(found) == [("10.0.0.2:80", "orphan")]
    assert found.wake_at == sink.now + AGREEMENT
    sink.wait(AGREEMENT)
    assert sink.left == 1


def test_an_orphan_is_retained_as_it_stands_there_and_told_in_order() -> None:
    sink = Sink(pay("10.0.0.2:80"))
    sink.look()
    sink.there = holdings(pay("10.0.0.1:80", endpoint("10.0.0.2:80", weight=7)))
    found = sink.look()
    assert found.retained[PAY].endpoints == sink.there[PAY].endpoints
    assert told(found) == [("10.0.0.1:80", "orphan"), ("10.0.0.2:80", "orphan")]


def test_orphans_use_nothing_of_the_limit() -> None:
    sink = Sink(pay(*hosts(50)), floor=3)
    sink.say(pay(*hosts(50)[:3]))
    sink.wait(AGREEMENT)
    assert (sink.left, sink.look().budget) == (3, 3)


def test_an_orphan_that_is_wanted_once_is_an_orphan_no_more() -> None:
    sink = Sink(pay(*hosts(2)))
    sink.say(pay(*hosts(1)))
    sink.say(pay(*hosts(2)))
    sink.say(pay(*hosts(1)))
    assert sink.left == 1


# Under our eyes


def watched(*there: str, **limits: object) -> Sink:
    """A sink that says what is wanted, and that this process alone writes; its record is `there`."""
    sink = Sink(pay(*there), **limits)
    sink.say(pay(*hosts(2)))
    sink.unsettled = ()
    return sink


def by_hand(sink: Sink, *endpoints: str) -> None:
    """Somebody has the records that stand there say just these."""
    sink.there = sink.there.with_({PAY: replace(sink.there[PAY], endpoints=pay(*endpoints).endpoints)})


@pytest.mark.promise("R-17")
def test_what_somebody_adds_to_a_record_that_was_as_it_should_be_is_no_orphan_and_goes_at_once() -> None:
    sink = watched(*hosts(2))
    by_hand(sink, *hosts(2), "10.9.9.9:80")
    found = sink.wait(1)
    assert ([str(e.id) for e in found.retained[PAY].endpoints], told(found)) == (hosts(2), [])


def test_what_is_added_counts_against_the_limit_as_all_that_goes_at_once_does() -> None:
    sink = watched(*hosts(2), floor=1, at_once=0.0)
    by_hand(sink, *hosts(2), "10.9.9.8:80", "10.9.9.9:80")
    assert told(sink.wait(1)) == [("10.9.9.9:80", "limit")]
    assert told(sink.wait(PER + 1)) == []


@pytest.mark.parametrize("unsettled", [None, (PAY,)])
def test_what_comes_while_another_writes_or_we_have_not_written_all_is_an_orphan(
    unsettled: tuple[ServiceName, ...] | None,
) -> None:
    sink = watched(*hosts(2))
    sink.unsettled = unsettled
    by_hand(sink, *hosts(2), "10.9.9.9:80")
    assert told(sink.wait(1)) == [("10.9.9.9:80", "orphan")]
    sink.unsettled = ()
    assert told(sink.wait(1)) == [("10.9.9.9:80", "orphan")]  # and stays one


@pytest.mark.parametrize("sources", [LOST, UNSEEN])
def test_what_comes_while_a_source_is_lost_is_an_orphan(sources: Sources) -> None:
    sink = watched(*hosts(2))
    sink.sources = sources
    by_hand(sink, *hosts(2), "10.9.9.9:80")
    sink.wait(1)
    sink.sources = SYNCED
    assert told(sink.wait(1)) == [("10.9.9.9:80", "orphan")]


@pytest.mark.promise("law-3")
def test_what_comes_in_a_record_that_did_not_stand_there_is_an_orphan() -> None:
    sink = watched(*hosts(2))
    sink.there = holdings(pay(*hosts(2), "10.9.9.9:80"), service("shop/cart", "10.0.0.1:80"))  # out of a backup
    assert told(sink.wait(1)) == [("10.0.0.1:80", "orphan"), ("10.9.9.9:80", "orphan")]


@pytest.mark.promise("law-3")
def test_an_orphan_that_is_read_no_more_and_again_is_an_orphan_again() -> None:
    sink = watched(*hosts(3))
    by_hand(sink, *hosts(2))
    assert told(sink.wait(60)) == []
    by_hand(sink, *hosts(3))
    assert told(sink.wait(1)) == [("10.0.0.3:80", "orphan")]


# Before the first whole view


@pytest.mark.promise("law-3")
def test_nothing_is_removed_before_every_source_was_read_whole_known_orphan_accepted_or_empty() -> None:
    bare = name("shop/bare")
    sink = Sink(pay(*hosts(3)))
    sink.there = sink.there.with_({bare: Holding((record("bare", "shop/bare"),))})
    sink.sources = UNSEEN
    sink.say(pay(*hosts(3)))  # its snapshot stands in
    found = sink.say(pay(*hosts(1)))
    sink.accept("10.0.0.3:80")
    sink.wait(2 * HOUR)
    assert [str(e.id) for e in sink.there[PAY].endpoints] == hosts(3)
    assert found.retained[bare] == Service(bare)
    assert told(found) == [("bare", "waiting"), ("10.0.0.2:80", "waiting"), ("10.0.0.3:80", "waiting")]
    assert (reasons(found), found.wake_at) == ({"waiting": 3}, None)
    assert "zk" in found.withheld[PAY][0].text
    assert found.budget == 20
    sink.sources = SYNCED
    found = sink.wait(0)
    assert ([str(e.id) for e in sink.there[PAY].endpoints], bare in found.retained) == (hosts(1), False)


@pytest.mark.promise("law-3")
def test_the_thirty_minutes_of_an_orphan_begin_when_every_source_was_read_whole() -> None:
    sink = Sink(pay(*hosts(1)))
    sink.sources = Sources((SourceName("zk"),), in_sync=True)  # the rest of them
    sink.say()
    sink.wait(2 * AGREEMENT)
    sink.sources = SYNCED
    assert reasons(sink.wait(0)) == {"orphan": 1}
    sink.wait(AGREEMENT - 1)
    assert sink.left == 1
    sink.wait(1)
    assert sink.left == 0


def test_a_source_that_joins_later_is_waited_for_too() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    sink.wants = services(pay(*hosts(8)))
    sink.look()  # let go, and not yet gone
    sink.sources = UNSEEN
    assert reasons(sink.wait(0)) == {"waiting": 2}
    assert sink.left == 10
