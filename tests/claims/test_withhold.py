"""Which removals a sink may see now."""

from dataclasses import replace

import pytest

from bridge.adapter import Holding
from bridge.model import Endpoint, EndpointId, Port
from bridge.withhold import AGREEMENT, Judge
from tests.builders import eid, endpoint, holdings, hosts, name, record, service, services
from tests.withholding import HOUR, LOST, PAY, PER, SYNCED, UNSEEN, Sink, export, pay, reasons, told

# What goes at once


def test_what_is_wanted_is_said_as_it_is() -> None:
    sink = Sink()
    found = sink.say(pay("10.0.0.1:80"), service("shop/cart", "10.0.0.2:80"))
    assert found.retained == sink.wants
    assert all(found.retained[one] is sink.wants[one] for one in sink.wants)
    assert (found.withheld, dict(found.counts), found.wake_at, found.budget) == ({}, {}, None, 20)


def test_what_this_process_wanted_goes_at_once() -> None:
    sink = Sink()
    sink.say(pay(*hosts(10)))
    found = sink.say(pay(*hosts(7)))
    assert found.retained[PAY] is sink.wants[PAY]
    assert sink.left == 7


def test_the_last_endpoint_of_a_service_goes_with_the_service() -> None:
    sink = Sink()
    sink.say(pay("10.0.0.1:80"))
    assert sink.say().retained == {}
    assert sink.there == {}


def test_a_follower_that_takes_over_finishes_what_the_leader_had_begun() -> None:
    follower = Judge(export())
    both = pay(*hosts(2))
    follower.step(services(both), holdings(both), SYNCED, {}, 0)
    found = follower.step(services(pay(*hosts(1))), holdings(both), SYNCED, {}, 60)
    assert found.withheld == {}
    assert [str(e.id) for e in found.retained[PAY].endpoints] == hosts(1)


def test_what_was_wanted_only_before_its_record_was_seen_is_no_orphan() -> None:
    sink = Sink()
    sink.wants = services(pay(*hosts(2)))
    sink.look()
    sink.wants = services(pay(*hosts(1)))
    sink.look()
    sink.there = holdings(pay(*hosts(2)))  # the write was under way
    assert sink.look().withheld == {}


GRPC = Port("grpc", 90)


@pytest.mark.parametrize(
    "now", [endpoint("10.0.0.1:90", more=[Port("http", 80)]), endpoint("10.0.0.1:80"), endpoint("10.0.0.1:90")]
)
def test_an_endpoint_whose_ports_changed_is_no_removal_while_it_keeps_one(now: Endpoint) -> None:
    sink = Sink(pay(endpoint("10.0.0.1:80", more=[GRPC])))
    found = sink.say(pay(now))
    assert found.withheld == {}
    assert sink.left == 1


def test_what_we_removed_and_a_hand_put_back_goes_again() -> None:
    sink = Sink()
    sink.say(pay(*hosts(2)))
    sink.say(pay(*hosts(1)))
    sink.there = holdings(pay(*hosts(2)))
    assert sink.wait(60).withheld == {}
    assert sink.left == 1


# The limit


def test_beyond_the_limit_removals_are_withheld_and_go_when_the_window_has_passed() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    found = sink.say()
    assert (reasons(found), sink.left, found.budget) == ({"limit": 7}, 7, 0)
    assert found.retained[PAY].endpoints == pay(*hosts(10)).endpoints[3:]
    assert all("plan --accept" in one.text and one.since == sink.now for one in found.withheld[PAY])
    assert sink.look().wake_at == pytest.approx(sink.now + PER, abs=0.001)
    sink.wait(PER - 1)
    assert sink.left == 7
    sink.wait(1.001)
    assert sink.left == 4


def test_the_limit_is_a_share_of_all_that_is_ours_where_that_is_more() -> None:
    sink = Sink()
    sink.say(*(service(f"shop/s{i}", *hosts(100, net=f"10.{i}")) for i in range(10)))
    sink.say(*(service(f"shop/s{i}", *hosts(100, net=f"10.{i}")) for i in range(5)))
    assert sink.left == 900
    sink.wait(PER / 2)
    assert sink.left == 900


