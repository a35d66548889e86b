"""A Consul of 1.8, which has no streaming and does not say what ACLs took out: the same promises."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.consul import spread
from bridge.testing.conformance import Bench, Claiming, Reading, Writing
from bridge.testing.proxy import FaultProxy
from tests.servers.consul import test_failures, test_many, test_nodes, test_readers, test_together, test_writing
from tests.servers.consul.bench import ConsulBench, sink_bench
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import Agent, Agent18, standing_for
from tests.servers.consul.test_failures import FIVE, FOUR, HELD


@pytest.fixture(scope="module")
def standing(program18: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The server of these tests, in the place of the session's."""
    with standing_for(Agent18(program18, tmp_path_factory.mktemp("consul18") / "server")) as made:
        yield made


@pytest.fixture
async def own(program18: Path, tmp_path: Path) -> AsyncIterator[Agent]:
    """One of a test alone."""
    async with Agent18(program18, tmp_path / "server") as made:
        yield made


@pytest.fixture
async def bench(hand: Hand, standing: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(spread, "EACH", 1)
    async with sink_bench(hand, standing, tmp_path) as made:
        yield made


class TestReading(Reading):
    @pytest.fixture
    async def bench(self, hand: Hand, proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[Bench]:
        async with ConsulBench(hand, proxy, tmp_path) as made:
            yield made


class TestWriting(Writing): ...


class TestClaiming(Claiming): ...


few = pytest.mark.usefixtures("few")
test_killed = test_failures.test_an_agent_killed_and_started_again_removes_nothing_and_changes_made_meanwhile_arrive
test_restored = test_failures.test_an_older_state_that_was_restored_is_read_whole_and_removes_nothing_by_itself
test_back = test_failures.test_an_older_state_is_noticed_though_no_question_is_woken_by_it
test_changed = test_many.test_of_many_services_those_are_read_that_have_changed
test_unshown = test_many.test_a_change_that_no_summary_shows_is_found_among_all
test_dns = test_readers.test_dns_gives_addresses_of_both_families_and_ports_and_leaves_out_what_is_unhealthy
test_few = test_together.test_what_is_written_at_once_goes_in_few_transactions
test_fewer = few(test_nodes.test_what_stands_on_more_nodes_than_there_may_be_moves_and_is_never_gone_nor_doubled)
test_filled = few(test_nodes.test_nodes_fill_up_one_after_the_other_and_whoever_comes_after_finds_them)
test_marked = few(test_nodes.test_a_node_from_which_somebody_takes_the_mark_is_found_and_marked_again)
test_withdrawn = few(test_nodes.test_when_all_is_withdrawn_no_node_stays)
test_fault = test_together.test_who_is_at_fault_in_a_transaction_has_an_error_and_the_others_are_made
test_large = test_together.test_what_is_too_large_for_one_transaction_goes_in_several
test_go = test_readers.test_its_go_client_lists_and_watches
test_whole = test_writing.test_another_bridge_reads_everything_that_an_endpoint_says


async def test_it_is_that_version(standing: Agent, hand: Hand) -> None:
    assert (await hand.get("agent/self"))["Config"]["Version"].startswith("1.8.")


@pytest.mark.promise("R-11", "law-1")
async def test_rights_on_half_the_services_that_are_lost_while_it_waits_remove_nothing(
    standing: Agent, hand: Hand, tmp_path: Path
) -> None:
    async with test_failures.halved(standing, hand, tmp_path) as seen:
        await hand.say("half-a", FIVE[-1])
        await seen.until(lambda: seen.served("half-a") == FIVE)
        seen.refresh()
        await seen.until(lambda: seen.served("half-b") == HELD)
        await hand.policy("half", test_failures.BOTH)
        seen.refresh()
        await seen.until(lambda: seen.served("half-b") == FOUR)
