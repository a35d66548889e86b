"""The changes that bring what a sink has of ours to what it should have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import Change, Holding, Put, Record, RecordKey, Remove
from bridge.plan import NOTHING, Plan, plan
from tests.builders import record

PAY = "shop/payments"


def here(*records: Record, taken: dict[str, str] | None = None) -> Holding:
    by_key = sorted(records, key=lambda one: one.key)
    return Holding(tuple(by_key), (), tuple((RecordKey(key), who) for key, who in sorted((taken or {}).items())))


def test_puts_come_in_the_order_in_which_they_must_be_made_and_removals_last() -> None:
    b, a, old, older = (record(key, PAY, "new") for key in ("b", "a", "old", "older"))
    assert plan([b, a], here(older, old)).changes == (Put(b), Put(a), Remove(old), Remove(older))


def test_equal_content_means_nothing_to_do_whatever_its_revision() -> None:
    assert plan([record("a", PAY, "says")], here(record("a", PAY, "says", revision=7))) is NOTHING


@pytest.mark.promise("law-6")
def test_a_change_names_the_record_that_it_replaces_or_removes_as_it_was_seen() -> None:
    new, standing, gone = (
        record("a", PAY, "new"),
        record("a", PAY, "old", revision=7),
        record("b", PAY, "b", revision=8),
    )
    assert plan([new], here(standing, gone)).changes == (Put(new, replaces=standing), Remove(gone))


@pytest.mark.promise("law-6")
def test_a_put_where_nothing_stands_says_so() -> None:
    assert plan([record("a", PAY)], here()).changes == (Put(record("a", PAY), replaces=None),)


@pytest.mark.promise("law-5")
def test_a_name_that_somebody_else_has_is_left_to_them_and_shown_with_its_holder() -> None:
    found = plan([record("a", PAY, "a"), record("b", PAY, "b")], here(taken={"a": "the file's own line 3"}))
    assert found.changes == (Put(record("b", PAY, "b")),)
    (withheld,) = found.withheld
    assert (withheld.reason, withheld.what, str(withheld.service)) == ("taken", "a", PAY)
    assert "belongs to the file's own line 3" in str(withheld)


@pytest.mark.promise("law-5")
def test_a_record_of_ours_whose_name_somebody_took_meanwhile_is_not_removed() -> None:
    assert plan([], here(record("a", PAY), taken={"a": "prod-us1"})).changes == ()


@pytest.mark.promise("law-9")
def test_of_two_records_with_one_key_the_first_is_written_and_the_other_shown() -> None:
    found = plan([record("a", PAY, "one"), record("a", PAY, "other"), record("b", PAY)], here())
    assert found.changes == (Put(record("a", PAY, "one")), Put(record("b", PAY)))
    assert [(one.what, one.reason) for one in found.withheld] == [("a", "twice")]


# The laws

keys = st.sampled_from("abcdef")
contents = st.sampled_from(["x", "y"])
stands = st.dictionaries(keys, st.tuples(contents, st.integers(1, 3)))
fits = st.lists(st.tuples(keys, contents), max_size=6, unique_by=lambda one: one[0])
takens = st.dictionaries(keys, st.just("another"), max_size=2)


def apply(changes: tuple[Change, ...], store: dict[str, Record]) -> None:
    """A registry with compare-and-set."""
    for change in changes:
        match change:
            case Put(made, replaces):
                assert store.get(made.key) == replaces
                store[made.key] = made
            case Remove(gone):
                assert store.pop(gone.key) == gone


@pytest.mark.promise("law-5", "law-6")
@given(fits, stands, takens)
def test_a_plan_that_is_made_leads_there_in_one_pass_with_no_needless_change(
    fit: list[tuple[str, str]], stand: dict[str, tuple[str, int]], taken: dict[str, str]
) -> None:
    fitted = [record(key, PAY, content) for key, content in fit]
    ours = [record(key, PAY, content, revision) for key, (content, revision) in stand.items() if key not in taken]
    store: dict[str, Record] = {one.key: one for one in ours}
    before = dict(store)
    found = plan(fitted, here(*ours, taken=taken))
    apply(found.changes, store)
    assert {key: one.content for key, one in store.items()} == {
        one.key: one.content for one in fitted if one.key not in taken
    }
    assert plan(fitted, here(*store.values(), taken=taken)) == Plan((), found.withheld)
    differing = {key for key in {*before, *store} if before.get(key) != store.get(key)}
    assert len(found.changes) == len(differing)
    assert {one.what for one in found.withheld} == set(taken) & {one.key for one in fitted}
    kinds = [isinstance(change, Remove) for change in found.changes]
    assert kinds == sorted(kinds)


@given(fits, stands, takens, st.randoms())
def test_equal_inputs_give_equal_plans_whatever_the_order_of_what_stands_there(
    fit: list[tuple[str, str]], stand: dict[str, tuple[str, int]], taken: dict[str, str], random: st.DrawFn
) -> None:
    fitted = [record(key, PAY, content) for key, content in fit]
    ours = [record(key, PAY, content, revision) for key, (content, revision) in sorted(stand.items())]
    one = plan(fitted, Holding(tuple(ours), (), tuple((RecordKey(k), w) for k, w in sorted(taken.items()))))
    random.shuffle(ours)  # type: ignore[attr-defined]
    other = plan(list(fitted), Holding(tuple(ours), (), tuple((RecordKey(k), w) for k, w in taken.items())))
    assert one == other