def test_the_share_is_taken_of_what_was_there_before_the_removals_that_count() -> None:
    sink = Sink()
    many = [service(f"shop/s{i}", *hosts(100, net=f"10.{i}")) for i in range(10)]
    sink.say(*many)
    sink.say(*many[:9], service("shop/s9", *hosts(4, net="10.9")))
    sink.say(*many[:9], after=1)
    assert (sink.left, sink.look().budget) == (900, 0)


def test_what_went_earlier_counts_until_its_window_has_passed() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    sink.say(pay(*hosts(8)), after=1)
    found = sink.say(pay(*hosts(4)), after=PER / 2)
    assert (sink.left, reasons(found)) == (7, {"limit": 3})


def test_additions_and_changes_pass_while_removals_are_withheld() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    sink.say()
    changed = endpoint("10.0.0.9:80", weight=5)
    found = sink.say(pay(changed, "10.9.9.9:80"), service("shop/new", "10.8.8.8:80"))
    assert changed in found.retained[PAY].endpoints
    assert endpoint("10.9.9.9:80") in found.retained[PAY].endpoints
    assert found.retained[name("shop/new")] is sink.wants[name("shop/new")]
    assert reasons(found) == {"limit": 6}


def test_what_is_withheld_keeps_the_state_that_it_was_last_wanted_in() -> None:
    heavy = endpoint("10.0.0.1:80", weight=7, metadata=(("rack", "b"),))
    sink = Sink(floor=0, at_once=0.0)
    sink.say(pay(heavy))
    sink.there = sink.there.with_({PAY: replace(sink.there[PAY], endpoints=(endpoint("10.0.0.1:80"),))})  # reads less
    assert sink.say().retained[PAY].endpoints == (heavy,)


def test_what_is_wanted_again_is_withheld_no_more() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    sink.say()
    found = sink.say(pay(*hosts(10)))
    assert (found.withheld, sink.left) == ({}, 10)


def test_thirty_minutes_of_agreement_let_go_what_is_beyond_the_limit() -> None:
    sink = Sink(floor=3, at_once=0.0)
    sink.say(pay(*hosts(100)))
    sink.say()
    sink.wait(AGREEMENT - 1)
    assert sink.left == 100 - 2 * 3
    sink.wait(2)
    assert (sink.there, sink.look().wake_at) == ({}, None)


def test_time_in_which_a_source_is_lost_is_no_agreement() -> None:
    sink = Sink(floor=3, at_once=0.0)
    sink.say(pay(*hosts(100)))
    sink.say()
    sink.wait(AGREEMENT / 2)
    before = sink.left
    sink.sources = LOST
    sink.wait(0)
    for _ in range(3):
        sink.wait(PER + 1)
    assert sink.left == before - 9  # what the limit allows
    sink.sources = SYNCED
    sink.wait(0)
    sink.wait(AGREEMENT / 2 - 1)
    assert sink.left > 0
    sink.wait(2)
    assert sink.left == 0


def test_what_another_replica_or_a_hand_removed_counts_against_the_limit() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    sink.wants = services()
    sink.look()
    sink.there = holdings(pay(*pay(*hosts(10)).endpoints[6:]))  # it took six where three were due
    assert sink.look().budget == 0
    sink.wait(PER - 1)
    assert sink.left == 4


def test_what_another_replica_removed_while_this_one_had_not_read_its_sources_counts_too() -> None:
    sink = Sink(floor=3)
    sink.sources = UNSEEN
    sink.say(pay(*hosts(10)))
    sink.wants = services()
    sink.look()
    sink.there = holdings(pay(*pay(*hosts(10)).endpoints[3:]))
    assert sink.look().budget == 0
    sink.sources = SYNCED
    sink.wait(0)
    assert sink.left == 7


def test_what_is_let_go_and_not_removed_in_thirty_minutes_of_agreement_counts_no_more() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(10)))
    sink.wants = services()
    sink.look()  # a dry run, or a sink that cannot be written
    sink.now += PER + 1
    assert reasons(sink.look()) == {"limit": 7}
    sink.now += AGREEMENT
    assert (reasons(sink.look()), sink.look().budget) == ({}, 3)


def test_a_clock_that_steps_back_lets_nothing_go() -> None:
    sink = Sink(floor=0, at_once=0.0)
    sink.say(pay(*hosts(2)))
    sink.now -= HOUR
    sink.say(pay(*hosts(1)))
    sink.wait(HOUR)
    assert sink.left == 2


