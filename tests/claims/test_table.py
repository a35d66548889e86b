"""A Table is a mapping; its sharing is never seen in its content."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.table import SHARDS, Table, changed, share

KEYS = st.integers(0, 4000) | st.text(max_size=3)
ENTRIES = st.dictionaries(KEYS, st.tuples(st.integers(0, 3)), max_size=40)
CHANGES = st.dictionaries(KEYS, st.none() | st.tuples(st.integers(0, 3)), max_size=20)


def test_an_empty_table_is_an_empty_mapping() -> None:
    assert dict(Table()) == {}
    assert len(Table()) == 0
    assert "x" not in Table()
    assert Table() == {}


@given(ENTRIES)
def test_a_table_says_what_its_entries_say(entries: dict[object, tuple[int]]) -> None:
    table = Table(entries)
    assert dict(table) == entries
    assert len(table) == len(entries)
    assert table == entries
    assert all(key in table and table[key] is value for key, value in entries.items())


@given(ENTRIES, st.lists(CHANGES, max_size=4))
def test_versions_follow_their_changes_and_leave_the_older_ones_as_they_were(
    entries: dict[object, tuple[int]], steps: list[dict[object, tuple[int] | None]]
) -> None:
    table, expected = Table(entries), dict(entries)
    seen = [(table, dict(expected))]
    for step in steps:
        table = table.with_(step)
        for key, value in step.items():
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        seen.append((table, dict(expected)))
    for version, content in seen:
        assert dict(version) == content
        assert len(version) == len(content)


@given(ENTRIES, CHANGES)
def test_changed_names_exactly_what_is_another_object(
    entries: dict[object, tuple[int]], changes: dict[object, tuple[int] | None]
) -> None:
    old = Table(entries)
    new = old.with_(changes)
    keys = changed(old, new)
    assert len(keys) == len(set(keys))
    assert set(keys) == {key for key in {*old, *new} if old.get(key) is not new.get(key)}


def test_a_shard_emptied_and_filled_by_one_change_leaves_every_other_table_alone() -> None:
    new = Table({1: "a"}).with_({1: None, 1 + SHARDS: "b"})
    assert dict(new) == {1 + SHARDS: "b"}
    assert dict(Table()) == {}
    assert dict(Table({2: "c"})) == {2: "c"}


def test_a_change_that_changes_nothing_is_the_same_table() -> None:
    value = (1,)
    table = Table({"a": value})
    assert table.with_({"a": value, "gone": None}) is table


@given(ENTRIES, ENTRIES, st.booleans())
def test_sharing_keeps_equal_values_as_they_were_and_changes_no_content(
    old: dict[object, tuple[int]], new: dict[object, tuple[int]], as_table: bool
) -> None:
    before = Table(old)
    fresh = {key: tuple(value) for key, value in new.items()}
    after = share(before, Table(fresh) if as_table else fresh)
    assert dict(after) == new
    assert all(after[key] is before[key] for key in after if key in before and before[key] == after[key])
    assert set(changed(before, after)) == {key for key in {*before, *after} if before.get(key) != after.get(key)}


@given(ENTRIES)
def test_sharing_with_an_equal_mapping_is_the_same_table(entries: dict[object, tuple[int]]) -> None:
    table = Table(entries)
    assert share(table, dict(entries)) is table
    assert share(table, Table(dict(entries))) is table


def test_a_version_shares_the_shards_that_no_change_touched() -> None:
    old = Table({number: (number,) for number in range(5000)})
    new = old.with_({7: (0,)})
    shards = [[shard for group in table._groups for shard in group] for table in (old, new)]
    assert sum(mine is not its for mine, its in zip(*shards, strict=True)) == 1
    assert sum(mine is not its for mine, its in zip(old._groups, new._groups, strict=True)) == 1
