"""For each promise an adapter that breaks it, and only it, and how the suite says so."""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from bridge.errors import Unavailable
from bridge.kit.settings import RegistrySettings
from bridge.model import Service
from bridge.testing.conformance import Claiming, Fitting, Package, Reading, Writing
from bridge.testing.conformance.samples import WEB
from bridge.testing.memory import MemoryRegistry, MemorySettings
from tests.benches import MemoryBench
from tests.broken import claims, fits, holdings, packages, views, writes

PATIENCE = 1.5
"""Seconds, for what never comes."""

Test = Callable[..., object]


class Fault(NamedTuple):
    """A promise, an adapter that breaks it, and a part of what the suite says then."""

    promise: Test
    adapter: type[MemoryRegistry]
    said: str


class Narrow(MemoryBench):
    """Claims that there is something that the registry cannot say."""

    def odd(self) -> Service:
        return WEB


FAULTS = [
    Fault(Reading.test_the_first_view_is_whole, views.half, "ServiceName"),
    Fault(Reading.test_the_first_view_is_whole, views.guarding, "only the guard says"),
    Fault(Reading.test_the_first_view_is_whole, views.Ending, "ended without a word"),
    Fault(Reading.test_a_registry_without_services_is_a_view_too, views.NeverEmpty, "a first view"),
    Fault(Reading.test_every_change_follows, views.FirstWord, "a view with exactly shop/api, shop/web"),
    Fault(Reading.test_every_change_follows, views.unsorted, "not in order"),
    Fault(Reading.test_the_last_service_goes_like_any_other, views.NeverEmpty, "a view with exactly no service"),
    Fault(Reading.test_a_view_never_changes_after_it_was_given, views.OneTable, "assert"),
    Fault(Reading.test_what_did_not_change_is_equal, views.Stamping, "seen"),
    Fault(Reading.test_two_adapters_say_the_same, views.Counted, "by"),
    Fault(Reading.test_a_reading_that_was_asked_for_is_a_new_one, views.Deaf, "`read` has grown"),
    Fault(
        Reading.test_a_reading_that_was_asked_for_has_what_was_there_before_it,
        views.Stale,
        "before refresh",
    ),
    Fault(Reading.test_a_reading_may_be_asked_for_before_it_is_observed, views.Eager, "no connection yet"),
    Fault(Reading.test_a_view_that_nobody_fetched_gives_way_to_the_newest, views.Queueing, "do not queue"),
    Fault(Reading.test_a_poison_record_is_a_problem_and_its_neighbours_stay, views.silent, "a Problem about"),
    Fault(Reading.test_a_poison_record_is_a_problem_and_its_neighbours_stay, views.Fragile, "a Problem about"),
    Fault(Reading.test_a_poison_record_is_a_problem_and_its_neighbours_stay, views.multiline, "control characters"),
    Fault(Reading.test_a_poison_record_does_not_keep_a_first_view_away, views.Fragile, "a first view"),
    Fault(Reading.test_opening_connects_to_nothing, views.Connecting, "before it is observed"),
    Fault(Reading.test_a_registry_that_was_never_read_is_unavailable_and_not_empty, views.Flattening, "no view before"),
    Fault(Reading.test_a_registry_that_is_lost_never_looks_empty, views.Flattening, "last good view stands"),
    Fault(Reading.test_a_registry_that_is_lost_never_looks_empty, views.CountingOn, "was not complete"),
    Fault(Reading.test_refused_credentials_are_denied_and_not_an_empty_registry, views.Flattening, "no view before"),
    Fault(Reading.test_refused_credentials_are_denied_and_not_an_empty_registry, views.Vague, "is not Denied"),
    Fault(Reading.test_credentials_that_are_refused_later_remove_nothing, views.Vague, "is not Denied"),
    Fault(Reading.test_credentials_that_are_refused_later_remove_nothing, views.Flattening, "last good view stands"),
    Fault(Reading.test_closing_releases_everything, views.Leaking, "8 file descriptors"),
    Fault(Reading.test_closing_releases_everything, views.Lingering, "4 tasks"),
    Fault(Reading.test_cancelling_releases_everything, views.Leaking, "8 file descriptors"),
    Fault(Reading.test_cancelling_releases_everything, views.Stubborn, "that a cancelled source ends"),
    Fault(Reading.test_whoever_observes_again_has_a_first_view_again, views.OnceOnly, "a view with exactly"),
    Fault(Fitting.test_fit_is_pure, fits.impure, "nothing is left to do"),
    Fault(Fitting.test_fit_is_pure, fits.Opened, "every replica"),
    Fault(Fitting.test_what_is_fitted_has_no_revision_and_is_of_its_service, fits.numbered, "None"),
    Fault(Fitting.test_services_never_share_a_key, fits.confusing, "a-b/c and a/b-c"),
    Fault(Fitting.test_whatever_is_not_said_is_told, fits.only_v4, "nobody was told"),
    Fault(Fitting.test_whatever_is_not_said_is_told, fits.raising, "it tells a Problem"),
    Fault(Fitting.test_what_has_no_place_is_a_problem, MemoryRegistry, "a Problem about"),
    Fault(Fitting.test_a_large_service_stands_whole, fits.truncating, "Endpoint"),
    Fault(Fitting.test_one_endpoint_less_moves_no_other, fits.repacking, "records are written for one endpoint"),
    Fault(Writing.test_a_target_with_nothing_of_ours_stands_there_empty, holdings.no_empty_target, "in `held`"),
    Fault(Writing.test_without_a_mark_there_is_nothing_of_ours, holdings.Unmarked, "assert not"),
    Fault(Writing.test_what_is_put_is_observed_as_ours_and_not_as_a_service, holdings.ours_too, "web"),
    Fault(Writing.test_what_is_put_is_observed_as_ours_and_not_as_a_service, holdings.no_revision, "no revision"),
    Fault(Writing.test_what_changes_is_put_again, writes.AddsOnly, "nothing is left to do"),
    Fault(Writing.test_what_is_removed_is_gone, writes.KeepsAll, "no record of shop/web is left"),
    Fault(Writing.test_when_apply_returns_it_is_made_for_good, writes.Behind, "Endpoint"),
    Fault(Writing.test_whoever_comes_after_knows_our_records_again, fits.Opened, "is as good"),
    Fault(Writing.test_another_bridge_sees_it_with_our_name, holdings.nobodys, "conformance"),
    Fault(Writing.test_another_bridge_sees_it_with_our_name, holdings.Everybodys, "ours are not theirs"),
    Fault(Writing.test_another_bridge_sees_it_with_our_name, holdings.hidden, "conformance"),
    Fault(Writing.test_the_bridges_before_us_are_not_forgotten, holdings.shortened, "`via` grows"),
    Fault(
        Writing.test_what_a_former_owner_wrote_is_ours_and_gets_our_mark,
        holdings.forgetting(False),
        "`Mark.former` are",
    ),
    Fault(Writing.test_what_a_former_owner_wrote_is_ours_and_gets_our_mark, holdings.forgetting(True), "the new mark"),
    Fault(Writing.test_two_bridges_write_side_by_side, holdings.Everybodys, "Endpoint"),
    Fault(Writing.test_a_record_that_stands_there_is_not_put_anew, writes.overwriting, "DID NOT RAISE"),
    Fault(Writing.test_a_put_names_what_it_replaces, writes.putting, "DID NOT RAISE"),
    Fault(Writing.test_a_remove_names_what_it_removes, writes.removing, "DID NOT RAISE"),
    Fault(Writing.test_what_is_gone_is_not_removed_again, writes.removing, "DID NOT RAISE"),
    Fault(Writing.test_what_is_gone_is_not_removed_again, writes.putting, "DID NOT RAISE"),
    Fault(
        Writing.test_a_record_edited_by_hand_is_seen_and_not_overwritten_unseen, holdings.Private, "was edited by hand"
    ),
    Fault(Writing.test_a_record_edited_by_hand_is_seen_and_not_overwritten_unseen, writes.putting, "DID NOT RAISE"),
    Fault(
        Writing.test_a_record_erased_by_hand_is_seen_and_written_again, holdings.Private, "a record of ours was removed"
    ),
    Fault(Writing.test_a_name_that_somebody_else_has_is_taken, writes.overwriting, "DID NOT RAISE"),
    Fault(
        Writing.test_a_name_that_somebody_else_has_is_told_with_who_has_it,
        holdings.nobody_took,
        "somebody else has the",
    ),
    Fault(Writing.test_what_others_wrote_is_never_touched, writes.Sweeping, "not ours was changed"),
    Fault(Writing.test_services_are_written_side_by_side, writes.Rewriting, "every record that was written at once"),
    Fault(Writing.test_of_two_who_put_at_once_one_succeeds, writes.Looking, "Conflict"),
    Fault(Writing.test_a_write_whose_answer_is_lost_is_found_and_not_doubled, writes.Insistent, "DID NOT RAISE|there"),
    Fault(
        Writing.test_a_registry_out_of_reach_is_unavailable_to_who_writes,
        writes.raises(ConnectionError),
        "ConnectionError|out of reach",
    ),
    Fault(
        Writing.test_refused_credentials_are_denied_to_who_writes, writes.raises(Unavailable), "the token is refused"
    ),
    Fault(Writing.test_refused_content_is_rejected_and_costs_nothing_else, writes.raises(Unavailable), "will not do"),
    Fault(Claiming.test_a_target_that_nobody_writes_has_no_claim, claims.premature, "Claim"),
    Fault(Claiming.test_a_claim_reads_back_as_it_was_written, claims.Mortal, "False"),
    Fault(Claiming.test_a_claim_is_no_service_and_no_holding, claims.Visible, "read as a record"),
    Fault(Claiming.test_a_heartbeat_renews_it, claims.Still, "the heartbeat"),
    Fault(Claiming.test_a_claim_is_not_written_over_one_that_was_not_seen, claims.unseen, "DID NOT RAISE"),
    Fault(Claiming.test_a_claim_replaces_the_one_that_it_names_and_no_other, claims.usurping, "DID NOT RAISE"),
    Fault(Claiming.test_a_claim_that_is_gone_is_not_renewed, claims.reviving, "DID NOT RAISE"),
    Fault(Claiming.test_a_claim_outlives_its_records_and_its_process, claims.Homeless, "None == 4"),
    Fault(Claiming.test_another_owners_claim_is_no_obstacle, claims.Alone, "another claim stands there"),
    Fault(Claiming.test_the_claim_of_a_former_owner_can_be_closed, holdings.OwnOnly, "somebody else"),
    Fault(Claiming.test_a_leader_of_before_writes_no_more, claims.Unfenced, "DID NOT RAISE"),
]