def test_what_was_let_go_and_is_wanted_again_counts_since_it_may_be_gone_already() -> None:
    sink = Sink(floor=3)
    sink.say(pay(*hosts(4)))
    for _ in range(5):
        sink.wants = services(pay(*hosts(3)))
        sink.look()
        sink.wants = services(pay(*hosts(4)))
        sink.look()
    assert (sink.look().budget, sink.left) == (0, 4)
    assert reasons(sink.say(pay(*hosts(3)))) == {"limit": 1}


# Operators


@pytest.mark.parametrize("known", [True, False])
def test_what_is_accepted_goes_at_once_and_beside_the_limit(known: bool) -> None:
    sink = Sink(pay(*hosts(10)), floor=0, at_once=0.0)
    if known:
        sink.say(pay(*hosts(10)))
    sink.say()
    found = sink.accept(*hosts(10)[:6])
    assert (sink.left, reasons(found)) == (4, {"limit" if known else "orphan": 4})


def test_a_word_serves_one_absence() -> None:
    sink = Sink(floor=0, at_once=0.0)
    sink.say(pay(*hosts(2)))
    sink.say(pay(*hosts(1)))
    sink.accept("10.0.0.2:80")
    assert sink.left == 1
    sink.say(pay(*hosts(2)), after=10)
    found = sink.say(pay(*hosts(1)), after=10)
    assert (reasons(found), sink.left) == ({"limit": 1}, 2)
    sink.accept("10.0.0.2:80")
    assert sink.left == 1


def test_a_word_for_what_is_wanted_lets_nothing_go_later() -> None:
    sink = Sink(floor=0, at_once=0.0)
    sink.say(pay(*hosts(2)))
    sink.accept("10.0.0.2:80")
    assert reasons(sink.say(pay(*hosts(1)), after=1)) == {"limit": 1}


def test_a_word_that_is_in_force_no_more_when_the_sources_are_read_lets_nothing_go() -> None:
    sink = Sink(pay(*hosts(1)))
    sink.sources = UNSEEN
    sink.say()
    sink.accept("10.0.0.1:80")
    sink.words = {}
    sink.wait(HOUR)
    sink.sources = SYNCED
    assert reasons(sink.wait(0)) == {"orphan": 1}


def test_a_word_outlives_the_process_that_heard_it() -> None:
    again = Sink(pay(*hosts(2)))
    again.words = {(PAY, eid("10.0.0.2:80")): 5.0}
    again.say(pay(*hosts(1)))
    assert again.left == 1


# Upsert-only


def test_an_upsert_only_sink_never_loses_anything() -> None:
    bare = name("shop/bare")
    sink = Sink(pay(*hosts(2)), mode="upsert-only")
    sink.there = sink.there.with_({bare: Holding((record("bare", "shop/bare"),))})
    sink.say(service("shop/cart", *hosts(2)))
    found = sink.say(service("shop/cart", endpoint("10.0.0.1:80", weight=9)), after=1)
    sink.words = {(PAY, eid(host)): sink.now for host in hosts(2)}
    sink.wait(3 * HOUR)
    assert sink.left == 4
    assert set(told(found)) == {
        ("bare", "upsert-only"),
        ("10.0.0.1:80", "upsert-only"),
        ("10.0.0.2:80", "upsert-only"),
    }
    assert (reasons(found), found.wake_at) == ({"upsert-only": 4}, None)
    assert sink.there[name("shop/cart")].endpoints == (endpoint("10.0.0.1:80", weight=9), endpoint("10.0.0.2:80"))
    assert bare in found.retained


# What a step costs


def test_one_change_leaves_all_others_the_same_objects() -> None:
    many = [service(f"shop/s{i}", *hosts(3)) for i in range(50)]
    sink = Sink(*many, service("shop/orphan", "10.0.0.1:80"))
    first = sink.say(*many)
    second = sink.say(service("shop/s7", "10.9.9.9:80"), *many[:7], *many[8:])
    assert [str(n) for n in first.retained if second.retained[n] is not first.retained[n]] == ["shop/s7"]
    assert second.withheld is first.withheld
    assert isinstance(second.withheld[name("shop/orphan")][0].what, EndpointId)
