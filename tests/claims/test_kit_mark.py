"""The mark by which a bridge knows its own records again."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter import RecordKey
from bridge.kit.mark import FORMAT, Mark, Stamp, deployment, owner_name

OURS = Mark("prod-eu1", "here")

names = st.from_regex(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", fullmatch=True)
keys = st.text(string.ascii_letters + string.digits + string.punctuation, max_size=80).map(RecordKey)
around = st.text(string.ascii_letters + " \n#=\"'", max_size=20)


@given(names, keys)
def test_a_mark_is_read_as_it_was_written(owner: str, key: RecordKey) -> None:
    assert owner_name(owner) == owner
    stamp = Mark(owner, "here").stamp(key)
    assert Stamp.find(str(stamp)) == stamp


@given(names, around, around)
def test_a_mark_is_found_in_the_middle_of_a_comment(owner: str, before: str, after: str) -> None:
    found = Stamp.find(f"# {before} {Mark(owner, 'here').stamp()}\n{after}")
    assert found == Stamp(owner)


@given(st.text(max_size=200))
def test_any_text_is_a_mark_or_none(text: str) -> None:
    found = Stamp.find(text)
    assert found is None or str(found) in text


@pytest.mark.promise("law-5")
@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (f"registry-bridge/{FORMAT} owner=prod-eu1", True),
        (f"registry-bridge/{FORMAT} owner=prod-eu1 key=shop/payments", True),
        ("registry-bridge/0 owner=prod-eu1", True),
        (f"registry-bridge/{FORMAT + 1} owner=prod-eu1", False),
        (f"registry-bridge/{FORMAT} owner=prod-eu12", False),
        (f"registry-bridge/{FORMAT} owner=prod-eu", False),
        ("owner=prod-eu1", False),
        ("", False),
    ],
)
def test_ours_is_what_has_our_owner_and_a_format_that_we_can_read(text: str, ours: bool) -> None:
    assert OURS.owns(Stamp.find(text)) is ours


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "a\n", "ä", "a" * 64, "a/b"])
def test_what_cannot_be_written_into_every_registry_names_no_owner(text: str) -> None:
    with pytest.raises(ValueError, match="cannot name who writes"):
        owner_name(text)


def test_what_a_former_owner_wrote_is_ours_and_gets_our_mark() -> None:
    mark = Mark("new", "one", former=("old",))
    assert mark.owns(Stamp("old"))
    assert mark.owns(Stamp("new"))
    assert not mark.owns(Stamp("other"))
    assert not mark.owns(Stamp("old", format=FORMAT + 1))
    assert mark.stamp().owner == "new"


@given(st.text(max_size=200), st.lists(st.text(max_size=80), min_size=1))
def test_replicas_of_one_election_have_a_name_that_fits_everywhere_and_no_other_has(said: str, told: list[str]) -> None:
    name = deployment(said, *told)
    assert owner_name(name) == name == deployment(said, *(one.encode() for one in told))
    assert name != deployment(said, *told, "")


def test_people_know_an_election_by_the_end_of_its_name() -> None:
    assert deployment("/leaders/prod", "zk1").startswith("leaders-prod.")
    assert deployment("…", "zk1").startswith("leader.")