WRONG: list[tuple[Test, str, type[RegistrySettings] | None, str]] = [
    (
        Package.test_it_imports_the_contract_and_nothing_else_of_the_core,
        "bridge.testing.memory",
        None,
        "bridge.testing",
    ),
    (Package.test_its_settings_are_found_under_their_kind, "", packages.Nowhere, "no entry point `nowhere`"),
    (Package.test_its_settings_are_found_under_their_kind, "", MemorySettings, "`kind` has one value"),
    (Package.test_its_settings_refuse_keys_that_they_do_not_know, "", packages.Lax, "DID NOT RAISE|no-such-key"),
    (Package.test_its_settings_have_a_json_schema, "", packages.Lax, "derive from RegistrySettings"),
]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """What the broken adapters leave behind is cleared away."""
    yield
    while views.Leaking.left:
        os.close(views.Leaking.left.pop())
    for kind in (views.Connecting.running, views.Lingering.left, writes.Behind.later):
        kind.clear()


def _name(value: object) -> str:
    return value.__name__.removeprefix("test_") if isinstance(value, type) or inspect.isfunction(value) else ""


@pytest.mark.parametrize(("promise", "adapter", "said"), FAULTS, ids=_name)
async def test_a_broken_promise_is_found(promise: Test, adapter: type[MemoryRegistry], said: str) -> None:
    bench = (Narrow if promise is Fitting.test_what_has_no_place_is_a_problem else MemoryBench)(adapter, PATIENCE)
    with pytest.raises((AssertionError, pytest.fail.Exception, Exception), match=said) as raised:
        async with asyncio.timeout(90):
            await promise(None, bench)
    assert not isinstance(raised.value, TimeoutError | pytest.skip.Exception)


@pytest.mark.parametrize(("promise", "package", "settings", "said"), WRONG)
def test_a_broken_promise_of_a_package_is_found(
    promise: Test, package: str, settings: type[RegistrySettings] | None, said: str
) -> None:
    bench = MemoryBench()
    bench.package, bench.settings = package, settings
    with pytest.raises((AssertionError, pytest.fail.Exception), match=said):
        promise(None, bench)


def test_every_promise_has_an_adapter_that_breaks_it() -> None:
    promises = {
        test
        for suite in (Reading, Fitting, Writing, Claiming, Package)
        for name, test in vars(suite).items()
        if name.startswith("test_")
    }
    assert promises == {fault.promise for fault in FAULTS} | {promise for promise, *_ in WRONG}
